"""An id that comes again long apart is another event, with features, alerts and marts of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from lake import storage
from lake.catalog import ALERTS, CASES, ORDERS, USER_5M
from lake.settings import Settings
from risklake.marts import build_marts
from spark_jobs import pipeline
from spark_jobs.reconciliation import close_run

# Further apart than `duplicate_horizon_days`, and not as far as features look back.
DAYS = ("2026-01-05", "2026-01-25")


@pytest.fixture
def pay(land: Callable[..., Path], transaction: Callable[..., str]) -> Callable[..., Path]:
    """Lands payments of one user on one device, each as `id@day time`."""

    def landed(name: str, *payments: str) -> Path:
        def line(event_id: str, at: str) -> str:
            return transaction(event_id, device_id="d1", event_time=at.replace(" ", "T") + ":00Z")

        return land([line(*payment.split("@")) for payment in payments], name)

    return landed


def test_payments_of_one_id_long_apart_are_counted_corrected_and_alerted_on_each_by_itself(
    spark: SparkSession, settings: Settings, pay: Callable[..., Path]
) -> None:
    first, second = DAYS
    pay("1.jsonl", f"before@{first} 09:58", f"twin@{first} 10:00")
    pipeline.run(spark, settings, continuous=False)
    pay("2.jsonl", f"before-2@{second} 09:58", f"twin@{second} 10:00")
    pipeline.run(spark, settings, continuous=False)
    assert close_run(spark, settings, with_parity=True).is_consistent
    # Late lines that correct both in one micro-batch.
    pay("3.jsonl", f"late@{first} 09:59", f"late-2@{second} 09:59")
    pipeline.run(spark, settings, continuous=False)
    # Repeats of both, in one micro-batch.
    pay("again.jsonl", f"twin@{first} 10:00", f"twin@{second} 10:00")
    pipeline.run(spark, settings, continuous=False)
    status = close_run(spark, settings, with_parity=True)
    assert status.is_consistent, status.as_dict()
    assert status.feeds["transactions"].duplicates == 2
    assert status.parity["user_5m"].as_dict() == {"compared": 6, "differing": 0}
    twins = storage.read(spark, settings, USER_5M.name).where("event_id = 'twin'").orderBy("event_time").collect()
    assert [(str(row["event_date"]), row["txn_count_5m"]) for row in twins] == [(first, 3), (second, 3)]
    alerts = storage.read(spark, settings, ALERTS.name).where("rule = 'velocity_5m'").orderBy("event_time").collect()
    assert [(row["event_id"], str(row["event_date"]), row["state"]) for row in alerts] == [
        ("twin", first, "open"), ("twin", second, "open"),
    ]  # fmt: skip
    assert storage.read(spark, settings, CASES.name).where("array_contains(rules, 'velocity_5m')").count() == 2
    build_marts(spark, settings)
    fact = storage.read(spark, settings, "marts.fct_transactions").orderBy("event_time").collect()
    assert [(row["event_id"], row["alerts"] > 0) for row in fact] == [
        ("before", False), ("late", False), ("twin", True), ("before-2", False), ("late-2", False), ("twin", True),
    ]  # fmt: skip


def test_orders_of_one_id_long_apart_are_counted_and_corrected_each_by_itself(
    spark: SparkSession, settings: Settings, land: Callable[..., Path]
) -> None:
    def order(order_id: str, at: str) -> str:
        return json.dumps(
            {"order_id": order_id, "user_id": "u1", "product_id": "g1", "quantity": 2, "amount": "Rp 1.250.000",
             "country": "ID", "created_date": f"{at}:00Z", "status": "Pending"}
        )  # fmt: skip

    for number, day in enumerate(DAYS):
        land([order("twin", f"{day}T10:00")], f"{number}.jsonl", "orders")
        pipeline.run(spark, settings, continuous=False)
    land([order(f"late-{number}", f"{day}T09:59") for number, day in enumerate(DAYS)], "late.jsonl", "orders")
    pipeline.run(spark, settings, continuous=False)
    status = close_run(spark, settings, with_parity=True)
    assert status.is_consistent, status.as_dict()
    assert status.parity["orders"].as_dict() == {"compared": 4, "differing": 0}
    twins = storage.read(spark, settings, ORDERS.name).where("event_id = 'twin'").collect()
    assert [row["order_count_1h"] for row in twins] == [2, 2]
    judged = storage.read(spark, settings, "alerts.processed_orders").where("order_id = 'twin'").collect()
    assert sorted(str(row["event_date"]) for row in judged) == list(DAYS)
