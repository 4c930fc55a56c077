from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from delta.tables import DeltaTable
from pyspark.sql import SparkSession

from lake import storage
from lake.settings import Settings
from risklake.marts import build_marts
from spark_jobs import pipeline


def operations(spark: SparkSession, settings: Settings, name: str) -> list[str]:
    history = DeltaTable.forPath(spark, settings.table_path(name)).history().orderBy("version").collect()
    return [row["operation"] for row in history]


def fact(spark: SparkSession, settings: Settings) -> dict[str, tuple[int, bool, int]]:
    rows = storage.read(spark, settings, "marts.fct_transactions").collect()
    return {row["event_id"]: (row["alerts"], row["is_chargeback"], row["txn_count_5m"]) for row in rows}


def test_the_fact_takes_in_what_is_new_late_or_disputed_without_being_built_anew(
    spark: SparkSession, settings: Settings, land: Callable[..., Path], transaction: Callable[..., str]
) -> None:
    land([transaction("a"), transaction("b", event_time="2026-01-05T10:04:00Z")], "1.jsonl")
    pipeline.run(spark, settings, continuous=False)
    first = build_marts(spark, settings)
    assert first.models == 4
    assert first.tests > 10
    assert fact(spark, settings) == {"a": (0, False, 1), "b": (0, False, 2)}

    land([transaction("late", event_time="2026-01-05T10:03:00Z")], "2.jsonl")
    dispute = '{"dispute_id": "d", "event_id": "a", "reason": "fraud", "amount": 1, "currency": "EUR", ' \
        '"reported_at": "2026-01-09T00:00:00Z"}'  # fmt: skip
    land([dispute], "d.jsonl", "disputes")
    pipeline.run(spark, settings, continuous=False)
    build_marts(spark, settings)
    # The late line corrects the features of b, and so raises an alert on it.
    assert fact(spark, settings) == {"a": (0, True, 1), "late": (0, False, 2), "b": (1, False, 3)}
    assert operations(spark, settings, "marts.fct_transactions") == ["CREATE OR REPLACE TABLE AS SELECT", "MERGE"]

    build_marts(spark, settings)
    assert len(operations(spark, settings, "marts.fct_transactions")) == 2, "a run without news commits nothing"
    monitoring = storage.read(spark, settings, "marts.mart_risk_monitoring").collect()
    assert [(row["transactions"], row["alerts"], row["chargebacks"]) for row in monitoring] == [(3, 1, 1)]
    users = storage.read(spark, settings, "marts.dim_users").collect()
    assert [(row["user_id"], row["transactions"], row["chargebacks"]) for row in users] == [("u1", 3, 1)]


def test_a_transaction_that_had_to_wait_enters_the_fact_when_it_is_taken_up(
    spark: SparkSession, settings: Settings, land: Callable[..., Path], transaction: Callable[..., str]
) -> None:
    waiting = replace(settings, orphans="transactions=wait")

    def user(user_id: str) -> str:
        return json.dumps({"user_id": user_id, "name": "A", "email": "a@mail.id", "phone_number": "+62 812 3456 789",
                           "created_date": "2024-03-01", "source": "app"})  # fmt: skip

    merchant = '{"merchant_id": "m1", "name": "M", "category": "food", "country": "DE", "created_date": "2024-03-01"}'
    land([merchant], "m.jsonl", "merchants")
    land([user("u1")], "u1.jsonl", "users")
    land([transaction("early", user_id="u2")], "1.jsonl")
    pipeline.run(spark, waiting, continuous=False)
    land([transaction("known")], "2.jsonl")
    pipeline.run(spark, waiting, continuous=False)
    build_marts(spark, waiting)
    assert set(fact(spark, waiting)) == {"known"}
    land([user("u2")], "u2.jsonl", "users")
    pipeline.run(spark, waiting, continuous=False)
    build_marts(spark, waiting)
    assert set(fact(spark, waiting)) == {"known", "early"}
