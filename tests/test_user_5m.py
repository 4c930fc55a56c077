from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql.types import StructType

from lake.catalog import TABLES
from lake.country_places import places
from lake.transaction_features import USER_FEATURES
from spark_jobs.parity import differences
from spark_jobs.user_5m import CONTENT, INPUTS, user_5m

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
    currency: str = "EUR"
    device_id: str | None = None
    channel: str | None = None
    status: str | None = None

    @property
    def moment(self) -> datetime:
        return START + timedelta(seconds=self.at)

    @property
    def is_declined(self) -> bool:
        return (self.status or "").lower() == "declined"


def oracle(event: Event, events: Sequence[Event]) -> dict[str, Any]:
    """What `features.user_5m` must hold, in plain Python and exact arithmetic."""
    own = [e for e in events if e.user_id == event.user_id]
    before = [e for e in own if (e.moment, e.event_id) < (event.moment, event.event_id)]
    recent = [e for e in before if event.moment - e.moment <= timedelta(days=30)]
    return short(event, own) | long(event, own) | of_the_past(event, recent) | travel(event, recent)


def within(event: Event, own: Sequence[Event], window: timedelta) -> list[Event]:
    return [e for e in own if event.moment - window < e.moment <= event.moment]


def short(event: Event, own: Sequence[Event]) -> dict[str, Any]:
    window = within(event, own, timedelta(minutes=5))
    amounts = [Fraction(e.amount) for e in window]
    count, mean = len(amounts), sum(amounts) / len(amounts)
    variance = sum((a - mean) ** 2 for a in amounts) / (count - 1) if count > 1 else None
    return {
        "txn_count_1m": len(within(event, own, timedelta(minutes=1))),
        "txn_count_5m": count,
        "amount_sum_5m": sum(e.amount for e in window),
        "amount_max_5m": max(e.amount for e in window),
        "amount_mean_5m": float(mean),
        "amount_std_5m": None if variance is None else math.sqrt(variance),
        "distinct_merchants_5m": len({e.merchant_id for e in window}),
        "distinct_countries_5m": len({e.country for e in window}),
    }


def long(event: Event, own: Sequence[Event]) -> dict[str, Any]:
    hour, day = within(event, own, timedelta(hours=1)), within(event, own, timedelta(days=1))
    month = within(event, own, timedelta(days=30))
    past = [e.amount for e in month if e.currency == event.currency and e.event_id != event.event_id]
    return {
        "txn_count_1h": len(hour),
        "amount_sum_1h": sum(e.amount for e in hour),
        "declined_count_1h": sum(e.is_declined for e in hour),
        "txn_count_24h": len(day),
        "amount_sum_24h": sum(e.amount for e in day),
        "amount_ratio_30d": float(Fraction(event.amount) * len(past) / Fraction(sum(past)))
        if len(past) >= 3 and sum(past)
        else None,
    }


def of_the_past(event: Event, recent: Sequence[Event]) -> dict[str, Any]:
    previous = max(recent, key=lambda e: (e.moment, e.event_id), default=None)
    devices = {e.device_id for e in recent}
    return {
        "seconds_since_previous": previous and (event.moment - previous.moment).total_seconds(),
        "country_changed": previous and previous.country != event.country,
        "device_changed": previous.device_id != event.device_id
        if previous and previous.device_id and event.device_id
        else None,
        "previous_declined": previous and previous.is_declined,
        "is_new_merchant": event.merchant_id not in {e.merchant_id for e in recent},
        "is_new_device": event.device_id and event.device_id not in devices,
        "local_hour": event.moment.astimezone(ZoneInfo(places()[event.country].zone)).hour,
    }


def travel(event: Event, recent: Sequence[Event]) -> dict[str, Any]:
    in_person = [e for e in recent if e.channel != "online"]
    last = max(in_person, key=lambda e: (e.moment, e.event_id), default=None)
    if last is None or event.channel == "online":
        return {"travel_km": None, "travel_kmh": None}
    km, hours = distance(last.country, event.country), (event.moment - last.moment).total_seconds() / 3600
    return {"travel_km": km, "travel_kmh": km / hours if hours else None}


def distance(one: str, other: str) -> float:
    """Whole km between two main cities, by the law of cosines: another formula than the transform's."""
    if one == other:
        return 0.0
    a, b = places()[one], places()[other]
    north = math.sin(math.radians(a.latitude)) * math.sin(math.radians(b.latitude))
    across = math.cos(math.radians(a.latitude)) * math.cos(math.radians(b.latitude))
    return float(round(6371 * math.acos(north + across * math.cos(math.radians(a.longitude - b.longitude)))))


def silver(spark: SparkSession, events: Sequence[Event]) -> DataFrame:
    fields = TABLES["silver.transactions"].schema
    usual = {"arrived_at": START, "payment_method_id": None, "product_id": None, "quantity": None}
    rows = []
    for event in events:
        values = usual | vars(event) | {"event_time": event.moment, "event_date": event.moment.date()}
        rows.append(tuple(values[name] for name in INPUTS))
    return spark.createDataFrame(rows, StructType([fields[name] for name in INPUTS]))


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
HOUR = 3600.0
steps = st.sampled_from(
    [
        0.0,
        0.000001,
        1.0,
        59.999999,
        60.0,
        299.999999,
        300.0,
        300.000001,
        HOUR - 1,
        HOUR,
        DAY - 1,
        DAY,
        30 * DAY,
        30 * DAY + 0.1,
    ]
)
facts = st.tuples(
    amounts,
    st.sampled_from(["m1", "m2", "m3"]),
    st.sampled_from(["DE", "ID", "BR"]),
    st.sampled_from(["EUR", "EUR", "IDR"]),
    st.sampled_from([None, "d1", "d2"]),
    st.sampled_from([None, "online", "card_present"]),
    st.sampled_from([None, "approved", "declined", "Declined"]),
)
user_events = st.lists(st.tuples(steps, facts), min_size=1, max_size=8)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(user_events, min_size=20, max_size=40))
def test_every_feature_equals_the_plain_python_oracle(spark: SparkSession, users: list[list[tuple[Any, ...]]]) -> None:
    events = []
    for user, steps_of_user in enumerate(users):
        at = 0.0
        for number, (step, fact) in enumerate(steps_of_user):
            at += step
            events.append(Event(f"{user}-{number}", f"u{user}", at, *fact))
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


def test_the_spread_of_five_minutes_keeps_its_digits_after_any_number_of_huge_amounts(spark: SparkSession) -> None:
    before = [Event(f"b{n:03}", "u", n * HOUR, Decimal("99999999999999.9999")) for n in range(150)]
    now = [Event(f"e{n}", "u", 200 * HOUR + n, Decimal(f"99999999999999.000{2 * n}")) for n in range(3)]
    assert compute(spark, before + now)["e2"]["amount_std_5m"] == 0.0002


def test_parity_sees_a_changed_a_missing_and_a_doubled_row(spark: SparkSession) -> None:
    frame = user_5m(silver(spark, [Event(name, "u", float(n)) for n, name in enumerate("abcd")]))
    changed = frame.where("event_id != 'b'").selectExpr(
        *[f"if(event_id = 'a', 9, {c}) as {c}" if c == "txn_count_5m" else c for c in frame.columns]
    )
    stored = changed.unionByName(frame.where("event_id = 'c'"))
    same = {row["event_id"]: row["is_same"] for row in differences(stored, frame, CONTENT).collect()}
    assert same == {"a": False, "b": False, "c": False, "d": True}


def test_a_payment_online_is_no_journey_and_is_not_where_the_user_was(spark: SparkSession) -> None:
    events = [
        Event("berlin", "u", 0.0, country="DE", channel="card_present"),
        Event("shop", "u", HOUR, country="US", channel="online"),
        Event("jakarta", "u", 2 * HOUR, country="ID", channel="card_present"),
    ]
    found = compute(spark, events)
    assert [found[e]["travel_km"] for e in ("berlin", "shop")] == [None, None]
    assert 10_000 < found["jakarta"]["travel_km"] < 11_500
    assert found["jakarta"]["travel_kmh"] == found["jakarta"]["travel_km"] / 2


def test_the_ratio_needs_a_past_in_the_same_currency(spark: SparkSession) -> None:
    past = [Event(f"p{n}", "u", float(n), Decimal(20), currency="EUR") for n in range(3)]
    rich = Event("rich", "u", HOUR, Decimal(100), currency="EUR")
    abroad = Event("abroad", "u", HOUR + 1, Decimal(100), currency="IDR")
    found = compute(spark, [*past, rich, abroad])
    assert found["rich"]["amount_ratio_30d"] == 5.0
    assert found["abroad"]["amount_ratio_30d"] is None
    assert found["p2"]["amount_ratio_30d"] is None


def test_every_declared_feature_is_computed_and_held_against_the_oracle(spark: SparkSession) -> None:
    event = Event("a", "u", 0.0)
    declared = {feature.name for feature in USER_FEATURES}
    assert set(oracle(event, [event])) == declared
    found = compute(spark, [event])["a"].asDict()
    assert declared < set(found)
    assert set(CONTENT) <= set(found)
