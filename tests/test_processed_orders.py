"""From the lines of orders to what the rules make of each: its status, its reasons, and the frauds among them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from lake import storage
from lake.catalog import ALERTS, FRAUD_ALERT, PROCESSED_ORDERS
from lake.settings import Settings
from spark_jobs import pipeline
from tests.lines_of_feeds import line

Land = Callable[..., Path]
_JOBS = ("bronze", "silver", "features", "alerts")


def order(order_id: str, at: str, **more: Any) -> str:
    """An order of a time of day (UTC); in Indonesia it is seven hours later."""
    return line("orders", order_id=order_id, created_date=f"2026-01-05T{at}Z", **more)


def drained(spark: SparkSession, settings: Settings) -> dict[str, tuple[str, list[str]]]:
    """The status of each order, and the rules that fired on it; those of fraud stand in `alerts.fraud_alert` too."""
    pipeline.run(spark, settings, continuous=False, jobs=_JOBS)
    judged = storage.read(spark, settings, PROCESSED_ORDERS.name).collect()
    frauds = storage.read(spark, settings, FRAUD_ALERT.name).collect()
    assert sorted(row["order_id"] for row in frauds) == sorted(
        row["order_id"] for row in judged if row["status"] == "Fraud"
    )
    assert all(len(row["rules"]) == len(row["reasons"]) for row in judged)
    return {row["order_id"]: (row["status"], row["rules"]) for row in judged}


def test_orders_are_genuine_or_fraud_by_the_rules_and_a_late_one_takes_the_verdict_back(
    spark: SparkSession, settings: Settings, land: Land
) -> None:
    in_a_row = [order(f"row-{n}", f"10:0{n}:00", quantity=n + 1) for n in range(3)]
    numbered = [order(f"seq-{n}", f"11:00:0{n}", user_id=f"u{n}", quantity=9, product_id="g2") for n in (4, 5, 6)]
    others = [
        order("plain", "10:00:00", user_id="plain", product_id="g3"),
        order("abroad", "10:00:00", user_id="abroad", product_id="g4", country="US"),
        order("many at night", "18:30:00", user_id="night", product_id="g5", quantity=101),
        order("dear at night", "18:30:00", user_id="dear", product_id="g6", amount="Rp 100.000.001"),
        order("dear by day", "10:00:00", user_id="day", product_id="g7", amount="Rp 100.000.001"),
        *(order(f"same-{n}", f"12:00:0{n}", user_id=f"other{n * 7}", product_id="g8", quantity=3) for n in range(4)),
    ]
    land([*in_a_row, *numbered, *others], "a.jsonl", "orders")
    judged = drained(spark, settings)
    frauds = {order_id: rules for order_id, (status, rules) in judged.items() if status == "Fraud"}
    assert frauds == {
        "row-2": ["same_product_in_a_row"],
        "seq-6": ["sequential_users"],
        "abroad": ["foreign_order"],
        "many at night": ["large_quantity_at_night"],
        "dear at night": ["large_amount_at_night"],
        "same-3": ["equal_orders_of_many_users"],
    }
    assert {status for order_id, (status, _) in judged.items() if order_id not in frauds} == {"Genuine"}
    assert len(judged) == 15
    reason = storage.read(spark, settings, PROCESSED_ORDERS.name).where("order_id = 'row-2'").collect()[0]
    assert (reason["decision"], reason["reasons"]) == ("block", ["3 orders of g1 in a row by one user"])

    # Another product between the second and the third, which comes late.
    land([order("late", "10:01:30", product_id="g9")], "b.jsonl", "orders")
    judged = drained(spark, settings)
    assert judged["row-2"] == ("Genuine", [])
    assert judged["late"] == ("Genuine", [])
    assert judged["abroad"] == ("Fraud", ["foreign_order"])
    states = storage.read(spark, settings, ALERTS.name).where("event_id = 'row-2'").collect()
    assert [row["state"] for row in states] == ["withdrawn"]
