"""Payments by the million, made by Spark alone: for benchmarks that ask how long something takes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from lake.table import Table

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
_LINES_A_FILE = 50_000
# An odd number: numbers that follow each other give ids that do not.
_SCATTER = 2_654_435_761


def payments(
    spark: SparkSession,
    events: int,
    span: timedelta,
    users: int,
    *,
    first: int = 0,
    begin: datetime = BEGIN,
    hot: float = 0,
) -> DataFrame:
    """So many payments, evenly over a span of time, with all that tables ask for but what is worked out from them.

    They are numbered (`id`) from `first` on. Of one user is a share `hot` of them, and each of the others of any user.
    """
    number, apart_us = F.col("id"), span // timedelta(microseconds=1) // events
    begin_us = int(begin.timestamp()) * 1_000_000
    scattered = F.lower(F.lpad(F.hex((number * _SCATTER) % 2**32), 8, "0"))
    moment = F.timestamp_micros(F.lit(begin_us) + (number - first) * apart_us)
    is_hot = _drawn_by(number, 5, 1000) < round(1000 * hot)
    user = F.when(is_hot, users).otherwise(_drawn_by(number, 1, users))
    values = {
        "event_id": F.concat(F.lit("e-"), scattered, F.lit("-"), F.lower(F.hex(number))),
        "user_id": F.concat(F.lit("u"), user),
        "merchant_id": F.concat(F.lit("m"), _drawn_by(number, 2, 5000)),
        "amount": (_drawn_by(number, 3, 20_000) / 100).cast("decimal(18, 4)"),
        "currency": F.lit("EUR"),
        "country": F.lit("DE"),
        "event_time": moment,
        "device_id": F.concat(F.lit("d"), user),
        "payment_method_id": F.concat(F.lit("p"), user),
        "channel": F.lit("online"),
        "status": F.lit("approved"),
    }
    parts = max(2, events // 1_000_000)
    rows = spark.range(first, first + events, numPartitions=parts).select(
        "id", *(value.alias(name) for name, value in values.items())
    )
    file = F.concat(F.lit("file:/inbox/transactions/part-"), F.floor(number / _LINES_A_FILE), F.lit(".jsonl"))
    return rows.withColumns(
        {
            "line": F.to_json(F.struct(*values)),
            "source_file": file,
            "line_number": number % _LINES_A_FILE + 1,
            "file_modified_at": F.col("event_time"),
            "arrived_at": F.col("event_time"),
            "arrival_date": F.to_date("event_time"),
            "event_date": F.to_date("event_time"),
            "content_hash": F.xxhash64("event_id"),
            "inputs_arrived_at": F.col("event_time"),
            "updated_at": F.col("event_time"),
        }
    )


def id_of(number: int) -> str:
    """The id of a payment, which says nothing of its time."""
    return f"e-{(number * _SCATTER) % 2**32:08x}-{number:x}"


def _drawn_by(number: Column, seed: int, below: int) -> Column:
    return F.pmod(F.xxhash64(number, F.lit(seed)), F.lit(below))


def rows_of(made: DataFrame, table: Table) -> DataFrame:
    """Payments as rows of a table; what nobody has worked out is drawn, where it may not be missing."""
    drawn = _drawn_by(F.col("id"), 4, 9)
    return made.select(
        *(
            F.col(column.name)
            if column.name in made.columns
            else (F.lit(None) if column.nullable else drawn).cast(column.type).alias(column.name)
            for column in table.columns
        )
    )
