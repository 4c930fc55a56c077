"""The class by which Delta lists logs on local disks (`storage/NamesFirstLogStore.scala`), compiled by `make setup`.

The Scala compiler is among Spark's own jars and needs no more than a Java to run. `conf/spark-defaults.conf` names the
class; a Spark without it says so when a session starts.
"""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
import zipfile
from pathlib import Path

from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from lake.errors import MachineError

SOURCE = Path(__file__).parent / "storage" / "NamesFirstLogStore.scala"
CLASS = "risklake.NamesFirstLogStore"
SETTING = "spark.delta.logStore.file.impl"
_JAR = "risklake-log-store-"
# What the class is compiled with and against.
_NEEDED = ("scala-compiler-*.jar", "io.delta_delta-storage-*.jar")


def is_built(home: Path) -> bool:
    """Whether this Spark has the class, compiled from the present source for its present Scala and Delta."""
    return _jar(home).is_file()


def build(home: Path, java: Path) -> None:
    """Compile the class into this Spark's jars with the `java` program, unless it is there; some seconds.

    Raises `MachineError` with what the compiler said.
    """
    jar = _jar(home)
    if not jar.is_file():
        with tempfile.TemporaryDirectory() as folder:
            _compile(home, java, Path(folder))
            part = jar.with_suffix(".part")
            with zipfile.ZipFile(part, "w") as opened:
                for file in sorted(Path(folder).rglob("*.class")):
                    opened.write(file, file.relative_to(folder))
        part.replace(jar)
    for other in set(jar.parent.glob(f"{_JAR}*")) - {jar}:
        other.unlink()


def is_lacking(spark: SparkSession) -> bool:
    """Whether this session is told to use the class and does not have it."""
    if spark.conf.get(SETTING, "") != CLASS or spark._jvm is None:
        return False
    try:
        spark._jvm.java.lang.Thread.currentThread().getContextClassLoader().loadClass(CLASS)
    except Py4JJavaError:
        return True
    return False


def _compile(home: Path, java: Path, folder: Path) -> None:
    command = [str(java), "-cp", str(home / "jars" / "*"), "scala.tools.nsc.Main", "-usejavacp"]
    command += ["-d", str(folder), str(SOURCE)]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False
    )
    if done.returncode != 0:
        raise MachineError(f"{SOURCE.name} could not be compiled: {done.stdout.strip()[-2000:]}")


def _jar(home: Path) -> Path:
    needed = sorted(file.name for name in _NEEDED for file in (home / "jars").glob(name))
    digest = hashlib.sha256("\0".join([*needed, SOURCE.read_text(encoding="utf-8")]).encode())
    return home / "jars" / f"{_JAR}{digest.hexdigest()[:12]}.jar"
