"""Writes of one micro-batch side by side: each spends most of its time in one thread, planning and asking a log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from pyspark import inheritable_thread_target
from pyspark.sql import SparkSession

Work = Callable[[], None]

# Kept, as each thread has a connection to Java. Nothing that is done in one waits for another.
_THREADS = ThreadPoolExecutor(3, thread_name_prefix="side-by-side")


def side_by_side(spark: SparkSession, works: Sequence[Work]) -> None:
    """Do some works at once, and return when all have ended; raises what the first of them raised.

    To Spark they belong to the caller's thread: what stops its query stops them too.
    """
    if not works:
        return
    first, *others = works
    as_here = inheritable_thread_target(spark)
    begun = [_THREADS.submit(as_here(work)) for work in others]
    try:
        first()
    finally:
        failures = [one.exception() for one in begun]
    for failure in failures:
        if failure is not None:
            raise failure
