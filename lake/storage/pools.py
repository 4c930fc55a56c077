"""Pools of Spark's scheduler: a core that comes free goes to the line to the alerts, however much else waits for one.

Without them Spark works on what was asked first, and a micro-batch of a second waits for a compaction of many.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pyspark.sql import SparkSession

LINE, BESIDE = "line", "beside"
_POOL = "spark.scheduler.pool"


@contextmanager
def in_pool(spark: SparkSession, pool: str) -> Iterator[None]:
    """Put what this thread asks of Spark meanwhile, and the streams that it starts, into a pool.

    Where `spark.scheduler.mode` is FIFO, Spark takes no notice of it.
    """
    context = spark.sparkContext
    before = context.getLocalProperty(_POOL)
    context.setLocalProperty(_POOL, pool)
    try:
        yield
    finally:
        # Without a value it is taken away, though PySpark's types do not say so.
        context.setLocalProperty(_POOL, before)  # type: ignore[arg-type]
