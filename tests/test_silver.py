from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as tries
from hypothesis import strategies as st
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from lake.catalog import TABLES
from lake.feed import Feed
from lake.feed_tables import bronze_table
from lake.feeds import DISPUTES, TRANSACTIONS
from spark_jobs.read_errors import EMPTY_FILE
from spark_jobs.reasons import OF_FIELDS, OF_LINES, reasons
from spark_jobs.typed import typed as typed_with_key
from spark_jobs.verdicts import Extent, decided, extent_of, held_near, quarantine_rows
from tests.tokens import python_token

ARRIVED = datetime(2026, 1, 6, tzinfo=UTC)
KEY = b"the masking key of this module"
HORIZON_DAYS = 7

GOOD = {
    "event_id": "e1",
    "user_id": "u1",
    "merchant_id": "m1",
    "amount": 10.5,
    "currency": "EUR",
    "country": "DE",
    "event_time": "2026-01-05T10:00:00Z",
}

DISPUTE = {
    "dispute_id": "d1",
    "event_id": "e1",
    "reason": "fraud",
    "amount": 10.5,
    "currency": "EUR",
    "reported_at": "2026-01-05T00:00:00Z",
    "outcome": "lost",
}


def line(**fields: Any) -> str:
    return json.dumps(GOOD | fields)


def without(name: str) -> str:
    return json.dumps({key: value for key, value in GOOD.items() if key != name})


# Each bad line with the reasons that it must be given: (code, field).
BAD: dict[str, tuple[str | None, list[tuple[str, str | None]]]] = {
    "a truncated line": (line()[:-20], [("malformed_json", None)]),
    "two objects on a line": (line() + line(), [("malformed_json", None)]),
    "two objects with a comma": (line() + "," + line(), [("malformed_json", None)]),
    "words after the object": (line() + " x", [("malformed_json", None)]),
    "a null byte": (line().replace("u1", "u\x001"), [("malformed_json", None)]),
    "a key twice": ('{"event_id": "a", "event_id": "b"}', [("malformed_json", None)]),
    "not a number": (line().replace("10.5", "NaN"), [("malformed_json", None)]),
    "an empty line": ("", [("empty_line", None)]),
    "a blank line": ("   ", [("empty_line", None)]),
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


def bronze_rows(spark: SparkSession, lines: list[str | None], feed: Feed = TRANSACTIONS) -> DataFrame:
    rows = [
        (text, None, "a.jsonl", number, ARRIVED, None if text is not None else EMPTY_FILE, ARRIVED, ARRIVED.date())
        for number, text in enumerate(lines, start=1)
    ]
    return spark.createDataFrame(rows, bronze_table(feed).schema)


def typed(lines: DataFrame, feed: Feed) -> DataFrame:
    return typed_with_key(lines, feed, KEY)


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


def decide(spark: SparkSession, lines: list[str], held: DataFrame | None = None) -> dict[int, tuple[str, list[str]]]:
    rows = typed(bronze_rows(spark, list(lines)), TRANSACTIONS)
    events = held if held is not None else spark.createDataFrame([], TABLES["silver.transactions"].schema)
    return {
        row["line_number"]: (row["verdict"], [fault["code"] for fault in row["faults"]])
        for row in decided(rows, events, TRANSACTIONS, HORIZON_DAYS).collect()
    }


def test_the_first_line_of_an_id_is_the_event_a_repeat_a_duplicate_and_an_altered_one_is_quarantined(
    spark: SparkSession,
) -> None:
    lines = [line(), line(), line(amount=99), line(event_id="e2"), line(extra=1), line(amount=10.50)]
    assert decide(spark, lines) == {
        1: ("accepted", []),
        2: ("duplicate", []),
        3: ("quarantined", ["altered_duplicate"]),
        4: ("accepted", []),
        5: ("quarantined", ["altered_duplicate"]),
        6: ("duplicate", []),
    }


def on(day: int, **more: Any) -> str:
    return line(event_time=f"2025-12-{day:02}T10:00:00Z", **more)


def test_an_id_that_comes_again_beyond_the_horizon_is_another_event_and_a_repeat_is_that_of_the_nearer_one(
    spark: SparkSession,
) -> None:
    # 6 is near 1, which is the event; 12 is near none that is one, though it is near 6.
    lines = [on(1), on(6), on(12), on(12), on(1), on(5, amount=1), on(25), on(19), on(25, amount=1)]
    verdicts = [verdict for verdict, _ in decide(spark, lines).values()]
    assert verdicts == [
        "accepted", "quarantined", "accepted", "duplicate", "duplicate", "quarantined", "accepted", "quarantined",
        "quarantined",
    ]  # fmt: skip


def test_a_line_is_decided_about_once_though_silver_holds_its_id_twice(spark: SparkSession) -> None:
    held = typed(bronze_rows(spark, [on(5), on(25)]), TRANSACTIONS)
    again = typed(bronze_rows(spark, ["{}", "{}", on(5), on(25), on(25, amount=1), on(15)]), TRANSACTIONS)
    found = decided(again.where("line_number > 2"), held, TRANSACTIONS, HORIZON_DAYS).orderBy("line_number").collect()
    assert [row["verdict"] for row in found] == ["duplicate", "duplicate", "quarantined", "accepted"]


@tries(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    drawn=st.lists(st.tuples(st.sampled_from(["a", "b"]), st.integers(1, 28), st.sampled_from([1, 2])), max_size=10),
    cuts=st.sets(st.integers(1, 9), max_size=3),
)
def test_where_a_line_goes_does_not_depend_on_how_lines_are_cut_into_micro_batches(
    spark: SparkSession, drawn: list[tuple[str, int, int]], cuts: set[int]
) -> None:
    lines = [on(day, event_id=name, amount=amount) for name, day, amount in drawn]
    rows = typed(bronze_rows(spark, list(lines)), TRANSACTIONS).localCheckpoint()
    expected, standing = {}, list[tuple[str, int, int]]()
    for number, (name, day, amount) in enumerate(drawn, start=1):
        near = [one for one in standing if one[0] == name and abs(one[1] - day) <= HORIZON_DAYS]
        same = any(one[1:] == (day, amount) for one in near)
        expected[number] = "accepted" if not near else "duplicate" if same else "quarantined"
        standing += [] if near else [(name, day, amount)]
    found: dict[int, str] = {}
    held = rows.where("false")
    bounds = [0, *sorted(cuts), len(lines)]
    for first, last in pairwise(bounds):
        batch = rows.where(F.col("line_number").between(first + 1, last))
        known = held_near(held, batch, TRANSACTIONS, HORIZON_DAYS, extent_of(batch, TRANSACTIONS))
        settled = decided(batch, known, TRANSACTIONS, HORIZON_DAYS).localCheckpoint()
        found |= {row["line_number"]: row["verdict"] for row in settled.collect()}
        held = held.unionByName(settled.where("verdict = 'accepted'").select(held.columns)).localCheckpoint()
    assert found == expected


def test_a_bad_line_does_not_take_the_place_of_a_good_one_with_its_id(spark: SparkSession) -> None:
    assert decide(spark, [line(amount=-5), line()]) == {1: ("quarantined", ["negative"]), 2: ("accepted", [])}


def test_events_that_silver_holds_decide_about_later_lines(spark: SparkSession) -> None:
    held = typed(bronze_rows(spark, [line()]), TRANSACTIONS)
    # Line 1 is the held one itself, as in a micro-batch that is replayed after silver's commit.
    assert decide(spark, [line(), line(), line(amount=1)], held) == {
        1: ("accepted", []),
        2: ("duplicate", []),
        3: ("quarantined", ["altered_duplicate"]),
    }


def test_what_could_be_the_same_event_is_found_by_its_id_within_the_horizon(spark: SparkSession) -> None:
    days = {"e1": "05", "e2": "04", "e3": "01", "e4": "05"}
    held = typed(bronze_rows(spark, [line(event_id=k, event_time=f"2026-01-{d}T10:00:00Z") for k, d in days.items()]),
                 TRANSACTIONS).localCheckpoint()  # fmt: skip
    rows = typed(bronze_rows(spark, [line(event_id=name) for name in ("e1", "e2", "e3", "e9")]), TRANSACTIONS)
    found = held_near(held, rows, TRANSACTIONS, 2, extent_of(rows, TRANSACTIONS))
    assert sorted(row["event_id"] for row in found.collect()) == ["e1", "e2"]
    nobody = rows.where("event_id = 'e9'")
    assert held_near(held, nobody, TRANSACTIONS, 2, extent_of(nobody, TRANSACTIONS)).collect() == []


def test_the_extent_counts_all_lines_and_dates_only_the_good_ones(spark: SparkSession) -> None:
    far = line(amount=-5, event_time="2024-01-01T00:00:00Z")
    rows = typed(bronze_rows(spark, [line(), "no json", far]), TRANSACTIONS)
    day = datetime(2026, 1, 5).date()
    assert extent_of(rows, TRANSACTIONS) == Extent(3, 1, day, day)
    assert extent_of(rows.where("false"), TRANSACTIONS) == Extent(0, 0, None, None)


def test_a_null_in_another_column_is_another_content(spark: SparkSession) -> None:
    outcome = decide(spark, [line(device_id="x"), line(payment_method_id="x")])
    assert outcome[2] == ("quarantined", ["altered_duplicate"])


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


def test_how_a_dispute_ended_is_kept_beside_the_verdict_on_its_line(spark: SparkSession) -> None:
    rows = typed(bronze_rows(spark, [json.dumps(DISPUTE)], DISPUTES), DISPUTES)
    none = spark.createDataFrame([], TABLES["silver.disputes"].schema)
    [row] = decided(rows, none, DISPUTES, HORIZON_DAYS).collect()
    assert (row["outcome"], row["verdict"]) == ("lost", "accepted")


def test_the_builder_of_transactions_builds_an_accepted_line(
    spark: SparkSession, transaction: Callable[..., str]
) -> None:
    assert decide(spark, [transaction("new")]) == {1: ("accepted", [])}
