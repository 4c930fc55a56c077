"""The set-up is pinned, complete and says what is wrong."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from risklake.java import Java
from scripts import bootstrap, spark_jars

ROOT = Path(__file__).parent.parent
LOCKS = ["bootstrap.txt", "lock.txt"]
JAR = "io.delta_delta-spark_4.2_2.13-4.4.0.jar"


def requirements(lock: str) -> list[str]:
    """The requirements of a lock, each with its hashes on one line."""
    text = (ROOT / "requirements" / lock).read_text().replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def folder_with(folder: Path, content: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / JAR).write_bytes(content)
    return folder


def locked(content: bytes) -> dict[str, str]:
    return {JAR: hashlib.sha256(content).hexdigest()}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_requirement_is_pinned_and_has_a_hash(lock: str) -> None:
    assert requirements(lock)
    for line in requirements(lock):
        assert re.match(r"[a-z0-9][\w.-]*==\S+ .*--hash=sha256:[0-9a-f]{64}", line), line


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_no_address_and_no_path(lock: str) -> None:
    text = (ROOT / "requirements" / lock).read_text()
    for word in ("://", "index-url", "find-links", " @ "):
        assert word not in text
    assert re.search(r"(^|[\s=\"'])/\w", text, re.MULTILINE) is None, "a path from the root of some machine"


def test_what_builds_the_environment_is_in_both_locks_with_one_version() -> None:
    assert set(requirements("bootstrap.txt")) <= set(requirements("lock.txt"))
    assert {line.split("==")[0] for line in requirements("bootstrap.txt")} == {"setuptools", "uv"}


def test_the_locked_jars_are_those_of_the_locked_delta_lake() -> None:
    jars = spark_jars.read_lock(spark_jars.LOCK)
    python_side = next(line for line in requirements("lock.txt") if line.startswith("delta-spark=="))
    version = python_side.split("==")[1].split()[0]
    assert spark_jars.PACKAGE.endswith(f":{version}")
    assert f"io.delta_{spark_jars.PACKAGE.split(':')[1]}-{version}.jar" in jars
    assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in jars.values())


def test_a_jar_with_another_hash_is_refused_by_name(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, b"not what was locked")
    with pytest.raises(spark_jars.JarError, match=re.escape(JAR)):
        spark_jars.verify(folder, locked(b"what was locked"))


def test_a_missing_jar_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(spark_jars.JarError, match=re.escape(JAR)):
        spark_jars.verify(tmp_path, locked(b"what was locked"))


def test_the_right_jar_is_copied_and_an_older_one_leaves(tmp_path: Path) -> None:
    source = folder_with(tmp_path / "ivy", b"new")
    target = folder_with(tmp_path / "spark", b"half a j")
    for other in ("io.delta_delta-spark_4.1_2.13-4.3.0.jar", "spark-core_2.13-4.2.0.jar"):
        (target / other).touch()
    assert spark_jars.wrong_jars(target, locked(b"new")) == [JAR]
    spark_jars.copy(source, target, locked(b"new"))
    assert spark_jars.wrong_jars(target, locked(b"new")) == []
    assert sorted(file.name for file in target.iterdir()) == [JAR, "spark-core_2.13-4.2.0.jar"]


def test_the_jars_of_this_environment_are_the_locked_ones() -> None:
    spark = spark_jars.doctor.spark_home()
    assert spark is not None
    assert spark_jars.wrong_jars(spark / "jars", spark_jars.read_lock(spark_jars.LOCK)) == []


@pytest.mark.parametrize(
    ("given", "worker"), [({}, "/a b/python"), ({"PYSPARK_PYTHON": "/usr/bin/python9"}, "/usr/bin/python9")]
)
def test_workers_run_the_python_of_the_environment_unless_told_otherwise(
    tmp_path: Path, given: dict[str, str], worker: str
) -> None:
    java = Java(tmp_path, 17, is_default=False)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "java").touch(mode=0o755)
    script = spark_jars.spark_env(java, "/a b/python") + 'echo "$PYSPARK_PYTHON $JAVA_HOME"'
    done = subprocess.run(["bash", "-c", script], env=given, capture_output=True, text=True, check=True)
    assert done.stdout == f"{worker} {tmp_path}\n"


def test_spark_submit_finds_its_spark_without_an_active_environment() -> None:
    finder = Path(sys.executable).with_name("find-spark-home")
    script = f'. "{finder}" && echo "$SPARK_HOME"'
    done = subprocess.run(["bash", "-c", script], env={"PATH": os.defpath}, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()) == spark_jars.doctor.spark_home()


def test_the_mirror_that_pip_was_told_holds_for_uv_too() -> None:
    told = ":env:.index-url='https://mirror.example/simple'\nglobal.timeout='60'\nglobal.cert='/ca.pem'\n"
    expected = {"UV_DEFAULT_INDEX": "https://mirror.example/simple", "SSL_CERT_FILE": "/ca.pem"}
    assert bootstrap.mirror_settings(told) == expected
    assert bootstrap.mirror_settings("") == {}


def test_a_failed_command_shows_the_end_of_what_it_said_and_the_fix(tmp_path: Path) -> None:
    program = tmp_path / "fails.py"
    program.write_text("print('Retrying'); print('x' * 999); print('no such package'); raise SystemExit(1)")
    with Path(os.devnull).open() as lock, pytest.raises(bootstrap.SetupError) as error:
        bootstrap.Runner(lock)(sys.executable, program, fix="Is there a network?")
    lines = str(error.value).splitlines()
    assert lines[0].startswith("failed: ")
    assert lines[-2:] == ["  no such package", "Is there a network?"]
    assert "Retrying" not in str(error.value)
    assert max(map(len, lines[1:])) <= 202


def test_a_step_that_was_begun_and_did_not_end_is_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "STAMP", tmp_path / "setup.json")
    bootstrap.remember("environment", bootstrap.environment_key())
    bootstrap.remember("spark", bootstrap.spark_key())
    monkeypatch.setattr(bootstrap, "PYTHON", Path(sys.executable))
    assert bootstrap.steps_to_do() == []
    bootstrap.forget("spark")
    assert [name for name, _ in bootstrap.steps_to_do()] == ["java", "spark"]
    bootstrap.forget("environment")
    assert [name for name, _ in bootstrap.steps_to_do()] == ["environment", "packages", "project", "java", "spark"]


def test_a_stamp_that_was_cut_off_counts_as_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "STAMP", tmp_path / "setup.json")
    bootstrap.STAMP.write_text('{"environment": "ab')
    assert bootstrap.read_stamp() == {}


def test_a_folder_that_is_no_environment_is_not_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "VENV", tmp_path)
    monkeypatch.setattr(bootstrap, "STAMP", tmp_path / "setup.json")
    (tmp_path / "thesis.txt").write_text("years of work")
    with Path(os.devnull).open() as lock, pytest.raises(bootstrap.SetupError, match="move it away"):
        bootstrap.make_environment(bootstrap.Runner(lock))
    assert (tmp_path / "thesis.txt").exists()


def test_another_java_means_setting_spark_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", "/one")
    before = bootstrap.spark_key()
    monkeypatch.setenv("JAVA_HOME", "/other")
    assert bootstrap.spark_key() != before


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_prints_every_target_with_its_meaning() -> None:
    text = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^([a-z]+):", text, re.MULTILINE)
    phony = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    assert phony is not None
    assert sorted(phony[1].split()) == sorted(targets)
    printed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"^  ([a-z]+) +\S", printed, re.MULTILINE) == targets


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_without_a_python_make_says_what_to_install() -> None:
    done = subprocess.run(["make", "setup", "PYTHON="], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "3.11" in done.stderr


def test_ci_calls_the_targets_that_a_developer_calls() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    steps = re.findall(r"^ *step (.*)$", script.read_text(), re.MULTILINE)
    assert steps == ["make demo", 'make demo INPUT="$cards"', "make lint", "make test"]
