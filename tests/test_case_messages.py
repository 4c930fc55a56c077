"""Which cases are told, and what is said of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql.types import StringType, StructField, StructType

from lake import storage
from lake.catalog import CASES
from lake.settings import Settings, load_settings
from risklake.case_messages import CaseMessages, message, to_be_told
from risklake.webhook import Message
from tests.alerts import START

NOW = START + timedelta(hours=1)


def case(case_id: str, **more: Any) -> dict[str, Any]:
    quiet = {
        "entity": "user_id", "entity_id": "u1", "began_at": START, "event_date": START.date(), "last_at": START,
        "alerts": 3, "events": 3, "severity": "high", "score": 75, "decision": "review", "rules": ["far", "fast"],
        "typologies": ["card_testing"], "reason": "3 transactions in five minutes", "updated_at": START,
    }  # fmt: skip
    return quiet | {"case_id": case_id} | more


def test_new_recent_and_severe_cases_are_told_the_riskiest_first(spark: SparkSession) -> None:
    changes = [
        case("low", severity="low"),
        case("old", last_at=START - timedelta(days=2)),
        case("good"),
        case("worst", severity="critical", score=100),
        case("grown", _change_type="update_postimage"),
    ]
    schema = StructType([*CASES.schema.fields, StructField("_change_type", StringType())])
    rows = [tuple(({"_change_type": "insert"} | one)[name] for name in schema.names) for one in changes]
    found = to_be_told(spark.createDataFrame(rows, schema), "high", NOW).collect()
    assert [row["case_id"] for row in found] == ["worst", "good"]


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
    storage.ensure_tables(spark, mine, [CASES.name])

    def drained(*cases: dict[str, Any]) -> list[str]:
        rows = spark.createDataFrame([tuple(one[name] for name in CASES.column_names) for one in cases], CASES.schema)
        storage.merge_changes(rows, mine, CASES.name, insert=True)
        [stream] = job.streams(spark, mine)
        stream.start(False).awaitTermination()
        return [one.key for one in told]

    recent = {"last_at": datetime.now(UTC), "began_at": datetime.now(UTC)}
    assert drained(case("a", **recent), case("quiet", severity="low", **recent)) == ["a"]
    assert drained(case("a", alerts=4, **recent), case("b", **recent)) == ["a", "b"]
