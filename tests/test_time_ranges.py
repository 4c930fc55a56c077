"""The ranges of event time of a micro-batch: none of its rows is left out, and little else is in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_jobs.time_ranges import TimeRanges, _covered, ranges_and_any, ranges_of_each, time_ranges

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BUCKET = timedelta(minutes=5)


@given(st.sets(st.integers(-1000, 10_000_000), max_size=60))
def test_ranges_are_few_apart_and_hold_every_bucket(buckets: set[int]) -> None:
    ranges = _covered(sorted(buckets))
    assert len(ranges) <= 16
    assert all(end < begin for (_, end), (begin, _) in pairwise(ranges))
    for bucket in buckets:
        at = EPOCH + bucket * BUCKET
        assert sum(begin <= at and at + BUCKET <= end for begin, end in ranges) == 1
    # Each begins and ends with a bucket that is asked for.
    assert {begin for begin, _ in ranges} <= {EPOCH + bucket * BUCKET for bucket in buckets}
    assert {end for _, end in ranges} <= {EPOCH + (bucket + 1) * BUCKET for bucket in buckets}


def test_the_widest_gaps_are_left_out_where_there_are_too_many() -> None:
    starts = [0, *(1000 + 10 * n for n in range(30)), 100_000]
    ranges = _covered(starts)
    assert ranges[0] == (EPOCH, EPOCH + BUCKET)
    assert ranges[-1][0] == EPOCH + 100_000 * BUCKET


def at_times(spark: SparkSession, *times: str) -> DataFrame:
    """Rows of these times (UTC), as `old`."""
    rows = spark.createDataFrame([(f"{time}Z",) for time in times], "text string")
    return rows.selectExpr("timestamp(text) as event_time", "date(timestamp(text)) as event_date").alias("old")


@pytest.mark.parametrize("alias", ["", "old"])
def test_the_condition_takes_the_rows_and_leaves_out_those_of_other_times(spark: SparkSession, alias: str) -> None:
    times = ["2026-01-05T23:59:59.999999", "2026-01-06T00:00:00", "2026-03-01T12:00:00", "1969-12-31T23:59:59"]
    rows = at_times(spark, *times, times[0])
    ranges = time_ranges(rows)
    assert len(ranges.ranges) == 3
    assert rows.where(ranges.condition(alias)).count() == 5
    others = ["2026-01-05T23:54:59.999999", "2026-01-06T00:05:00", "2026-02-01T00:00:00", "1970-01-01T00:00:00"]
    assert at_times(spark, *others).where(ranges.condition(alias)).isEmpty()


def test_no_rows_have_no_range_and_the_condition_takes_nothing(spark: SparkSession) -> None:
    ranges = time_ranges(at_times(spark, "2026-01-05T00:00:00").where("false"))
    assert ranges == TimeRanges(())
    assert not ranges
    assert at_times(spark, "2026-01-05T00:00:00").where(ranges.condition()).isEmpty()


def test_wider_ranges_take_what_lies_near(spark: SparkSession) -> None:
    ranges = time_ranges(at_times(spark, "2026-01-06T00:00:00", "2026-03-01T12:00:00")).wider(timedelta(minutes=5))
    near = at_times(spark, "2026-01-05T23:55:00", "2026-01-06T00:09:59.999999", "2026-03-01T11:55:00")
    assert near.where(ranges.condition()).count() == 3
    assert at_times(spark, "2026-01-05T23:54:59.999999", "2026-01-06T00:10:00").where(ranges.condition()).isEmpty()


def test_one_look_also_tells_whether_any_row_meets_a_condition(spark: SparkSession) -> None:
    rows = at_times(spark, "2026-01-05T00:00:00", "2026-03-01T12:00:00")
    assert ranges_and_any(rows, F.col("event_date") == "2026-03-01") == (time_ranges(rows), True)
    assert ranges_and_any(rows, F.col("event_date") == "2026-03-02") == (time_ranges(rows), False)
    assert ranges_and_any(rows.where("false"), F.lit(True)) == (TimeRanges(()), False)


def test_ranges_of_several_kinds_of_rows_are_told_apart(spark: SparkSession) -> None:
    some = at_times(spark, "2026-01-05T00:00:00", "2026-01-05T00:01:00"), at_times(spark, "2026-03-01T12:00:00")
    nothing = some[0].where("false")
    assert ranges_of_each(some[0], nothing, some[1]) == [time_ranges(some[0]), TimeRanges(()), time_ranges(some[1])]
