"""Checks of the machine: what the lakehouse needs, what was found, and the command that mends it."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

import psutil

from lake import log_store
from lake.errors import LakehouseError
from lake.settings import Settings, load_settings
from risklake import java
from risklake.java import Java

DELTA_JAR = "io.delta_delta-spark_*.jar"
GIB = 1024**3


@dataclass(frozen=True)
class Finding:
    """One check. `level` tells how bad it is when not `ok`; `fix` is what mends it, empty when ok."""

    name: str
    ok: bool
    level: str  # "error": nothing works; "warning": it works, slowly or not for everything
    message: str
    fix: str = ""


def check(settings: Settings) -> list[Finding]:
    """Every check of this machine, for the lake of these settings."""
    memory = psutil.virtual_memory()
    findings = [
        judge_python(sys.version_info[:2]),
        judge_java(java.find(), java.pinned(spark_home())),
        judge_spark(spark_home()),
        judge_memory(memory.total / GIB, memory.available / GIB),
    ]
    if settings.is_local:
        root = settings.local_path()
        findings += [judge_disk(root, free_gib(root)), judge_writable(root)]
    return [*findings, judge_ports(), judge_clock(datetime.now(UTC))]


def fix() -> str | None:
    """Install what is missing where that takes no question; gives the command that is left to do, or None."""
    return java.install()


# Each judgement takes what was measured, so that it can be tried with any value.


def judge_python(version: tuple[int, ...]) -> Finding:
    """Python 3.11 or newer."""
    found = "Python " + ".".join(map(str, version[:2]))
    remedy = "make clean setup PYTHON=python3.11"
    return _finding("python", version >= (3, 11), found, "3.11 or newer is needed", remedy)


def judge_java(found: list[Java], pinned: Path | None = None) -> Finding:
    """Java 17 or 21, as the default or as the one that the environment's Spark was told to use (`pinned`)."""
    usable = next((candidate for candidate in found if candidate.is_supported), None)
    if usable is not None:
        ok = usable.is_default or usable.home == pinned
        message = f"Java {usable.version} in {usable.home}"
        return _finding("java", ok, message, "the environment's Spark does not use it", "make setup")
    if not found:
        return _error("java", "Java is missing: Spark needs 17 or 21", java.install_command())
    version = found[0].version or "of unknown version"
    message = f"Java {version} in {found[0].home}: Spark needs 17 or 21"
    return _error("java", message, java.install_command())


def judge_spark(home: Path | None) -> Finding:
    """The environment's Spark, with the jars of Delta Lake and the settings of `conf/`."""
    if home is None:
        return _error("spark", "PySpark is not installed in this environment", "make setup")
    other = os.environ.get("SPARK_HOME")
    if other and Path(other).resolve() != home.resolve():
        message = f"SPARK_HOME={other} is another Spark than the environment's"
        remedy = "unset SPARK_HOME, unless that Spark has Delta Lake"
        return Finding("spark", False, "warning", message, remedy)
    if not list((home / "jars").glob(DELTA_JAR)):
        return _error("spark", f"the jars of Delta Lake are not in {home / 'jars'}", "make setup")
    if not log_store.is_built(home):
        return _error("spark", f"Delta's store for logs is not compiled in {home / 'jars'}", "make setup")
    if not (home / "conf" / "spark-defaults.conf").is_file():
        return _error("spark", f"conf/spark-defaults.conf is not linked in {home / 'conf'}", "make setup")
    return _good("spark", f"Spark with Delta Lake in {home}")


def judge_memory(total_gib: float, available_gib: float) -> Finding:
    """At least 2 GiB in all, and better 6 GiB of which 4 are free."""
    message = f"{total_gib:.1f} GiB of memory, {available_gib:.1f} GiB free"
    if total_gib < 2:
        return _error("memory", f"{message}: at least 2 GiB are needed", "use a machine with more memory")
    ok = total_gib >= 6 and available_gib >= 4
    remedy = "close other programs, or lower spark.driver.memory in conf/spark-defaults.conf"
    return _finding("memory", ok, message, "6 GiB, 4 of them free, are better", remedy, level="warning")


def judge_disk(root: Path, gib: float) -> Finding:
    """At least 2 GiB free where the lake lies."""
    remedy = "free some space, or set LAKE_ROOT to another disk"
    return _finding("disk", gib >= 2, f"{gib:.1f} GiB free at {root}", "2 GiB are needed", remedy)


def judge_writable(root: Path) -> Finding:
    """The lake's folder, or the one it will be made in, can be written."""
    place = nearest_folder(root)
    try:
        with tempfile.TemporaryFile(dir=place):
            return _good("lake root", f"{root} can be written")
    except OSError as error:
        remedy = f"make {place} writable, or set LAKE_ROOT to another folder"
        return _error("lake root", f"{root} cannot be written ({error.strerror})", remedy)


def judge_ports(address: str = "127.0.0.1") -> Finding:
    """Spark's parts talk over ports of the loopback address."""
    try:
        with socket.create_server((address, 0)):
            return _good("ports", f"ports of {address} can be opened")
    except OSError as error:
        message = f"no port of {address} can be opened ({error.strerror})"
        return _error("ports", message, "bring the loopback network up: ip link set lo up")


def judge_clock(now: datetime) -> Finding:
    """The clock is not years behind: arrival times and the nightly run's date come from it."""
    found = f"it is {now:%Y-%m-%d %H:%M} UTC"
    return _finding("clock", now.year >= 2025, found, "that cannot be", "set the clock: date -s ...")


def spark_home() -> Path | None:
    """The folder of the environment's Spark."""
    spec = find_spec("pyspark")
    return Path(spec.origin).parent if spec and spec.origin else None


def nearest_folder(path: Path) -> Path:
    """The path itself if it exists, else the nearest parent that does."""
    return next(folder for folder in (path, *path.parents) if folder.exists())


def free_gib(path: Path) -> float:
    """Free space of the disk on which the path lies or will lie, in GiB."""
    return shutil.disk_usage(nearest_folder(path)).free / GIB


def describe(finding: Finding) -> str:
    """One line for people: the state, the check, what was found, and the fix."""
    state = "ok" if finding.ok else finding.level
    return f"{state:8}{finding.name:10} {finding.message}" + (f". Fix: {finding.fix}" if finding.fix else "")


def main(arguments: list[str] | None = None) -> int:
    """`python -m risklake.doctor [--fix]`: with `--fix` only what can be installed, else every check."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if "--fix" in arguments:
        left = fix()
        if left:
            sys.stderr.write(f"Java 17 or 21 is missing. Install it, then call this again: {left}\n")
        return 1 if left else 0
    try:
        findings = check(load_settings())
    except LakehouseError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sys.stdout.write("".join(describe(finding) + "\n" for finding in findings))
    return 1 if any(not f.ok and f.level == "error" for f in findings) else 0


def _good(name: str, message: str) -> Finding:
    return Finding(name, True, "error", message)


def _error(name: str, message: str, remedy: str) -> Finding:
    return Finding(name, False, "error", message, remedy)


def _finding(name: str, ok: bool, found: str, wanted: str, remedy: str, level: str = "error") -> Finding:
    return Finding(name, ok, level, found if ok else f"{found}: {wanted}", "" if ok else remedy)


if __name__ == "__main__":
    sys.exit(main())
