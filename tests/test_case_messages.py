"""Which cases are told, and what is said of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import LongType, StringType, StructField, StructType

from lake import storage
from lake.catalog import CASES
from lake.progress import Stages
from lake.settings import Settings, load_settings
from risklake import case_messages
from risklake.case_messages import CaseMessages, catch_up, message, to_be_told
from risklake.message import Message
from risklake.reset import affected
from risklake.streaming import drain
from tests.alerts import START

NOW = START + timedelta(hours=1)


def case(case_id: str, **more: Any) -> dict[str, Any]:
    quiet = {
        "entity": "user_id", "entity_id": "u1", "began_at": START, "event_date": START.date(), "last_at": START,
        "open_until": START + timedelta(hours=1),
        "alerts": 3, "events": 3, "severity": "high", "score": 75, "decision": "review", "rules": ["far", "fast"],
        "typologies": ["card_testing"], "reason": "3 transactions in five minutes", "updated_at": START,
    }  # fmt: skip
    return quiet | {"case_id": case_id} | more


def change_feed(spark: SparkSession, *changes: dict[str, Any]) -> DataFrame:
    """Changes of cases; each is a new case of the first commit unless it says otherwise."""
    more = (StructField("_change_type", StringType()), StructField("_commit_version", LongType()))
    schema = StructType([*CASES.schema.fields, *more])
    rows = [{"_change_type": "insert", "_commit_version": 1} | one for one in changes]
    return spark.createDataFrame([tuple(row[name] for name in schema.names) for row in rows], schema)


def table(spark: SparkSession, *cases: dict[str, Any]) -> DataFrame:
    return spark.createDataFrame([tuple(one[name] for name in CASES.column_names) for one in cases], CASES.schema)


def keys_told(spark: SparkSession, *changes: dict[str, Any]) -> list[str]:
    return [row["case_id"] for row in to_be_told(change_feed(spark, *changes), "high", NOW).collect()]


def update(case_id: str, before: str, after: str, version: int = 1, **more: Any) -> list[dict[str, Any]]:
    """The two rows by which a change feed tells that a case has another severity."""
    of_both = {"_commit_version": version} | more
    return [
        case(case_id, severity=before, _change_type="update_preimage", **of_both),
        case(case_id, severity=after, _change_type="update_postimage", **of_both),
    ]


def test_new_recent_and_severe_cases_are_told_the_riskiest_first(spark: SparkSession) -> None:
    changes = [
        case("low", severity="low"),
        case("old", last_at=START - timedelta(days=2)),
        case("good"),
        case("worst", severity="critical", score=100),
        case("gone", _change_type="delete"),
    ]
    assert keys_told(spark, *changes) == ["worst", "good"]


def test_a_case_that_rises_to_the_threshold_is_told_and_one_that_was_there_is_not(spark: SparkSession) -> None:
    changes = [
        *update("risen", "medium", "critical"),
        *update("grown", "high", "high"),
        *update("worse", "high", "critical"),
        *update("fallen", "high", "medium"),
        *update("below", "low", "medium"),
        *update("old", "low", "high", last_at=START - timedelta(days=2)),
    ]
    assert sorted(keys_told(spark, *changes)) == ["risen", "worse"]


def test_a_case_that_was_too_old_to_be_told_is_told_when_it_grows(spark: SparkSession) -> None:
    before, after = update("grown", "high", "high")
    still_old = update("old", "high", "critical", last_at=START - timedelta(days=2))
    assert keys_told(spark, before | {"last_at": START - timedelta(days=2)}, after, *still_old) == ["grown"]


def test_a_case_that_changes_several_times_between_two_looks_is_told_once(spark: SparkSession) -> None:
    changes = [
        case("new"),
        *update("new", "high", "critical", 2),
        case("late", severity="low"),
        *update("late", "low", "high", 2),
        *update("late", "high", "medium", 3),
        *update("late", "medium", "high", 4),
    ]
    assert keys_told(spark, *changes) == ["late", "new"]


def test_a_message_says_who_why_and_how_much() -> None:
    told = message(case("c1"))
    assert (told.kind, told.key, told.severity) == ("alert", "c1", "high")
    assert (told.title, told.text) == ("user_id u1: far, fast", "3 transactions in five minutes")
    assert told.facts == {"case": "c1", "alerts": 3, "score": 75, "decision": "review", "since": str(START)}


def test_the_stream_tells_each_case_once(spark: SparkSession, settings: Settings) -> None:
    told: list[Message] = []
    job = CaseMessages(told.append)
    mine = load_settings({"lake_root": settings.lake_root}, environment={})
    assert job.streams(spark, mine) == []
    catch_up(spark, mine, told.append)
    storage.ensure_tables(spark, mine, [CASES.name])

    def drained(*cases: dict[str, Any]) -> list[str]:
        storage.merge_changes(table(spark, *cases), mine, CASES.name, insert=True)
        [stream] = job.streams(spark, mine)
        stream.start(False).awaitTermination()
        return [one.key for one in told]

    recent = {"last_at": datetime.now(UTC), "began_at": datetime.now(UTC)}
    assert drained(case("a", **recent), case("quiet", severity="low", **recent)) == ["a"]
    assert drained(case("a", alerts=4, **recent), case("b", **recent)) == ["a", "b"]
    assert drained(case("quiet", severity="critical", score=99, **recent)) == ["a", "b", "quiet"]
    # Before somebody is forgotten all that waits is told, and afterwards nothing is told of it.
    storage.merge_changes(table(spark, case("last", **recent)), mine, CASES.name, insert=True)
    catch_up(spark, mine, told.append)
    storage.merge_changes(table(spark, case("last", entity_id="gone", **recent)), mine, CASES.name, insert=True)
    catch_up(spark, mine, lambda message: pytest.fail("told again"))
    assert drained() == ["a", "b", "quiet", "last"]
    # How far they have come goes with the cases, or the stream could not start again.
    assert mine.local_path("checkpoints", case_messages.QUERY) in affected(mine, "alerts")


def test_a_drain_tells_of_the_cases_that_it_has_made(
    spark: SparkSession, settings: Settings, land: Callable[..., Path], transaction: Callable[..., str]
) -> None:
    told: list[Message] = []
    mine = replace(settings, webhook_url="https://example.org/hook", windows_seconds=0)
    now = datetime.now(UTC)
    land([transaction(f"now-{n}", user_id="u1", event_time=now.isoformat()) for n in range(3)], "now.jsonl")
    land([transaction(f"old-{n}", user_id="u2") for n in range(3)], "old.jsonl")
    drain(spark, mine, Stages(), tell=told.append)
    assert [(one.kind, one.title.split(":")[0]) for one in told] == [("alert", "user_id u1")]
    drain(spark, mine, Stages(), tell=lambda message: pytest.fail("told again"))


def test_of_more_cases_than_are_told_one_by_one_the_number_is_told(
    spark: SparkSession, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(case_messages, "_MOST", 2)
    told: list[Message] = []
    cases = [case(f"c{n}", last_at=datetime.now(UTC)) for n in range(5)]
    write = case_messages._batch_writer(settings, told.append)
    for count in (2, 5):
        write(change_feed(spark, *cases[:count]), 0)
    assert [one.key for one in told] == ["c0", "c1", "c0+4", "c0", "c1"]
    assert told[2].title == "5 cases at once: the 2 riskiest follow, 3 more do not"
