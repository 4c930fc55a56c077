"""All feeds through bronze and silver on one lake, in three rounds: references come late, change, are repeated."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from pyspark.sql import Row, SparkSession

from lake import storage
from lake.catalog import ORPHANS, QUARANTINE
from lake.errors import SettingError
from lake.feed_tables import bronze_table
from lake.feeds import FEEDS
from lake.inbox import land_lines
from lake.settings import Settings, load_settings
from spark_jobs import pipeline
from spark_jobs.orphans import policies
from spark_jobs.reconciliation import Status, close_run
from spark_jobs.rules.watched import JUDGED
from spark_jobs.typed import typed
from tests.lines_of_feeds import line


def test_the_feeds_that_come_through_first_are_those_that_rules_judge() -> None:
    assert {feed.name for feed in FEEDS.values() if feed.is_judged} == set(JUDGED)


CSV_HEADER = "merchant_id,name,category,country,created_date"
ROUNDS: list[dict[str, list[str]]] = [
    {
        "users": [line("users")],
        "merchants": [line("merchants")],
        "transactions": [
            line("transactions"),
            line("transactions", event_id="t2", user_id="u2"),
            line("transactions", event_id="t3", user_id="u2", merchant_id="m2", mood="sad"),
        ],
        "orders": [
            line("orders", user_id="u9"),
            line("orders", order_id="o2", amount="1.250", mood="good"),
            line("orders", order_id="o3", user_id="u1", event_ts="2026-01-05T11:00:00Z", source="app", mood="good"),
        ],
    },
    {
        "users": [line("users", user_id="u2"), line("users", phone_number="+62 811 1111 111"), line("users")],
        # The same event twice, while its first line still waits.
        "transactions": [line("transactions", event_id="t2", user_id="u2")],
    },
    {
        "merchants": [
            CSV_HEADER,
            'm2,"Toko ""Baru"", Jakarta",food,ID,31.01.1999',
            "m3,Warung,food,ID",
            "m4,Warung,food,ID,01/02/2024",
        ]
    },
]


@dataclass
class Seen:
    """What a lake held after a round."""

    status: Status
    tables: dict[str, list[Row]]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    root = tmp_path_factory.mktemp("feeds") / "lake"
    flags = {"lake_root": str(root), "orphans": "transactions=wait"}
    return load_settings(flags, environment={})


@pytest.fixture(scope="module")
def rounds(spark: SparkSession, settings: Settings) -> list[Seen]:
    seen = []
    for number, feeds in enumerate(ROUNDS):
        for feed, lines in feeds.items():
            name = f"{number}.csv" if lines[0] == CSV_HEADER else f"{number}.jsonl"
            land_lines(lines, settings.local_path("inbox", feed), name)
        # What rules make of the events is another matter.
        pipeline.run(spark, settings, continuous=False, jobs=["bronze", "silver", "features"])
        status = close_run(spark, settings, with_parity=True)
        names = [name for name in storage.tables_on_disk(spark, settings) if name.startswith("silver.")]
        seen.append(Seen(status, {name: storage.read(spark, settings, name).collect() for name in names}))
    return seen


def keys(rows: list[Row], name: str) -> list[str]:
    return sorted(row[name] for row in rows)


def test_every_line_stands_in_exactly_one_place_after_each_round(rounds: list[Seen]) -> None:
    for seen in rounds:
        assert seen.status.is_consistent, seen.status.as_dict()
    first = {name: tuple(counts.as_dict().values())[:7] for name, counts in rounds[0].status.feeds.items()}
    #                  lines, bronze, silver, quarantined, duplicates, waiting, orphans
    assert first == {
        "users": (1, 1, 1, 0, 0, 0, 0),
        "merchants": (1, 1, 1, 0, 0, 0, 0),
        "transactions": (3, 3, 1, 0, 0, 2, 0),
        "orders": (3, 3, 2, 1, 0, 0, 1),
        "disputes": (0, 0, 0, 0, 0, 0, 0),
    }


def test_an_order_is_pending_and_its_amount_is_a_number_in_a_currency(rounds: list[Seen]) -> None:
    [order] = [row for row in rounds[0].tables["silver.orders"] if row["order_id"] == "o1"]
    assert (order["status"], order["amount"], order["source"]) == ("Pending", "Rp 1.250.000", "inbox")
    assert (order["amount_numeric"], order["amount_currency"]) == (Decimal("1250000.0000"), "IDR")
    assert order["event_ts"] == order["created_date"] == datetime(2026, 1, 5, 10)


def test_what_the_producer_tells_of_an_order_is_kept(rounds: list[Seen]) -> None:
    [order] = [row for row in rounds[0].tables["silver.orders"] if row["order_id"] == "o3"]
    assert (order["event_ts"], order["source"]) == (datetime(2026, 1, 5, 11), "app")


def test_an_ambiguous_amount_is_quarantined_not_guessed(rounds: list[Seen]) -> None:
    codes = [(row["feed"], row["reasons"][0]["code"]) for row in rounds[0].tables[QUARANTINE.name]]
    assert codes == [("orders", "ambiguous_amount")]


def test_a_waiting_event_is_taken_up_when_its_user_arrives_and_no_sooner(rounds: list[Seen]) -> None:
    taken = [keys(seen.tables["silver.transactions"], "event_id") for seen in rounds]
    # t3 lacks its user and its merchant, which comes last.
    assert taken == [["t1"], ["t1", "t2"], ["t1", "t2", "t3"]]
    assert [seen.status.feeds["transactions"].waiting for seen in rounds] == [2, 1, 0]
    assert rounds[2].tables[ORPHANS.name] == []


def test_a_repeat_of_an_event_that_waits_is_a_duplicate(rounds: list[Seen]) -> None:
    assert rounds[1].status.feeds["transactions"].duplicates == 1


def test_an_event_of_an_unknown_user_is_accepted_and_reported_where_nothing_else_is_set(rounds: list[Seen]) -> None:
    assert keys(rounds[0].tables["silver.orders"], "order_id") == ["o1", "o3"]
    # Products are unknown too, but no product has ever arrived: this lake gets none.
    assert rounds[0].status.feeds["orders"].orphans == 1


def test_every_event_that_was_taken_up_has_its_features(rounds: list[Seen]) -> None:
    for seen in rounds:
        assert seen.status.features["user_5m"].rows == len(seen.tables["silver.transactions"])
        assert seen.status.parity["user_5m"].differing == 0


def test_a_changed_user_is_a_new_version_and_a_repeat_of_an_old_one_is_a_duplicate(rounds: list[Seen]) -> None:
    history = sorted(
        (row for row in rounds[1].tables["silver.users_history"] if row["user_id"] == "u1"),
        key=lambda row: row["valid_from"],
    )
    assert [(row["source_file"], row["line_number"], row["is_current"]) for row in history] == [
        ("0.jsonl", 1, False),
        ("1.jsonl", 2, True),
    ]
    assert history[0]["valid_to"] == history[1]["valid_from"]
    assert history[1]["valid_to"] is None
    [latest] = [row for row in rounds[1].tables["silver.users"] if row["user_id"] == "u1"]
    assert latest["content_hash"] == history[1]["content_hash"]
    assert rounds[1].status.feeds["users"].duplicates == 1


def test_reference_rows_may_come_as_csv(rounds: list[Seen]) -> None:
    [merchant] = [row for row in rounds[2].tables["silver.merchants"] if row["merchant_id"] == "m2"]
    assert (merchant["name"], merchant["created_date"]) == ('Toko "Baru", Jakarta', datetime(1999, 1, 31))
    refused = {
        row["line_number"]: row["reasons"][0]["code"]
        for row in rounds[2].tables[QUARANTINE.name]
        if row["source_file"] == "2.csv"
    }
    assert refused == {3: "malformed_csv", 4: "ambiguous_date"}


def test_dates_of_reference_feeds_are_times(rounds: list[Seen]) -> None:
    [merchant] = rounds[0].tables["silver.merchants"]
    assert merchant["created_date"] == datetime(1999, 1, 31)


def test_fields_that_no_feed_declares_are_reported_for_accepted_lines(rounds: list[Seen]) -> None:
    # The payment that tells its mood waits.
    assert rounds[0].status.unknown_fields == {"orders.mood": 1, "transactions.mood": 1}
    assert rounds[-1].status.unknown_fields == rounds[0].status.unknown_fields


@pytest.mark.parametrize("name", ["products", "devices", "payment_methods", "behaviour", "disputes"])
def test_a_line_of_each_other_feed_is_accepted_with_its_values(spark: SparkSession, name: str) -> None:
    at = datetime(2026, 1, 6, tzinfo=UTC)
    values = (line(name), None, "a.jsonl", 1, at, None, at, at.date())
    rows = spark.createDataFrame([values], bronze_table(FEEDS[name]).schema)
    [row] = typed(rows, FEEDS[name], b"the masking key of this test").collect()
    assert row["faults"] == []
    wanted = {
        "products": {"price": Decimal("1250000.0000"), "cost": Decimal("900000.0000")},
        "devices": {"user_id": "u1", "created_date": datetime(2024, 3, 1)},
        "payment_methods": {"kind": "debit_card"},
        "behaviour": {"event_time": datetime(2026, 1, 5, 10), "session_id": None},
        "disputes": {"outcome": "lost"},
    }[name]
    assert {column: row[column] for column in wanted} == wanted
    assert "0042" not in str({**row.asDict(), "line": None})


def test_names_mails_phones_and_last_digits_are_tokens_in_silver(rounds: list[Seen]) -> None:
    for seen in rounds:
        held = json.dumps([[str(value) for value in row] for rows in seen.tables.values() for row in rows])
        for personal in ("Budi", "budi@mail.id", "812 3456", "811 1111"):
            assert personal not in held


def test_each_run_leaves_a_row_a_feed_in_monitoring(
    spark: SparkSession, settings: Settings, rounds: list[Seen]
) -> None:
    rows = storage.read(spark, settings, "monitoring.ingestion").collect()
    assert len({row["run_id"] for row in rows}) == len(rounds)
    assert {(row["verdict"], row["difference"]) for row in rows} == {("Consistent", 0)}
    assert all(row["measured_at"].astimezone(UTC).date() == row["measured_date"] for row in rows)


@pytest.mark.parametrize("wrong", ["transactions", "transactions=maybe", "users=wait", "fax=wait"])
def test_a_wrong_policy_for_orphans_is_refused_with_the_words_that_would_be_right(
    wrong: str, load: Callable[[str], Settings]
) -> None:
    with pytest.raises(SettingError, match="write feed=policy, such as transactions=wait"):
        policies(load(wrong))


@pytest.fixture
def load() -> Callable[[str], Settings]:
    return lambda orphans: load_settings({"orphans": orphans}, environment={})
