"""Quick starts of Spark: Java maps the classes of an earlier run from one archive instead of reading 300 jars.

`make setup` makes the folder, the first demo records the archive (`-XX:ArchiveClassesAtExit`), and later programs
start from it. Java itself compares the archive with its version and with each jar, and does without if they differ.
Where Spark's start is configured by the environment, or by `spark-submit`, nothing is changed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from psutil import pid_exists
from pyspark.sql import SparkSession

FOLDER = "quick-start"
# Any of these says that somebody else decides how Spark's Java starts.
_DECIDED_ELSEWHERE = ("SPARK_HOME", "SPARK_CONF_DIR", "PYSPARK_SUBMIT_ARGS", "PYSPARK_GATEWAY_PORT")
_QUIET = "-Xlog:disable -Xlog:all=error:stderr"


@contextmanager
def quick_start(*, record: bool = False) -> Iterator[None]:
    """Start Spark's Java in this block from the archive, or, with `record`, so that it can become one.

    Outside the block the environment is as it was.
    """
    home = _spark_home()
    if home is None or any(name in os.environ for name in _DECIDED_ELSEWHERE):
        yield
        return
    before = dict(os.environ)
    os.environ |= _environment(home, record=record)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def needs_recording() -> bool:
    """Whether a run should be recorded: set-up has made the place, and it holds no archive of the present Java."""
    home = _spark_home()
    if home is None or any(name in os.environ for name in _DECIDED_ELSEWHERE):
        return False
    archive, java = _archive(home), shutil.which("java")
    return not archive.is_file() or bool(java and Path(java).resolve().stat().st_ctime > archive.stat().st_mtime)


def end_recording(spark: SparkSession) -> None:
    """Stop Spark and its Java, which writes the archive while it ends; half an archive is never used."""
    home, gateway = _spark_home(), spark.sparkContext._gateway
    spark.stop()
    process = getattr(gateway, "proc", None)
    if home is None or gateway is None or process is None:
        return
    gateway.shutdown()
    process.stdin.close()
    process.wait()
    if _part(home).is_file():
        _part(home).replace(_archive(home))


def make_place(home: Path, *, possible: bool) -> None:
    """Forget the archive of this Spark home; make room for another where one is `possible`."""
    shutil.rmtree(home / FOLDER, ignore_errors=True)
    if possible:
        # Java refuses an archive while a folder with files is on its class path, where Spark puts its `conf`.
        (home / FOLDER / "conf").mkdir(parents=True)


def _environment(home: Path, *, record: bool) -> dict[str, str]:
    if record:
        _forget_parts(home)
        archive = f"-XX:ArchiveClassesAtExit={_part(home)} "
    elif _archive(home).is_file():
        archive = f"-XX:SharedArchiveFile={_archive(home)} "
    else:
        return {}
    conf = home / "conf"
    own = f"-Dlog4j.configurationFile={conf / 'log4j2.properties'} {archive}{_QUIET}"
    return {
        "SPARK_CONF_DIR": str(home / FOLDER / "conf"),
        "PYSPARK_SUBMIT_ARGS": f"--properties-file '{conf / 'spark-defaults.conf'}' pyspark-shell",
        "SPARK_SUBMIT_OPTS": f"{os.environ.get('SPARK_SUBMIT_OPTS', '')} {own}".strip(),
    }


def _forget_parts(home: Path) -> None:
    # Left by a recording that was killed; some 200 MB each.
    for part in (home / FOLDER).glob("spark.*.part"):
        if not pid_exists(int(part.name.split(".")[1])):
            part.unlink(missing_ok=True)


def _spark_home() -> Path | None:
    found = find_spec("pyspark")
    home = Path(found.origin).parent if found and found.origin else None
    # Options are split at blanks; and where set-up made no place, Spark starts as it always does.
    return home if home and " " not in str(home) and (home / FOLDER / "conf").is_dir() else None


def _archive(home: Path) -> Path:
    return home / FOLDER / "spark.jsa"


def _part(home: Path) -> Path:
    return home / FOLDER / f"spark.{os.getpid()}.part"
