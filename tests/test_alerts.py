"""What becomes of alerts whose event a late line has changed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lake.catalog import ALERTS
from lake.settings import load_settings
from spark_jobs.alerts import withdrawn
from spark_jobs.rules.evaluate import evaluate
from spark_jobs.rules.files import load_rules
from tests.watched import NOW, events

SHIPPED = load_rules(load_settings(environment={}, folder=Path(__file__).parent))


def test_an_alert_whose_reason_is_gone_is_withdrawn_by_the_line_that_undid_it(spark: SparkSession) -> None:
    first = events(spark, {"event_id": "gone", "txn_count_5m": 3}, {"event_id": "stays", "txn_count_5m": 3})
    standing = evaluate(first, SHIPPED, "transactions").withColumn("updated_at", F.lit(NOW))
    later = datetime(2026, 1, 6, tzinfo=UTC)
    changed = events(
        spark,
        {"event_id": "gone", "txn_count_5m": 2, "inputs_arrived_at": later},
        {"event_id": "stays", "txn_count_5m": 4, "inputs_arrived_at": later},
    )
    rows = withdrawn(standing, changed, evaluate(changed, SHIPPED, "transactions")).collect()
    assert [(row["event_id"], row["state"]) for row in rows] == [("gone", "withdrawn")]
    assert rows[0].asDict().keys() | {"updated_at"} == set(ALERTS.column_names)
    assert rows[0]["inputs_arrived_at"].date() == later.date()
