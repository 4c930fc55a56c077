"""How each stream is doing by `monitoring.streams`, and how old the newest line is that each stage knows."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import reduce
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lake import storage
from lake.catalog import STREAMS
from lake.settings import Settings
from spark_jobs.standing import FRESH

_OF_BATCH = ("batch_id", "input_rows", "processed_rows_per_s", "trigger_ms", "state_rows", "watermark")
_OF_NOW = ("backlog_rows", "backlog_files", "backlog_bytes")


def newest(rows: DataFrame) -> DataFrame:
    """From rows of `monitoring.streams` to one row a query: its newest micro-batch with input, and what waits."""
    batch_ended_at = F.when(F.col("input_rows") > 0, F.col("at"))
    of_batch, of_now = F.struct(*_OF_BATCH), F.struct(*_OF_NOW)
    found = rows.groupBy("query").agg(
        F.max("at").alias("heard_at"),
        F.max(batch_ended_at).alias("batch_at"),
        F.max_by(of_batch, batch_ended_at).alias("batch"),
        F.max_by(of_now, "at").alias("now"),
    )
    return found.select("query", "heard_at", "batch_at", "batch.*", "now.*")


def latest_progress(spark: SparkSession, settings: Settings) -> dict[str, dict[str, Any]]:
    """The newest progress of each query of the lake, whichever run it was in; figures are None where not known."""
    if not storage.exists(spark, settings, STREAMS.name):
        return {}
    now = datetime.now(UTC).timestamp()
    rows = newest(storage.read(spark, settings, STREAMS.name)).withColumns(
        {name: F.unix_micros(name) / 1e6 for name in ("heard_at", "batch_at", "watermark")}
    )
    return {
        row["query"]: {
            "last_batch_s_ago": _ago(now, row["batch_at"]),
            "last_heard_s_ago": _ago(now, row["heard_at"]),
            "batch_id": row["batch_id"],
            "rows": row["input_rows"],
            "rows_per_s": row["processed_rows_per_s"],
            "batch_seconds": None if row["trigger_ms"] is None else row["trigger_ms"] / 1000,
            **{name: row[name] for name in (*_OF_NOW, "state_rows")},
            "watermark": row["watermark"] and datetime.fromtimestamp(row["watermark"], UTC).isoformat(),
        }
        for row in rows.orderBy("query").collect()
    }


def freshness(spark: SparkSession, settings: Settings) -> dict[str, float | None]:
    """Seconds since the newest line that each stage of a transaction knows; None where it knows none."""
    found = [
        storage.read(spark, settings, name).agg(
            F.lit(name).alias("name"), F.unix_micros(F.max(arrival)).alias("newest_us")
        )
        for name, arrival in FRESH.items()
    ]
    now = datetime.now(UTC).timestamp()
    newest_us = {row["name"]: row["newest_us"] for row in reduce(DataFrame.union, found).collect()}
    return {name: _ago(now, None if newest_us[name] is None else newest_us[name] / 1e6) for name in FRESH}


def _ago(now: float, then: float | None) -> float | None:
    return None if then is None else round(now - then, 1)
