"""Cases that analysts close, and what their word is worth afterwards."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pyspark.sql import SparkSession

from lake import storage
from lake.catalog import ALERTS, CASES, DISPOSITIONS
from lake.decisions import decisions
from lake.errors import SchemaError, UsageError
from lake.masking_key import masking_key
from lake.settings import Settings
from risklake.dispositions import cases_with_state, close, events_of
from spark_jobs.cases import cases
from tests.alerts import alert, alert_table
from tests.tokens import python_token

CONTACTS = (("zoe@mail.id", "email"), ("+62 812 3456 789", "phone"))


@pytest.fixture
def case_id(spark: SparkSession, settings: Settings) -> str:
    """A lake with a case of two events, and another."""
    alerts = alert_table(
        spark, [alert("a", 0.0), alert("a", 0.0, "far"), alert("b", 60.0), alert("x", 0.0, entity_id="u2")]
    )
    storage.append(alerts, settings, ALERTS.name)
    storage.ensure_tables(spark, settings, [CASES.name])
    rows = cases(alerts).selectExpr("*", "current_timestamp() as updated_at")
    storage.append(rows, settings, CASES.name)
    return str(rows.where("entity_id = 'u1'").collect()[0]["case_id"])


def dispositions(spark: SparkSession, settings: Settings) -> dict[str, str | None]:
    return {row["entity_id"]: row["disposition"] for row in cases_with_state(spark, settings).collect()}


def make_anew(spark: SparkSession, settings: Settings) -> None:
    """Cases as the alerts of the lake have them now."""
    now = cases(storage.read(spark, settings, ALERTS.name)).selectExpr("*", "current_timestamp() as updated_at")
    storage.merge_changes(now, settings, CASES.name)


def test_a_case_is_closed_with_all_its_events(spark: SparkSession, settings: Settings, case_id: str) -> None:
    assert dispositions(spark, settings) == {"u1": None, "u2": None}
    assert close(spark, settings, case_id, "fraud", "called the holder").events == ["a", "b"]
    assert dispositions(spark, settings) == {"u1": "fraud", "u2": None}
    rows = storage.read(spark, settings, DISPOSITIONS.name).orderBy("event_id").collect()
    assert [(row["event_id"], row["watches"], row["label"], row["case_id"], row["note"]) for row in rows] == [
        ("a", "transactions", "fraud", case_id, "called the holder"),
        ("b", "transactions", "fraud", case_id, "called the holder"),
    ]


def test_the_latest_word_counts_and_new_events_open_a_case_again(
    spark: SparkSession, settings: Settings, case_id: str
) -> None:
    close(spark, settings, case_id, "fraud", None)
    close(spark, settings, case_id, "genuine", None)
    assert dispositions(spark, settings)["u1"] == "genuine"
    storage.append(alert_table(spark, [alert("c", 120.0)]), settings, ALERTS.name)
    make_anew(spark, settings)
    assert dispositions(spark, settings)["u1"] is None
    close(spark, settings, case_id, "genuine", None)
    assert dispositions(spark, settings)["u1"] == "genuine"


def test_an_event_that_joins_a_case_as_another_leaves_opens_it_again(
    spark: SparkSession, settings: Settings, case_id: str
) -> None:
    close(spark, settings, case_id, "fraud", None)
    storage.merge_changes(alert_table(spark, [alert("b", 60.0, state="withdrawn")]), settings, ALERTS.name)
    make_anew(spark, settings)
    assert dispositions(spark, settings)["u1"] == "fraud"
    storage.append(alert_table(spark, [alert("c", 120.0)]), settings, ALERTS.name)
    make_anew(spark, settings)
    assert dispositions(spark, settings) == {"u1": None, "u2": None}


def test_a_case_whose_first_alert_is_withdrawn_stays_closed_under_its_new_id(
    spark: SparkSession, settings: Settings, case_id: str
) -> None:
    close(spark, settings, case_id, "fraud", None)
    gone = [alert("a", 0.0, rule, state="withdrawn") for rule in ("fast", "far")]
    storage.merge_changes(alert_table(spark, gone), settings, ALERTS.name)
    storage.delete_where(spark, settings, CASES.name, "true")
    now = cases(storage.read(spark, settings, ALERTS.name)).selectExpr("*", "current_timestamp() as updated_at")
    storage.append(now, settings, CASES.name)
    found = {row["entity_id"]: row for row in cases_with_state(spark, settings).collect()}
    assert found["u1"]["case_id"] != case_id
    assert (found["u1"]["disposition"], found["u2"]["disposition"]) == ("fraud", None)
    storage.append(alert_table(spark, [alert("c", 120.0)]), settings, ALERTS.name)
    make_anew(spark, settings)
    assert dispositions(spark, settings) == {"u1": None, "u2": None}


def test_a_word_on_the_case_of_a_user_is_none_on_that_of_a_device(
    spark: SparkSession, settings: Settings, case_id: str
) -> None:
    of_device = alert_table(spark, [alert("b", 60.0, "device", entity="device_id", entity_id="d1")])
    storage.append(of_device, settings, ALERTS.name)
    storage.append(cases(of_device).selectExpr("*", "current_timestamp() as updated_at"), settings, CASES.name)
    close(spark, settings, case_id, "fraud", None)
    assert dispositions(spark, settings) == {"u1": "fraud", "u2": None, "d1": None}


def test_a_note_tells_no_person(spark: SparkSession, settings: Settings, case_id: str) -> None:
    close(spark, settings, "b", "fraud", "zoe@mail.id hung up, +62 812 3456 789 too")
    [row] = storage.read(spark, settings, DISPOSITIONS.name).collect()
    email, phone = (python_token(text, kind, masking_key(settings)) for text, kind in CONTACTS)
    assert row["note"] == f"{email} hung up, {phone} too"


def test_a_word_on_a_payment_is_none_on_the_order_of_its_id(
    spark: SparkSession, settings: Settings, case_id: str
) -> None:
    close(spark, settings, case_id, "fraud", None)
    storage.append(alert_table(spark, [alert("b", 60.0, watches="orders")]), settings, ALERTS.name)
    make_anew(spark, settings)
    assert dispositions(spark, settings)["u1"] is None
    assert close(spark, settings, case_id, "genuine", None).ids_and_feeds == [
        ("a", "transactions"), ("b", "orders"), ("b", "transactions"),
    ]  # fmt: skip
    assert dispositions(spark, settings)["u1"] == "genuine"


def test_decisions_of_an_earlier_version_are_refused_with_what_to_do(
    spark: SparkSession, settings: Settings, case_id: str
) -> None:
    earlier = [column.name for column in DISPOSITIONS.columns if column.name != "watches"]
    said = [(event_id, "fraud", case_id, datetime(2026, 1, 6, tzinfo=UTC), None, None) for event_id in ("a", "b")]
    rows = spark.createDataFrame(said, DISPOSITIONS.schema).select(*earlier)
    rows.write.format("delta").save(settings.table_path(DISPOSITIONS.name))
    for does in (
        lambda: dispositions(spark, settings),
        lambda: close(spark, settings, case_id, "fraud", None),
        lambda: decisions(spark, settings),
    ):
        with pytest.raises(SchemaError, match=r"lacks the column watches.*risklake evolve"):
            does()
    assert storage.add_missing_columns(spark, settings, DISPOSITIONS.name) == ["watches"]
    # They still count: of which feed the events were is not known.
    assert dispositions(spark, settings) == {"u1": "fraud", "u2": None}


def test_the_alerts_of_a_payment_are_not_those_of_the_order_of_its_id(
    spark: SparkSession, settings: Settings, case_id: str
) -> None:
    storage.append(alert_table(spark, [alert("b", 9999.0, "order", watches="orders")]), settings, ALERTS.name)
    alerts = storage.read(spark, settings, ALERTS.name)
    of_case = alerts.where(events_of(spark, settings, case_id).condition())
    assert sorted(row["rule"] for row in of_case.collect()) == ["far", "fast", "fast"]
    of_id = alerts.where(events_of(spark, settings, "b").condition())
    assert sorted(row["rule"] for row in of_id.collect()) == ["fast", "order"]


def test_an_event_can_be_closed_by_itself(spark: SparkSession, settings: Settings, case_id: str) -> None:
    found = close(spark, settings, "b", "genuine", None)
    assert (found.case_id, found.events) == (None, ["b"])
    assert events_of(spark, settings, case_id).events == ["a", "b"]


def test_what_is_no_case_and_no_such_event_is_refused(spark: SparkSession, settings: Settings, case_id: str) -> None:
    for unknown in ("nobody", "' or 1=1 --", ""):
        with pytest.raises(UsageError, match="is no case and no event with an open alert"):
            close(spark, settings, unknown, "fraud", None)
    with pytest.raises(UsageError, match="'maybe' is no disposition; close it --as fraud or genuine"):
        close(spark, settings, case_id, "maybe", None)
    assert not storage.exists(spark, settings, DISPOSITIONS.name)
