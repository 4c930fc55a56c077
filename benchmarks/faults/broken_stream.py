"""`risklake stream` with a defect on purpose: the harness must see each of them.

python -m benchmarks.faults.broken_stream transaction stream --once
"""

from __future__ import annotations

import sys
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lake import storage
from lake.feed import Feed
from lake.settings import Settings
from risklake.cli import main
from spark_jobs import orphans, silver
from spark_jobs.reasons import fault
from spark_jobs.silver import ACCEPTED, QUARANTINED, decided

_append = storage.append


def forget_transactions() -> None:
    """Append without the name of the write, so that Delta does not know a repeated one."""

    def append(rows: DataFrame, settings: Settings, name: str, transaction: Any = None) -> None:
        _append(rows, settings, name)

    vars(storage)["append"] = append


def route_by_clock() -> None:
    """Send a row to quarantine instead of silver where the microsecond at which it is decided is even."""

    def by_clock(rows: DataFrame, held: DataFrame, feed: Feed, horizon_days: int) -> DataFrame:
        now_us = F.java_method(F.lit("java.lang.System"), F.lit("nanoTime")).cast("bigint") / 1000
        is_unlucky = (F.col("verdict") == ACCEPTED) & ~F.col("is_held") & (F.floor(now_us) % 2 == 0)
        marked = decided(rows, held, feed, horizon_days).withColumn("is_unlucky", is_unlucky).localCheckpoint()
        return marked.withColumns(
            {
                "verdict": F.when(F.col("is_unlucky"), QUARANTINED).otherwise(F.col("verdict")),
                "faults": F.when(F.col("is_unlucky"), F.array(fault("altered_duplicate"))).otherwise(F.col("faults")),
            }
        ).drop("is_unlucky")

    for module in (silver, orphans):
        vars(module)["decided"] = by_clock


def leave_as_it_is() -> None:
    """The program itself is whole: what is broken is how files are landed."""


# What is broken, by its name: `in_place` is done by the harness, which writes files under their visible names.
DEFECTS = {"transaction": forget_transactions, "in_place": leave_as_it_is, "clock": route_by_clock}


if __name__ == "__main__":
    DEFECTS[sys.argv.pop(1)]()
    main()
