"""The streams as a whole, on a small lake, in the session of the suite."""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from pyspark.errors import StreamingQueryException
from pyspark.sql import SparkSession

from lake import storage
from lake.catalog import DISPOSITIONS, DUPLICATES, QUARANTINE, TABLES
from lake.errors import CheckpointError
from lake.session import register_names
from lake.settings import Settings
from lake.storage import streams as table_streams
from lake.storage import tables
from spark_jobs import pipeline
from spark_jobs.reconciliation import Status, measure_status
from spark_jobs.streams import stream_error

START = datetime(2026, 1, 5, 10, tzinfo=UTC)


# Where nothing is asked of alerts and windows.
LINE = ("bronze", "silver", "features")


def drain(spark: SparkSession, settings: Settings, jobs: Sequence[str] = tuple(pipeline.JOBS)) -> Status:
    pipeline.run(spark, settings, continuous=False, jobs=jobs)
    return measure_status(spark, settings)


def content(spark: SparkSession, settings: Settings, name: str) -> list[tuple[Any, ...]]:
    """All rows of a table without the times of arrival, sorted."""
    columns = [c for c in TABLES[name].column_names if c not in {"arrived_at", "arrival_date", "inputs_arrived_at"}]
    return sorted(tuple(map(str, row)) for row in storage.read(spark, settings, name).select(columns).collect())


def shuffled_events(transaction: Callable[..., str], count: int) -> list[str]:
    """Events of few users, close together and out of order, so that late ones touch the windows of others."""
    random = Random(3)
    times = [START + timedelta(seconds=random.randrange(0, 3000)) for _ in range(count)]
    return [
        transaction(
            f"e{n:03d}",
            user_id=f"u{random.randrange(4)}",
            merchant_id=f"m{random.randrange(5)}",
            amount=random.randrange(1, 9000) / 100,
            country=random.choice(["DE", "FR"]),
            event_time=at.isoformat(),
        )
        for n, at in enumerate(times)
    ]


def test_bad_files_and_lines_stop_nothing_and_each_is_counted_with_its_reason(
    spark: SparkSession, settings: Settings, land: Callable[..., Path], transaction: Callable[..., str]
) -> None:
    inbox = settings.local_path("inbox", "transactions")
    good = transaction("good")
    land(
        [good, good[:-9], "[1]", transaction("c", amount="12,50"), transaction("t", event_time="2026-01-05T10:00:00"),
         transaction("f", event_time="9999-01-01T00:00:00Z"), transaction("good", amount=1), good, "\x00", ""],
        "a name with 'quotes' and ünicode.jsonl",
    )  # fmt: skip
    (inbox / "empty.jsonl").touch()
    (inbox / "unpacked.jsonl.gz").write_text(good + "\n")
    whole = gzip.compress("".join(transaction(f"z{n}") + "\n" for n in range(2000)).encode(), mtime=0)
    (inbox / "cut.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    (inbox / ".hidden.jsonl").write_text("not yet whole")
    (inbox / "notes.txt").write_text("not a feed file")
    status = drain(spark, settings, LINE)
    assert status.is_consistent
    counts = status.feeds["transactions"]
    assert counts.duplicates == 1
    accepted_from_cut = counts.silver - 1
    assert 0 < accepted_from_cut < 2000
    assert status.quarantine == {
        "altered_duplicate": 1, "empty_file": 1, "empty_line": 1, "malformed_json": 3, "no_time_zone": 1,
        "not_a_number": 1, "not_an_object": 1, "time_in_future": 1, "unreadable_file": 2,
    }  # fmt: skip
    quarantine = storage.read(spark, settings, QUARANTINE.name)
    of_files = quarantine.where("line_number = 0").collect()
    messages = {row["source_file"]: row["reasons"][0]["message"] for row in of_files}
    assert messages["unpacked.jsonl.gz"].startswith("The file could not be read on: Not a gzipped file")
    assert set(messages) == {"unpacked.jsonl.gz", "cut.jsonl.gz", "empty.jsonl"}
    bronze = storage.read(spark, settings, "bronze.transactions")
    assert bronze.where("source_file like 'a name%' and line_number = 9").first()["line"] == "\x00"  # type: ignore[index]


def test_late_files_correct_the_features_and_alerts_that_they_change(
    spark: SparkSession, settings: Settings, land: Callable[..., Path], transaction: Callable[..., str]
) -> None:
    lines = shuffled_events(transaction, 120)
    for part in range(2):
        land(lines[part * 60 : part * 60 + 60], f"part-{part}.jsonl")
        status = drain(spark, settings)
        assert status.is_consistent, status.as_dict()
        parity = status.parity["user_5m"]
        assert (parity.compared, parity.differing) == ((part + 1) * 60, 0)
    open_alerts = storage.read(spark, settings, "alerts.alerts").where("state = 'open'")
    wanted = storage.read(spark, settings, "features.user_5m").where("txn_count_5m >= 3")
    alerted = {row["event_id"] for row in open_alerts.where("rule = 'velocity_5m'").collect()}
    assert alerted == {row["event_id"] for row in wanted.collect()}
    assert alerted
    history = storage.read(spark, settings, "alerts.alerts").where("state = 'withdrawn'")
    assert history.join(open_alerts, ["event_id", "rule"]).count() == 0


def test_draining_again_and_replaying_a_file_under_another_name_adds_only_duplicates(
    spark: SparkSession, settings: Settings, land: Callable[..., Path], transaction: Callable[..., str]
) -> None:
    lines = shuffled_events(transaction, 30)
    land(lines, "a.jsonl")
    pipeline.run(spark, settings, continuous=False, jobs=LINE)
    before = {name: content(spark, settings, name) for name in ("silver.transactions", "features.user_5m")}
    # A file without a byte, alone in its micro-batch, is counted too.
    settings.local_path("inbox", "transactions", "b-empty.jsonl").touch()
    pipeline.run(spark, settings, continuous=False, jobs=["bronze", "silver"])
    # An old file, as `cp -p` leaves it: Spark's source would skip it, were its age not unlimited.
    copied = land(lines, "a-copy.jsonl")
    os.utime(copied, (0, 0))
    status = drain(spark, settings, LINE)
    assert status.is_consistent
    assert status.quarantine == {"empty_file": 1}
    assert status.feeds["transactions"].duplicates == 30
    assert storage.read(spark, settings, DUPLICATES.name).count() == 30
    assert {name: content(spark, settings, name) for name in before} == before


def test_an_empty_file_that_stays_in_the_inbox_is_entered_once_and_costs_later_micro_batches_nothing(
    spark: SparkSession, settings: Settings, land: Callable[..., Path]
) -> None:
    one_by_one = replace(settings, max_files_per_trigger=1)
    for number in range(3):
        land(["bad"], f"{number}.jsonl", feed="users")
    empty = land([], "empty.jsonl")
    pipeline.run(spark, one_by_one, continuous=False, jobs=["bronze"])
    log = Path(settings.table_path("bronze.transactions")) / "_delta_log"
    # The table is made, and the file is entered.
    assert len(list(log.glob("*.json"))) == 2
    # Another comes while a micro-batch is done again, which has written its lines already.
    land(["bad"], "last.jsonl")
    pipeline.run(spark, settings, continuous=False, jobs=["bronze"])
    for noted in settings.local_path("checkpoints", "bronze", "commits").iterdir():
        noted.unlink()
    land([], "new.jsonl")
    pipeline.run(spark, settings, continuous=False, jobs=["bronze"])
    rows = storage.read(spark, settings, "bronze.transactions").orderBy("source_file").collect()
    assert [row["source_file"] for row in rows] == [empty.name, "last.jsonl", "new.jsonl"]


def test_a_micro_batch_that_is_done_twice_writes_once(
    spark: SparkSession, settings: Settings, land: Callable[..., Path], transaction: Callable[..., str]
) -> None:
    land([*shuffled_events(transaction, 20), "broken", transaction("e000", amount=7), "also broken"], "a.jsonl")
    pipeline.run(spark, settings, continuous=False)
    tables = ("silver.transactions", "silver.quarantine", "silver.duplicates", "features.user_5m", "alerts.alerts")
    before = {name: content(spark, settings, name) for name in tables}
    # As after a kill between the writes and the checkpoint: the batch is planned, but not noted as done.
    for query in ("silver_transactions", "features_user_5m", "alerts_alerts"):
        for noted in settings.local_path("checkpoints", query, "commits").iterdir():
            noted.unlink()
    assert drain(spark, settings).is_consistent
    assert {name: content(spark, settings, name) for name in tables} == before


def test_a_great_file_goes_through_silver_in_several_micro_batches(
    spark: SparkSession,
    settings: Settings,
    land: Callable[..., Path],
    transaction: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tables, "MOST_ROWS_A_FILE", 50)
    monkeypatch.setattr(table_streams, "MOST_BYTES", 1)
    land([transaction(f"e{n}") for n in range(140)])
    assert drain(spark, settings, LINE).is_consistent
    commits = settings.local_path("checkpoints", "silver_transactions", "commits")
    assert len([file for file in commits.iterdir() if file.name.isdigit()]) >= 3
    assert storage.read(spark, settings, "silver.transactions").count() == 140


def test_a_stream_that_fails_says_its_cause_and_no_line_of_code() -> None:
    said = [
        "[STREAM_FAILED] Query q terminated",
        "java.lang.OutOfMemoryError: heap",
        "\tat a.Errors.try(E:8)",
    ]
    error = stream_error("silver_users", StreamingQueryException("\n".join(said)))
    assert str(error) == "The stream silver_users stopped: java.lang.OutOfMemoryError: heap"
    by_spark = ["[STREAM_FAILED] Query [id = 1] terminated with exception: [NOT_EMPTY] The checkpoint x is not empty",
                "Please delete it", "+- ~StreamingExecutionRelation DeltaSource[file:/x]"]  # fmt: skip
    error = stream_error("silver_users", StreamingQueryException("\n".join(by_spark)))
    assert str(error) == "The stream silver_users stopped: [NOT_EMPTY] The checkpoint x is not empty"


def test_a_lost_checkpoint_is_refused_with_the_way_out(
    spark: SparkSession, settings: Settings, land: Callable[..., Path], transaction: Callable[..., str]
) -> None:
    from risklake.reset import affected, drop

    land([*shuffled_events(transaction, 4), transaction("drifted", loyalty="gold")])
    before = drain(spark, settings)
    word = [("drifted", "fraud", None, datetime(2026, 1, 6, tzinfo=UTC), None, "transactions")]
    storage.ensure_tables(spark, settings, [DISPOSITIONS.name])
    storage.append(spark.createDataFrame(word, DISPOSITIONS.schema), settings, DISPOSITIONS.name)
    drop(settings, [settings.local_path("checkpoints", "silver_transactions")])
    with pytest.raises(CheckpointError, match="risklake reset --layer silver"):
        pipeline.run(spark, settings, continuous=False)
    gone = affected(settings, "silver")
    names = [str(folder.relative_to(settings.lake_root)) for folder in gone if folder.parent.name != "checkpoints"]
    assert names[:4] == ["monitoring/unknown_fields", "silver", "features", "alerts/alerts"]
    assert "alerts/dispositions" not in names, "what an analyst said is made by no job"
    drop(settings, gone)
    after = drain(spark, settings)
    assert after.is_consistent
    assert after.unknown_fields == before.unknown_fields == {"transactions.loyalty": 1}
    assert after.as_dict()["feeds"] == before.as_dict()["feeds"]
    assert after.features["user_5m"].rows == 5
    assert storage.read(spark, settings, DISPOSITIONS.name).count() == 1


def test_a_lost_checkpoint_is_refused_where_no_line_was_accepted(
    spark: SparkSession, settings: Settings, land: Callable[..., Path]
) -> None:
    land(["bad"])
    pipeline.run(spark, settings, continuous=False, jobs=["bronze", "silver"])
    shutil.rmtree(settings.local_path("checkpoints", "silver_transactions"))
    with pytest.raises(CheckpointError, match=r"silver\.quarantine has been written"):
        pipeline.run(spark, settings, continuous=False, jobs=["silver"])


def test_two_lakes_in_one_session_do_not_disturb_each_other(
    spark: SparkSession, settings: Settings, land: Callable[..., Path], transaction: Callable[..., str], tmp_path: Path
) -> None:
    from lake.inbox import land_lines
    from lake.settings import load_settings

    other = load_settings({"lake_root": str(tmp_path / "other lake")}, environment={})
    land_lines([transaction("x")], other.local_path("inbox", "transactions"), "x.jsonl")
    land([transaction("a"), transaction("b")])
    for lake, count in ((settings, 2), (other, 1)):
        pipeline.run(spark, lake, continuous=False, jobs=["bronze", "silver"])
        assert storage.read(spark, lake, "silver.transactions").count() == count
    # The names follow the lake that was named last, and no data goes with the names of the other.
    for lake, count in ((settings, 2), (other, 1), (settings, 2)):
        register_names(spark, lake)
        assert spark.table("silver.transactions").count() == count


def test_status_sees_a_line_that_is_lost_and_one_that_is_there_twice(
    spark: SparkSession, settings: Settings, land: Callable[..., Path], transaction: Callable[..., str]
) -> None:
    land([transaction("a"), transaction("b")])
    assert drain(spark, settings, LINE).is_consistent
    silver = storage.read(spark, settings, "silver.transactions")
    storage.append(silver.where("event_id = 'a'"), settings, "silver.transactions")
    doubled = measure_status(spark, settings, with_parity=False)
    assert not doubled.is_consistent
    assert not doubled.feeds["transactions"].is_consistent
    land([transaction("c")], "late.jsonl")
    assert measure_status(spark, settings, with_parity=False).feeds["transactions"].lines == 3


@pytest.fixture(autouse=True)
def _no_streams_left(spark: SparkSession) -> Iterator[None]:
    yield
    assert spark.streams.active == []
