"""Windows of a user, kept up to date by their stream."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as tries
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lake import storage
from lake.catalog import RETENTION, USER_WINDOWS
from lake.errors import CheckpointError
from lake.settings import Settings
from lake.storage import streams as storage_streams
from spark_jobs import pipeline
from spark_jobs.expired import expired
from spark_jobs.parity import measure
from spark_jobs.reconciliation import measure_status
from spark_jobs.retention import expire
from spark_jobs.user_windows import QUERY, SOURCE, streams
from tests.windows import MINUTE, START, Found, Payment, assert_equal, by_key, facts, payments_of, silver


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
