"""Rows of `silver.transactions` for tests of features, with every field that a feature looks at drawn by chance."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from lake.catalog import TABLES

START = datetime(2026, 1, 5, 10, tzinfo=UTC)
# An id, a user, and when the payment happened.
Payment = tuple[str, str, datetime]


def silver_rows(spark: SparkSession, payments: Iterable[Payment], columns: Sequence[str] | None = None) -> DataFrame:
    """The payments as rows of silver; all but id, user and time follows by chance from the id."""
    schema = TABLES["silver.transactions"].schema
    names = list(columns or schema.names)
    made = []
    for event_id, user_id, at in payments:
        row = _facts(event_id) | {"event_id": event_id, "user_id": user_id, "event_time": at, "event_date": at.date()}
        made.append(tuple(row.get(name) for name in names))
    return spark.createDataFrame(made, StructType([schema[name] for name in names]))


def _facts(event_id: str) -> dict[str, Any]:
    random = Random(event_id)
    return {
        "merchant_id": f"m{random.randrange(6)}",
        "amount": Decimal(random.randrange(1, 10**6)) / 100,
        "currency": random.choice(["EUR", "EUR", "IDR"]),
        "country": random.choice(["DE", "DE", "DE", "ID", "US"]),
        "device_id": random.choice([None, "d1", "d2", "d3"]),
        "channel": random.choice([None, "online", "card_present"]),
        "status": random.choice([None, "approved", "declined"]),
        "arrived_at": START,
        "source_file": "file:/a",
        "line_number": 1,
        "content_hash": 1,
    }
