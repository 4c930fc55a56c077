"""Ranges of event time that hold all rows of a micro-batch, as literals: by them files of other times are skipped."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, reduce

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark_jobs.instants import SECOND_US

_BUCKET_SECONDS = 300
_BUCKET_US = _BUCKET_SECONDS * SECOND_US
# A condition of more ranges costs more to plan than it saves.
_MOST = 16


@dataclass(frozen=True)
class TimeRanges:
    """Ranges of event time, in order and apart, each from its begin up to before its end (UTC); none for no rows."""

    ranges: tuple[tuple[datetime, datetime], ...]

    def condition(self, alias: str = "", *, time: str = "event_time") -> str:
        """The condition on `event_date` and the column of time, in SQL, of a table that may be called `alias`."""
        prefix = f"{alias}." if alias else ""
        return " or ".join(f"({_within(prefix, time, begin, end)})" for begin, end in self.ranges) or "false"

    def wider(self, by: timedelta) -> TimeRanges:
        """The same ranges and so much before and after each of them; they may come to overlap."""
        return TimeRanges(tuple((begin - by, end + by) for begin, end in self.ranges))

    def __bool__(self) -> bool:
        return bool(self.ranges)


def time_ranges(rows: DataFrame) -> TimeRanges:
    """Few ranges that hold the event time of each of these rows, with as little as may be between them."""
    bucket = F.floor(F.unix_micros("event_time") / _BUCKET_US).alias("bucket")
    return TimeRanges(_covered(sorted(row["bucket"] for row in rows.select(bucket).distinct().collect())))


def ranges_and_any(rows: DataFrame, condition: Column) -> tuple[TimeRanges, bool]:
    """The same, and whether any of the rows meets a condition, by one look at them."""
    # A query that groups them takes as long as all else that is done with few rows.
    looked = rows.select(_at_us(), condition.alias("meets")).toArrow()
    return ranges_of_us(looked["at_us"]), bool(pc.any(looked["meets"]).as_py())


def ranges_of_each(*kinds: DataFrame) -> list[TimeRanges]:
    """The same of each of several kinds of rows, by one look at them."""
    told = [rows.select(_at_us(), F.lit(number).alias("kind")) for number, rows in enumerate(kinds)]
    looked = reduce(DataFrame.unionAll, told).toArrow()
    return [ranges_of_us(looked.filter(pc.field("kind") == number)["at_us"]) for number in range(len(kinds))]


def ranges_of_us(instants: pa.ChunkedArray) -> TimeRanges:
    """The same of instants in memory (microseconds since 1970)."""
    buckets = np.unique(instants.to_numpy() // _BUCKET_US)
    return TimeRanges(_covered(buckets.tolist()))


def range_of_us(first: int, last: int) -> TimeRanges:
    """One range that holds two instants (microseconds since 1970) and all between them."""
    return TimeRanges(((_moment(first // _BUCKET_US), _moment(last // _BUCKET_US + 1)),))


def ranges_of(moments: Iterable[datetime]) -> TimeRanges:
    """The same of moments (UTC)."""
    return TimeRanges(_covered(sorted({int(moment.timestamp()) // _BUCKET_SECONDS for moment in moments})))


@cache
def _at_us() -> Column:
    return F.unix_micros("event_time").alias("at_us")


def _covered(buckets: list[int]) -> tuple[tuple[datetime, datetime], ...]:
    gaps = sorted(range(1, len(buckets)), key=lambda n: buckets[n - 1] - buckets[n])
    # Cut only at the widest gaps.
    cuts = sorted(n for n in gaps[: _MOST - 1] if buckets[n] - buckets[n - 1] > 1)
    parts = [buckets[i:j] for i, j in zip([0, *cuts], [*cuts, len(buckets)], strict=True) if i < j]
    return tuple((_moment(part[0]), _moment(part[-1] + 1)) for part in parts)


def _within(prefix: str, column: str, begin: datetime, end: datetime) -> str:
    last = (end - timedelta(microseconds=1)).date()
    dates = f"{prefix}event_date between date'{begin.date()}' and date'{last}'"
    time = f"{prefix}{column}"
    return f"{dates} and {time} >= timestamp'{begin.isoformat()}' and {time} < timestamp'{end.isoformat()}'"


def _moment(bucket: int) -> datetime:
    return datetime.fromtimestamp(bucket * _BUCKET_SECONDS, UTC)
