from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lake import quick_start


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Spark home with a place for an archive, in an environment that decides nothing about Spark's start."""
    quick_start.make_place(tmp_path, possible=True)
    monkeypatch.setattr(quick_start, "_spark_home", lambda: tmp_path)
    for name in quick_start._DECIDED_ELSEWHERE:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("SPARK_SUBMIT_OPTS", raising=False)
    return tmp_path


def archive_in(home: Path) -> Path:
    archive = quick_start._archive(home)
    archive.touch()
    return archive


def test_without_an_archive_spark_starts_as_ever_and_a_run_should_be_recorded(home: Path) -> None:
    assert quick_start.needs_recording()
    before = dict(os.environ)
    with quick_start.quick_start():
        assert dict(os.environ) == before


def test_with_an_archive_java_is_told_of_it_and_afterwards_the_environment_is_as_it_was(home: Path) -> None:
    archive = archive_in(home)
    assert not quick_start.needs_recording()
    before = dict(os.environ)
    with quick_start.quick_start():
        assert f"-XX:SharedArchiveFile={archive} " in os.environ["SPARK_SUBMIT_OPTS"]
        assert not any(Path(os.environ["SPARK_CONF_DIR"]).iterdir()), "Java refuses an archive with files in it"
    assert dict(os.environ) == before


def test_a_configured_start_is_left_alone(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive_in(home)
    monkeypatch.setenv("SPARK_CONF_DIR", "/etc/spark")
    assert not quick_start.needs_recording()
    with quick_start.quick_start():
        assert os.environ["SPARK_CONF_DIR"] == "/etc/spark"
        assert "SPARK_SUBMIT_OPTS" not in os.environ


def test_options_of_the_user_are_kept(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive_in(home)
    monkeypatch.setenv("SPARK_SUBMIT_OPTS", "-Dmine=1")
    with quick_start.quick_start():
        assert os.environ["SPARK_SUBMIT_OPTS"].startswith("-Dmine=1 ")


def test_an_archive_older_than_the_java_is_recorded_anew(home: Path) -> None:
    os.utime(archive_in(home), (0, 0))
    assert quick_start.needs_recording()


def test_a_recording_that_was_killed_leaves_nothing_behind_after_the_next(home: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    dead, alive = (home / quick_start.FOLDER / f"spark.{pid}.part" for pid in (gone.pid, os.getppid()))
    dead.touch()
    alive.touch()
    with quick_start.quick_start(record=True):
        assert not dead.exists()
        assert alive.exists(), "another program is recording"


def test_set_up_forgets_the_archive_and_makes_no_place_where_java_has_to_be_named(home: Path) -> None:
    archive_in(home)
    quick_start.make_place(home, possible=True)
    assert quick_start.needs_recording()
    quick_start.make_place(home, possible=False)
    assert not (home / quick_start.FOLDER).exists()


_RECORD = """
from lake import quick_start
from lake.session import build_session
from lake.settings import load_settings
settings = load_settings({"lake_root": %r}, environment={})
spark = build_session(settings, "recorded", record=%r)
print(spark.range(3).count(), spark.conf.get("spark.sql.shuffle.partitions"))
if %r:
    quick_start.end_recording(spark)
"""


@pytest.fixture
def own_archive() -> Iterator[Path]:
    """Where this environment's archive lies; that of before is back afterwards."""
    home = quick_start._spark_home()
    assert home is not None
    archive, aside = quick_start._archive(home), quick_start._archive(home).with_suffix(".aside")
    if archive.is_file():
        archive.rename(aside)
    yield archive
    archive.unlink(missing_ok=True)
    if aside.is_file():
        aside.rename(archive)


@pytest.mark.skipif(quick_start._spark_home() is None, reason="this environment's set-up made no place for an archive")
def test_a_recorded_run_leaves_an_archive_from_which_the_next_one_starts(own_archive: Path, tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if k not in quick_start._DECIDED_ELSEWHERE}
    for record in (True, False):
        program = _RECORD % (str(tmp_path / "lake"), record, record)
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
        )
        assert done.stdout.split() == ["3", "2"], "counted, and configured by our own spark-defaults.conf"
        assert own_archive.stat().st_size > 10_000_000
    assert not list(own_archive.parent.glob("*.part"))
