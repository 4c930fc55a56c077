"""Streams with little to do evaluate expressions as they are; with more to do, code is generated for them."""

from __future__ import annotations

import json
import threading
from math import inf

import pytest
from pyspark.sql import DataFrame, SparkSession

from lake import storage
from lake.settings import Settings, load_settings
from lake.storage.streams import FACTORY_MODE as MODE
from lake.storage.streams import LITTLE_BYTES, MUCH_BYTES, _interpreted
from spark_jobs.waiting_bytes import waiting_bytes

QUERY, TABLE = "silver_transactions", "bronze.transactions"


def commit(settings: Settings, number: int, size: int) -> None:
    log = settings.local_path(*TABLE.split("."), "_delta_log")
    log.mkdir(parents=True, exist_ok=True)
    add = {"add": {"path": "x", "size": size, "stats": json.dumps({"numRecords": 1})}}
    (log / f"{number:020d}.json").write_text(json.dumps(add, separators=(",", ":")))


def finished(settings: Settings, version: int) -> None:
    for kind in ("offsets", "commits"):
        folder = settings.local_path("checkpoints", QUERY, kind)
        folder.mkdir(parents=True, exist_ok=True)
        offset = {"reservoirVersion": version, "index": -1, "isStartingVersion": False}
        (folder / "0").write_text("v1\n{}\n" + json.dumps(offset))


def test_only_what_a_query_has_not_taken_waits_for_it(settings: Settings) -> None:
    commit(settings, 0, 700)
    commit(settings, 1, 40)
    assert waiting_bytes(settings, QUERY, TABLE) == 740
    assert waiting_bytes(settings, QUERY, TABLE, times=5) == 3700
    finished(settings, 1)
    assert waiting_bytes(settings, QUERY, TABLE) == 40
    finished(settings, 2)
    assert waiting_bytes(settings, QUERY, TABLE) == 0


def test_what_is_not_known_is_not_little(settings: Settings) -> None:
    finished(settings, 3)
    commit(settings, 5, 1)  # the commits from 3 on are gone
    assert waiting_bytes(settings, QUERY, TABLE) == inf
    away = load_settings({"lake_root": "s3a://bucket/lake"}, environment={})
    assert waiting_bytes(away, QUERY, TABLE) == inf


def test_a_table_that_is_not_there_has_nothing_to_take(settings: Settings) -> None:
    assert waiting_bytes(settings, QUERY, TABLE) == 0


@pytest.mark.parametrize(("waiting", "mode"), [(MUCH_BYTES, "NO_CODEGEN"), (MUCH_BYTES + 1, "FALLBACK")])
def test_a_drain_has_a_mode_of_its_own_and_leaves_the_session_its(
    spark: SparkSession,
    settings: Settings,
    waiting: float,
    mode: str,
) -> None:
    before = spark.conf.get(MODE)
    seen: list[str | None] = []

    def write(batch: DataFrame, batch_id: int) -> None:
        seen.append(batch.sparkSession.conf.get(MODE))

    spark.conf.set(MODE, "FALLBACK")
    try:
        rows = spark.readStream.format("rate-micro-batch").option("rowsPerBatch", 1).load()
        query = storage.stream_batches(
            rows, settings, write, query=f"mode_{mode}", continuous=False, how_much=lambda: waiting
        )
        query.awaitTermination()
        assert seen
        assert set(seen) == {mode}
        assert spark.conf.get(MODE) == "FALLBACK"
    finally:
        spark.conf.set(MODE, str(before))


def test_a_stream_that_runs_on_asks_at_each_micro_batch_how_much_waits(spark: SparkSession, settings: Settings) -> None:
    waiting = iter([LITTLE_BYTES, LITTLE_BYTES + 1, MUCH_BYTES, inf])
    seen, enough = list[tuple[str | None, str | None]](), threading.Event()

    def write(batch: DataFrame, batch_id: int) -> None:
        conf = batch.sparkSession.conf
        seen.append((conf.get(MODE), conf.get("spark.sql.codegen.wholeStage")))
        if len(seen) == 5:
            enough.set()

    rows = spark.readStream.format("rate-micro-batch").option("rowsPerBatch", 1).load()
    query = storage.stream_batches(
        rows, settings, write, query="asks", continuous=True, how_much=lambda: next(waiting, 0), every_seconds=0
    )
    try:
        assert enough.wait(60)
    finally:
        query.stop()
    whole, parts, none = ("FALLBACK", "true"), ("FALLBACK", "false"), ("NO_CODEGEN", "false")
    assert seen[:5] == [none, parts, parts, whole, none]


def test_streams_that_start_at_once_leave_the_session_its_mode(spark: SparkSession) -> None:
    before = spark.conf.get(MODE)
    started, second_is_in, first_is_out = (threading.Event() for _ in range(3))

    def first() -> None:
        with _interpreted(spark):
            started.set()
            second_is_in.wait(1)  # in vain where starts take turns
        first_is_out.set()

    def second() -> None:
        started.wait(10)
        with _interpreted(spark):
            second_is_in.set()
            first_is_out.wait(10)

    spark.conf.set(MODE, "FALLBACK")
    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert spark.conf.get(MODE) == "FALLBACK"
    finally:
        spark.conf.set(MODE, str(before))
