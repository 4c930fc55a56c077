"""Counts beside running streams: what is on its way is no difference, and what is lost is."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from lake import storage
from lake.settings import Settings
from spark_jobs import pipeline
from spark_jobs.lag import NO_LAG, Lag, LagMeter, has_more, is_behind
from spark_jobs.reconciliation import close_run, measure_status
from spark_jobs.table_log import TableLog

TABLE = "bronze.transactions"


def commit(settings: Settings, number: int, *rows: int) -> None:
    log = settings.local_path(*TABLE.split("."), "_delta_log")
    log.mkdir(parents=True, exist_ok=True)
    actions = [{"add": {"path": "x", "size": 1, "stats": json.dumps({"numRecords": count})}} for count in rows]
    text = "\n".join(json.dumps(action, separators=(",", ":")) for action in actions)
    (log / f"{number:020d}.json").write_text(text)


def batch(settings: Settings, number: int, version: int, *, is_finished: bool = True) -> None:
    for kind in ("offsets", "commits") if is_finished else ("offsets",):
        folder = settings.local_path("checkpoints", "silver_transactions", kind)
        folder.mkdir(parents=True, exist_ok=True)
        offset = {"reservoirVersion": version, "index": -1, "isStartingVersion": False}
        (folder / str(number)).write_text("v1\n{}\n" + json.dumps(offset))


@pytest.mark.parametrize(
    ("lag", "difference", "left"),
    [(NO_LAG, 3, 3), (NO_LAG, -3, -3), (NO_LAG, 0, 0), (Lag(5, 2), 5, 0), (Lag(5, 2), 6, 1), (Lag(5, 2), -2, 0),
     (Lag(5, 2), -3, -1)],
)  # fmt: skip
def test_only_what_lies_beyond_the_lag_is_unexplained(lag: Lag, difference: int, left: int) -> None:
    assert lag.unexplained(difference) == left


def test_rows_after_the_last_finished_batch_are_behind(settings: Settings) -> None:
    commit(settings, 0)
    commit(settings, 1, 10, 5)
    commit(settings, 2, 7)
    # Without a finished batch all is behind, also what commits brought that the log holds no more.
    assert LagMeter(settings, "silver_transactions", TABLE).close().unexplained(10**9) == 0
    batch(settings, 0, 2)
    batch(settings, 1, 3, is_finished=False)
    assert LagMeter(settings, "silver_transactions", TABLE).close() == Lag(7, 0)
    batch(settings, 1, 3)
    assert LagMeter(settings, "silver_transactions", TABLE).close() == NO_LAG


def test_rows_that_come_and_are_begun_during_the_count_are_ahead(settings: Settings) -> None:
    commit(settings, 0, 10)
    batch(settings, 0, 1)
    meter = LagMeter(settings, "silver_transactions", TABLE)
    commit(settings, 1, 4)
    commit(settings, 2, 6)
    assert meter.close() == NO_LAG
    batch(settings, 1, 2, is_finished=False)
    assert meter.version == 0
    assert meter.close() == Lag(0, 4)


def test_a_query_is_behind_while_rows_wait_for_it_or_are_being_worked_on(settings: Settings) -> None:
    def behind() -> bool:
        return is_behind(settings, "silver_transactions", [TABLE])

    assert not behind()
    # A table without rows keeps nobody waiting, also of a query that has never had a micro-batch.
    commit(settings, 0)
    assert not behind()
    commit(settings, 1, 10)
    assert behind()
    batch(settings, 0, 2, is_finished=False)
    assert behind()
    batch(settings, 0, 2)
    assert not behind()
    settings.local_path("checkpoints", "silver_transactions", "offsets", "0").write_text("")
    assert not behind()


def test_a_table_has_more_when_it_has_a_commit_that_the_present_micro_batch_has_not_taken(settings: Settings) -> None:
    def more() -> bool:
        return has_more(settings, "silver_transactions", [TABLE])

    assert more(), "not known"
    commit(settings, 0)
    commit(settings, 1, 10)
    batch(settings, 0, 1, is_finished=False)
    assert more()
    batch(settings, 0, 2, is_finished=False)
    assert not more()
    commit(settings, 2, 10)
    assert more()
    # Of a commit that was taken in part there is more.
    offsets = settings.local_path("checkpoints", "silver_transactions", "offsets", "1")
    offsets.write_text('v1\n{}\n{"reservoirVersion":3,"index":0,"isStartingVersion":false}')
    assert more()
    offsets.write_text("")
    assert more(), "not readable"


def test_a_look_at_a_query_that_has_taken_all_does_not_grow_with_the_log(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        commit(settings, number, 1)
    batch(settings, 0, 3)

    def listed(log: TableLog) -> int:
        raise AssertionError("the whole log was listed")

    monkeypatch.setattr(TableLog, "latest", listed)
    assert not is_behind(settings, "silver_transactions", [TABLE])
    assert not has_more(settings, "silver_transactions", [TABLE])


def test_what_cannot_be_read_explains_nothing(settings: Settings) -> None:
    assert LagMeter(settings, "silver_transactions", TABLE).close() == NO_LAG
    commit(settings, 0, 10)
    batch(settings, 0, 0)
    settings.local_path("checkpoints", "silver_transactions", "offsets", "0").write_text("")
    assert LagMeter(settings, "silver_transactions", TABLE).close() == NO_LAG


def test_lines_that_silver_has_not_seen_are_on_their_way_and_lost_ones_are_not(
    spark: SparkSession, settings: Settings, land: Callable[..., Path], transaction: Callable[..., str]
) -> None:
    land([transaction(f"e{n}") for n in range(3)])
    pipeline.run(spark, settings, continuous=False, jobs=["bronze"])
    counts = measure_status(spark, settings, with_parity=False).feeds["transactions"]
    assert (counts.difference, counts.on_their_way, counts.is_consistent) == (0, 3, False)
    pipeline.run(spark, settings, continuous=False, jobs=["silver"])
    status = measure_status(spark, settings, with_parity=False)
    assert status.feeds["transactions"].is_consistent
    assert (status.has_difference, status.is_consistent) == (False, False)  # features are on their way
    storage.delete_where(spark, settings, "silver.transactions", "event_id = 'e1'")
    lost = measure_status(spark, settings, with_parity=False)
    assert (lost.feeds["transactions"].difference, lost.feeds["transactions"].on_their_way) == (1, 0)
    assert lost.has_difference


def test_counts_beside_running_streams_raise_no_false_alarm(
    spark: SparkSession, settings: Settings, land: Callable[..., Path], transaction: Callable[..., str]
) -> None:
    stop, seen = threading.Event(), []
    streams = threading.Thread(
        target=pipeline.run,
        args=(spark, replace(settings, trigger_seconds=0, max_files_per_trigger=1)),
        kwargs={"continuous": True, "stop": stop},
    )
    streams.start()
    try:
        for number in range(3):
            for part in range(2):
                lines = [transaction(f"e{number}-{part}-{n}", user_id=f"u{n}") for n in range(5)]
                land([*lines, lines[0], "bad"], f"{number}-{part}.jsonl")
            time.sleep(1)
            seen.append(close_run(spark, settings))
    finally:
        stop.set()
        streams.join()
    assert [status.has_difference for status in seen] == [False] * 3
    assert any(status.feeds["transactions"].on_their_way for status in seen)
    pipeline.run(spark, settings, continuous=False, jobs=["bronze", "silver", "features"])
    status = close_run(spark, settings, with_parity=True)
    assert status.is_consistent, status.as_dict()
    assert status.feeds["transactions"].silver == 3 * 2 * 5
