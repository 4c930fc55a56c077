"""Windows of a user, held against plain Python."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, given
from hypothesis import settings as tries
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lake.catalog import USER_WINDOWS
from lake.feature import Feature
from lake.window_features import FEATURES
from spark_jobs.parity import differences
from spark_jobs.user_windows import user_windows
from tests.windows import FIVE_MINUTES, MINUTE, START, Payment, assert_equal, by_key, facts, of, payments_of, silver


@tries(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=st.lists(facts, min_size=1, max_size=12))
def test_windows_equal_a_plain_python_count(spark: SparkSession, drawn: list[tuple[Any, ...]]) -> None:
    payments = payments_of(drawn)
    assert_equal(by_key(user_windows(silver(spark, payments))), payments)


def test_a_payment_lies_in_five_windows_whose_begin_is_in_and_whose_end_is_not(spark: SparkSession) -> None:
    payments = [Payment("on", 0.0, "on"), Payment("before", -0.000001, "before")]
    found = by_key(user_windows(silver(spark, payments)))
    assert sorted(begin for user, begin in found if user == "on") == [START + n * MINUTE for n in range(-4, 1)]
    assert sorted(begin for user, begin in found if user == "before") == [START + n * MINUTE for n in range(-5, 0)]


def test_a_window_says_when_it_ends_and_from_when_on_it_is_final(spark: SparkSession) -> None:
    rows = user_windows(silver(spark, [Payment("a", 5 * 60.0)])).orderBy("window_start").collect()
    for row in rows:
        assert row["window_end"] - row["window_start"] == FIVE_MINUTES
        assert row["final_at"] - row["window_end"] == timedelta(minutes=30)
        assert row["event_date"] == row["window_start"].date()
    # They begin before midnight and after it.
    assert [row["event_date"] for row in rows] == [date(2026, 1, 5)] * 3 + [date(2026, 1, 6)] * 2


def test_amounts_of_several_currencies_are_added_as_they_are(spark: SparkSession) -> None:
    payments = [Payment("a", amount=Decimal(5)), Payment("b", amount=Decimal(150_000), currency="IDR")]
    row = by_key(user_windows(silver(spark, payments)))["u", START]
    assert (row["amount_sum"], row["amount_max"], row["txn_count"]) == (150_005, 150_000, 2)


def test_payments_without_a_status_are_not_declined_and_equal_ones_count_each(spark: SparkSession) -> None:
    payments = [Payment("a"), Payment("b"), Payment("c", status="Declined"), Payment("d", merchant_id="m2")]
    row = by_key(user_windows(silver(spark, payments)))["u", START]
    assert (row["txn_count"], row["declined_count"], row["distinct_merchants"]) == (4, 1, 2)


def test_every_declared_feature_is_computed_and_held_against_the_oracle(spark: SparkSession) -> None:
    def names(features: Sequence[Feature]) -> set[str]:
        return {feature.name for feature in features}

    assert set(of([Payment("a")])) == names(FEATURES)
    assert [*USER_WINDOWS.content, "inputs_arrived_at"] == user_windows(silver(spark, [Payment("a")])).columns


def test_no_payments_make_no_windows(spark: SparkSession) -> None:
    assert user_windows(silver(spark, [])).count() == 0


def test_parity_sees_a_changed_a_missing_and_a_doubled_window(spark: SparkSession) -> None:
    whole = user_windows(silver(spark, [Payment("a")])).orderBy("window_start").localCheckpoint()
    begins = [F.lit(START + n * MINUTE) for n in range(-4, 1)]
    begin = F.col("window_start")
    changed = whole.where(begin != begins[1]).withColumn(
        "txn_count", F.when(begin == begins[0], 9).otherwise(F.col("txn_count"))
    )
    stored = changed.unionByName(whole.where(begin == begins[2]))
    rows = differences(stored, whole, USER_WINDOWS.content, USER_WINDOWS.keys).orderBy("window_start").collect()
    assert [row["is_same"] for row in rows] == [False, False, False, True, True]
