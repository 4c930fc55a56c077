"""Where typed lines go: which one of an id is the event, and what the others are."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest
from chispa import assert_df_equality
from hypothesis import HealthCheck, given
from hypothesis import settings as tries
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lake.catalog import TABLES
from lake.feeds import DISPUTES, TRANSACTIONS
from spark_jobs.known_ids import looked_at
from spark_jobs.verdicts import Extent, Look, decided, extent_of, held_near
from tests.silver_lines import DISPUTE, bronze_rows, line, typed

HORIZON_DAYS = 7


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


@pytest.mark.parametrize(
    "lines",
    [
        [line(), line(event_id="e2", extra=1), line(event_id="e3", amount=-5), line(amount=-5, extra=1), "no json"],
        [line(event_id="e4", more={"a": None}), line(event_id="e5", extra=1)],
        ["no json", "{}"],
    ],
)
def test_lines_whose_keys_are_all_new_are_decided_about_without_comparing_them(
    spark: SparkSession, lines: list[str]
) -> None:
    rows = typed(bronze_rows(spark, lines), TRANSACTIONS).localCheckpoint()
    nothing = spark.createDataFrame([], TABLES["silver.transactions"].schema)
    compared = decided(rows, nothing, TRANSACTIONS, HORIZON_DAYS).localCheckpoint()
    assert_df_equality(
        decided(rows, None, TRANSACTIONS, HORIZON_DAYS), compared, ignore_row_order=True, ignore_nullable=True
    )


def test_one_look_tells_the_extent_and_of_good_lines_the_keys_and_whether_one_is_drifted(spark: SparkSession) -> None:
    lines = [line(), line(), line(event_id="e2", amount=-5, extra=1), line(event_id="e3"), "no json"]
    rows = typed(bronze_rows(spark, [*lines, line(event_id="e4", extra=1)]), TRANSACTIONS)
    day = datetime(2026, 1, 5).date()
    seen = looked_at(rows.where("line_number <= 5"), TRANSACTIONS)
    assert seen == Look(Extent(5, 3, day, day), ["e1", "e1", "e3"], is_drifted=False)
    assert looked_at(rows, TRANSACTIONS) == Look(Extent(6, 4, day, day), ["e1", "e1", "e3", "e4"], is_drifted=True)
    assert looked_at(rows.where("false"), TRANSACTIONS) == Look(Extent(0, 0))


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


def test_how_a_dispute_ended_is_kept_beside_the_verdict_on_its_line(spark: SparkSession) -> None:
    rows = typed(bronze_rows(spark, [json.dumps(DISPUTE)], DISPUTES), DISPUTES)
    none = spark.createDataFrame([], TABLES["silver.disputes"].schema)
    [row] = decided(rows, none, DISPUTES, HORIZON_DAYS).collect()
    assert (row["outcome"], row["verdict"]) == ("lost", "accepted")


def test_the_builder_of_transactions_builds_an_accepted_line(
    spark: SparkSession, transaction: Callable[..., str]
) -> None:
    assert decide(spark, [transaction("new")]) == {1: ("accepted", [])}
