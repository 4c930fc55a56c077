"""Features of orders, held against plain Python."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, Row, SparkSession

from lake.country_places import places
from lake.order_features import EQUAL_FEATURES, FEATURES, USER_FEATURES
from spark_jobs.orders import INPUTS, around, changed_equal, changed_of_users, orders

START = datetime(2026, 1, 5, 10, tzinfo=UTC)
MINUTE, HOUR = 60.0, 3600.0


@dataclass(frozen=True)
class Order:
    """One order of the oracle; `at` is seconds after `START`."""

    event_id: str
    user_id: str
    at: float
    product_id: str = "p1"
    quantity: int = 1
    country: str = "ID"

    @property
    def moment(self) -> datetime:
        return START + timedelta(seconds=self.at)


def oracle(order: Order, everything: Sequence[Order]) -> dict[str, Any]:
    """What `features.orders` must hold, in plain Python."""
    own = sorted((o for o in everything if o.user_id == order.user_id), key=lambda o: (o.moment, o.event_id))
    equal = [o for o in everything if (o.product_id, o.quantity) == (order.product_id, order.quantity)]
    users = {o.user_id for o in equal if order.moment - timedelta(minutes=10) < o.moment <= order.moment}
    return {
        "order_count_1h": len(within(order, own, timedelta(hours=1))),
        "same_product_streak": len(within(order, streak(order, own), timedelta(days=1))),
        "local_hour": order.moment.astimezone(ZoneInfo(places()[order.country].zone)).hour,
        "equal_orders_users_10m": len(users),
        "user_number_run_10m": run(order.user_id, users),
    }


def within(order: Order, others: Sequence[Order], window: timedelta) -> list[Order]:
    return [o for o in others if order.moment - window < o.moment <= order.moment]


def streak(order: Order, own: Sequence[Order]) -> list[Order]:
    """The orders in a row, before and after this one, that are all for its product."""
    begin = end = own.index(order)
    while begin and own[begin - 1].product_id == order.product_id:
        begin -= 1
    while end + 1 < len(own) and own[end + 1].product_id == order.product_id:
        end += 1
    return list(own[begin : end + 1])


def run(user_id: str, users: set[str]) -> int:
    match = re.search(r"\d+$", user_id)
    if not match:
        return 1
    series = user_id.removesuffix(match[0])
    found = {int(other[2]) for user in users if (other := re.fullmatch(r"(.*?)(\d+)", user)) and other[1] == series}
    low = high = int(match[0])
    while low - 1 in found:
        low -= 1
    while high + 1 in found:
        high += 1
    return high - low + 1


def silver(spark: SparkSession, given_orders: Sequence[Order]) -> DataFrame:
    rows = [(*(vars(o)[n] for n in INPUTS[:5]), o.moment, o.moment.date(), START) for o in given_orders]
    schema = "event_id string, user_id string, product_id string, quantity int, country string, event_time timestamp, "
    return spark.createDataFrame(rows, schema + "event_date date, arrived_at timestamp")


def compute(spark: SparkSession, given_orders: Sequence[Order]) -> dict[str, Row]:
    return {row["event_id"]: row for row in orders(silver(spark, given_orders)).collect()}


steps = st.sampled_from([0.0, 1.0, 30.0, 10 * MINUTE - 1, 10 * MINUTE, HOUR - 1, HOUR, 24 * HOUR - 1, 24 * HOUR])
users = st.sampled_from(["u7", "u8", "u9", "u11", "u012", "v8", "v9", "guest"])
made = st.lists(
    st.tuples(
        steps, users, st.sampled_from(["p1", "p1", "p2"]), st.sampled_from([1, 2]), st.sampled_from(["ID", "US"])
    ),
    min_size=100,
    max_size=160,
)


@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(made)
def test_every_feature_equals_the_plain_python_oracle(spark: SparkSession, facts: list[tuple[Any, ...]]) -> None:
    at, everything = 0.0, []
    for number, (step, *fact) in enumerate(facts):
        # Few of the steps are hours, so that windows hold several orders.
        at += step if number % 5 == 0 else step % 31
        user, product, quantity, country = fact
        everything.append(Order(f"o{number}", user, at, product, quantity, country))
    found = compute(spark, list(reversed(everything)))
    assert set(found) == {order.event_id for order in everything}
    for order in everything:
        wanted = oracle(order, everything)
        assert set(wanted) == {feature.name for feature in FEATURES}
        assert {name: found[order.event_id][name] for name in wanted} == wanted, order


def test_another_product_between_ends_a_streak_and_a_day_forgets_it(spark: SparkSession) -> None:
    products = ["p1", "p1", "p2", "p1", "p1", "p1"]
    everything = [Order(f"o{n}", "u1", n * MINUTE, product) for n, product in enumerate(products)]
    everything.append(Order("late", "u1", 24 * HOUR + 4 * MINUTE, "p1"))
    found = compute(spark, everything)
    assert [found[order.event_id]["same_product_streak"] for order in everything] == [1, 2, 1, 1, 2, 3, 2]


def test_numbers_that_follow_each_other_are_a_run_and_others_are_not(spark: SparkSession) -> None:
    ids = ["u100", "u101", "u102", "u104", "guest", "9fa103", "app-104", "12345678901234567899"]
    found = compute(spark, [Order(user, user, float(n), quantity=5) for n, user in enumerate(ids)])
    assert [found[user]["user_number_run_10m"] for user in ids] == [1, 2, 3, 1, 1, 1, 1, 1]
    assert [found[user]["equal_orders_users_10m"] for user in ids] == [1, 2, 3, 4, 5, 6, 7, 8]


def test_around_new_orders_lies_all_that_they_change_and_depend_on(spark: SparkSession) -> None:
    everything = [
        Order("far", "u1", -74 * HOUR),
        Order("before", "u1", -HOUR, "p2"),
        Order("new", "u1", 0.0),
        Order("after", "u1", HOUR),
        Order("equal", "u2", MINUTE),
        Order("equal long after", "u2", HOUR),
        Order("other", "u3", MINUTE, "p3"),
    ]
    rows = silver(spark, everything)
    as_silver = rows.withColumnsRenamed({"event_id": "order_id", "event_time": "event_ts"})
    found = around(rows.where("event_id = 'new'"), as_silver)
    assert found is not None
    user, equal = (frame.cache() for frame in found)
    assert {row["event_id"] for row in user.collect()} == {"before", "new", "after"}
    assert {row["event_id"] for row in changed_of_users(user).where("not is_new").collect()} == {"after"}
    assert {row["event_id"] for row in changed_equal(equal).where("not is_new").collect()} == {"equal"}
    assert around(rows.where("false"), as_silver) is None


def test_each_feature_belongs_to_one_part() -> None:
    assert len({feature.name for feature in (*USER_FEATURES, *EQUAL_FEATURES)}) == len(FEATURES)
