"""Lines of payments and disputes, as bronze holds them and as silver types them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from lake.feed import Feed
from lake.feed_tables import bronze_table
from lake.feeds import TRANSACTIONS
from spark_jobs.read_errors import EMPTY_FILE
from spark_jobs.typed import typed as typed_with_key

ARRIVED = datetime(2026, 1, 6, tzinfo=UTC)
KEY = b"the masking key of these tests"

GOOD = {
    "event_id": "e1",
    "user_id": "u1",
    "merchant_id": "m1",
    "amount": 10.5,
    "currency": "EUR",
    "country": "DE",
    "event_time": "2026-01-05T10:00:00Z",
}

DISPUTE = {
    "dispute_id": "d1",
    "event_id": "e1",
    "reason": "fraud",
    "amount": 10.5,
    "currency": "EUR",
    "reported_at": "2026-01-05T00:00:00Z",
    "outcome": "lost",
}


def line(**fields: Any) -> str:
    return json.dumps(GOOD | fields)


def without(name: str) -> str:
    return json.dumps({key: value for key, value in GOOD.items() if key != name})


def bronze_rows(spark: SparkSession, lines: list[str | None], feed: Feed = TRANSACTIONS) -> DataFrame:
    rows = [
        (text, None, "a.jsonl", number, ARRIVED, None if text is not None else EMPTY_FILE, ARRIVED, ARRIVED.date())
        for number, text in enumerate(lines, start=1)
    ]
    return spark.createDataFrame(rows, bronze_table(feed).schema)


def typed(lines: DataFrame, feed: Feed) -> DataFrame:
    return typed_with_key(lines, feed, KEY)
