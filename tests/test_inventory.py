"""The inventory of the inbox: what was counted stays counted, and only what lies there is looked at file by file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from lake import storage
from lake.catalog import FILES
from lake.settings import Settings
from spark_jobs import inventory
from spark_jobs.inventory import keep_inventory, take_inventory

Land = Callable[..., Path]


def test_of_files_that_left_the_inbox_only_the_lines_are_known(
    spark: SparkSession, settings: Settings, land: Land
) -> None:
    gone, stays = land(["1", "2"], "gone.jsonl"), land(["3", "4", "5"], "it's \n here.jsonl")
    first = keep_inventory(spark, settings)
    assert [entry.source_file for entry in first.new] == [gone.name, stays.name]
    gone.unlink()
    land(["6"], "later.jsonl")
    found = take_inventory(spark, settings)
    assert {key: entry.lines for key, entry in found.lying.items()} == {
        ("transactions", stays.name): 3,
        ("transactions", "later.jsonl"): 1,
    }
    assert [entry.source_file for entry in found.new] == ["later.jsonl"]
    assert (found.lines("transactions"), found.lines("users"), found.changed) == (6, 0, [])
    assert sorted(
        (row["source_file"], row["lines"]) for row in found.files(spark, settings, "transactions").collect()
    ) == [
        (gone.name, 2),
        (stays.name, 3),
        ("later.jsonl", 1),
    ]
    assert found.files(spark, settings, "users").count() == 0


def test_files_are_counted_once_though_two_programs_kept_them(
    spark: SparkSession, settings: Settings, land: Land
) -> None:
    land(["1", "2"])
    seen_before = take_inventory(spark, settings)
    keep_inventory(spark, settings)
    assert seen_before.files(spark, settings, "transactions").count() == 1
    assert keep_inventory(spark, settings).new == []
    assert storage.read(spark, settings, FILES.name).count() == 1


def test_a_file_that_goes_while_the_inbox_is_looked_at_is_no_file(
    spark: SparkSession, settings: Settings, land: Land, monkeypatch: pytest.MonkeyPatch
) -> None:
    stays = land(["1"])
    listed = {"transactions": [stays, stays.with_name("gone.jsonl")]}
    monkeypatch.setattr(inventory, "visible_files", lambda folder: listed.get(folder.name, []))
    assert [entry.source_file for entry in take_inventory(spark, settings).new] == [stays.name]


def test_a_file_dated_beyond_the_years_that_python_knows_is_counted_all_the_same() -> None:
    assert inventory._modified(3 * 10**20).year == 9999
    assert inventory._modified(-(10**20)).year == 2
