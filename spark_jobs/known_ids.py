"""Which ids of a feed's events have been accepted when, in memory, for a stream that runs on.

A micro-batch must look whether silver holds one of its ids already. Most are new, and asking silver for them reads the
ids of many days, more the larger it grows. Here each accepted id is a hash and its minute: twelve bytes. A hash that is
not here was never accepted within these days; for one that is, silver is read near its minute only, and decides.

What is here follows the log of the table, whoever wrote to it, and holds too much rather than too little: ids that were
deleted since, and hashes that two ids share. So it never makes an id new that is not. It lives with the program.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lake import storage
from lake.feed import Feed
from lake.feed_tables import silver_table
from lake.settings import Settings
from spark_jobs.id_hashes import Hashes, are_among, hashes, order_of, positions
from spark_jobs.table_log import TableLog
from spark_jobs.verdicts import Extent, Look, is_drifted, is_good

# Some 360 MB; of more ids, silver is asked.
MOST_IDS = 30_000_000
# So many are read at once, or those of one day.
MOST_AT_ONCE = 2_000_000
_MINUTE_US = 60_000_000

Minutes = NDArray[np.int32]


@dataclass(frozen=True)
class Repeats:
    """Of some ids those, each once, that stand among them twice or may have been accepted before; and in which minutes
    (UTC), each once, in order. Any other id is a new one."""

    ids: list[str]
    minutes: list[datetime]


@dataclass
class KnownIds:
    """The accepted ids of one feed of events on a local lake, from a day on. To be asked by one thread at a time."""

    settings: Settings
    feed: Feed
    horizon_days: int
    _first_day: date | None = None
    _is_too_much: bool = False
    _version: int = -1
    _pieces: list[tuple[Hashes, Minutes]] = field(default_factory=list)

    def repeats(self, spark: SparkSession, ids: list[str], first: date, last: date) -> Repeats | None:
        """Which of some ids need comparing, and with what was accepted when.

        `first` and `last` are the dates of events with these ids; what was accepted farther from them than the horizon
        is left out. None if what is here does not reach back so far, or is too much: then silver must be asked.
        """
        horizon = timedelta(days=self.horizon_days)
        wanted_from = first - horizon
        if self._is_too_much:
            return None
        if self._first_day is None or not self._catch_up() or self._count() > MOST_IDS:
            # Somewhat more than is asked for, since the next late line may be later; what is older is let go.
            self._begin(spark, min(wanted_from, last - 2 * horizon - timedelta(days=1)))
        if self._first_day is None or wanted_from < self._first_day:
            return None
        wanted = hashes(ids)
        found = [minutes[positions(held, wanted)] for held, minutes in self._pieces]
        together = np.unique(np.concatenate(found)) if found else np.empty(0, dtype=np.int32)
        near = together[(together >= _minute(wanted_from)) & (together < _minute(last + horizon + timedelta(days=1)))]
        return Repeats(self._repeated(ids, wanted), [datetime.fromtimestamp(int(one) * 60, UTC) for one in near])

    def _repeated(self, ids: list[str], wanted: Hashes) -> list[str]:
        is_known = np.zeros(len(ids), dtype=bool)
        for held, _ in self._pieces:
            is_known |= are_among(held, wanted)
        known = {ids[position] for position in np.flatnonzero(is_known)}
        return sorted(known | {one for one, count in Counter(ids).items() if count > 1})

    def _begin(self, spark: SparkSession, first_day: date) -> None:
        name = silver_table(self.feed).name
        version = self._log().latest()
        since = storage.read(spark, self.settings, name, version).where(F.col("event_date") >= F.lit(first_day))
        held = since.select(self.feed.key, F.unix_micros(str(self.feed.event_time)).alias("at_us"), "event_date")
        self._first_day, self._version, self._pieces = first_day, version, []
        counts = {row["event_date"]: row["count"] for row in since.groupBy("event_date").count().collect()}
        if sum(counts.values()) > MOST_IDS:
            # Counting them again at each micro-batch would cost more than asking silver.
            self._first_day, self._is_too_much = None, True
            return
        # Ids themselves are many times larger than what is kept of them.
        for first, last in day_runs(counts, MOST_AT_ONCE):
            table = held.where(F.col("event_date").between(F.lit(first), F.lit(last))).toArrow()
            self._add(table[self.feed.key].to_pylist(), table["at_us"].to_numpy())

    def _catch_up(self) -> bool:
        """Take in what was committed since; whether the log tells it."""
        log, folder = self._log(), Path(self.settings.table_path(silver_table(self.feed).name))
        columns = [self.feed.key, str(self.feed.event_time)]
        for version in range(self._version + 1, log.latest() + 1):
            files = log.files_of(version)
            if files is None:
                return False
            for file in files:
                try:
                    rows = pq.read_table(folder / file, columns=columns)
                except FileNotFoundError:  # compacted and cleaned up since
                    return False
                self._add(rows[columns[0]].to_pylist(), rows[columns[1]].cast("timestamp[us]").cast("int64").to_numpy())
            self._version = version
        return True

    def _add(self, ids: list[str], at_us: NDArray[np.int64]) -> None:
        if not ids:
            return
        self._pieces.append(_sorted(hashes(ids), (at_us // _MINUTE_US).astype(np.int32)))
        # Each piece is at least twice as long as the next: few to look at, and each id is sorted few times.
        while len(self._pieces) > 1 and 2 * len(self._pieces[-1][0]) > len(self._pieces[-2][0]):
            last = [self._pieces.pop(), self._pieces.pop()]
            self._pieces.append(_sorted(*(np.concatenate(parts) for parts in zip(*last, strict=True))))

    def _count(self) -> int:
        return sum(len(held) for held, _ in self._pieces)

    def _log(self) -> TableLog:
        return TableLog(Path(self.settings.table_path(silver_table(self.feed).name)))


def looked_at(rows: DataFrame, feed: Feed) -> Look:
    """Typed rows of events, looked at once."""
    looked = rows.select(feed.key, "event_date", is_good().alias("is_good"), is_drifted().alias("is_drifted")).toArrow()
    good = looked.filter(looked["is_good"])
    days = pc.min_max(good["event_date"]).as_py()
    extent = Extent(looked.num_rows, good.num_rows, days["min"], days["max"])
    return Look(extent, good[feed.key].to_pylist(), bool(pc.any(good["is_drifted"]).as_py()))


def day_runs(counts: Mapping[date, int], most: int) -> Iterator[tuple[date, date]]:
    """Days with their counts as runs from a first to a last day, each of at most so many, or of a single day."""
    run: list[date] = []
    for day in sorted(counts):
        if run and sum(counts[one] for one in run) + counts[day] > most:
            yield run[0], run[-1]
            run = []
        run.append(day)
    if run:
        yield run[0], run[-1]


def _minute(day: date) -> int:
    return int(datetime.combine(day, time.min, UTC).timestamp()) // 60


def _sorted(unsorted: Hashes, minutes: Minutes) -> tuple[Hashes, Minutes]:
    order = order_of(unsorted)
    return unsorted[order], minutes[order]
