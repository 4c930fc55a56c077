"""What a job of the line offers to run: streams by name, each with the moment from which it can start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from pyspark.errors import StreamingQueryException
from pyspark.sql import SparkSession
from pyspark.sql.streaming import StreamingQuery

from lake.errors import StreamError
from lake.settings import Settings


class Rank(IntEnum):
    """The order in which micro-batches that wait get their turn: what is nearest to an alert comes first.

    What no alert waits for is negative: it takes turns apart from the line to the alerts.
    """

    CARE = -3
    MONITORING = -2
    REFERENCE = -1
    BRONZE = 0
    SILVER = 1
    FEATURES = 2
    ALERTS = 3


# A look for rows lists the log of a table. What passes several stages waits for one at each, but only for the first
# rows after a silence: else a stage rests until there are more. Where rows are found, a micro-batch costs a second or
# two however few they are, so what nobody waits for is gathered; and longest, what has to go through a whole table for
# them. Multiples of `trigger_seconds`.
URGENT, SELDOM, RARE = 0.25, 10.0, 300.0


@dataclass(frozen=True)
class Stream:
    """One streaming query: its name (also that of its checkpoint) and how it is started, continuous or to drain.

    `rank` orders the streams of a job where they drain one after the other: those that others refer to come first.
    """

    name: str
    start: Callable[[bool], StreamingQuery]
    rank: int = 0


class Job(Protocol):
    """A module of this package with the streams of one layer."""

    JOB: str

    def streams(self, spark: SparkSession, settings: Settings) -> list[Stream]:
        """The streams that can start now; later calls may give more, as tables come to be."""


def stream_error(name: str, failure: StreamingQueryException) -> StreamError:
    """What is said of a stream that has failed: the innermost cause, in one line.

    Where no Java exception is named, Spark's own words come first, and the plan of the stream last.
    """
    lines = [line.strip() for line in str(failure).splitlines() if line.strip()]
    causes = [line for line in lines if ("Error" in line or "Exception" in line) and not line.startswith("at ")]
    said = causes[-1] if causes else lines[0].rpartition("terminated with exception: ")[2] if lines else "unknown cause"
    return StreamError(f"The stream {name} stopped: {said}")
