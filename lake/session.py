"""The one place that builds a SparkSession, and gives the tables of a lake their names in it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from pyspark.sql import SparkSession

from lake import log_store, storage
from lake.catalog import LAYERS
from lake.errors import MachineError
from lake.quick_start import quick_start
from lake.settings import Settings

# In this session's configuration: the lake whose tables have names.
_NAMED_LAKE = "spark.risklake.named_lake"
# A program that runs goes on to write where it began.
_MOST_BYTES_OF_LOG = 8 * 2**20
DELTA_CATALOG = "org.apache.spark.sql.delta.catalog.DeltaCatalog"


def build_session(
    settings: Settings, name: str = "risklake", log: Path | None = None, *, record: bool = False
) -> SparkSession:
    """A session on the configured Spark, in which the tables of the lake have their names.

    Master, catalog and storage come from `spark-defaults.conf` or `spark-submit`, never from here. With `log`, what
    Spark's Java process writes to stderr goes to that file; with `record` it can become an archive for quick starts
    (`lake.quick_start`). Raises `MachineError` where Java or Delta Lake is missing.
    """
    _require_java()
    # Workers must run the Python of this environment, not the system's.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    with quick_start(record=record), _stderr_into(log) if log else nullcontext():
        spark = SparkSession.builder.appName(name).getOrCreate()
    if lack := _what_lacks(spark):
        spark.stop()
        raise MachineError(lack)
    register_names(spark, settings)
    return spark


def _what_lacks(spark: SparkSession) -> str:
    """What a Spark lacks for lakes, and what to do; empty if nothing."""
    if spark.conf.get("spark.sql.catalog.spark_catalog", "") != DELTA_CATALOG:
        return (
            "This Spark is not configured for Delta Lake. Run `make setup`, or pass "
            "--properties-file conf/spark-defaults.conf to spark-submit"
        )
    if log_store.is_lacking(spark):
        return (
            f"{log_store.SETTING} is {log_store.CLASS}, which this Spark does not have. Run `make setup`, or, for a "
            "Spark that it did not make, set io.delta.storage.LocalLogStore"
        )
    return ""


def register_names(spark: SparkSession, settings: Settings) -> list[str]:
    """Name every table that lies in the lake (`silver.transactions`, `marts.…`) in this session; gives the names.

    Call it again to see tables that another program has made since. Names of another lake are replaced.
    """
    if spark.conf.get(_NAMED_LAKE, settings.lake_root) != settings.lake_root:
        _forget_names(spark)
    names = storage.tables_on_disk(spark, settings)
    for statement in registration_statements(settings, names):
        spark.sql(statement)
    spark.conf.set(_NAMED_LAKE, settings.lake_root)
    return names


def _forget_names(spark: SparkSession) -> None:
    # The tables are external: dropping one takes its name from this session and leaves its data where it is. The
    # schemas stay: dropping one would delete the folder that it is located in.
    schemas = {row[0] for row in spark.sql("show schemas").collect()}
    for layer in (layer for layer in LAYERS if layer in schemas):
        for row in spark.sql(f"show tables in `{layer}`").where("not isTemporary").collect():
            spark.sql(f"drop table `{layer}`.`{row['tableName']}`")


def registration_statements(settings: Settings, names: list[str]) -> list[str]:
    """The SQL that names these tables; also what an interactive `spark-sql` starts with."""
    layers = sorted({name.split(".")[0] for name in names})
    statements = [
        f"create schema if not exists `{layer}` location '{quoted(settings.path(layer))}'" for layer in layers
    ]
    statements += [
        f"create table if not exists {name} using delta location '{quoted(settings.table_path(name))}'"
        for name in names
    ]
    return statements


@contextmanager
def _stderr_into(log: Path) -> Iterator[None]:
    """Start child processes with their stderr in a file; this process keeps its own.

    A file that has become large is put aside, in the place of the one that was put aside before it.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.is_file() and log.stat().st_size > _MOST_BYTES_OF_LOG:
        log.replace(log.with_name(f"{log.name}.1"))
    with log.open("ab") as file:
        own = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(own, 2)
            os.close(own)


def quoted(text: str) -> str:
    """Text as it stands between the quotes of a SQL literal."""
    return text.replace("\\", "\\\\").replace("'", "\\'")


def _require_java() -> None:
    home = os.environ.get("JAVA_HOME")
    found = (Path(home) / "bin" / "java").is_file() if home else shutil.which("java") is not None
    if not found:
        raise MachineError(
            "Java 17 or 21 is missing. Run `risklake doctor --fix`, or install it, "
            "for example: apt-get install openjdk-17-jre-headless"
        )
