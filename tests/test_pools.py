"""Pools of Spark's scheduler: what no alert waits for leaves cores to the line."""

from __future__ import annotations

import threading

import pytest
from pyspark.sql import DataFrame, SparkSession

from lake import storage
from lake.settings import Settings
from lake.storage.pools import BESIDE, LINE, in_pool
from spark_jobs.streams import Rank

POOL, PARTITIONS = "spark.scheduler.pool", "spark.sql.shuffle.partitions"


def test_a_thread_is_in_a_pool_for_as_long_as_it_says(spark: SparkSession) -> None:
    context = spark.sparkContext
    assert context.getLocalProperty(POOL) is None
    with in_pool(spark, LINE):
        with in_pool(spark, BESIDE):
            assert context.getLocalProperty(POOL) == BESIDE
        assert context.getLocalProperty(POOL) == LINE
    assert context.getLocalProperty(POOL) is None


def test_spark_shares_its_cores_between_pools(spark: SparkSession) -> None:
    assert spark.conf.get("spark.scheduler.mode") == "FAIR"


@pytest.mark.parametrize(
    ("rank", "pool", "share"), [(Rank.BRONZE, LINE, 1), (Rank.ALERTS, LINE, 1), (Rank.MONITORING, BESIDE, 2)]
)
def test_a_stream_that_no_alert_waits_for_takes_half_and_in_its_own_pool(
    spark: SparkSession, settings: Settings, rank: Rank, pool: str, share: int
) -> None:
    seen, enough = list[tuple[str | None, str | None]](), threading.Event()

    def write(batch: DataFrame, batch_id: int) -> None:
        of_stream = batch.sparkSession
        seen.append((of_stream.sparkContext.getLocalProperty(POOL), of_stream.conf.get(PARTITIONS)))
        enough.set()

    rows = spark.readStream.format("rate-micro-batch").option("rowsPerBatch", 1).load()
    query = storage.stream_batches(rows, settings, write, query=f"rank{int(rank)}", continuous=True, rank=rank)
    try:
        assert enough.wait(60)
    finally:
        query.stop()
    configured = int(str(spark.conf.get(PARTITIONS)))
    assert configured > 1
    assert seen[0] == (pool, str(configured // share))
    assert spark.sparkContext.getLocalProperty(POOL) is None
