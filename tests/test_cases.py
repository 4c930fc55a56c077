"""Cases of alerts, held against plain Python, and kept up to date by their stream."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import Any

import pytest
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from lake import storage
from lake.catalog import ALERTS, CASES
from lake.settings import Settings
from spark_jobs.cases import _extents, cases, stream
from tests.alerts import alert, alert_table


def found(spark: SparkSession, *alerts: dict[str, Any]) -> list[Row]:
    return sorted(cases(alert_table(spark, alerts)).collect(), key=lambda row: (row["entity_id"], row["began_at"]))


def test_alerts_within_the_cool_down_of_an_earlier_one_are_one_case(spark: SparkSession) -> None:
    rows = found(spark, *(alert(f"e{n}", n * 3600.0) for n in range(3)), alert("later", 2 * 3600.0 + 3600.000001))
    assert [(row["alerts"], row["events"]) for row in rows] == [(3, 3), (1, 1)]
    assert rows[0]["last_at"] - rows[0]["began_at"] == timedelta(hours=2)
    assert len({row["case_id"] for row in rows}) == 2


def test_each_alert_keeps_the_case_open_for_its_own_cool_down(spark: SparkSession) -> None:
    hour, day, week = 3600, 86_400, 7 * 86_400
    # The short one on the second day does not close what the long one on the first keeps open.
    rows = found(
        spark,
        alert("a", 0.0, "long", cool_down_s=week),
        alert("b", 1.0 * day, cool_down_s=hour),
        alert("c", 7.0 * day, cool_down_s=hour),
        alert("d", 7.0 * day + hour + 0.000001, "long", cool_down_s=week),
    )
    assert [(row["alerts"], row["rules"]) for row in rows] == [(3, ["fast", "long"]), (1, ["long"])]


def test_of_alerts_of_one_time_the_longest_keeps_the_case_open(spark: SparkSession) -> None:
    at_once = [alert("a", 0.0, "b", cool_down_s=cool_down) for cool_down in (600, 3600)]
    for first, second in (at_once, at_once[::-1]):
        rows = found(spark, first | {"event_id": "1"}, second | {"event_id": "2"}, alert("c", 3600.0))
        assert [row["alerts"] for row in rows] == [3]


def test_a_case_says_the_worst_of_its_alerts(spark: SparkSession) -> None:
    [row] = found(
        spark,
        alert("a", 0.0, "fast", severity="low", reason="low"),
        alert("b", 1.0, "far", severity="critical", score=90, decision="block", reason="worst", typology=""),
        alert("b", 1.0, "fast", severity="medium", score=90, decision="block", reason="second"),
        alert("c", 2.0, "odd", severity="critical", score=99, state="shadow"),
        alert("d", 3.0, "odd", severity="critical", score=99, state="withdrawn"),
    )
    assert (row["alerts"], row["events"], row["rules"]) == (3, 2, ["far", "fast"])
    assert (row["severity"], row["score"], row["decision"], row["reason"]) == ("critical", 90, "block", "worst")
    assert row["typologies"] == ["card_testing"]


def test_other_entities_are_other_cases(spark: SparkSession) -> None:
    of_device = {"entity": "device_id", "entity_id": "d1"}
    rows = found(spark, alert("a", 0.0), alert("a", 0.0, "device", **of_device), alert("b", 0.0, entity_id="u2"))
    assert [(row["entity"], row["entity_id"], row["alerts"]) for row in rows] == [
        ("device_id", "d1", 1), ("user_id", "u1", 1), ("user_id", "u2", 1),
    ]  # fmt: skip


def test_cases_equal_a_plain_python_count(spark: SparkSession) -> None:
    random = Random(7)
    steps = [0.0, 1.0, 600.0, 600.000001, 3600.0, 3600.000001]
    alerts, expected = [], []
    for user in range(20):
        at, open_until = 0.0, None
        for number in range(random.randrange(1, 12)):
            at += random.choice(steps)
            cool_down = random.choice([600, 3600])
            alerts.append(alert(f"{user}-{number:02}", at, entity_id=f"u{user:02}", cool_down_s=cool_down))
            if open_until is None or round(at - open_until, 6) > 0:
                expected.append([f"u{user:02}", 0])
            expected[-1][1] += 1
            open_until = max(open_until or 0.0, at + cool_down)
    assert [[row["entity_id"], row["alerts"]] for row in found(spark, *reversed(alerts))] == expected


def test_the_stream_makes_the_same_cases_in_whatever_order_alerts_come_and_go(
    spark: SparkSession, settings: Settings
) -> None:
    random, cool_downs = Random(1), [600, 86_400, 30 * 86_400]
    alerts = [
        alert(f"e{n}", random.randrange(200) * 43_200.0, entity_id=f"u{random.randrange(4)}",
              cool_down_s=random.choice(cool_downs))
        for n in range(48)
    ]  # fmt: skip
    for begin in range(0, len(alerts), 16):
        storage.append(alert_table(spark, alerts[begin : begin + 16]), settings, ALERTS.name)
        withdrawn = [one | {"state": "withdrawn"} for one in random.sample(alerts[: begin + 16], 3)]
        storage.merge_changes(alert_table(spark, withdrawn), settings, ALERTS.name)
        stream(spark, settings).start(False).awaitTermination()
    kept = storage.read(spark, settings, CASES.name).select(*CASES.content)
    whole = cases(storage.read(spark, settings, ALERTS.name))
    assert {row["case_id"]: row for row in kept.collect()} == {row["case_id"]: row for row in whole.collect()}
    assert kept.count() > 4


def test_alerts_in_order_need_none_of_those_before_them_and_a_late_one_does(
    spark: SparkSession, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, reads = storage.read, list[str]()

    def watched(spark: SparkSession, settings: Settings, name: str, version: int | None = None) -> DataFrame:
        reads.append(name)
        return read(spark, settings, name, version)

    def drained(*alerts: dict[str, Any]) -> bool:
        storage.append(alert_table(spark, alerts), settings, ALERTS.name)
        reads.clear()
        with monkeypatch.context() as patched:
            patched.setattr(storage, "read", watched)
            stream(spark, settings).start(False).awaitTermination()
        kept = read(spark, settings, CASES.name).select(*CASES.content).collect()
        whole = cases(read(spark, settings, ALERTS.name)).collect()
        assert {row["case_id"]: row for row in kept} == {row["case_id"]: row for row in whole}
        assert CASES.name in reads
        return ALERTS.name in reads

    # A case that grows, one that is over, a first one, and one to whose latest alert another one is added.
    assert not drained(alert("a", 0.0, severity="low", score=10), alert("o", 0.0, entity_id="u2", cool_down_s=600))
    more = alert("b", 60.0, "far", severity="high", score=10, reason="not the first", typology="takeover")
    assert not drained(more, alert("c", 60.0), alert("p", 601.0, entity_id="u2"), alert("q", 0.0, entity_id="u3"))
    assert not drained(alert("d", 3660.0, score=99, reason="worst"), alert("e", 9000.0, state="shadow"))
    assert drained(alert("d", 3660.0, "far"))
    assert drained(alert("late", 30.0))


def test_a_late_alert_looks_back_no_further_than_to_the_case_that_was_open_then(
    spark: SparkSession, settings: Settings
) -> None:
    day = 86_400.0
    alerts = [alert("over", 0.0), alert("a", day), alert("b", day + 600)]
    storage.append(alert_table(spark, alerts), settings, ALERTS.name)
    stream(spark, settings).start(False).awaitTermination()
    standing = storage.read(spark, settings, CASES.name)
    late = alert_table(spark, [alert("late", day + 60)]).selectExpr(
        "entity", "entity_id", "event_time as first", "event_time as last", "true as is_new"
    )
    [extent] = _extents(late, standing).collect()
    over, then = standing.orderBy("began_at").collect()
    assert over["last_at"] < then["began_at"]
    assert (extent["grows"], extent["first"], extent["last"]) == (False, then["began_at"], then["last_at"])


def test_a_case_of_which_it_is_not_known_how_long_it_is_open_is_made_anew(
    spark: SparkSession, settings: Settings
) -> None:
    def drain(*alerts: dict[str, Any]) -> list[Row]:
        storage.append(alert_table(spark, alerts), settings, ALERTS.name)
        stream(spark, settings).start(False).awaitTermination()
        return storage.read(spark, settings, CASES.name).orderBy("began_at").collect()

    [before] = drain(alert("a", 0.0))
    # As an older version has left it.
    storage.update_where(spark, settings, CASES.name, F.lit(True), {"open_until": F.lit(None).cast("timestamp")})
    [after] = drain(alert("b", 60.0))
    assert (after["case_id"], after["alerts"]) == (before["case_id"], 2)
    assert after["open_until"] - before["open_until"] == timedelta(seconds=60)


def test_the_stream_keeps_cases_up_to_date(spark: SparkSession, settings: Settings) -> None:
    def drained(*alerts: dict[str, Any]) -> list[tuple[str, int]]:
        storage.append(alert_table(spark, alerts), settings, ALERTS.name)
        stream(spark, settings).start(False).awaitTermination()
        rows = storage.read(spark, settings, CASES.name).orderBy("began_at").collect()
        return [(row["entity_id"], row["alerts"]) for row in rows]

    assert drained(alert("a", 0.0), alert("b", 5000.0)) == [("u1", 1), ("u1", 1)]
    # A late line closes the gap between them.
    assert drained(alert("c", 2500.0), alert("d", 6000.0, entity_id="u2")) == [("u1", 3), ("u2", 1)]
    gone = alert_table(
        spark, [alert("c", 2500.0, state="withdrawn"), alert("d", 6000.0, entity_id="u2", state="withdrawn")]
    )
    storage.merge_changes(gone, settings, ALERTS.name)
    assert drained(alert("e", 9000.0, state="shadow")) == [("u1", 1), ("u1", 1)]
