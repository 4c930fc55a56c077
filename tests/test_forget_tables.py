"""Rows lose a user and keep what only looks like the user's id."""

from __future__ import annotations

from datetime import UTC, datetime

from pyspark.sql import Row, SparkSession

from lake import storage
from lake.catalog import TABLES
from lake.settings import Settings
from risklake.forget_tables import clear_table, rows_that_tell
from risklake.person import Person
from tests.alerts import alert, alert_table

AT = datetime(2026, 1, 5, 10, 42, tzinfo=UTC)
NUMBER = Person("42", "42", "TOKEN", ("siti@mail.id",), ("Siti",))


def clear(spark: SparkSession, settings: Settings, name: str, order: str, person: Person = NUMBER) -> list[Row]:
    """Clear a table, and give its rows; as many are changed as told the person, and none after it."""
    told = rows_that_tell(spark, settings, name, person)
    assert clear_table(spark, settings, name, person) == told
    assert rows_that_tell(spark, settings, name, person) == 0
    return storage.read(spark, settings, name).orderBy(order).collect()


def test_an_alert_loses_the_user_in_ids_values_and_reason_and_no_amount_or_other_entity(
    spark: SparkSession, settings: Settings
) -> None:
    of_user = {"user_id": "42", "entity_id": "42", "fired_on": {"user_id": "42", "spend": "42"}}
    alerts = [
        alert("42", 0, **of_user, reason="user_id 42 (42, Siti) paid 42.50 at 10:42:00"),
        alert("b", 1, user_id="7", entity="merchant_id", entity_id="42", reason="42 payments of Siti"),
        alert("c", 2, user_id="7", entity_id="7", reason="wrote to Siti@Mail.ID", fired_on={"merchant_id": "42"}),
        # As an earlier call, cut off, may leave it.
        alert("d", 3, user_id="TOKEN", entity_id="TOKEN", reason="42 paid"),
    ]
    storage.append(alert_table(spark, alerts), settings, "alerts.alerts")
    rows = clear(spark, settings, "alerts.alerts", "event_id")
    assert [(row["event_id"], row["user_id"], row["entity_id"], row["reason"]) for row in rows] == [
        ("42", "TOKEN", "TOKEN", "user_id TOKEN (TOKEN, forgotten) paid 42.50 at 10:42:00"),
        ("b", "7", "42", "42 payments of Siti"),
        ("c", "7", "7", "wrote to forgotten"),
        ("d", "TOKEN", "TOKEN", "TOKEN paid"),
    ]
    assert [row["fired_on"] for row in rows] == [{"user_id": "TOKEN", "spend": "42"}, {}, {"merchant_id": "42"}, {}]


def test_a_distinctive_id_goes_from_any_text_and_stays_in_other_ids(spark: SparkSession, settings: Settings) -> None:
    person = Person("u1", "u1", "TOKEN", (), ())
    notes = [("u1", "fraud", "u1", AT, "u1 called, u12 did not", None)]
    name = "alerts.dispositions"
    storage.append(spark.createDataFrame(notes, TABLES[name].schema), settings, name)
    [row] = clear(spark, settings, name, "event_id", person)
    assert (row["event_id"], row["case_id"], row["note"]) == ("u1", "u1", "TOKEN called, u12 did not")


def test_orphans_duplicates_and_rejected_lines_lose_the_user_where_they_mean_one(
    spark: SparkSession, settings: Settings
) -> None:
    missing = [[("user_id", "42"), ("merchant_id", "42")], [("merchant_id", "42")]]
    orphans = [("orders", "42.jsonl", n, "42", 1, one, "waiting", AT, AT.date()) for n, one in enumerate(missing)]
    duplicates = [("orders", "42", "42.jsonl", 1, AT), ("users", "42", "42.jsonl", 1, AT)]
    rejected = [(feed, "42.jsonl", 1, "42", "9", [], AT, AT.date()) for feed in ("orders", "users")]
    tables = {"silver.orphans": orphans, "silver.duplicates": duplicates, "silver.quarantine": rejected}
    for name, rows in tables.items():
        storage.ensure_tables(spark, settings, [name])
        storage.append(spark.createDataFrame(rows, TABLES[name].schema), settings, name)
    found = clear(spark, settings, "silver.orphans", "line_number")
    assert [(row["source_file"], row["event_key"]) for row in found] == [("42.jsonl", "42")] * 2
    assert [[tuple(item) for item in row["missing"]] for row in found] == [
        [("user_id", "TOKEN"), ("merchant_id", "42")], [("merchant_id", "42")],
    ]  # fmt: skip
    for name in ("silver.duplicates", "silver.quarantine"):
        found = clear(spark, settings, name, "feed")
        assert [(row["feed"], row["event_key"]) for row in found] == [("orders", "42"), ("users", "TOKEN")]


def test_raw_lines_lose_the_user_in_the_same_way_as_files(spark: SparkSession, settings: Settings) -> None:
    lines = [
        (r'{"user_id":"jos\u00E9","amount":42.5,"name":"Siti"}', None),
        ('{"user_id":"7","amount":42,"name":"Siti"}', None),
        ("josé,Siti,app", "user_id,name,source"),
        (None, None),
    ]
    rows = [
        (line, header, "josé.jsonl", number, AT, None, AT, AT.date()) for number, (line, header) in enumerate(lines)
    ]
    name = "bronze.transactions"
    storage.append(spark.createDataFrame(rows, TABLES[name].schema), settings, name)
    found = clear(spark, settings, name, "line_number", Person("josé", "josé", "TOKEN", (), ("Siti",)))
    assert [row["line"] for row in found] == [
        '{"user_id":"TOKEN","amount":42.5,"name":"forgotten"}', lines[1][0], "TOKEN,forgotten,app", None,
    ]  # fmt: skip
    assert {row["source_file"] for row in found} == {"josé.jsonl"}


def test_a_user_whose_row_only_names_the_person_keeps_name_and_address(spark: SparkSession, settings: Settings) -> None:
    names = TABLES["silver.users"].column_names
    base = dict.fromkeys(names) | {"country": "ID", "created_date": AT, "source": "app", "source_file": "a.jsonl",
                                   "line_number": 1, "content_hash": 1, "arrived_at": AT, "arrival_date": AT.date(),
                                   "file_modified_at": AT}  # fmt: skip
    users = [
        base | {"user_id": "42", "name": "name_1", "email": "email_1", "phone_number": "phone_1", "rest": "{}"},
        base | {"user_id": "7", "name": "name_7", "email": "email_7", "phone_number": "phone_7",
                "rest": '{"friend":"SITI@mail.id"}'},
    ]  # fmt: skip
    rows = [tuple(user[name] for name in names) for user in users]
    storage.ensure_tables(spark, settings, ["silver.users"])
    storage.append(spark.createDataFrame(rows, TABLES["silver.users"].schema), settings, "silver.users")
    found = clear(spark, settings, "silver.users", "user_id")
    assert [(row["user_id"], row["name"], row["email"], row["rest"]) for row in found] == [
        ("7", "name_7", "email_7", '{"friend":"forgotten"}'), ("TOKEN", "forgotten", "forgotten", None),
    ]  # fmt: skip
