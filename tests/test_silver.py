from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F

from lake.feed import Field, Kind
from lake.feed_tables import bronze_table
from lake.feeds import DISPUTES, ORDERS, TRANSACTIONS
from spark_jobs.reasons import OF_FIELDS, OF_LINES, reasons
from spark_jobs.verdicts import quarantine_rows
from tests.lines_of_feeds import line as of_feed
from tests.silver_lines import ARRIVED, DISPUTE, KEY, bronze_rows, line, typed, without
from tests.tokens import python_token

# Each bad line with the reasons that it must be given: (code, field).
BAD: dict[str, tuple[str | None, list[tuple[str, str | None]]]] = {
    "a truncated line": (line()[:-20], [("malformed_json", None)]),
    "two objects on a line": (line() + line(), [("malformed_json", None)]),
    "two objects with a comma": (line() + "," + line(), [("malformed_json", None)]),
    "two arrays": (line() + "],[" + line(), [("malformed_json", None)]),
    "the last line of an array": (line() + "]", [("malformed_json", None)]),
    "two lines of an array": (line() + "][" + line() + ",", [("malformed_json", None)]),
    "words after the object": (line() + " x", [("malformed_json", None)]),
    "a thousand levels": (line(status="deep").replace('"deep"', "[" * 1000 + "]" * 1000), [("malformed_json", None)]),
    "nine hundred levels": (line(status="deep").replace('"deep"', "[" * 900 + "]" * 900), [("not_text", "status")]),
    "a null byte": (line().replace("u1", "u\x001"), [("malformed_json", None)]),
    "a key twice": ('{"event_id": "a", "event_id": "b"}', [("malformed_json", None)]),
    "not a number": (line().replace("10.5", "NaN"), [("malformed_json", None)]),
    "an empty line": ("", [("empty_line", None)]),
    "a blank line": ("   ", [("empty_line", None)]),
    "a blank line of Windows": (" \t\r", [("empty_line", None)]),
    "a line of another shape": ('["event_id", "e1"]', [("not_an_object", None)]),
    "a bare text": ('"e1"', [("not_an_object", None)]),
    "csv": ("e1,u1,m1,10.5,EUR", [("malformed_json", None)]),
    "an escaped null byte": (line(user_id="u\x00"), [("bad_identifier", "user_id")]),
    "an empty id": (line(event_id=" "), [("bad_identifier", "event_id")]),
    "a very long id": (line(event_id="x" * 257), [("bad_identifier", "event_id")]),
    "a number as id": (line(user_id=17), [("not_text", "user_id")]),
    "an amount with a comma": (line(amount="12,50"), [("not_a_number", "amount")]),
    "an amount in quotes": (line(amount="12.50"), [("not_a_number", "amount")]),
    "an amount that is an object": (line(amount={"value": 1}), [("not_a_number", "amount")]),
    "an amount that is true": (line(amount=True), [("not_a_number", "amount")]),
    "a negative amount": (line(amount=-1), [("negative", "amount")]),
    "an amount beyond all money": (line(amount=1e20), [("out_of_range", "amount")]),
    "an infinite amount": (line().replace("10.5", "1e999"), [("out_of_range", "amount")]),
    "no amount": (without("amount"), [("missing_field", "amount")]),
    "an amount of null": (line(amount=None), [("missing_field", "amount")]),
    "nearly a thing": (line(quantity=0.99999), [("out_of_range", "quantity")]),
    "half a thing": (line(quantity=1.5), [("out_of_range", "quantity")]),
    "an unknown currency": (line(currency="EURO"), [("unknown_currency", "currency")]),
    "a currency in small letters": (line(currency="eur"), [("unknown_currency", "currency")]),
    "an unknown country": (line(country="XX"), [("unknown_country", "country")]),
    "an unknown channel": (line(channel="fax"), [("not_allowed", "channel")]),
    "a time without zone": (line(event_time="2026-01-05T10:00:00"), [("no_time_zone", "event_time")]),
    "a date only": (line(event_time="2026-01-05"), [("unreadable_time", "event_time")]),
    "the 30th of February": (line(event_time="2026-02-30T10:00:00Z"), [("unreadable_time", "event_time")]),
    "epoch seconds": (line(event_time=1767600000), [("not_text", "event_time")]),
    "the year 9999": (line(event_time="9999-12-31T23:59:59Z"), [("time_in_future", "event_time")]),
    "the year 1970": (line(event_time="1970-01-01T00:00:00Z"), [("time_too_old", "event_time")]),
    "two faults at once": (
        line(amount="x", country="XX"),
        [("not_a_number", "amount"), ("unknown_country", "country")],
    ),
}

# Each good line with the values that silver must hold.
TAKEN: dict[str, tuple[str, dict[str, Any]]] = {
    "a plain line": (line(), {"amount": Decimal("10.5000"), "country": "DE", "rest": None}),
    "Namibia, which is no missing value": (line(country="NA"), {"country": "NA"}),
    "an offset instead of Z": (line(event_time="2026-01-05T17:00:00+07:00"), {"event_time": datetime(2026, 1, 5, 10)}),
    "an offset without colon": (line(event_time="2026-01-05T17:00:00+0700"), {"event_time": datetime(2026, 1, 5, 10)}),
    "microseconds": (
        line(event_time="2026-01-05T10:00:00.000001Z"),
        {"event_time": datetime(2026, 1, 5, 10, 0, 0, 1)},
    ),
    "an amount of 0": (line(amount=0), {"amount": Decimal("0.0000")}),
    "an amount with an exponent": (line(amount=1e3), {"amount": Decimal("1000.0000")}),
    "more decimals than money has": (line(amount=0.1 + 0.2), {"amount": Decimal("0.3000")}),
    "optional fields of null": (line(device_id=None, quantity=None), {"device_id": None, "quantity": None}),
    "a whole number with a point": (line(quantity=3.0), {"quantity": 3}),
    "an unknown field is kept": (line(loyalty={"tier": 2}), {"rest": '{"loyalty":{"tier":2}}'}),
    "an unknown field that is a card number": (
        line(loyalty=4111111111111111),
        {"rest": f'{{"loyalty":"{python_token("4111111111111111", "card", KEY)}"}}'},
    ),
    "a byte order mark": ("\ufeff" + line(), {"event_id": "e1"}),
    "a carriage return": (line() + "\r", {"event_id": "e1"}),
    "text in another script": (line(user_id="用户一"), {"user_id": "用户一"}),
    "an hour ahead of the clock": (line(event_time="2026-01-06T01:00:00Z"), {"event_date": ARRIVED.date()}),
}


@pytest.fixture(scope="module")
def verdicts(spark: SparkSession) -> dict[str, Row]:
    """Every case of this module, typed in one go."""
    cases = [(name, text) for name, (text, _) in (BAD | TAKEN).items()]
    rows = typed(bronze_rows(spark, [text for _, text in cases]), TRANSACTIONS).orderBy("line_number").collect()
    return {name: row for (name, _), row in zip(cases, rows, strict=True)}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_line_is_refused_with_every_reason(verdicts: dict[str, Row], name: str) -> None:
    assert [(fault["code"], fault["field"]) for fault in verdicts[name]["faults"]] == BAD[name][1]


@pytest.mark.parametrize("name", TAKEN)
def test_a_good_line_is_taken_with_its_values(verdicts: dict[str, Row], name: str) -> None:
    assert verdicts[name]["faults"] == []
    for column, value in TAKEN[name][1].items():
        assert verdicts[name][column] == value


def test_a_message_names_the_field_the_shape_of_the_value_and_what_would_be_right(spark: SparkSession) -> None:
    lines = [BAD["an amount with a comma"][0], BAD["an empty line"][0], None]
    rows = typed(bronze_rows(spark, lines), TRANSACTIONS)
    messages = [
        row["reasons"][0]["message"] for row in rows.select(reasons(F.col("faults")).alias("reasons")).collect()
    ]
    assert messages == [
        "amount 99,99 is no JSON number, such as 12.50 (without quotes, with a point)",
        "The line is empty",
        "The file holds no line",
    ]


def test_every_code_that_a_line_can_be_given_has_words(verdicts: dict[str, Row]) -> None:
    given = {fault["code"] for row in verdicts.values() for fault in row["faults"]}
    assert given <= set(OF_LINES | OF_FIELDS)
    # Those that no line of this module can show are shown elsewhere in it, or in the tests of whole runs.
    assert set(OF_LINES | OF_FIELDS) - given <= {
        "empty_file",
        "unreadable_file",
        "not_utf8",
        "altered_duplicate",
        "bad_text",
        "unknown_reference",
        "line_too_long",
        "malformed_csv",
        "unreadable_amount",
        "ambiguous_amount",
        "unreadable_date",
        "ambiguous_date",
    }


def test_bytes_that_are_no_utf8_and_files_without_lines_are_refused(spark: SparkSession) -> None:
    rows = spark.sql("select unhex('7b22e4227d') as bytes").selectExpr("cast(bytes as string) as line")
    template = bronze_rows(spark, ["x"]).drop("line")
    broken = template.crossJoin(rows).select(bronze_table(TRANSACTIONS).column_names)
    empty = bronze_rows(spark, [None])
    codes = [row["faults"][0]["code"] for row in typed(broken.unionByName(empty), TRANSACTIONS).collect()]
    assert codes == ["not_utf8", "empty_file"]


def test_the_excerpt_shows_field_names_and_shapes_but_no_value(spark: SparkSession) -> None:
    text = '{"event_id": "e1", "email": "budi@mail.id", "amount": "12,50"'
    rows = typed(bronze_rows(spark, [text]), TRANSACTIONS)
    [row] = quarantine_rows(rows, TRANSACTIONS).collect()
    assert row["excerpt"] == '{"event_id": "x9", "xxxxx": "xxxx@xxxx.xx", "amount": "99,99"'


def test_a_dispute_is_typed_and_may_be_reported_after_its_arrival(spark: SparkSession) -> None:
    [row] = typed(
        bronze_rows(spark, [json.dumps(DISPUTE | {"reported_at": "2026-02-01T00:00:00Z"})], DISPUTES), DISPUTES
    ).collect()
    assert row["faults"] == []
    assert row["event_date"] == datetime(2026, 2, 1).date()


def test_a_field_that_is_declared_later_leaves_the_content_of_lines_without_it_as_it_was(spark: SparkSession) -> None:
    later = (
        Field("tier", Kind.TEXT, "Later", required=False),
        Field("app", Kind.TEXT, "Later", required=False, default="web"),
        Field("booked_at", Kind.TIME, "Later", required=False, falls_back_on="event_time"),
    )
    wider = replace(TRANSACTIONS, fields=(*later, *TRANSACTIONS.fields))
    lines = [line(), line(device_id="x"), line(payment_method_id="x"), line(loyalty="x"), line(status="x")]
    rows = bronze_rows(spark, [*lines])
    before, after = (
        [row["content_hash"] for row in typed(rows, feed).orderBy("line_number").collect()]
        for feed in (TRANSACTIONS, wider)
    )
    assert before == after
    assert len(set(before)) == len(lines)


def test_an_order_may_be_as_old_as_any_event(spark: SparkSession) -> None:
    dates = ["05.01.1926", "31.12.1999", "2000-01-01"]
    rows = bronze_rows(spark, [of_feed("orders", created_date=one) for one in dates], ORDERS)
    codes = [[one["code"] for one in row["faults"]] for row in typed(rows, ORDERS).orderBy("line_number").collect()]
    assert codes == [["time_too_old"], ["time_too_old"], []]


def test_a_rejected_line_names_its_key_only_where_that_is_right(spark: SparkSession) -> None:
    lines = [
        line(amount="x"), line(event_id=" "), line(event_id={"name": "Zelda"}), '{"event_id": {"name": "Zelda"}}]',
        line() + line(), "no JSON", without("event_id"), line(event_id="zelda@mail.id", amount="x"),
    ]  # fmt: skip
    rows = quarantine_rows(typed(bronze_rows(spark, [*lines]), TRANSACTIONS), TRANSACTIONS).orderBy("line_number")
    keys = [row["event_key"] for row in rows.collect()]
    assert keys == ["e1", None, None, None, None, None, None, python_token("zelda@mail.id", "email", KEY)]
