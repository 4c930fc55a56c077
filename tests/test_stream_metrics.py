from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession

from lake import storage
from lake.catalog import STREAMS
from lake.progress import Stages
from lake.settings import Settings
from risklake.streaming import drain
from spark_jobs import pipeline, stream_metrics
from spark_jobs.backlog import Backlog
from spark_jobs.stream_metrics import StreamMetrics, quiet_row, row_of

# As Spark 4.2 and Delta 4.4 gave them.
FROM_FILES = {
    "id": "b0a17dd5-94cf-4bde-8f21-62f25869d73a", "runId": "2dd4c0b0-84e6-4860-825f-6b73c7622e59",
    "name": "bronze_transactions", "timestamp": "2026-11-21T23:59:51.356Z", "batchId": 0, "batchDuration": 9231,
    "numInputRows": 1, "inputRowsPerSecond": 0.0, "processedRowsPerSecond": 0.1,
    "durationMs": {"addBatch": 8827, "commitOffsets": 59, "getBatch": 31, "latestOffset": 111, "queryPlanning": 62,
                   "triggerExecution": 9222, "walCommit": 115},
    "stateOperators": [],
    "sources": [{"description": "FileStreamSource[file:/lake/inbox/transactions]", "startOffset": None,
                 "endOffset": {"logOffset": 0}, "latestOffset": None, "numInputRows": 1, "inputRowsPerSecond": 0.0,
                 "processedRowsPerSecond": 0.1}],
    "sink": {"description": "ForeachBatchSink", "numOutputRows": -1},
}  # fmt: skip
FROM_DELTA = {
    "id": "ed970265-d83d-4ba2-8db4-7acb9b9a26be", "runId": "8316d48d-718d-471f-ae06-a367ca92abe8",
    "name": "features_user_5m", "timestamp": "2026-11-21T20:19:14.007Z", "batchId": 1, "batchDuration": 11552,
    "numInputRows": 50, "inputRowsPerSecond": 24.9, "processedRowsPerSecond": 4.3,
    "durationMs": {"addBatch": 11314, "commitOffsets": 71, "getBatch": 18, "latestOffset": 10, "queryPlanning": 35,
                   "triggerExecution": 11552, "walCommit": 94},
    "stateOperators": [],
    "sources": [{"description": "DeltaSource[file:/lake/silver/transactions]", "startOffset": None,
                 "endOffset": {"sourceVersion": 1, "reservoirId": "b68f09ee-27db-4d25-b49e-5ad18190be7f",
                               "reservoirVersion": 3, "index": -1, "isStartingVersion": False},
                 "latestOffset": None, "numInputRows": 50, "inputRowsPerSecond": 24.9,
                 "processedRowsPerSecond": 4.3}],
    "sink": {"description": "ForeachBatchSink", "numOutputRows": -1},
}  # fmt: skip
WITH_STATE = {
    "id": "f4b3112c-efea-4871-9a41-ff797f81595b", "runId": "23a69183-95d4-4946-aa4d-52c40fd0cadb", "name": "tiles",
    "timestamp": "2026-11-21T20:48:36.000Z", "batchId": 22, "batchDuration": 445, "numInputRows": 40,
    "inputRowsPerSecond": 20.0, "processedRowsPerSecond": 89.9,
    "durationMs": {"addBatch": 310, "commitOffsets": 35, "getBatch": 1, "latestOffset": 0, "queryPlanning": 41,
                   "triggerExecution": 445, "walCommit": 53},
    "eventTime": {"avg": "2026-11-21T20:48:34.441Z", "max": "2026-11-21T20:48:35.416Z",
                  "min": "2026-11-21T20:48:33.466Z", "watermark": "2026-11-21T20:48:23.416Z"},
    "stateOperators": [{"operatorName": "stateStoreSave", "numRowsTotal": 4, "numRowsUpdated": 2,
                        "memoryUsedBytes": 2120, "numShufflePartitions": 2}],
    "sources": [{"description": "RateStreamV2[rowsPerSecond=20, rampUpTimeSeconds=0, numPartitions=default",
                 "startOffset": 53, "endOffset": 55, "latestOffset": 55, "numInputRows": 40}],
    "sink": {"description": "NoopTable", "numOutputRows": 0},
}  # fmt: skip


def written(spark: SparkSession, settings: Settings) -> DataFrame:
    return storage.read(spark, settings, STREAMS.name)


def commits(spark: SparkSession, settings: Settings) -> int:
    """How often the table was written since it was made."""
    history = DeltaTable.forPath(spark, settings.table_path(STREAMS.name)).history()
    return history.where("operation = 'WRITE'").count()


def test_a_batch_of_files_becomes_a_row_of_the_declared_columns() -> None:
    row = row_of(FROM_FILES, Backlog(None, 2, 300))
    assert list(row) == STREAMS.column_names
    assert (row["query"], row["batch_id"], row["input_rows"]) == ("bronze_transactions", 0, 1)
    assert (row["run_id"], row["query_id"]) == (FROM_FILES["runId"], FROM_FILES["id"])
    # The trigger began before midnight and ended after it.
    assert (row["at"], row["date"]) == (datetime(2026, 11, 22, 0, 0, 0, 578_000, UTC), date(2026, 11, 22))
    assert (row["backlog_rows"], row["backlog_files"], row["backlog_bytes"]) == (None, 2, 300)


def test_a_batch_of_a_table_has_its_rates_and_durations_and_no_state() -> None:
    row = row_of(FROM_DELTA)
    assert (row["input_rows_per_s"], row["processed_rows_per_s"]) == (24.9, 4.3)
    assert (row["trigger_ms"], row["add_batch_ms"]) == (11552, 11314)
    assert row["durations_ms"] == FROM_DELTA["durationMs"]
    for name in ("state_rows", "state_bytes", "watermark", "backlog_rows", "backlog_files", "backlog_bytes"):
        assert row[name] is None


def test_a_rest_at_the_end_of_a_micro_batch_is_no_work() -> None:
    row = row_of(FROM_DELTA, rested_ms=10_000)
    assert (row["trigger_ms"], row["add_batch_ms"]) == (1552, 1314)
    assert row["processed_rows_per_s"] == pytest.approx(4.3 * 11552 / 1552)
    assert row["at"] == row_of(FROM_DELTA)["at"]


def test_state_is_summed_over_operators_and_the_watermark_is_a_time() -> None:
    row = row_of(WITH_STATE)
    assert (row["state_rows"], row["state_bytes"]) == (4, 2120)
    assert row["watermark"] == datetime(2026, 11, 21, 20, 48, 23, 416_000, UTC)
    joined = row_of(WITH_STATE | {"stateOperators": WITH_STATE["stateOperators"] * 2})  # type: ignore[operator]
    assert (joined["state_rows"], joined["state_bytes"]) == (8, 4240)


def test_rates_that_spark_leaves_out_and_a_watermark_that_has_not_moved_are_null() -> None:
    known = {k: v for k, v in WITH_STATE.items() if k not in {"inputRowsPerSecond", "processedRowsPerSecond"}}
    row = row_of(known | {"eventTime": {"watermark": "1970-01-01T00:00:00.000Z"}, "durationMs": {}})
    for name in ("input_rows_per_s", "processed_rows_per_s", "watermark", "trigger_ms", "add_batch_ms"):
        assert row[name] is None
    assert row["at"] == datetime(2026, 11, 21, 20, 48, 36, tzinfo=UTC)


class Session:
    """A listener, and what Spark would call on it."""

    def __init__(self, settings: Settings) -> None:
        self.seen: list[dict[str, Any]] = []
        self.metrics = StreamMetrics(settings, self.seen.append)

    def follow(self, run_id: str, name: str = "q") -> None:
        self.metrics.follow([SimpleNamespace(runId=run_id, name=name, id=f"id of {name}")])  # type: ignore[list-item]

    def progress(self, run_id: str, **fields: Any) -> None:
        text = json.dumps(FROM_DELTA | {"runId": run_id} | fields)
        self.metrics.onQueryProgress(SimpleNamespace(progress=SimpleNamespace(runId=run_id, json=text)))  # type: ignore[arg-type]

    def idle(self, run_id: str, at: str) -> None:
        self.metrics.onQueryIdle(SimpleNamespace(runId=run_id, timestamp=at))  # type: ignore[arg-type]

    @property
    def kept(self) -> list[dict[str, Any]]:
        self.metrics.take()
        return list(self.metrics._rows)


@pytest.fixture
def session(settings: Settings) -> Session:
    return Session(settings)


def test_only_followed_queries_count_also_for_what_they_did_before_they_were_followed(session: Session) -> None:
    session.progress("mine")
    session.progress("another lake's")
    session.idle("another lake's", "2100-01-01T00:00:00.000Z")
    session.follow("mine")
    assert [row["run_id"] for row in session.kept] == ["mine"]


def test_a_query_with_nothing_to_do_has_a_row_a_minute_at_most_and_each_is_observed(session: Session) -> None:
    session.follow("r1")
    session.follow("r2")
    for second in (0, 10, 20, 30, 40, 50):
        session.idle("r1", f"2100-01-01T10:00:{second}.000Z".replace(":0.", ":00."))
    session.progress("r2", numInputRows=0, timestamp="2100-01-01T10:00:30.000Z")
    session.idle("r1", "2100-01-01T10:01:05.000Z")
    rows = session.kept
    assert [(row["run_id"], row["at"].minute, row["batch_id"]) for row in rows] == [
        ("r1", 0, None),
        ("r2", 0, 1),
        ("r1", 1, None),
    ]
    assert [row["backlog_files"] for row in rows] == [0, None, 0]
    assert len(session.seen) == 8


def test_a_short_run_of_nothing_leaves_no_row(session: Session) -> None:
    session.follow("r1")
    session.progress("r1", numInputRows=0, timestamp=datetime.now(UTC).isoformat())
    session.idle("r1", datetime.now(UTC).isoformat())
    assert session.kept == []


def test_an_event_that_cannot_be_understood_costs_one_line_and_no_other_event(
    session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    session.follow("r1")
    session.progress("r1", timestamp="yesterday")
    session.progress("r1", timestamp="tomorrow")
    session.metrics.onQueryProgress(None)  # type: ignore[arg-type]
    session.progress("r1")
    assert len(session.kept) == 1
    assert [record.message.split(":")[0] for record in caplog.records] == ["monitoring.streams is not written for now"]


def test_a_drain_writes_the_batches_of_its_own_queries_in_one_commit_and_an_empty_one_nothing(
    spark: SparkSession, settings: Settings, land: Callable[..., Path], transaction: Callable[..., str]
) -> None:
    land([transaction("a"), transaction("b")])
    writer = spark.readStream.format("rate").load().writeStream.format("noop").trigger(processingTime="2 seconds")
    stranger = writer.queryName("stranger").option("checkpointLocation", settings.path("stranger")).start()
    try:
        drain(spark, settings, Stages())
    finally:
        stranger.stop()
    assert len(stranger.recentProgress) > 0
    rows = {row["query"]: row for row in written(spark, settings).collect()}
    windows = "features_user_windows"
    assert set(rows) == {"bronze", "silver_transactions", "features_user_5m", "alerts_alerts", windows}
    assert rows["features_user_5m"]["input_rows"] == 2
    assert all(row["backlog_files"] == 0 and row["batch_id"] == 0 for row in rows.values())
    assert commits(spark, settings) == 1
    drain(spark, settings, Stages())
    assert commits(spark, settings) == 1


def test_streams_that_run_at_once_are_recorded_while_they_run(
    spark: SparkSession,
    settings: Settings,
    land: Callable[..., Path],
    transaction: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stream_metrics, "FLUSH_SECONDS", 1.0)
    land([transaction("a")])
    with running(spark, settings, ["bronze", "silver"]):
        deadline = time.monotonic() + 120
        found: set[str] = set()
        while time.monotonic() < deadline and len(found) < 2:
            time.sleep(0.5)
            if storage.exists(spark, settings, STREAMS.name):
                found = {row["query"] for row in written(spark, settings).select("query").distinct().collect()}
    assert found == {"bronze", "silver_transactions"}
    assert written(spark, settings).groupBy("run_id", "at").count().where("count > 1").count() == 0


def test_a_table_that_cannot_be_written_stops_no_stream_and_is_said_once(
    spark: SparkSession,
    settings: Settings,
    land: Callable[..., Path],
    transaction: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def full(*_: Any) -> None:
        raise OSError("No space left on device\nwith a long trace")

    monkeypatch.setattr(stream_metrics, "frame", full)
    land([transaction("a")])
    pipeline.run(spark, settings, continuous=False, jobs=["bronze"])
    assert storage.read(spark, settings, "bronze.transactions").count() == 1
    assert [record.getMessage() for record in caplog.records] == [
        "monitoring.streams is not written for now: No space left on device. The streams go on"
    ]


def test_rows_that_could_not_be_written_are_written_the_next_time(
    spark: SparkSession, settings: Settings, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.follow("r1")
    session.progress("r1")
    session.metrics.take()
    with monkeypatch.context() as broken:
        broken.setattr(storage, "append", lambda *_: 1 / 0)
        session.metrics.flush(spark, settings)
    assert len(session.kept) == 1
    session.metrics.flush(spark, settings)
    session.metrics.flush(spark, settings)
    assert session.kept == []
    assert [row["durations_ms"]["walCommit"] for row in written(spark, settings).collect()] == [94]


def test_a_failed_run_leaves_no_listener(
    spark: SparkSession, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise ValueError("no such feed")

    before = len(spark.streams._jsqm.listListeners())
    monkeypatch.setattr(pipeline.JOBS["bronze"], "streams", fails)
    with pytest.raises(ValueError, match="no such feed"):
        pipeline.run(spark, settings, continuous=False, jobs=["bronze"])
    assert len(spark.streams._jsqm.listListeners()) == before


def test_a_quiet_row_says_that_nothing_waited() -> None:
    row = quiet_row("q", "r1", "i1", datetime(2026, 1, 5, 23, tzinfo=UTC))
    assert (row["date"], row["input_rows"], row["backlog_files"], row["batch_id"]) == (date(2026, 1, 5), 0, 0, None)


@contextmanager
def running(spark: SparkSession, settings: Settings, jobs: list[str]) -> Iterator[None]:
    stop = threading.Event()
    arguments = {"continuous": True, "jobs": jobs, "stop": stop}
    thread = threading.Thread(target=pipeline.run, args=(spark, settings), kwargs=arguments)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=120)
    assert not thread.is_alive()
