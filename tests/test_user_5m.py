from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql.types import StructType

from lake.catalog import TABLES
from spark_jobs.parity import differences
from spark_jobs.user_5m import INPUTS, user_5m

START = datetime(2026, 1, 5, 10, tzinfo=UTC)
MINUTE = 60.0


@dataclass(frozen=True)
class Event:
    """One transaction of the oracle; `at` is seconds after `START`."""

    event_id: str
    user_id: str
    at: float
    amount: Decimal = Decimal("10.0000")
    merchant_id: str = "m1"
    country: str = "DE"

    @property
    def moment(self) -> datetime:
        return START + timedelta(seconds=self.at)


def oracle(event: Event, events: Sequence[Event]) -> dict[str, Any]:
    """What `features.user_5m` must hold, in plain Python and exact arithmetic."""
    own = [e for e in events if e.user_id == event.user_id]
    window = [e for e in own if event.moment - timedelta(minutes=5) < e.moment <= event.moment]
    before = [e for e in own if (e.moment, e.event_id) < (event.moment, event.event_id)]
    previous = max(before, key=lambda e: (e.moment, e.event_id), default=None)
    if previous and event.moment - previous.moment > timedelta(days=30):
        previous = None
    amounts = [Fraction(e.amount) for e in window]
    count, mean = len(amounts), sum(amounts) / len(amounts)
    variance = sum((a - mean) ** 2 for a in amounts) / (count - 1) if count > 1 else None
    return {
        "txn_count_5m": count,
        "amount_sum_5m": sum(e.amount for e in window),
        "amount_max_5m": max(e.amount for e in window),
        "amount_mean_5m": float(mean),
        "amount_std_5m": None if variance is None else math.sqrt(variance),
        "distinct_merchants_5m": len({e.merchant_id for e in window}),
        "distinct_countries_5m": len({e.country for e in window}),
        "seconds_since_previous": previous and (event.moment - previous.moment).total_seconds(),
        "country_changed": previous and previous.country != event.country,
    }


def silver(spark: SparkSession, events: Sequence[Event]) -> DataFrame:
    schema = TABLES["silver.transactions"].schema
    rows = [
        (e.event_id, e.user_id, e.merchant_id, e.amount, e.country, e.moment, e.moment.date(), START) for e in events
    ]
    return spark.createDataFrame(rows, StructType([schema[name] for name in INPUTS]))


def compute(spark: SparkSession, events: Sequence[Event]) -> dict[str, Row]:
    return {row["event_id"]: row for row in user_5m(silver(spark, events)).collect()}


def assert_exact(found: Row, wanted: dict[str, Any]) -> None:
    for name, value in wanted.items():
        if isinstance(value, float):
            assert math.isclose(found[name], value, rel_tol=1e-12, abs_tol=1e-12), (name, found[name], value)
        else:
            assert found[name] == value, (name, found[name], value)


amounts = st.one_of(
    st.decimals("0", "99999999999999.9999", places=4, allow_nan=False),
    st.sampled_from([Decimal("0.0001"), Decimal("100000000.0000"), Decimal("100000000.0001")]),
)
# Distances that sit on and beside the edges of the window, ties, and the 30-day horizon.
DAY = 86_400.0
steps = st.sampled_from([0.0, 0.000001, 1.0, 60.0, 299.999999, 300.0, 300.000001, 3600.0, 30 * DAY, 30 * DAY + 0.1])
user_events = st.lists(
    st.tuples(steps, amounts, st.sampled_from(["m1", "m2", "m3"]), st.sampled_from(["DE", "ID"])),
    min_size=1,
    max_size=8,
)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(user_events, min_size=20, max_size=40))
def test_every_feature_equals_the_plain_python_oracle(spark: SparkSession, users: list[list[tuple[Any, ...]]]) -> None:
    events = []
    for user, steps_of_user in enumerate(users):
        at = 0.0
        for number, (step, amount, merchant, country) in enumerate(steps_of_user):
            at += step
            events.append(Event(f"{user}-{number}", f"u{user}", at, amount, merchant, country))
    found = compute(spark, list(reversed(events)))
    assert set(found) == {e.event_id for e in events}
    for event in events:
        assert_exact(found[event.event_id], oracle(event, events))


def test_an_event_five_minutes_ago_is_out_and_one_a_microsecond_later_is_in(spark: SparkSession) -> None:
    at = 5 * MINUTE
    events = [Event("edge", "u", 0.0), Event("in", "u", 0.000001), Event("now", "u", at)]
    assert compute(spark, events)["now"]["txn_count_5m"] == 2


def test_events_of_one_instant_see_each_other_and_their_order_is_by_id(spark: SparkSession) -> None:
    found = compute(spark, [Event("b", "u", 0.0, country="ID"), Event("a", "u", 0.0)])
    assert [found[e]["txn_count_5m"] for e in ("a", "b")] == [2, 2]
    assert [found[e]["seconds_since_previous"] for e in ("a", "b")] == [None, 0.0]
    assert [found[e]["country_changed"] for e in ("a", "b")] == [None, True]


def test_nothing_that_happens_later_changes_a_row(spark: SparkSession) -> None:
    past = [Event("a", "u", 0.0), Event("b", "u", 60.0)]
    later = [Event("c", "u", 61.0, Decimal("999.0000"), "m9", "US")]
    before, after = compute(spark, past), compute(spark, past + later)
    assert before["a"] == after["a"]
    assert before["b"] == after["b"]


def test_another_user_changes_nothing(spark: SparkSession) -> None:
    alone = compute(spark, [Event("a", "u", 0.0)])["a"]
    assert compute(spark, [Event("a", "u", 0.0), Event("x", "v", 0.0)])["a"] == alone


def test_a_small_spread_of_huge_amounts_keeps_its_digits(spark: SparkSession) -> None:
    amounts_of_user = [Decimal("99999999999999.0000"), Decimal("99999999999999.0002"), Decimal("99999999999999.0004")]
    events = [Event(f"e{n}", "u", float(n), amount) for n, amount in enumerate(amounts_of_user)]
    assert compute(spark, events)["e2"]["amount_std_5m"] == 0.0002


def test_parity_sees_a_changed_a_missing_and_a_doubled_row(spark: SparkSession) -> None:
    frame = user_5m(silver(spark, [Event(name, "u", float(n)) for n, name in enumerate("abcd")]))
    changed = frame.where("event_id != 'b'").selectExpr(
        *[f"if(event_id = 'a', 9, {c}) as {c}" if c == "txn_count_5m" else c for c in frame.columns]
    )
    stored = changed.unionByName(frame.where("event_id = 'c'"))
    same = {row["event_id"]: row["is_same"] for row in differences(stored, frame).collect()}
    assert same == {"a": False, "b": False, "c": False, "d": True}
