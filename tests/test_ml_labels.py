"""Labels from banks and from analysts, and when each was known."""

from __future__ import annotations

from datetime import UTC, datetime

from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from ml.dataset import with_dispositions, with_first_report
from ml.labels import BY_ANALYST


def day(number: int) -> datetime:
    return datetime(2026, 1, number, tzinfo=UTC)


def first_reports(labels: DataFrame) -> dict[str, Row]:
    """The first report of each event that has one, as if all had happened on the first day."""
    payments = labels.select("event_id").distinct().withColumn("event_time", F.lit(day(1)))
    return {row["event_id"]: row for row in with_first_report(payments, labels).collect()}


def test_the_latest_word_of_an_analyst_is_a_label_and_a_dispute_is_one_anyway(spark: SparkSession) -> None:
    disputes = spark.createDataFrame(
        [("both", day(9), "fraud"), ("bank", day(8), "fraud_takeover")],
        "event_id string, reported_at timestamp, reason string",
    )
    words = [
        ("both", "fraud", day(3)),
        ("bank", "genuine", day(4)),
        ("analyst", "genuine", day(2)),
        ("analyst", "fraud", day(5)),
        ("cleared", "fraud", day(2)),
        ("cleared", "genuine", day(5)),
        ("again", "fraud", day(2)),
        ("again", "genuine", day(3)),
        ("again", "fraud", day(6)),
        ("again", "fraud", day(7)),
    ]
    decided = [(*word, "transactions") for word in words]
    # Decisions of before feeds were kept, and one about an order of the same id.
    decided += [("unkept", "fraud", day(4), None), ("bank", "fraud", day(1), "orders")]
    schema = "event_id string, label string, decided_at timestamp, watches string"
    dispositions = spark.createDataFrame(decided, schema)
    found = first_reports(with_dispositions(disputes, dispositions, "transactions"))
    assert {event: row["reason"] for event, row in found.items()} == {
        "both": BY_ANALYST, "bank": "fraud_takeover", "analyst": BY_ANALYST, "again": BY_ANALYST, "unkept": BY_ANALYST,
    }  # fmt: skip
    days = [found[event]["reported_at"].day for event in ("both", "bank", "analyst", "again", "unkept")]
    assert days == [3, 8, 5, 6, 4]


def test_of_two_payments_of_one_id_a_report_is_of_those_that_were_made_by_then(spark: SparkSession) -> None:
    payments = spark.createDataFrame(
        [("twice", day(1)), ("twice", day(20)), ("once", day(5)), ("never", day(1))],
        "event_id string, event_time timestamp",
    )
    labels = spark.createDataFrame(
        [
            ("twice", day(25), "fraud_b"),
            ("twice", day(3), "fraud_a"),
            ("once", day(4), "early"),
            ("once", day(5), "fraud"),
        ],
        "event_id string, reported_at timestamp, reason string",
    )
    found = with_first_report(payments, labels).orderBy("event_id", "event_time").collect()
    assert [(row["event_id"], row["reason"]) for row in found] == [
        ("never", None), ("once", "fraud"), ("twice", "fraud_a"), ("twice", "fraud_b"),
    ]  # fmt: skip
    assert [row["reported_at"].day for row in found[1:]] == [5, 3, 25]
