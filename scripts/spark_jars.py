"""Give the environment's Spark its Delta Lake and our settings; run by the environment's Python.

The jars come from the user's Ivy cache or, if they are not there, from where Spark itself fetches packages.
Each is compared with `conf/jars.lock`. After this every Spark program of the environment has Delta Lake, and our own
class by which it lists logs.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from lake import log_store, quick_start
from lake.errors import MachineError
from risklake import doctor, java

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "conf" / "jars.lock"
LINKED = ("spark-defaults.conf", "log4j2.properties")
PACKAGE = "io.delta:delta-spark_4.2_2.13:4.4.0"
# Spark brings its own version of these.
EXCLUDED = "org.*:*,com.google.*:*,com.fasterxml.jackson.core:*,commons-*:*"


class JarError(Exception):
    """A jar could not be had, or is not the one that was locked; says what to do."""


def ivy_folder() -> Path:
    """Where Ivy keeps what it fetched: the folder that Spark uses by itself, else one in the environment."""
    home = Path("~").expanduser()
    return (home if os.access(home, os.W_OK) else Path(sys.prefix)) / ".ivy2.5.2"


def read_lock(file: Path) -> dict[str, str]:
    """File name to SHA-256, from lines `sha256  name`."""
    lines = [line.split() for line in file.read_text(encoding="utf-8").splitlines()]
    return {line[1]: line[0] for line in lines if line and not line[0].startswith("#")}


def sha256(file: Path) -> str:
    """The SHA-256 of a file, as hexadecimal text."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def wrong_jars(folder: Path, lock: dict[str, str]) -> list[str]:
    """Names of the locked jars that this folder lacks or has with another content."""
    return [name for name, digest in lock.items() if not _is_right(folder / name, digest)]


def verify(folder: Path, lock: dict[str, str]) -> None:
    """Raise `JarError`, which names the jar, unless this folder has every jar as it was locked."""
    for name, digest in lock.items():
        jar = folder / name
        if not jar.is_file():
            raise JarError(f"{name} was not fetched. Is conf/jars.lock of the same version as {PACKAGE}?")
        if sha256(jar) != digest:
            raise JarError(
                f"{name} is not the jar that conf/jars.lock names (SHA-256 {sha256(jar)[:12]}… instead of "
                f"{digest[:12]}…). Delete {jar} and call `make setup` again; if it stays so, do not use it"
            )


def fetch(spark: Path, ivy: Path) -> None:
    """Let Spark's own resolver fetch the jars into `ivy`/jars; no Spark application is started."""
    chosen = _usable_java()
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "nothing.py"
        program.write_text("", encoding="utf-8")
        environment = {**os.environ, "SPARK_HOME": str(spark), "SPARK_CONF_DIR": folder}
        environment |= {"PYSPARK_PYTHON": sys.executable, "PYSPARK_DRIVER_PYTHON": sys.executable}
        if not chosen.is_default:
            environment["JAVA_HOME"] = str(chosen.home)
        command = [str(spark / "bin" / "spark-submit"), "--conf", f"spark.jars.ivy={ivy}"]
        command += ["--packages", PACKAGE, "--exclude-packages", EXCLUDED, str(program)]
        done = subprocess.run(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
    if done.returncode != 0:
        raise JarError(
            f"{_why(done.stdout)}\nMaven Central could not be reached for the jars of Delta Lake: call "
            "`make setup` again with a network (DEFAULT_ARTIFACT_REPOSITORY names a mirror)"
        )


def copy(source: Path, target: Path, lock: dict[str, str]) -> None:
    """Put the locked jars into Spark's folder, each whole or not at all; take out the owners' others."""
    owners = tuple({name.split("_", maxsplit=1)[0] + "_" for name in lock})
    for jar in target.glob("*.jar"):
        if jar.name.startswith(owners) and jar.name not in lock:
            jar.unlink()
    for name in lock:
        part = target / f".{name}.part"
        shutil.copyfile(source / name, part)
        part.replace(target / name)


def configure(spark: Path) -> None:
    """Link our settings into Spark's `conf`, and write the `spark-env.sh` of this environment."""
    conf = spark / "conf"
    conf.mkdir(exist_ok=True)
    for name in LINKED:
        link = conf / name
        link.unlink(missing_ok=True)
        link.symlink_to(ROOT / "conf" / name)
    chosen = java.find_usable()
    # A Java that has to be named is named in `spark-env.sh`, which a quick start passes by.
    quick_start.make_place(spark, possible=chosen is not None and chosen.is_default)
    settings = spark_env(chosen, sys.executable)
    _replace(conf / "spark-env.sh", settings)
    # Spark's own asks the `python3` of PATH, which knows this Spark only while the environment is active.
    finder = Path(sys.executable).parent / "find-spark-home"
    _replace(finder, f"{settings}export SPARK_HOME={shlex.quote(str(spark))}\n")


def spark_env(chosen: java.Java | None, python: str) -> str:
    """The text of `spark-env.sh`: the Java, where the default one does not do, and the workers' Python."""
    pin = java.pin_lines(chosen) if chosen else []
    workers = f'if [ -z "${{PYSPARK_PYTHON:-}}" ]; then export PYSPARK_PYTHON={shlex.quote(python)}; fi'
    return "\n".join(["# Written by `make setup`.", *pin, workers, ""])


def main() -> int:
    """Fetch what is missing, verify, copy, compile, link; gives the exit code."""
    spark = doctor.spark_home()
    if spark is None:
        sys.stderr.write("PySpark is not installed in this environment: call `make setup`\n")
        return 1
    try:
        _provide(spark, read_lock(LOCK))
        log_store.build(spark, _usable_java().home / "bin" / "java")
    except (JarError, MachineError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    configure(spark)
    return 0


def _provide(spark: Path, lock: dict[str, str]) -> None:
    if not wrong_jars(spark / "jars", lock):
        return
    ivy = ivy_folder()
    cached = ivy / "jars"
    if wrong := wrong_jars(cached, lock):
        for name in wrong:  # half a file of an interrupted run would stay, since it looks newer
            (cached / name).unlink(missing_ok=True)
        fetch(spark, ivy)
    verify(cached, lock)
    copy(cached, spark / "jars", lock)


def _usable_java() -> java.Java:
    chosen = java.find_usable()
    if chosen is None:
        raise JarError(f"Java 17 or 21 is missing: {java.install_command()}")
    return chosen


def _replace(file: Path, text: str) -> None:
    """Write a file anew: the old one may be a hard link into the installer's cache."""
    file.unlink(missing_ok=True)
    file.write_text(text, encoding="utf-8")
    file.chmod(0o755)


def _is_right(jar: Path, digest: str) -> bool:
    return jar.is_file() and sha256(jar) == digest


def _why(output: str) -> str:
    """The last lines of the resolver's output that tell something."""
    telling = ("WARN", "ERROR", "error", "xception", "not found", "failed", "refused", "timed out")
    return "\n".join([line for line in output.splitlines() if any(word in line for word in telling)][-8:])


if __name__ == "__main__":
    sys.exit(main())
