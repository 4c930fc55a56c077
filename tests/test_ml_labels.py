"""Labels from banks and from analysts, and when each was known."""

from __future__ import annotations

from datetime import UTC, datetime

from pyspark.sql import SparkSession

from ml.dataset import with_dispositions
from ml.labels import BY_ANALYST


def day(number: int) -> datetime:
    return datetime(2026, 1, number, tzinfo=UTC)


def test_the_latest_word_of_an_analyst_is_a_label_and_a_dispute_is_one_anyway(spark: SparkSession) -> None:
    disputes = spark.createDataFrame(
        [("both", day(9), "fraud"), ("bank", day(8), "fraud_takeover")],
        "event_id string, reported_at timestamp, reason string",
    )
    decided = [
        ("both", "fraud", day(3)),
        ("bank", "genuine", day(4)),
        ("analyst", "genuine", day(2)),
        ("analyst", "fraud", day(5)),
        ("cleared", "fraud", day(2)),
        ("cleared", "genuine", day(5)),
    ]
    dispositions = spark.createDataFrame(decided, "event_id string, label string, decided_at timestamp")
    found = {row["event_id"]: row for row in with_dispositions(disputes, dispositions).collect()}
    assert {event: row["reason"] for event, row in found.items()} == {
        "both": BY_ANALYST, "bank": "fraud_takeover", "analyst": BY_ANALYST,
    }  # fmt: skip
    assert [found[event]["reported_at"].day for event in ("both", "bank", "analyst")] == [3, 8, 5]
