"""Micro-batches that are cut otherwise, or done again after their program died, lead to the same rows."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from lake import storage
from lake.errors import StreamError
from lake.settings import Settings
from spark_jobs import pipeline

DISPUTE = {
    "dispute_id": "d1",
    "event_id": "e1",
    "reason": "fraud",
    "amount": 1.5,
    "currency": "EUR",
    "reported_at": "2026-01-05T10:00:00Z",
    "outcome": "lost",
}
USER = {
    "user_id": "u1",
    "name": "Ada Lovelace",
    "email": "ada@example.com",
    "phone_number": "+31612345678",
    "created_date": "2020-01-01",
    "source": "app",
}
SHOP = {
    "merchant_id": "m1",
    "name": "Corner shop",
    "category": "grocery",
    "country": "DE",
    "created_date": "2020-01-01",
}
PLACES = ("silver.transactions", "silver.duplicates", "silver.quarantine", "silver.orphans")


def drain(spark: SparkSession, settings: Settings) -> None:
    pipeline.run(spark, settings, continuous=False, jobs=("bronze", "silver"))


def drain_until(
    table: str, call: str, spark: SparkSession, settings: Settings, monkeypatch: pytest.MonkeyPatch, *, is_written: bool
) -> None:
    """Drain, and die where `storage.<call>` comes to a table: before it writes, or after."""
    write = getattr(storage, call)

    def die(rows: Any, of: Settings, name: str, *more: Any, **options: Any) -> None:
        if name != table or is_written:
            write(rows, of, name, *more, **options)
        if name == table:
            raise RuntimeError("died")

    with monkeypatch.context() as patch:
        patch.setattr(storage, call, die)
        with pytest.raises(StreamError):
            drain(spark, settings)


def values(spark: SparkSession, settings: Settings, name: str, *columns: str) -> list[tuple[object, ...]]:
    if not storage.exists(spark, settings, name):
        return []
    return sorted(tuple(row) for row in storage.read(spark, settings, name).select(*columns).collect())


def places(spark: SparkSession, settings: Settings) -> list[list[tuple[object, ...]]]:
    return [values(spark, settings, name, "source_file", "line_number") for name in PLACES]


def test_a_dispute_keeps_its_own_outcome(spark: SparkSession, settings: Settings, land: Callable[..., Path]) -> None:
    land([json.dumps(DISPUTE)], feed="disputes")
    drain(spark, settings)
    assert values(spark, settings, "silver.disputes", "dispute_id", "outcome") == [("d1", "lost")]


def test_a_version_whose_program_died_before_the_latest_was_written_is_the_latest_all_the_same(
    spark: SparkSession, settings: Settings, land: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    land([json.dumps(USER)], feed="users")
    drain_until("silver.users", "merge_changes", spark, settings, monkeypatch, is_written=False)
    assert values(spark, settings, "silver.users_history", "user_id") == [("u1",)]
    assert values(spark, settings, "silver.users", "user_id") == []
    drain(spark, settings)
    assert values(spark, settings, "silver.users_history", "user_id", "is_current") == [("u1", True)]
    assert values(spark, settings, "silver.users", "user_id") == [("u1",)]


@pytest.mark.parametrize("is_cut", [False, True], ids=["in one micro-batch", "in several"])
def test_what_repeats_a_line_that_waits_is_a_duplicate(
    spark: SparkSession,
    settings: Settings,
    land: Callable[..., Path],
    transaction: Callable[..., str],
    *,
    is_cut: bool,
) -> None:
    settings = replace(settings, orphans="transactions=wait")
    land([transaction("e1")], "a.jsonl")
    if is_cut:
        drain(spark, settings)
    land([transaction("e1", amount=21), transaction("e1")], "b.jsonl")
    drain(spark, settings)
    assert places(spark, settings) == [[], [("b.jsonl", 2)], [("b.jsonl", 1)], [("a.jsonl", 1)]]
    land([json.dumps(USER)], "u.jsonl", "users")
    land([json.dumps(SHOP)], "m.jsonl", "merchants")
    drain(spark, settings)
    assert places(spark, settings) == [[("a.jsonl", 1)], [("b.jsonl", 2)], [("b.jsonl", 1)], []]


def test_a_repeat_stands_once_where_its_batch_died_before_the_event_was_released(
    spark: SparkSession,
    settings: Settings,
    land: Callable[..., Path],
    transaction: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = replace(settings, orphans="transactions=wait")
    land([json.dumps(SHOP)], "m.jsonl", "merchants")
    land([transaction("e1")], "a.jsonl")
    drain(spark, settings)
    land([transaction("e1"), transaction("e2")], "b.jsonl")
    drain_until("silver.orphans", "append", spark, settings, monkeypatch, is_written=True)
    land([json.dumps(USER)], "u.jsonl", "users")
    drain(spark, settings)
    assert places(spark, settings) == [[("a.jsonl", 1), ("b.jsonl", 2)], [("b.jsonl", 1)], [], []]


def test_an_orphan_whose_batch_died_before_the_quarantine_was_written_stands_there_once(
    spark: SparkSession,
    settings: Settings,
    land: Callable[..., Path],
    transaction: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = replace(settings, orphans="transactions=quarantine")
    land([transaction("e1")], "a.jsonl")
    drain_until("silver.orphans", "append", spark, settings, monkeypatch, is_written=True)
    drain(spark, settings)
    assert places(spark, settings) == [[], [], [("a.jsonl", 1)], [("a.jsonl", 1)]]
    land([json.dumps(USER)], "u.jsonl", "users")
    land([json.dumps(SHOP)], "m.jsonl", "merchants")
    drain(spark, settings)
    assert places(spark, settings) == [[("a.jsonl", 1)], [], [], []]
