"""The machine is judged right, whatever is found on it."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lake import log_store
from lake.settings import load_settings
from risklake import doctor, java
from risklake.java import Java


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ('java version "1.8.0_392"\nJava(TM) SE Runtime Environment (build 1.8.0_392-b08)', 8),
        ('openjdk version "11.0.22" 2024-01-16', 11),
        ('openjdk version "17.0.15" 2025-04-15\nOpenJDK Runtime Environment (build 17.0.15+6)', 17),
        ('Picked up JAVA_TOOL_OPTIONS: -Xmx1g\nopenjdk version "21" 2023-09-19', 21),
        ('openjdk version "25-ea" 2025-09-16', 25),
        ("The operation couldn't be completed. Unable to locate a Java Runtime.", None),
        ("", None),
    ],
)
def test_the_version_is_read_from_what_java_says(said: str, version: int | None) -> None:
    assert java.parse_version(said) == version


@pytest.mark.parametrize("version", [17, 21])
def test_a_default_java_that_spark_supports_is_fine(version: int) -> None:
    finding = doctor.judge_java([Java(Path("/jdk"), version, is_default=True)])
    assert finding.ok
    assert finding.fix == ""


@pytest.mark.parametrize("version", [8, 11, 25, None])
def test_another_java_is_an_error_that_names_the_fix(version: int | None) -> None:
    finding = doctor.judge_java([Java(Path("/jdk"), version, is_default=True)])
    assert (finding.ok, finding.level) == (False, "error")
    assert "17 or 21" in finding.message
    assert finding.fix == java.install_command()


def test_no_java_at_all_is_an_error_that_names_the_fix() -> None:
    finding = doctor.judge_java([])
    assert (finding.ok, finding.level) == (False, "error")
    assert "missing" in finding.message
    assert "17" in finding.fix


def test_a_second_java_does_once_the_environment_names_it(tmp_path: Path) -> None:
    second = Java(Path("/jdk 17"), 17, is_default=False)
    found = [Java(Path("/jdk25"), 25, is_default=True), second]
    assert not doctor.judge_java(found).ok
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "spark-env.sh").write_text("\n".join(java.pin_lines(second)))
    assert doctor.judge_java(found, java.pinned(tmp_path)).ok


def test_a_default_java_is_not_named_again() -> None:
    assert java.pin_lines(Java(Path("/jdk17"), 17, is_default=True)) == []


def test_a_program_that_is_no_java_has_no_version(tmp_path: Path) -> None:
    program = tmp_path / "java"
    assert java.version_of(program) is None
    program.write_text("#!/bin/sh\necho I am tea\n")
    program.chmod(0o755)
    assert java.version_of(program) is None


def test_java_home_goes_before_the_java_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert java.default_program() == tmp_path / "bin" / "java"


@pytest.mark.parametrize(("version", "ok"), [((3, 10), False), ((3, 11), True), ((3, 13), True), ((4, 0), True)])
def test_python_is_new_enough_from_3_11(version: tuple[int, int], ok: bool) -> None:
    assert doctor.judge_python(version).ok is ok


@pytest.mark.parametrize(
    ("total", "available", "ok", "level"),
    [(1.9, 1.9, False, "error"), (4, 3, False, "warning"), (16, 1, False, "warning"), (8, 5, True, "warning")],
)
def test_little_memory_warns_and_very_little_is_an_error(total: float, available: float, ok: bool, level: str) -> None:
    finding = doctor.judge_memory(total, available)
    assert (finding.ok, finding.level) == (ok, level)


def test_a_full_disk_is_an_error_that_names_the_folder() -> None:
    finding = doctor.judge_disk(Path("/lake"), 1.5)
    assert (finding.ok, finding.level) == (False, "error")
    assert "/lake" in finding.message
    assert "LAKE_ROOT" in finding.fix


def test_the_disk_of_a_lake_that_is_not_yet_there_is_that_of_the_nearest_folder(tmp_path: Path) -> None:
    assert doctor.nearest_folder(tmp_path / "a" / "b") == tmp_path
    assert doctor.free_gib(tmp_path / "a" / "b") > 0


def test_a_lake_below_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    finding = doctor.judge_writable(tmp_path / "file" / "lake")
    assert not finding.ok
    assert str(tmp_path / "file") in finding.fix


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_lake_in_a_read_only_folder_cannot_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    assert not doctor.judge_writable(tmp_path / "lake").ok


def test_an_address_without_ports_is_an_error() -> None:
    assert doctor.judge_ports().ok
    assert not doctor.judge_ports("203.0.113.7").ok


def test_a_clock_that_is_years_behind_is_an_error() -> None:
    assert doctor.judge_clock(datetime(2026, 1, 1, tzinfo=UTC)).ok
    assert not doctor.judge_clock(datetime(1970, 1, 1, tzinfo=UTC)).ok


def test_a_spark_without_delta_lake_or_settings_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPARK_HOME", raising=False)
    assert not doctor.judge_spark(None).ok
    (tmp_path / "jars").mkdir()
    (tmp_path / "conf").mkdir()
    assert "jars of Delta Lake" in doctor.judge_spark(tmp_path).message
    (tmp_path / "jars" / "io.delta_delta-spark_4.2_2.13-4.4.0.jar").touch()
    assert "store for logs is not compiled" in doctor.judge_spark(tmp_path).message
    log_store._jar(tmp_path).touch()
    assert "spark-defaults.conf" in doctor.judge_spark(tmp_path).message
    (tmp_path / "conf" / "spark-defaults.conf").touch()
    assert doctor.judge_spark(tmp_path).ok


def test_another_spark_home_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARK_HOME", "/opt/other-spark")
    finding = doctor.judge_spark(tmp_path)
    assert (finding.ok, finding.level) == (False, "warning")


def test_this_machine_can_run_the_lakehouse(tmp_path: Path) -> None:
    findings = doctor.check(load_settings({"lake_root": str(tmp_path / "lake")}))
    assert [finding for finding in findings if not finding.ok and finding.level == "error"] == []
    assert not (tmp_path / "lake").exists()


def test_every_failed_check_names_a_fix_and_every_good_one_none(tmp_path: Path) -> None:
    findings = doctor.check(load_settings({"lake_root": str(tmp_path)}))
    assert all(bool(finding.fix) is not finding.ok for finding in findings)


def test_nothing_is_left_to_fix_here() -> None:
    assert doctor.fix() is None
