"""Releases: which rejected lines have a mended copy that was put into the inbox, and since when."""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lake import storage
from lake.catalog import RELEASES
from lake.settings import Settings

_LINE = ["feed", "source_file", "line_number"]


def with_released(spark: SparkSession, settings: Settings, rows: DataFrame) -> DataFrame:
    """Rows of lines (`feed`, `source_file`, `line_number`) with `released_at`; null where no copy stands for one."""
    if not storage.exists(spark, settings, RELEASES.name):
        return rows.withColumn("released_at", F.lit(None).cast("timestamp"))
    released = storage.read(spark, settings, RELEASES.name).select(*_LINE, "released_at")
    return rows.join(released, on=_LINE, how="left")
