"""Files of a table: small ones become large, old ones go."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from delta.tables import DeltaTable
from pyspark.sql import SparkSession

from lake.catalog import TABLES
from lake.settings import Settings
from lake.storage import tables
from lake.storage.tables import alone, read

WEEK_HOURS = 168
# Rewritten files are of this size at most; fewer bytes where rows are small (`MOST_ROWS_A_FILE`).
MOST_BYTES_A_FILE = 16 * 2**20


def data_files(spark: SparkSession, settings: Settings, name: str) -> list[str]:
    """Addresses of the files that hold a table's rows now."""
    return list(read(spark, settings, name).inputFiles())


def has_old_files(settings: Settings, name: str, current: int) -> bool:
    """Whether more data files lie in a table's folder than the `current` ones; not known of an object store, so yes."""
    if not settings.is_local:
        return True
    lying = [file for file in Path(settings.table_path(name)).rglob("*.parquet") if "_delta_log" not in file.parts]
    return len(lying) > current


def compact(spark: SparkSession, settings: Settings, name: str) -> None:
    """Put the rows of small files into large ones; no row changes."""
    with alone(settings, name), _bounded_files(spark, settings, name):
        DeltaTable.forPath(spark, settings.table_path(name)).optimize().executeCompaction()
        if TABLES[name].changes_often:
            _purge(spark, settings, name)


def purge(spark: SparkSession, settings: Settings, name: str) -> None:
    """Rewrite the files that hold rows which are only marked as gone; the old files stay until a VACUUM."""
    with alone(settings, name), _bounded_files(spark, settings, name):
        _purge(spark, settings, name)


def _purge(spark: SparkSession, settings: Settings, name: str) -> None:
    path = settings.table_path(name).replace("`", "``")
    spark.sql(f"reorg table delta.`{path}` apply (purge)")


def vacuum(spark: SparkSession, settings: Settings, name: str, keep_hours: int) -> None:
    """Delete files that no version of the table of the last hours needs; readers of older ones fail.

    Less than a week is for when nothing else reads or writes the lake.
    """
    check = str(keep_hours >= WEEK_HOURS).lower()
    with _set(spark, {"spark.databricks.delta.retentionDurationCheck.enabled": check}):
        DeltaTable.forPath(spark, settings.table_path(name)).vacuum(keep_hours)


@contextmanager
def _bounded_files(spark: SparkSession, settings: Settings, name: str) -> Iterator[None]:
    """Let files that are rewritten meanwhile hold no more rows than appended ones, as a stream takes whole files.

    Put together are files that are far from full only; full ones would otherwise be rewritten each time.
    """
    detail = DeltaTable.forPath(spark, settings.table_path(name)).detail().select("sizeInBytes").collect()
    full = detail[0][0] * tables.MOST_ROWS_A_FILE // max(read(spark, settings, name).count(), 1)
    most = max(min(full, MOST_BYTES_A_FILE), 1)
    sizes = {
        "spark.databricks.delta.optimize.maxFileSize": str(most),
        # Rows of one partition may be smaller than those of others, and full files of them too.
        "spark.databricks.delta.optimize.minFileSize": str(most // 4),
        # Each thread keeps a core busy, and streams want some.
        "spark.databricks.delta.optimize.maxThreads": str(max(spark.sparkContext.defaultParallelism // 2, 1)),
        "spark.sql.files.maxRecordsPerFile": str(tables.MOST_ROWS_A_FILE),
    }
    with _set(spark, sizes):
        yield


@contextmanager
def _set(spark: SparkSession, values: Mapping[str, str]) -> Iterator[None]:
    """Set settings of a session for as long as the block lasts."""
    before = {name: spark.conf.get(name, None) for name in values}
    try:
        for name, value in values.items():
            spark.conf.set(name, value)
        yield
    finally:
        for name, was in before.items():
            spark.conf.unset(name) if was is None else spark.conf.set(name, was)
