from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from pyspark.sql import SparkSession
from rich.console import Console

from lake import storage
from lake.catalog import STREAMS, TABLES
from lake.errors import UsageError
from lake.settings import Settings
from risklake import cli, show_streams, watching
from spark_jobs.stream_metrics import Row, frame, quiet_row
from spark_jobs.stream_status import freshness, latest_progress

NOW = datetime.now(UTC)


def batch(query: str = "silver_transactions", minutes_ago: float = 0, **fields: Any) -> Row:
    at = NOW - timedelta(minutes=minutes_ago)
    base = {
        "query": query, "run_id": "r", "query_id": "i", "batch_id": 4, "at": at, "date": at.date(), "input_rows": 1200,
        "processed_rows_per_s": 800.0, "trigger_ms": 1500, "backlog_files": 3, "backlog_bytes": 2_500_000,
    }  # fmt: skip
    return dict.fromkeys(STREAMS.column_names) | base | fields


def quiet(query: str = "silver_transactions", minutes_ago: float = 0) -> Row:
    return quiet_row(query, "r", "i", NOW - timedelta(minutes=minutes_ago))


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> StringIO:
    text = StringIO()
    console = Console(file=text, width=120)
    monkeypatch.setattr(show_streams, "console", console)
    monkeypatch.setattr(watching, "console", console)
    return text


def test_a_query_shows_its_newest_batch_and_what_waits_now(
    spark: SparkSession, settings: Settings, printed: StringIO
) -> None:
    rows = [
        batch(minutes_ago=20, input_rows=7),
        batch(minutes_ago=10, watermark=NOW.replace(microsecond=0), state_rows=5),
        batch(minutes_ago=9, input_rows=0, backlog_files=1, backlog_bytes=10),
        quiet(minutes_ago=1),
        batch("bronze_transactions", 1),
        quiet("silver_disputes"),
        batch("from_kafka", 1, backlog_rows=17, backlog_files=None),
        batch("from_elsewhere", 1, backlog_files=None, processed_rows_per_s=None),
    ]
    storage.append(frame(spark, rows), settings, STREAMS.name)
    found = latest_progress(spark, settings)
    silver = found["silver_transactions"]
    assert (silver["rows"], silver["rows_per_s"], silver["batch_seconds"]) == (1200, 800.0, 1.5)
    assert (silver["backlog_files"], silver["state_rows"]) == (0, 5)
    assert silver["watermark"] == NOW.replace(microsecond=0).isoformat()
    assert silver["last_batch_s_ago"] - silver["last_heard_s_ago"] == pytest.approx(540, abs=1)
    assert silver["last_heard_s_ago"] >= 60
    assert (found["silver_disputes"]["last_batch_s_ago"], found["silver_disputes"]["rows"]) == (None, None)
    show_streams.show_streams(found)
    lines = {line.split("│")[1].strip(): line for line in printed.getvalue().splitlines() if "│" in line}
    assert "3 files (2.5 MB)" in lines["bronze_transactions"]
    assert "1,200" in lines["silver_transactions"]
    assert "nothing" in lines["silver_transactions"]
    assert "none yet" in lines["silver_disputes"]
    assert "17 rows" in lines["from_kafka"]
    assert lines["from_elsewhere"].count(" - ") == 2


def test_a_lake_where_nothing_ran_has_no_streams_and_is_as_fresh_as_its_newest_line(
    spark: SparkSession, settings: Settings, printed: StringIO
) -> None:
    assert latest_progress(spark, settings) == {}
    show_streams.show_streams({})
    assert printed.getvalue() == ""
    arrived = NOW - timedelta(hours=1)
    lines = [("{}", None, "a.jsonl", 1, arrived, None, arrived, arrived.date())]
    bronze = TABLES["bronze.transactions"]
    storage.append(spark.createDataFrame(lines, bronze.schema), settings, bronze.name)
    found = freshness(spark, settings)
    assert found.pop("bronze.transactions") >= 3600  # type: ignore[operator]
    assert found == {"silver.transactions": None, "features.user_5m": None, "alerts.alerts": None}


def test_watching_shows_it_again_until_stopped(
    spark: SparkSession, settings: Settings, printed: StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.append(frame(spark, [batch()]), settings, STREAMS.name)
    monkeypatch.setattr(watching, "freshness", lambda *_: {"bronze.transactions": 90.0, "silver.transactions": None})
    stop = threading.Event()
    asked: list[float | None] = []

    def wait(timeout: float | None = None) -> bool:
        asked.append(timeout)
        if len(asked) == 2:
            stop.set()
        return stop.is_set()

    monkeypatch.setattr(stop, "wait", wait)
    watching.watch_streams(spark, settings, 5, stop)
    assert asked == [5, 5]
    assert printed.getvalue().count("silver_transactions") == 2
    assert printed.getvalue().count("bronze.transactions 2 min ago, silver.transactions none yet") == 2


def test_watching_is_no_json(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "session_for", lambda *_: pytest.fail("Spark was started"))
    settings.local_path().mkdir()
    with pytest.raises(UsageError, match="leave out --json"):
        cli.status(lake=settings.local_path(), as_json=True, watch=5)
