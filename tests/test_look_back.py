"""The look back of features, micro-batch by micro-batch, held against what all of silver says."""

from __future__ import annotations

from datetime import UTC, timedelta
from pathlib import Path
from random import Random

import pytest
from pyspark.sql import DataFrame, Row, SparkSession

from lake import storage
from lake.settings import Settings
from spark_jobs import look_back as look_back_module
from spark_jobs.features import changed
from spark_jobs.look_back import SLACK, SOURCE, STEP, Around, Batch
from spark_jobs.table_log import TableLog
from spark_jobs.time_ranges import TimeRanges
from spark_jobs.user_5m import CONTENT, INPUTS, user_5m
from spark_jobs.user_look_back import UserLookBack
from tests.payments import START, Payment, silver_rows

# How late a transaction comes, in seconds: mostly not, some across each edge of what is kept, some from the future.
LATENESS = [0.0] * 12 + [30.0, 290.0, 310.0, 800.0, 950.0, 4000.0, 86_400.0, 29.9 * 86_400, 30.1 * 86_400, -4000.0]
USERS = 6


def deliveries(seed: int, batches: int, size: int) -> list[list[Payment]]:
    """Micro-batches whose times move on by some minutes each, with pauses of hours, and late ones among them."""
    random, now, made = Random(seed), START, []
    for batch in range(batches):
        now += timedelta(hours=5) if random.random() < 0.1 else timedelta(minutes=random.choice([1, 3, 8]))
        made.append([
            (
                f"{seed}-{batch:02d}-{n:02d}",
                f"u{random.randrange(USERS)}",
                # Whole seconds, so that there are ties; a minute's events come in any order.
                now + timedelta(seconds=random.randrange(60) - int(random.choice(LATENESS))),
            )
            for n in range(size)
        ])  # fmt: skip
    return made


def taken(settings: Settings) -> int:
    """The version of silver that holds all that was appended so far."""
    return TableLog(Path(settings.table_path(SOURCE))).latest()


def surroundings(spark: SparkSession, settings: Settings, look_back: UserLookBack, payments: list[Payment]) -> Around:
    rows = silver_rows(spark, payments).coalesce(1)
    storage.append(rows, settings, SOURCE)
    around = look_back.around(batch_of(rows), taken(settings))
    look_back.wait()
    return around


def batch_of(rows: DataFrame) -> Batch:
    batch = Batch.in_memory(rows.select(*INPUTS))
    assert batch is not None
    return batch


def is_within(row: Row, ranges: TimeRanges) -> bool:
    at = row["event_time"].astimezone(UTC)
    return any(begin <= at < end for begin, end in ranges.ranges)


@pytest.mark.parametrize("seed", [1, 2])
def test_what_is_changed_batch_by_batch_equals_all_of_silver_whatever_comes_late(
    spark: SparkSession, settings: Settings, seed: int
) -> None:
    look_back, stored = UserLookBack(settings, keeps=True), dict[str, Row]()
    for batch in deliveries(seed, batches=10, size=24):
        around = surroundings(spark, settings, look_back, batch)
        found = {row["event_id"]: row for row in changed(around.rows).select(*CONTENT).collect()}
        new = {event_id for event_id, _, _ in batch}
        assert new <= found.keys()
        if around.to_correct is not None:
            assert all(is_within(row, around.to_correct) for event_id, row in found.items() if event_id not in new)
        # As the stream does: rows of this micro-batch are added, those before it corrected.
        stored |= found
    whole = user_5m(storage.read(spark, settings, SOURCE).select(*INPUTS)).select(*CONTENT)
    assert stored == {row["event_id"]: row for row in whole.collect()}


def test_transactions_in_order_need_no_file_of_silver(spark: SparkSession, settings: Settings) -> None:
    look_back, apart = UserLookBack(settings, keeps=True), timedelta(minutes=3)
    for number in range(14):
        batch = [(f"{number}-{user}", f"u{user}", START + number * apart) for user in range(3)]
        around = surroundings(spark, settings, look_back, batch)
    assert around.rows.inputFiles() == []
    assert around.to_correct == TimeRanges(())
    assert len(look_back._memory._since) <= 3 * ((SLACK + STEP) / apart + 1)
    assert {row["seconds_since_previous"] for row in changed(around.rows).where("is_new").collect()} == {180.0}


def test_a_user_silent_for_days_is_still_known_and_one_of_a_month_ago_is_not(
    spark: SparkSession, settings: Settings
) -> None:
    look_back, gap = UserLookBack(settings, keeps=True), {}
    for day, users in ((0, "ab"), (1, "c"), (29, "ca"), (32, "cb")):
        at = START + timedelta(days=day)
        around = surroundings(spark, settings, look_back, [(f"{user}{day}", user, at) for user in users])
        gap |= {
            row["event_id"]: row["seconds_since_previous"] for row in changed(around.rows).where("is_new").collect()
        }
    assert (gap["a29"], gap["c29"], gap["c32"], gap["b32"]) == (29 * 86_400, 28 * 86_400, 3 * 86_400, None)


def test_a_payment_of_the_future_sees_all_that_comes_before_it(spark: SparkSession, settings: Settings) -> None:
    look_back, counts, minute = UserLookBack(settings, keeps=True), dict[str, int](), timedelta(minutes=1)
    for minutes in ((0, 41), (5,), (12,), (14,)):
        payments = [(f"{at}", "u", START + at * minute) for at in minutes]
        around = surroundings(spark, settings, look_back, payments)
        counts |= {row["event_id"]: row["txn_count_1h"] for row in changed(around.rows).collect()}
    assert counts == {"0": 1, "5": 2, "12": 3, "14": 4, "41": 5}


def test_a_micro_batch_that_ends_within_a_commit_moves_nothing_and_is_still_exact(
    spark: SparkSession, settings: Settings
) -> None:
    look_back = UserLookBack(settings, keeps=True)
    surroundings(spark, settings, look_back, [("a", "u", START)])
    moment = look_back._memory.moment
    later = [("b", "u", START + timedelta(hours=3)), ("c", "u", START + timedelta(hours=3, minutes=1))]
    storage.append(silver_rows(spark, later), settings, SOURCE)
    for payment, gap in zip(later, (3 * 3600, 60), strict=True):
        around = look_back.around(batch_of(silver_rows(spark, [payment])), None)
        rows = {row["event_id"]: row for row in changed(around.rows).where("is_new").collect()}
        assert rows[payment[0]]["seconds_since_previous"] == gap
        assert look_back._memory.moment == moment


@pytest.mark.parametrize(("where", "limit"), [(UserLookBack, "MOST"), (look_back_module, "MOST_NEW")])
def test_where_too_much_would_be_kept_silver_is_read_and_says_the_same(
    spark: SparkSession, settings: Settings, monkeypatch: pytest.MonkeyPatch, where: object, limit: str
) -> None:
    monkeypatch.setattr(where, limit, 2)
    look_back, apart = UserLookBack(settings, keeps=True), timedelta(minutes=7)
    for number in range(3):
        batch = [(f"{number}-{user}", f"u{user}", START + number * apart) for user in range(3)]
        around = surroundings(spark, settings, look_back, batch)
        assert look_back._memory is None
    assert around.rows.inputFiles() != []
    assert {row["seconds_since_previous"] for row in changed(around.rows).where("is_new").collect()} == {420.0}
