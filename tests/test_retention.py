"""Lines that have outlived their time go with all that was made of them, and the rest still reconciles."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lake import storage
from lake.catalog import ALERTS, DUPLICATES, QUARANTINE, RETENTION, USER_5M, USER_WINDOWS
from lake.errors import SettingError
from lake.settings import Settings, load_settings
from spark_jobs import pipeline
from spark_jobs.expired import expired
from spark_jobs.reconciliation import Status, close_run
from spark_jobs.retention import expire

YEARS_AGO = timedelta(days=800)
TABLES = (
    "bronze.transactions", "silver.transactions", QUARANTINE.name, DUPLICATES.name, USER_5M.name, USER_WINDOWS.name,
    ALERTS.name,
)  # fmt: skip


def drain(spark: SparkSession, settings: Settings) -> Status:
    pipeline.run(spark, settings, continuous=False)
    return close_run(spark, settings, with_parity=True)


def make_old(spark: SparkSession, settings: Settings) -> None:
    """As if all lines of events had come years ago."""
    for name in ("bronze.transactions", "silver.transactions", QUARANTINE.name, DUPLICATES.name):
        changes = {"arrived_at": F.expr("arrived_at - interval 800 days")}
        if "arrival_date" in storage.read(spark, settings, name).columns:
            changes["arrival_date"] = F.expr("date_sub(arrival_date, 800)")
        storage.update_where(spark, settings, name, F.lit(True), changes)
    changes = {"inputs_arrived_at": F.expr("inputs_arrived_at - interval 800 days")}
    for name in (USER_5M.name, USER_WINDOWS.name):
        storage.update_where(spark, settings, name, F.lit(True), changes)


def last_day(spark: SparkSession, settings: Settings) -> date:
    """The day on which the newest lines came: not always the clock's, which may have passed midnight since."""
    return storage.read(spark, settings, "bronze.transactions").agg(F.max("arrival_date")).collect()[0][0]


def day_after(spark: SparkSession, settings: Settings) -> date:
    return last_day(spark, settings) + timedelta(days=1)


def rows(spark: SparkSession, settings: Settings) -> dict[str, int]:
    return {name: storage.read(spark, settings, name).count() for name in TABLES}


@pytest.fixture
def aged(
    spark: SparkSession, settings: Settings, land: Callable[..., Path], transaction: Callable[..., str]
) -> Settings:
    """A lake with lines of years ago (one of their files lies in the archive), and one of today."""
    old = [transaction(f"old{n}", event_time=f"2024-01-05T10:00:0{n}Z") for n in range(4)]
    land([*old, old[0], "bad"], "old.jsonl")
    land([], "empty.jsonl")
    archived = land([transaction("far", user_id="u2", event_time="2024-01-05T10:00:00Z")], "archived.jsonl")
    user = {"user_id": "u1", "name": "A", "email": "a@b.example", "phone_number": "+49 30 1234567",
            "created_date": "2024-03-01", "source": "app"}  # fmt: skip
    land([json.dumps(user)], "users.jsonl", feed="users")
    drain(spark, settings)
    make_old(spark, settings)
    target = settings.local_path("archive", "transactions", str(last_day(spark, settings)), archived.name)
    target.parent.mkdir(parents=True)
    archived.rename(target)
    # As a file manager leaves one in each folder that it shows.
    (target.parent.parent / ".DS_Store").touch()
    land([transaction("new", event_time="2026-01-05T00:00:00Z")], "new.jsonl")
    status = drain(spark, settings)
    assert status.is_consistent, status.as_dict()
    assert status.feeds["transactions"].lines == 9
    return settings


def killed_at(write: int, spark: SparkSession, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Let lines expire, and die at a write of them, before it is done; false where there are fewer."""
    done = 0

    def dying(write_it: Callable[..., Any]) -> Callable[..., Any]:
        def maybe(*words: Any, **more: Any) -> Any:
            nonlocal done
            done += 1
            if done == write:
                raise KeyboardInterrupt
            return write_it(*words, **more)

        return maybe

    with monkeypatch.context() as patch:
        for place, call in ((storage, "append"), (storage, "delete_where"), (storage, "delete_matching"),
                            (Path, "unlink"), (shutil, "rmtree")):  # fmt: skip
            patch.setattr(place, call, dying(getattr(place, call)))
        try:
            expire(spark, settings, day_after(spark, settings))
        except KeyboardInterrupt:
            return True
    return False


def test_what_has_outlived_its_time_goes_from_everywhere_and_a_kill_at_any_write_costs_nothing(
    spark: SparkSession, aged: Settings, land: Callable[..., Path], transaction: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    assert rows(spark, aged)[ALERTS.name] > 0
    assert expire(spark, replace(aged, retention_days=0), day_after(spark, aged)) == {}
    land([transaction(f"waiting{n}") for n in range(3)], "waiting.jsonl")
    kept = {"lines": 4, "bronze": 1, "silver": 1, "quarantined": 0, "duplicates": 0, "on_their_way": 3, "difference": 0}
    write = 1
    while killed_at(write, spark, aged, monkeypatch):
        status = close_run(spark, aged)
        assert not status.has_difference, (write, status.as_dict())
        # From the moment of the decision, what goes is not counted any more.
        if expired(spark, aged).lines:
            assert expired(spark, aged).lines == {"transactions": 8, "disputes": 0}
            counts = status.feeds["transactions"].as_dict()
            assert {name: counts[name] for name in kept} == kept, write
            assert status.feeds["users"].lines == 1
        write += 1
    assert write > 8
    left = rows(spark, aged)
    kept_rows = {"bronze.transactions": 1, "silver.transactions": 1, USER_5M.name: 1, USER_WINDOWS.name: 5}
    assert left == dict.fromkeys(TABLES, 0) | kept_rows
    assert storage.read(spark, aged, "bronze.users").count() == 1
    assert [file.name for file in aged.local_path("archive", "transactions").iterdir()] == [".DS_Store"]
    assert {file.name for file in aged.local_path("inbox", "transactions").iterdir()} == {"new.jsonl", "waiting.jsonl"}
    # An event that comes again after its time is a new one.
    land([transaction("old0", event_time="2024-01-05T10:00:00Z")], "again.jsonl")
    status = drain(spark, aged)
    assert status.is_consistent, status.as_dict()
    assert status.feeds["transactions"].silver == 5


def test_the_clock_alone_lets_nothing_go_nor_a_decision_that_was_begun(
    spark: SparkSession, settings: Settings, land: Callable[..., Path], transaction: Callable[..., str]
) -> None:
    land([transaction("a")])
    pipeline.run(spark, settings, continuous=False)
    years_later = last_day(spark, settings) + YEARS_AGO
    assert expire(spark, settings, years_later) == {}
    storage.ensure_tables(spark, settings, [RETENTION.name])
    assert close_run(spark, settings).is_consistent
    assert expire(spark, settings, years_later) == {}
    assert storage.read(spark, settings, "bronze.transactions").count() == 1


def test_nothing_goes_before_silver_has_decided_about_it(
    spark: SparkSession, settings: Settings, land: Callable[..., Path], transaction: Callable[..., str]
) -> None:
    land([transaction("a")])
    pipeline.run(spark, settings, continuous=False, jobs=["bronze"])
    changes = {"arrived_at": F.expr("arrived_at - interval 800 days"),
               "arrival_date": F.expr("date_sub(arrival_date, 800)")}  # fmt: skip
    storage.update_where(spark, settings, "bronze.transactions", F.lit(True), changes)
    land([transaction("b")], "b.jsonl")
    pipeline.run(spark, settings, continuous=False, jobs=["bronze"])
    assert expire(spark, settings, day_after(spark, settings)) == {}
    assert storage.read(spark, settings, "bronze.transactions").count() == 2


def test_a_time_shorter_than_the_features_look_back_is_refused_and_zero_means_for_ever() -> None:
    with pytest.raises(SettingError, match="retention_days must be at least 62, or 0"):
        load_settings(environment={"RISKLAKE_RETENTION_DAYS": "30"})
    assert load_settings(environment={"RISKLAKE_RETENTION_DAYS": "0"}).retention_days == 0
