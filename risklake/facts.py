"""Rows of tables as plain values, for whoever shows them."""

from __future__ import annotations

from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import DateType, DecimalType, TimestampType

from lake import storage
from lake.settings import Settings

Facts = dict[str, Any]


def facts_where(spark: SparkSession, settings: Settings, name: str, condition: Column) -> list[Facts]:
    """The rows of a table that meet a condition, as `facts_of` gives them; none of a table that is not there."""
    if not storage.exists(spark, settings, name):
        return []
    return facts_of(storage.read(spark, settings, name).where(condition))


def facts_of(rows: DataFrame) -> list[Facts]:
    """Rows as plain values; times, dates and decimals as text."""
    texts = (TimestampType, DateType, DecimalType)
    columns = [
        F.col(one.name).cast("string").alias(one.name) if isinstance(one.dataType, texts) else F.col(one.name)
        for one in rows.schema.fields
    ]
    return [row.asDict(recursive=True) for row in rows.select(*columns).collect()]
