"""Writes of one micro-batch that are done at once."""

from __future__ import annotations

import threading

import pytest
from pyspark.sql import SparkSession

from lake.storage.pools import in_pool
from spark_jobs.side_by_side import side_by_side


def test_all_works_are_done_at_the_same_time_and_before_it_returns(spark: SparkSession) -> None:
    together, done = threading.Barrier(3, timeout=30), list[int]()

    def work(number: int) -> None:
        together.wait()
        done.append(number)

    side_by_side(spark, [lambda number=number: work(number) for number in range(3)])
    assert sorted(done) == [0, 1, 2]
    side_by_side(spark, [])


def test_to_spark_each_work_belongs_to_the_thread_that_asked_for_it(spark: SparkSession) -> None:
    pools = list[str | None]()

    def work() -> None:
        pools.append(spark.sparkContext.getLocalProperty("spark.scheduler.pool"))

    for pool in ("first", "second"):
        with in_pool(spark, pool):
            side_by_side(spark, [work, work, work])
    assert pools == ["first"] * 3 + ["second"] * 3


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_what_one_raises_is_raised_when_the_others_have_ended(spark: SparkSession, failing: int) -> None:
    done = list[int]()

    def work(number: int) -> None:
        if number == failing:
            raise OSError(f"the disk of {number} is full")
        done.append(number)

    with pytest.raises(OSError, match=f"the disk of {failing} is full"):
        side_by_side(spark, [lambda number=number: work(number) for number in range(3)])
    assert sorted(done) == [number for number in range(3) if number != failing]
