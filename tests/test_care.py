"""Care of tables, the archive of finished files, and columns that a newer version declares."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lake import storage
from lake.catalog import UNKNOWN_FIELDS
from lake.errors import SchemaError, SettingError, UsageError
from lake.settings import Settings, load_settings
from lake.storage import tables
from risklake.reset import affected, drop
from spark_jobs import pipeline
from spark_jobs.care import MANY_FILES, care, crowded
from spark_jobs.inventory import take_inventory
from spark_jobs.reconciliation import close_run
from spark_jobs.streams import Rank


def test_care_waits_for_its_turn_with_what_is_done_beside_the_line(spark: SparkSession, settings: Settings) -> None:
    done = threading.Event()

    def tend() -> None:
        care(spark, settings)
        done.set()

    tending, beside = threading.Thread(target=tend), storage.turns_of(Rank.MONITORING)
    with beside.turn(Rank.MONITORING):
        tending.start()
        deadline = time.monotonic() + 120
        while not beside._waiting and not done.is_set() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert [rank for rank, _ in beside._waiting] == [Rank.CARE]
        with storage.turns_of(Rank.ALERTS).turn(Rank.ALERTS):
            pass  # the line goes on
        assert not done.is_set()
    assert done.wait(120)
    tending.join()


def test_only_folders_with_many_files_are_crowded() -> None:
    many = [f"t/day=1/{n}.parquet" for n in range(MANY_FILES + 1)]
    few = [f"t/day=2/{n}.parquet" for n in range(MANY_FILES)]
    assert crowded(many + few) == ["t/day=1"]
    assert crowded([]) == []


def test_care_compacts_archives_and_changes_no_row_and_the_streams_go_on(
    spark: SparkSession, settings: Settings, land: Callable[..., Path], transaction: Callable[..., str]
) -> None:
    settings = replace(settings, finished_files="archive")
    for number in range(MANY_FILES + 2):
        land([transaction(f"e{number}"), "bad"], f"{number}.jsonl")
    pipeline.run(spark, replace(settings, max_files_per_trigger=1), continuous=False, jobs=["bronze"])
    pipeline.run(spark, settings, continuous=False, jobs=["silver"])
    assert close_run(spark, settings).feeds["transactions"].is_consistent
    before = storage.read(spark, settings, "bronze.transactions").orderBy("source_file", "line_number").collect()
    done = {table.table: table for table in care(spark, settings)}
    assert done["bronze.transactions"].files_after < MANY_FILES < done["bronze.transactions"].files_before
    assert (
        storage.read(spark, settings, "bronze.transactions").orderBy("source_file", "line_number").collect() == before
    )
    # Finished files lie in the archive, and count as before.
    assert list(settings.local_path("inbox", "transactions").iterdir()) == []
    assert len(list(settings.local_path("archive", "transactions").rglob("*.jsonl"))) == MANY_FILES + 2
    land([transaction("new")], "new.jsonl")
    pipeline.run(spark, settings, continuous=False)
    status = close_run(spark, settings, with_parity=True)
    assert status.is_consistent, status.as_dict()
    assert status.feeds["transactions"].silver == MANY_FILES + 3
    # What is in the archive is read again where bronze is made anew, if it takes nobody's place.
    twin = land(["bad"], "0.jsonl")
    with pytest.raises(UsageError, match=r"transactions/0\.jsonl lies in the inbox and"):
        drop(settings, affected(settings, "bronze"))
    twin.unlink()
    drop(settings, affected(settings, "bronze"))
    pipeline.run(spark, settings, continuous=False)
    again = close_run(spark, settings)
    assert again.is_consistent
    assert again.as_dict()["feeds"] == status.as_dict()["feeds"]


def test_a_file_that_changes_after_it_was_counted_is_named_and_stays(
    spark: SparkSession, settings: Settings, land: Callable[..., Path], transaction: Callable[..., str]
) -> None:
    settings = replace(settings, finished_files="archive")
    file = land([transaction("a")])
    pipeline.run(spark, settings, continuous=False, jobs=["bronze", "silver"])
    close_run(spark, replace(settings, finished_files="keep"))
    file.write_text(transaction("a") + "\n" + transaction("b") + "\n")
    status = close_run(spark, settings)
    assert status.changed_files == ["transactions/a.jsonl"]
    assert status.feeds["transactions"].changed_files == 1
    assert file.exists()
    assert take_inventory(spark, settings).lines("transactions") == 1


def test_files_that_change_or_go_between_bronze_and_their_first_count_are_named_and_no_line_looks_lost(
    spark: SparkSession, settings: Settings, land: Callable[..., Path], transaction: Callable[..., str]
) -> None:
    lines = [transaction(f"e{number}") for number in range(4)]
    gone, longer = land(lines[:2], "gone.jsonl"), land(lines[2:3], "longer.jsonl")
    pipeline.run(spark, settings, continuous=False, jobs=["bronze", "silver"])
    gone.unlink()
    longer.write_text("".join(line + "\n" for line in lines[2:]))
    os.utime(longer, (0, 0))
    status = close_run(spark, settings)
    counts = status.feeds["transactions"]
    assert (counts.lines, counts.bronze, counts.difference, counts.is_consistent) == (3, 3, 0, True)
    assert sorted(status.changed_files) == ["transactions/gone.jsonl", "transactions/longer.jsonl"]
    again = close_run(spark, settings)
    assert again.feeds["transactions"].is_consistent
    assert again.changed_files == ["transactions/longer.jsonl"]
    # A file that is as bronze took it is believed, not bronze.
    land([transaction("whole"), transaction("lost")], "b.jsonl")
    pipeline.run(spark, settings, continuous=False, jobs=["bronze", "silver"])
    for name in ("bronze.transactions", "silver.transactions"):
        lost = "line_number = 2 and source_file = 'b.jsonl'"
        storage.delete_where(spark, settings, name, lost if name[0] == "b" else "event_id = 'lost'")
    assert close_run(spark, settings).feeds["transactions"].difference == 1


def test_rows_that_are_appended_while_others_are_deleted_stop_neither(spark: SparkSession, settings: Settings) -> None:
    name, now = UNKNOWN_FIELDS.name, datetime.now(UTC)
    storage.ensure_tables(spark, settings, [name])

    def append(field: str) -> None:
        row = spark.createDataFrame([("transactions", field, 1, now)], UNKNOWN_FIELDS.schema)
        storage.append(row, settings, name)

    for number in range(3):
        append(f"old{number}")
    appending = threading.Thread(target=lambda: [append(f"new{number}") for number in range(12)])
    appending.start()
    deleted = [storage.delete_where(spark, settings, name, f"field = 'old{number}'") for number in range(3)]
    appending.join()
    assert deleted == [1, 1, 1]
    assert storage.read(spark, settings, name).where("field like 'new%'").count() == 12


def test_a_compacted_file_holds_no_more_rows_than_an_appended_one_and_is_not_rewritten_for_ever(
    spark: SparkSession, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, now = UNKNOWN_FIELDS.name, datetime.now(UTC)
    storage.ensure_tables(spark, settings, [name])
    for part in range(12):
        rows = [("transactions", f"field{part}_{number}", 1, now) for number in range(100)]
        storage.append(spark.createDataFrame(rows, UNKNOWN_FIELDS.schema).coalesce(1), settings, name)
    monkeypatch.setattr(tables, "MOST_ROWS_A_FILE", 500)

    def rows_by_file() -> dict[str, int]:
        rows = storage.read(spark, settings, name).withColumn("file", F.input_file_name())
        return {row["file"]: row["count"] for row in rows.groupBy("file").count().collect()}

    # The first time rows of small files look larger than they are.
    for _ in range(2):
        storage.compact(spark, settings, name)
    files = rows_by_file()
    assert len(files) < 12
    assert max(files.values()) <= 500
    assert sum(files.values()) == 1200
    storage.compact(spark, settings, name)
    assert rows_by_file() == files


def test_care_goes_on_after_a_failed_expiry_and_then_tells_of_it(
    spark: SparkSession, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> dict[str, int]:
        raise OSError("the disk is read-only")

    done: list[float] = []
    monkeypatch.setattr("spark_jobs.care.expire", failing)
    with pytest.raises(OSError, match="read-only"):
        care(spark, settings, lambda number, total: done.append(number))
    assert done


def test_lines_of_files_that_no_stream_has_taken_are_pending_not_lost(
    spark: SparkSession, settings: Settings, land: Callable[..., Path], transaction: Callable[..., str]
) -> None:
    land([transaction("a"), transaction("b")])
    counts = close_run(spark, settings).feeds["transactions"]
    assert (counts.lines, counts.pending, counts.difference, counts.is_consistent) == (2, 2, 0, False)


def test_a_new_column_is_named_at_the_start_and_added_by_evolve(spark: SparkSession, settings: Settings) -> None:
    table = f"delta.`{settings.table_path('silver.transactions')}`"
    spark.sql(f"alter table {table} set tblproperties ('delta.columnMapping.mode' = 'name')")
    spark.sql(f"alter table {table} drop column channel")
    with pytest.raises(SchemaError, match=r"silver.transactions lacks the column channel.*risklake evolve"):
        storage.require_matching_checkpoint(spark, settings, "silver_transactions", ["silver.transactions"])
    assert storage.add_missing_columns(spark, settings, "silver.transactions") == ["channel"]
    assert storage.missing_columns(spark, settings, "silver.transactions") == []


def test_a_column_of_another_type_is_refused_with_the_way_out(spark: SparkSession, settings: Settings) -> None:
    table = f"delta.`{settings.table_path('silver.transactions')}`"
    spark.sql(f"alter table {table} set tblproperties ('delta.columnMapping.mode' = 'name')")
    spark.sql(f"alter table {table} drop column quantity")
    spark.sql(f"alter table {table} add column quantity string")
    with pytest.raises(SchemaError, match=r"quantity is string in the lake.*declared as int.*reset --layer silver"):
        storage.missing_columns(spark, settings, "silver.transactions")


def test_a_setting_outside_its_choices_is_refused() -> None:
    with pytest.raises(SettingError, match="finished_files must be one of keep, archive, and flag says 'burn'"):
        load_settings({"finished_files": "burn"}, environment={})
