"""Alerts that lists and snoozes hold back in the stream, and those whose event a late line has changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lake import storage
from lake.catalog import ALERTS, CASES, ORDERS
from lake.errors import RuleError
from lake.settings import Settings, load_settings
from spark_jobs import alerts, pipeline
from spark_jobs.alerts import withdrawn
from spark_jobs.rules.evaluate import evaluate
from spark_jobs.rules.files import load_rules
from spark_jobs.rules.watched import WATCHED
from tests.rule_text import GOOD
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


HOLDING = """
lists:
  - {name: staff, kind: allow, column: user_id, values: [u1], reason: our own tests}
  - {name: stolen, kind: block, column: device_id, values: [d1], reason: reported}
snoozes:
  - {rule: many, user_id: u2, until: 2026-01-05T10:30:00Z, reason: holder on tour}
"""


def test_the_stream_keeps_what_is_held_back_and_makes_no_case_of_it(
    spark: SparkSession,
    settings: Settings,
    land: Callable[..., Path],
    transaction: Callable[..., str],
    tmp_path: Path,
) -> None:
    file = tmp_path / "rules.yml"
    judging = replace(settings, rules_file=str(file))

    def drained(rules: str, lines: list[str], name: str) -> set[tuple[str, str, str]]:
        file.write_text(rules, encoding="utf-8")
        land(lines, name)
        pipeline.run(spark, judging, continuous=False)
        rows = storage.read(spark, settings, ALERTS.name).collect()
        return {(row["event_id"], row["rule"], row["state"]) for row in rows}

    def with_cases() -> list[str]:
        return sorted(row["entity_id"] for row in storage.read(spark, settings, CASES.name).collect())

    lines = [
        transaction(f"{user}-{minute}", user_id=user, event_time=f"2026-01-05T10:0{minute}:00Z")
        for user in ("u1", "u2", "u3")
        for minute in (2, 4)
    ]
    blocked = transaction("u4-2", user_id="u4", device_id="d1")
    found = drained(GOOD + HOLDING, [*lines, blocked], "a.jsonl")
    assert found == {
        ("u1-4", "many", "allowed"), ("u2-4", "many", "snoozed"), ("u3-4", "many", "open"), ("u4-2", "stolen", "open"),
    }  # fmt: skip
    assert with_cases() == ["d1", "u3"]
    # What stands is not touched by other lists; what a late line changes is decided anew.
    late = transaction("u3-1", user_id="u3", event_time="2026-01-05T10:01:00Z")
    found = drained(GOOD + HOLDING.replace("u2", "u3"), [late], "b.jsonl")
    assert found == {
        ("u1-4", "many", "allowed"), ("u2-4", "many", "snoozed"), ("u3-4", "many", "snoozed"),
        ("u3-2", "many", "snoozed"), ("u4-2", "stolen", "open"),
    }  # fmt: skip
    assert with_cases() == ["d1"]


def test_a_late_payment_withdraws_no_alert_on_an_order_that_has_the_id_of_another_payment(
    spark: SparkSession, settings: Settings, land: Callable[..., Path], transaction: Callable[..., str]
) -> None:
    order = {"order_id": "same", "user_id": "u1", "product_id": "g1", "quantity": 2, "amount": "Rp 1.250.000",
             "country": "DE", "created_date": "2026-01-05T10:00:00Z", "status": "Pending"}  # fmt: skip
    land([json.dumps(order)], "orders.jsonl", "orders")
    land([transaction("same", event_time="2026-01-05T10:00:00Z")], "a.jsonl")
    pipeline.run(spark, settings, continuous=False)
    on_orders = storage.read(spark, settings, ALERTS.name).where("watches = 'orders' and event_id = 'same'")
    before = {(row["rule"], row["state"]) for row in on_orders.collect()}
    assert before
    land([transaction("late", event_time="2026-01-05T09:59:00Z")], "b.jsonl")
    pipeline.run(spark, settings, continuous=False)
    after = storage.read(spark, settings, ALERTS.name).where("watches = 'orders' and event_id = 'same'").collect()
    assert {(row["rule"], row["state"]) for row in after} == before


def test_a_wrong_rule_file_stops_no_stream_that_starts_beside_running_ones(
    spark: SparkSession, settings: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "rules.yml"
    file.write_text(GOOD, encoding="utf-8")
    judging = replace(settings, rules_file=str(file))
    # As when the first order comes.
    storage.ensure_tables(spark, judging, [ORDERS.name])
    of_payments, of_orders = (WATCHED[name].query for name in ("transactions", "orders"))
    starts = {stream.name: stream.start for stream in alerts.streams(spark, judging)}
    running = [starts[of_payments](True)]
    try:
        file.write_text("rules: none", encoding="utf-8")
        running.append(starts[of_orders](True))
        assert [query.isActive for query in running] == [True, True]
    finally:
        for query in running:
            query.stop()
    with pytest.raises(RuleError):
        starts[of_payments](True)
