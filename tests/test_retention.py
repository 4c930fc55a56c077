"""Lines that have outlived their time go with all that was made of them, and the rest still reconciles."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lake import storage
from lake.catalog import ALERTS, DUPLICATES, QUARANTINE, USER_5M
from lake.errors import SettingError
from lake.settings import Settings, load_settings
from spark_jobs import pipeline, retention
from spark_jobs.care import care
from spark_jobs.reconciliation import Status, close_run
from spark_jobs.retention import expire, expired

YEARS_AGO = timedelta(days=800)
TODAY = datetime.now(UTC).date()
TABLES = ("bronze.transactions", "silver.transactions", QUARANTINE.name, DUPLICATES.name, USER_5M.name, ALERTS.name)


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
    storage.update_where(spark, settings, USER_5M.name, F.lit(True), changes)
    for day in settings.local_path("archive", "transactions").iterdir():
        day.rename(day.with_name(str(TODAY - YEARS_AGO)))


def rows(spark: SparkSession, settings: Settings) -> dict[str, int]:
    return {name: storage.read(spark, settings, name).count() for name in TABLES}


@pytest.fixture
def aged(
    spark: SparkSession, settings: Settings, land: Callable[..., Path], transaction: Callable[..., str]
) -> Settings:
    """A lake with lines of years ago, and one of today."""
    settings = replace(settings, finished_files="archive")
    old = [transaction(f"old{n}", event_time=f"2024-01-05T10:00:0{n}Z") for n in range(4)]
    land([*old, old[0], "bad"], "old.jsonl")
    user = {"user_id": "u1", "name": "A", "email": "a@b.example", "phone_number": "+49 30 1234567",
            "created_date": "2024-03-01", "source": "app"}  # fmt: skip
    land([json.dumps(user)], "users.jsonl", feed="users")
    drain(spark, settings)
    make_old(spark, settings)
    land([transaction("new", event_time=f"{TODAY}T00:00:00Z")], "new.jsonl")
    status = drain(spark, settings)
    assert status.is_consistent, status.as_dict()
    assert status.feeds["transactions"].lines == 7
    return settings


def test_what_has_outlived_its_time_goes_from_every_table_and_a_kill_on_the_way_costs_nothing(
    spark: SparkSession, aged: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> dict[str, int]:
        raise KeyboardInterrupt

    assert rows(spark, aged)[ALERTS.name] > 0
    with monkeypatch.context() as patched:
        patched.setattr(retention, "_delete", killed)
        with pytest.raises(KeyboardInterrupt):
            expire(spark, aged, TODAY)
    # From the moment of the decision, what goes is not counted any more.
    assert rows(spark, aged)["bronze.transactions"] == 7
    assert expired(spark, aged).lines == {"transactions": 6, "disputes": 0}
    status = close_run(spark, aged, with_parity=True)
    assert status.is_consistent, status.as_dict()
    assert (status.feeds["transactions"].lines, status.feeds["users"].lines) == (1, 1)
    # What was begun is finished on another day, and nothing is counted twice.
    done = {one.table: one.rows_expired for one in care(spark, aged, today=TODAY + timedelta(days=1))}
    assert (done["bronze.transactions"], done["silver.transactions"], done[QUARANTINE.name]) == (6, 4, 1)
    assert expired(spark, aged).lines == {"transactions": 6, "disputes": 0}
    left = rows(spark, aged)
    assert left == dict.fromkeys(TABLES, 0) | {"bronze.transactions": 1, "silver.transactions": 1, USER_5M.name: 1}
    assert storage.read(spark, aged, "bronze.users").count() == 1
    days = [day.name for day in aged.local_path("archive", "transactions").iterdir()]
    assert days == [str(TODAY)]
    assert close_run(spark, aged, with_parity=True).is_consistent


def test_nothing_goes_before_silver_has_decided_about_it(
    spark: SparkSession, settings: Settings, land: Callable[..., Path], transaction: Callable[..., str]
) -> None:
    land([transaction("a")])
    pipeline.run(spark, settings, continuous=False, jobs=["bronze"])
    assert expire(spark, settings, TODAY + YEARS_AGO) == {}
    assert storage.read(spark, settings, "bronze.transactions").count() == 1


def test_a_time_shorter_than_the_features_look_back_is_refused() -> None:
    with pytest.raises(SettingError, match="retention_days must be at least 62"):
        load_settings(environment={"RISKLAKE_RETENTION_DAYS": "30"})
