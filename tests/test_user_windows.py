"""Windows of a user, held against plain Python, and kept up to date by their stream."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as tries
from hypothesis import strategies as st
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from lake import storage
from lake.catalog import RETENTION, TABLES, USER_WINDOWS
from lake.errors import CheckpointError
from lake.feature import Feature
from lake.settings import Settings
from lake.storage import streams as storage_streams
from lake.window_features import FEATURES
from spark_jobs import pipeline
from spark_jobs.expired import expired
from spark_jobs.parity import differences, measure
from spark_jobs.reconciliation import measure_status
from spark_jobs.retention import expire
from spark_jobs.user_windows import QUERY, SOURCE, streams, user_windows

# A whole minute, shortly before midnight.
START = datetime(2026, 1, 5, 23, 56, tzinfo=UTC)
MINUTE, FIVE_MINUTES = timedelta(minutes=1), timedelta(minutes=5)
Found = dict[tuple[str, datetime], Row]


@dataclass(frozen=True)
class Payment:
    """One transaction; `at` is seconds after `START`."""

    event_id: str
    at: float = 0.0
    user_id: str = "u"
    amount: Decimal = Decimal("10.0000")
    merchant_id: str = "m1"
    currency: str = "EUR"
    status: str | None = None

    @property
    def moment(self) -> datetime:
        return START + timedelta(seconds=self.at)


def silver(spark: SparkSession, payments: Sequence[Payment], arrived_at: datetime = START) -> DataFrame:
    usual = {"country": "DE", "source_file": "a", "line_number": 1, "content_hash": 1, "arrived_at": arrived_at}
    rows = []
    for one in payments:
        values = usual | vars(one) | {"event_time": one.moment, "event_date": one.moment.date()}
        rows.append(tuple(values.get(name) for name in TABLES[SOURCE].column_names))
    return spark.createDataFrame(rows, TABLES[SOURCE].schema)


def oracle(payments: Sequence[Payment]) -> dict[tuple[str, datetime], dict[str, Any]]:
    """What `features.user_windows` must hold, in plain Python: each minute is tried for each user."""
    expected = {}
    for user in {one.user_id for one in payments}:
        own = [one for one in payments if one.user_id == user]
        minute, last = min(one.moment for one in own).replace(second=0, microsecond=0), max(one.moment for one in own)
        begin = minute - 2 * FIVE_MINUTES
        while begin <= last:
            within = [one for one in own if begin <= one.moment < begin + FIVE_MINUTES]
            if within:
                expected[user, begin] = of(within)
            begin += MINUTE
    return expected


def of(within: Sequence[Payment]) -> dict[str, Any]:
    return {
        "txn_count": len(within),
        "amount_sum": sum(one.amount for one in within),
        "amount_max": max(one.amount for one in within),
        "declined_count": sum((one.status or "").lower() == "declined" for one in within),
        "distinct_merchants": len({one.merchant_id for one in within}),
    }


def by_key(rows: DataFrame) -> Found:
    found = rows.collect()
    keyed = {(row["user_id"], row["window_start"].replace(tzinfo=UTC)): row for row in found}
    assert len(keyed) == len(found), "a window is there twice"
    return keyed


def assert_equal(found: Found, payments: Sequence[Payment]) -> None:
    expected = oracle(payments)
    assert found.keys() == expected.keys()
    for key, row in found.items():
        assert {name: row[name] for name in expected[key]} == expected[key], key


def land_in_silver(spark: SparkSession, settings: Settings, *payments: Payment, arrived_at: datetime = START) -> Found:
    """Append to silver, let the stream take it, and give what then stands in the table."""
    storage.append(silver(spark, payments, arrived_at), settings, SOURCE)
    return drained(spark, settings)


def drained(spark: SparkSession, settings: Settings) -> Found:
    [stream] = streams(spark, settings)
    stream.start(False).awaitTermination()
    return by_key(storage.read(spark, settings, USER_WINDOWS.name))


def commits(settings: Settings) -> list[Path]:
    return sorted(settings.local_path("features", "user_windows", "_delta_log").glob("*.json"))


# Beside and on the edges of minutes and windows, ties, the day before and after.
steps = st.sampled_from([0.0, 0.000001, 1.0, 59.999999, 60.0, 60.000001, 239.999999, 299.999999, 300.0, 86_400.0])
amounts = st.one_of(
    st.decimals("0", "99999999999999.9999", places=4, allow_nan=False),
    st.sampled_from([Decimal("0.0001"), Decimal("100000000.0001")]),
)
facts = st.tuples(
    st.sampled_from(["u", "v"]), steps, amounts, st.sampled_from(["m1", "m2", "m3"]), st.sampled_from(["EUR", "IDR"]),
    st.sampled_from([None, "approved", "declined", "DECLINED"]),
)  # fmt: skip


def payments_of(drawn: Sequence[tuple[Any, ...]]) -> list[Payment]:
    at, made = 0.0, []
    for number, (user, step, amount, merchant, currency, status) in enumerate(drawn):
        at = round(at + step, 6)
        made.append(Payment(f"e{number}", at, user, amount, merchant, currency, status))
    return made


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


def test_windows_are_there_and_final_though_no_more_input_comes(spark: SparkSession, settings: Settings) -> None:
    found = land_in_silver(spark, settings, Payment("the only one"))
    assert len(found) == 5
    final = storage.read(spark, settings, USER_WINDOWS.name).where("final_at <= timestamp'2026-01-06T00:35:00Z'")
    assert final.count() == 5


def test_late_payments_correct_the_windows_that_they_lie_in_and_no_others(
    spark: SparkSession, settings: Settings
) -> None:
    first = [Payment("a", 0.0), Payment("b", 240.0), Payment("other", 0.0, "v")]
    before = land_in_silver(spark, settings, *first)
    late = Payment("late", 60.0, amount=Decimal(99), merchant_id="m2")
    after = land_in_silver(spark, settings, late, arrived_at=START + timedelta(days=3))
    assert_equal(after, [*first, late])
    changed = {key for key, row in after.items() if row != before.get(key)}
    assert changed == {("u", START + n * MINUTE) for n in range(-3, 2)}
    assert {after[key]["inputs_arrived_at"].replace(tzinfo=UTC) for key in changed} == {START + timedelta(days=3)}


def test_a_change_rewrites_no_file_and_care_takes_out_of_them_what_is_gone(
    spark: SparkSession, settings: Settings
) -> None:
    def files() -> set[str]:
        return set(storage.data_files(spark, settings, USER_WINDOWS.name))

    land_in_silver(spark, settings, Payment("a"))
    before = files()
    found = land_in_silver(spark, settings, Payment("late", 60.0))
    assert before < files()
    storage.compact(spark, settings, USER_WINDOWS.name)
    assert before.isdisjoint(files())
    assert spark.read.parquet(*files()).count() == len(found) == 6
    assert by_key(storage.read(spark, settings, USER_WINDOWS.name)) == found


def test_no_windows_are_kept_where_they_are_not_wanted(spark: SparkSession, settings: Settings) -> None:
    storage.append(silver(spark, [Payment("a")]), settings, SOURCE)
    assert streams(spark, replace(settings, windows_seconds=0)) == []
    assert [stream.name for stream in streams(spark, settings)] == [QUERY]


@tries(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=st.lists(facts, min_size=6, max_size=12), order=st.randoms(use_true_random=False))
def test_the_stream_makes_the_same_windows_in_whatever_order_payments_come(
    spark: SparkSession, empty_tables: Path, tmp_path_factory: pytest.TempPathFactory, settings: Settings,
    drawn: list[tuple[Any, ...]], order: Any,
) -> None:  # fmt: skip
    lake = replace(settings, lake_root=str(tmp_path_factory.mktemp("windows") / "lake"))
    shutil.copytree(empty_tables, lake.lake_root)
    payments = payments_of(drawn)
    order.shuffle(payments)
    for begin in range(0, len(payments), 4):
        found = land_in_silver(spark, lake, *payments[begin : begin + 4])
        assert_equal(found, payments[: begin + 4])


def test_a_stream_that_looks_seldom_takes_at_one_look_all_that_has_come(
    spark: SparkSession, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What others take in a turn is less than what comes in the minutes between two looks.
    monkeypatch.setattr(storage_streams, "MOST_BYTES_OF_A_TURN", 1)
    payments = [Payment("a"), Payment("b", 61.0), Payment("c", 600.0)]
    for one in payments:
        storage.append(silver(spark, [one]), settings, SOURCE)
    [stream] = streams(spark, replace(settings, windows_seconds=3600))
    query = stream.start(True)
    try:
        deadline = time.monotonic() + 120
        while query.lastProgress is None and time.monotonic() < deadline:
            time.sleep(0.1)
    finally:
        query.stop()
    assert_equal(by_key(storage.read(spark, settings, USER_WINDOWS.name)), payments)


def test_a_micro_batch_that_is_done_twice_changes_nothing(spark: SparkSession, settings: Settings) -> None:
    before = land_in_silver(spark, settings, Payment("a"), Payment("b", 61.0))
    # As after a kill between the write and the checkpoint: the batch is planned, but not noted as done.
    for noted in settings.local_path("checkpoints", QUERY, "commits").iterdir():
        noted.unlink()
    assert drained(spark, settings) == before
    assert drained(spark, settings) == before


def test_a_lost_checkpoint_is_refused(spark: SparkSession, settings: Settings) -> None:
    land_in_silver(spark, settings, Payment("a"))
    shutil.rmtree(settings.local_path("checkpoints", QUERY))
    with pytest.raises(CheckpointError, match="risklake reset --layer features"):
        drained(spark, settings)


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


def test_windows_are_compared_when_their_stream_has_taken_all(spark: SparkSession, settings: Settings) -> None:
    land_in_silver(spark, settings, Payment("a"))
    assert measure(spark, settings, expired(spark, settings))["user_windows"].as_dict() == {
        "compared": 5, "differing": 0,
    }  # fmt: skip
    storage.append(silver(spark, [Payment("b", 600.0)]), settings, SOURCE)
    assert "user_windows" not in measure(spark, settings, expired(spark, settings))


def test_a_window_goes_with_the_last_of_its_lines(spark: SparkSession, settings: Settings) -> None:
    land_in_silver(spark, settings, Payment("old"), Payment("older", user_id="v"))
    before = START + timedelta(days=1)
    found = land_in_silver(spark, settings, Payment("new", 120.0), arrived_at=before)
    storage.ensure_tables(spark, settings, [RETENTION.name])
    decided = spark.createDataFrame([("transactions", before, 2, before)], RETENTION.schema)
    storage.append(decided, settings, RETENTION.name)
    assert expire(spark, settings, before.date())[USER_WINDOWS.name] == 7
    left = drained(spark, settings)
    assert sorted(left) == [("u", START + n * MINUTE) for n in range(-2, 3)]
    assert left == {key: found[key] for key in left}


def test_the_line_makes_windows_of_accepted_payments_only_and_counts_them(
    spark: SparkSession, settings: Settings, land: Callable[..., Path], transaction: Callable[..., str]
) -> None:
    good = [transaction("a"), transaction("b", event_time="2026-01-05T10:02:00Z", status="declined")]
    land([*good, good[0], "broken", transaction("c", amount="12,50")])
    pipeline.run(spark, settings, continuous=False)
    status = measure_status(spark, settings)
    assert status.is_consistent, status.as_dict()
    assert status.features["user_windows"].rows == 7
    assert status.parity["user_windows"].as_dict() == {"compared": 7, "differing": 0}
    rows = storage.read(spark, settings, USER_WINDOWS.name).orderBy("window_start").collect()
    assert [(row["txn_count"], row["declined_count"]) for row in rows] == [
        (1, 0), (1, 0), (2, 1), (2, 1), (2, 1), (1, 1), (1, 1),
    ]  # fmt: skip
    storage.update_where(spark, settings, USER_WINDOWS.name, F.col("txn_count") == 2, {"txn_count": F.lit(3)})
    status = measure_status(spark, settings)
    assert status.differing == {"user_windows": 3}
    assert not status.is_consistent
