"""Named writes of streams that run on: the names in a table's log are read before the next one asks for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pyspark.sql import SparkSession

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


def test_a_table_that_is_gone_when_its_log_is_to_be_read_harms_nobody(spark: SparkSession, settings: Settings) -> None:
    assert read_ahead(spark, settings.table_path("alerts.never_made")).result() is None
