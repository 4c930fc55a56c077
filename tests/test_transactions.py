"""Named writes of streams that run on: the names in a table's log are read before the next one asks for them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from lake import storage
from lake.catalog import ALERTS
from lake.settings import Settings
from lake.storage import tables
from lake.storage.transactions import Transaction, read_ahead
from tests.alerts import alert, alert_table


@pytest.fixture
def write(spark: SparkSession, settings: Settings) -> Callable[[Transaction], None]:
    def append(transaction: Transaction) -> None:
        rows = alert_table(spark, [alert(f"e{transaction.version}", float(transaction.version))])
        storage.append(rows, settings, ALERTS.name, transaction)

    return append


def log_of(spark: SparkSession, settings: Settings) -> Any:
    jvm: Any = spark._jvm
    return jvm.org.apache.spark.sql.delta.DeltaLog.forTable(spark._jsparkSession, settings.table_path(ALERTS.name))


def test_what_delta_asks_of_the_log_is_known_before_it_asks(
    spark: SparkSession, settings: Settings, write: Callable[[Transaction], None]
) -> None:
    write(Transaction("query", 0))
    snapshot = log_of(spark, settings).unsafeVolatileSnapshot()
    assert not snapshot._computedStateTriggered()
    read_ahead(spark, settings.table_path(ALERTS.name)).result()
    assert snapshot._computedStateTriggered()
    write(Transaction("query", 1))
    assert log_of(spark, settings).unsafeVolatileSnapshot().version() == snapshot.version() + 1


def test_a_write_that_comes_again_is_ignored_also_where_its_log_was_read_ahead(
    spark: SparkSession, settings: Settings, write: Callable[[Transaction], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(tables, "read_ahead", lambda spark, path: asked.append(read_ahead(spark, path)))
    write(Transaction("query", 0))
    assert asked == []
    for version in (1, 2, 2, 1):
        write(Transaction("query", version, is_followed=True))
        asked[-1].result()
    assert len(asked) == 4
    assert sorted(row["event_id"] for row in storage.read(spark, settings, ALERTS.name).collect()) == ["e0", "e1", "e2"]


@pytest.mark.parametrize("runs_on", [True, False])
def test_only_a_stream_that_runs_on_is_followed_by_more_writes(
    spark: SparkSession, settings: Settings, runs_on: bool
) -> None:
    made, enough = list[Transaction](), threading.Event()

    def write(batch: DataFrame, batch_id: int) -> None:
        made.append(storage.transaction_of(batch.sparkSession, settings, "followed", batch_id))
        if len(made) == 2:
            enough.set()

    rows = spark.readStream.format("rate-micro-batch").option("rowsPerBatch", 1).load()
    query = storage.stream_batches(rows, settings, write, query="followed", continuous=runs_on, every_seconds=0)
    try:
        assert enough.wait(60) if runs_on else query.awaitTermination(60)
    finally:
        query.stop()
    # The first may come before it is known that the stream has started.
    assert made[-1].is_followed == runs_on
    assert not storage.transaction_of(spark, settings, "followed", 9).is_followed


def test_a_table_that_is_gone_when_its_log_is_to_be_read_harms_nobody(spark: SparkSession, settings: Settings) -> None:
    assert read_ahead(spark, settings.table_path("alerts.never_made")).result() is None
