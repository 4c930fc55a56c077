"""The stream that leads the line goes on when those that follow have taken what it has written."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming import StreamingQuery

from lake import storage
from lake.settings import Settings
from lake.storage import streams
from spark_jobs import bronze, pipeline

Start = Callable[..., tuple[list[int], StreamingQuery]]


@pytest.fixture
def start(spark: SparkSession, settings: Settings) -> Iterator[Start]:
    """Starts a stream that gets a row for each micro-batch, and gives the numbers of those that it has done."""
    started: list[StreamingQuery] = []

    def stream(query: str, **more: object) -> tuple[list[int], StreamingQuery]:
        done: list[int] = []

        def write(batch: DataFrame, batch_id: int) -> None:
            done.append(batch_id)

        rows = spark.readStream.format("rate-micro-batch").option("rowsPerBatch", 1).load()
        started.append(
            storage.stream_batches(
                rows,
                settings,
                write,
                query=query,
                continuous=True,
                every_seconds=0.1,
                **more,  # type: ignore[arg-type]
            )
        )
        return done, started[-1]

    yield stream
    storage.end_rest(started)
    for query in started:
        query.stop()


def wait_for(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 60
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def test_it_waits_while_one_that_follows_is_behind_and_then_goes_on(start: Start) -> None:
    behind = threading.Event()
    behind.set()
    start("follows", rank=1, is_behind=behind.is_set)
    done, _ = start("leads", rank=0, leads=True)
    assert wait_for(lambda: len(done) == 1)
    time.sleep(1)
    assert done == [0]
    behind.clear()
    assert wait_for(lambda: len(done) > 2)


def test_it_waits_for_none_that_has_stopped_stands_beside_the_line_or_comes_before_it(start: Start) -> None:
    _, stopped = start("stopped", rank=1, is_behind=lambda: True)
    stopped.stop()
    start("beside", rank=-1, is_behind=lambda: True)
    done, _ = start("leads", rank=0, leads=True, is_behind=lambda: True)
    assert wait_for(lambda: len(done) > 2)


def test_it_does_not_wait_for_ever(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "LONGEST_WAIT_SECONDS", 0.2)
    start("follows", rank=1, is_behind=lambda: True)
    done, _ = start("leads", rank=0, leads=True)
    assert wait_for(lambda: len(done) > 2)


def test_one_that_follows_rests_until_its_table_has_more_and_is_not_waited_for(start: Start) -> None:
    more = threading.Event()
    rested, following = start("follows", rank=1, is_behind=lambda: True, has_more=more.is_set)
    assert wait_for(lambda: len(rested) == 1)
    done, _ = start("leads", rank=0, leads=True)
    assert wait_for(lambda: len(done) > 2)
    assert rested == [0]
    more.set()
    assert wait_for(lambda: len(rested) > 2)
    assert storage.rested_ms(following.id, 0) > 100
    assert storage.rested_ms(following.id, 1) < storage.rested_ms(following.id, 0)
    assert storage.rested_ms(following.id, 10**6) == 0
    done.clear()
    time.sleep(1)
    assert len(done) <= 1, "what it has still to take is waited for"


def test_a_rest_ends_by_itself_and_when_the_streams_are_to_stop(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    done, query = start("follows", rank=1, has_more=lambda: False)
    assert wait_for(lambda: len(done) == 1)
    storage.end_rest([query])
    assert wait_for(lambda: len(done) > 2)
    monkeypatch.setattr(streams, "LONGEST_REST_SECONDS", 0.2)
    others, _ = start("other", rank=1, has_more=lambda: False)
    assert wait_for(lambda: len(others) > 2)


def test_a_kill_within_the_first_write_of_a_checkpoint_keeps_no_stream_from_starting(
    spark: SparkSession, start: Start, settings: Settings, land: Callable[..., Path]
) -> None:
    def tear(query: str, *folders: str) -> None:
        for folder in folders:
            torn = settings.local_path("checkpoints", query, folder)
            torn.mkdir(parents=True)
            for name in (".0.e007c046.tmp", "..0.e007c046.tmp.crc"):
                (torn / name).write_bytes(b"")

    tear("torn", "offsets", "commits")
    done, query = start("torn", rank=1)
    assert wait_for(lambda: len(done) > 0 or not query.isActive)
    assert query.exception() is None
    # The one of files notes what it has listed before its first offsets.
    tear(bronze.QUERY, "offsets", "commits", "sources/0")
    land(["a line"])
    pipeline.run(spark, settings, continuous=False, jobs=["bronze"])
    assert storage.read(spark, settings, "bronze.transactions").count() == 1
