"""Files of a table: small ones become large, old ones go."""

from __future__ import annotations

from pathlib import Path

from delta.tables import DeltaTable
from pyspark.sql import SparkSession

from lake.catalog import TABLES
from lake.settings import Settings
from lake.storage.tables import alone, read

WEEK_HOURS = 168


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
    with alone(settings, name):
        DeltaTable.forPath(spark, settings.table_path(name)).optimize().executeCompaction()
        if TABLES[name].changes_often:
            purge(spark, settings, name)


def purge(spark: SparkSession, settings: Settings, name: str) -> None:
    """Rewrite the files that hold rows which are only marked as gone; the old files stay until a VACUUM."""
    path = settings.table_path(name).replace("`", "``")
    with alone(settings, name):
        spark.sql(f"reorg table delta.`{path}` apply (purge)")


def vacuum(spark: SparkSession, settings: Settings, name: str, keep_hours: int) -> None:
    """Delete files that no version of the table of the last hours needs; readers of older ones fail.

    Less than a week is for when nothing else reads or writes the lake.
    """
    check = "spark.databricks.delta.retentionDurationCheck.enabled"
    before = spark.conf.get(check, "true")
    spark.conf.set(check, str(keep_hours >= WEEK_HOURS).lower())
    try:
        DeltaTable.forPath(spark, settings.table_path(name)).vacuum(keep_hours)
    finally:
        spark.conf.set(check, str(before))
