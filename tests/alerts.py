"""Builds rows of `alerts.alerts`; a test names only what differs from a quiet one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from lake.catalog import ALERTS

START = datetime(2026, 1, 5, 10, tzinfo=UTC)
QUIET: dict[str, Any] = {
    "watches": "transactions", "user_id": "u1", "entity": "user_id", "entity_id": "u1", "severity": "medium",
    "typology": "card_testing", "state": "open", "weight": 25, "score": 25, "decision": "approve", "cool_down_s": 3600,
    "reason": "because", "fired_on": {}, "held_by": None, "rule_set": "a",
    "inputs_arrived_at": START, "updated_at": START,
}  # fmt: skip


def alert(event_id: str, at: float, rule: str = "fast", **more: Any) -> dict[str, Any]:
    """An alert so many seconds after the start."""
    moment = START + timedelta(seconds=at)
    return QUIET | {"event_id": event_id, "rule": rule, "event_time": moment, "event_date": moment.date()} | more


def alert_table(spark: SparkSession, alerts: Sequence[dict[str, Any]]) -> DataFrame:
    return spark.createDataFrame([tuple(one[name] for name in ALERTS.column_names) for one in alerts], ALERTS.schema)
