"""The look back of features, micro-batch by micro-batch, held against what all of silver says."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from pyspark.sql import DataFrame, Row, SparkSession

from lake import storage
from lake.catalog import TABLES, USER_5M
from lake.settings import Settings
from spark_jobs.features import changed
from spark_jobs.look_back import SLACK, SOURCE, STEP, LookBack
from spark_jobs.user_5m import INPUTS, user_5m

START = datetime(2026, 1, 5, 10, tzinfo=UTC)
# How late a transaction comes, in seconds: mostly not, some across each edge of what is kept, some from the future.
LATENESS = [0.0] * 12 + [30.0, 290.0, 310.0, 800.0, 950.0, 4000.0, 86_400.0, 29.9 * 86_400, 30.1 * 86_400, -4000.0]
USERS = 6


def transactions(spark: SparkSession, rows: Iterable[tuple[str, str, datetime]]) -> DataFrame:
    """Rows of `silver.transactions` from ids, users and times."""
    schema = TABLES[SOURCE].schema
    usual: dict[str, Any] = {
        "merchant_id": "m1", "amount": Decimal(10), "currency": "EUR", "country": "DE", "arrived_at": START,
        "source_file": "file:/a", "line_number": 1, "content_hash": 1, "rest": None,
    }  # fmt: skip
    made = []
    for event_id, user_id, at in rows:
        row = usual | {"event_id": event_id, "user_id": user_id, "event_time": at, "event_date": at.date()}
        row |= {"country": "ID" if hash(at) % 3 else "DE", "merchant_id": f"m{at.second % 4}"}
        made.append(tuple(row.get(name) for name in schema.names))
    return spark.createDataFrame(made, schema)


def deliveries(seed: int, batches: int, size: int) -> list[list[tuple[str, str, datetime]]]:
    """Micro-batches whose times move on by some three minutes each, with pauses of hours, and late ones among them."""
    random, now, made = Random(seed), START, []
    for batch in range(batches):
        now += timedelta(hours=5) if random.random() < 0.1 else timedelta(minutes=random.choice([1, 3, 8]))
        made.append([
            (
                f"{batch:02d}-{n:02d}",
                f"u{random.randrange(USERS)}",
                # Whole seconds, so that there are ties; a minute's events come in any order.
                now + timedelta(seconds=random.randrange(60) - int(random.choice(LATENESS))),
            )
            for n in range(size)
        ])  # fmt: skip
    return made


def test_what_is_changed_batch_by_batch_equals_all_of_silver_whatever_comes_late(
    spark: SparkSession, settings: Settings
) -> None:
    look_back, stored = LookBack(settings, keeps=True), dict[str, Row]()
    for batch in deliveries(seed=1, batches=10, size=24):
        rows = transactions(spark, batch)
        storage.append(rows, settings, SOURCE)
        around = look_back.around(rows.select(*INPUTS))
        assert around is not None
        found = {row["event_id"]: row for row in changed(around).select(*USER_5M.column_names).collect()}
        assert {event_id for event_id, _, _ in batch} <= found.keys()
        # As the stream does: rows of this micro-batch are added, those before it corrected.
        stored |= found
    whole = user_5m(storage.read(spark, settings, SOURCE).select(*INPUTS)).select(*USER_5M.column_names)
    assert stored == {row["event_id"]: row for row in whole.collect()}


def test_transactions_in_order_are_found_without_reading_the_files_of_older_ones(
    spark: SparkSession, settings: Settings
) -> None:
    look_back, apart = LookBack(settings, keeps=True), timedelta(minutes=3)
    for number in range(16):
        batch = [(f"{number}-{user}", f"u{user}", START + number * apart) for user in range(3)]
        rows = transactions(spark, batch)
        storage.append(rows.coalesce(1), settings, SOURCE)
        around = look_back.around(rows.select(*INPUTS))
    assert around is not None
    # One file each: those since the moment, and of the five minutes before it.
    assert len(around.inputFiles()) <= (SLACK + STEP + timedelta(minutes=5)) / apart + 2 < 16
    assert {row["seconds_since_previous"] for row in changed(around).where("is_new").collect()} == {180.0}


def test_a_user_silent_for_days_is_still_known_and_one_of_a_month_ago_is_not(
    spark: SparkSession, settings: Settings
) -> None:
    look_back, gap = LookBack(settings, keeps=True), {}
    for day, users in ((0, "ab"), (1, "c"), (29, "ca"), (32, "cb")):
        at = START + timedelta(days=day)
        rows = transactions(spark, [(f"{user}{day}", user, at) for user in users])
        storage.append(rows, settings, SOURCE)
        around = look_back.around(rows.select(*INPUTS))
        assert around is not None
        gap |= {row["event_id"]: row["seconds_since_previous"] for row in changed(around).where("is_new").collect()}
    assert (gap["a29"], gap["c29"], gap["c32"], gap["b32"]) == (29 * 86_400, 28 * 86_400, 3 * 86_400, None)


def test_an_empty_micro_batch_has_no_surroundings(spark: SparkSession, settings: Settings) -> None:
    assert LookBack(settings, keeps=True).around(transactions(spark, []).select(*INPUTS)) is None
