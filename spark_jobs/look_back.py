"""What the features of a micro-batch depend on, found at a cost that does not grow with silver.

A stream that runs on keeps in memory what is known at a moment that follows the micro-batches at some distance, and all
that has come since. Only for what a transaction asks that lies outside the span after it (one that comes very late, or
one from the future that has come before), silver is read as far back and ahead as anything can depend on it; so it is
for all of a great micro-batch, and of one that drains. What is kept is made anew from silver after a start, so a kill
costs nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import ClassVar, Generic, Protocol, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lake import storage
from lake.feeds import TRANSACTIONS
from lake.settings import Settings
from spark_jobs.instants import SECOND_US
from spark_jobs.links import KEYS
from spark_jobs.time_ranges import TimeRanges
from spark_jobs.user_5m import INPUTS, weighted

SOURCE = f"silver.{TRANSACTIONS.name}"
# The moment stays so far behind the middle of a micro-batch, and moves in steps: each costs a look at all that is kept.
SLACK = timedelta(minutes=10)
STEP = timedelta(minutes=5)
# Of more transactions at once, silver is asked. A micro-batch of a running stream (`MOST_BYTES_OF_A_TURN`) holds fewer,
# unless a single file does not.
MOST_NEW = 500_000

_DAY = timedelta(days=1)
# The next micro-batch may still be some seconds away, and alerts do not have to wait meanwhile.
_MOVES = ThreadPoolExecutor(2, thread_name_prefix="look-back")


@dataclass(frozen=True)
class Batch:
    """The transactions of a micro-batch (columns `INPUTS`), their first and last day, middle instant and number.

    `is_linked` says whether one of them names a device or payment method. Where they were `fetched`, they are in memory
    too, with what each adds to the sums (`user_5m.weighted`).
    """

    rows: DataFrame
    first: date
    last: date
    middle: datetime
    count: int
    is_linked: bool
    fetched: pa.Table | None = None

    @classmethod
    def of(cls, rows: DataFrame) -> Batch | None:
        """Of transactions; None if there are none."""
        first, last, middle_us, count, is_linked = rows.agg(
            F.min("event_date"),
            F.max("event_date"),
            F.percentile_approx(F.unix_micros("event_time"), 0.5),
            F.count("*"),
            F.bool_or(F.coalesce(*KEYS).isNotNull()),
        ).collect()[0]
        if not count:
            return None
        return cls(rows, first, last, _moment(middle_us), count, is_linked)

    @classmethod
    def in_memory(cls, rows: DataFrame) -> Batch | None:
        """The same, fetched by the one look that tells all of this."""
        fetched = weighted(rows).toArrow()
        if not fetched.num_rows:
            return None
        days, at_us = pc.min_max(fetched["event_date"]).as_py(), fetched["event_time"].cast(pa.int64())
        middle_us = pc.quantile(at_us, 0.5, interpolation="lower")[0].as_py()
        is_linked = any(fetched[key].null_count < fetched.num_rows for key in KEYS)
        return cls(rows, days["min"], days["max"], _moment(middle_us), fetched.num_rows, is_linked, fetched)


def _moment(at_us: int) -> datetime:
    return datetime.fromtimestamp(at_us // SECOND_US, UTC)


@dataclass(frozen=True)
class Around:
    """What a micro-batch depends on, and what depends on it; `is_new` says which rows are of it.

    `to_correct` holds the event times of the others that it may change; None where a look at the rows has to tell.
    """

    rows: DataFrame
    to_correct: TimeRanges | None = None

    def settled(self) -> Around:
        """The same, computed once; only where nothing but the rows of the micro-batch is asked for, when that is."""
        is_asked_once = self.to_correct is not None and not self.to_correct
        return self if is_asked_once else replace(self, rows=self.rows.localCheckpoint(eager=False))


class Memory(Protocol):
    """What is kept at a moment, and what has come since, found by a key."""

    moment: datetime

    @property
    def size(self) -> int:
        """How much was known at the moment."""

    def note(self, new: pa.Table) -> None:
        """Take in what has come."""

    def not_enough_for(self, new: pa.Table) -> pa.Array:
        """The keys, each once, of which not enough is kept."""

    def around(self, new: pa.Table) -> Around:
        """What is new, of keys of which enough is kept, and what is kept of these."""


M = TypeVar("M", bound=Memory)


@dataclass
class LookBack(ABC, Generic[M]):
    """The surroundings of one micro-batch after the other, for a stream that has just been started.

    A stream that drains and ends keeps nothing (`keeps` is false), nor does one that would keep more than `MOST`.
    """

    settings: Settings
    keeps: bool
    _memory: M | None = None
    _is_too_much: bool = False
    _moving: Future[None] | None = None

    KEY: ClassVar[str]
    # The column of what is asked that, with `event_id`, tells a transaction from all others.
    INSTANT: ClassVar[str]
    HORIZON: ClassVar[timedelta]
    MOST: ClassVar[int]

    def around(self, batch: Batch, taken: int | None = None) -> Around:
        """What the transactions of a batch depend on, and what depends on them.

        To be called once for each micro-batch of the stream, in their order, when silver holds it. `taken` is the
        version of silver that the stream has taken as a whole with this micro-batch; None if there is none.
        """
        self.wait()
        new = self._asked(batch.rows)
        if not self.keeps or self._is_too_much or batch.count > MOST_NEW:
            self._memory = None
            return Around(self._from_silver(batch, new))
        if self._memory is None:
            around = Around(self._from_silver(batch, new))
        else:
            fetched = new.toArrow() if batch.fetched is None else self._asked_in_memory(batch.fetched)
            around = self._around(self._memory, batch, new, fetched)
            self._memory.note(fetched)
        if taken is not None and self._is_time(batch):
            self._moving = _MOVES.submit(self._move, batch, taken)
        return around

    def wait(self) -> None:
        """Until what is kept has moved on after the last micro-batch; raises what went wrong there."""
        if self._moving is not None:
            self._moving.result()
            self._moving = None

    @abstractmethod
    def _asked(self, transactions: DataFrame) -> DataFrame:
        """What is asked, by key, of transactions (columns `INPUTS`)."""

    @abstractmethod
    def _asked_in_memory(self, transactions: pa.Table) -> pa.Table:
        """The same of transactions that were fetched (`Batch.fetched`)."""

    @abstractmethod
    def _begun(self, silver: DataFrame, moment: datetime) -> M:
        """What is kept at a moment, from all of silver."""

    @abstractmethod
    def _moved(self, memory: M, silver: DataFrame, to: datetime) -> M:
        """The same at a later moment."""

    @abstractmethod
    def _count(self, silver: DataFrame, moment: datetime) -> int:
        """About how much would be kept."""

    def _around(self, memory: M, batch: Batch, new: DataFrame, fetched: pa.Table) -> Around:
        apart = memory.not_enough_for(fetched)
        if not len(apart):
            return memory.around(fetched)
        keys = new.sparkSession.createDataFrame(pa.table({self.KEY: apart}))
        of_apart = self._from_silver(batch, new.join(keys, on=self.KEY, how="left_semi"))
        others = fetched.filter(pc.invert(pc.is_in(fetched[self.KEY], value_set=apart)))
        return Around(of_apart if others.num_rows == 0 else self._united(memory.around(others).rows, of_apart))

    def _united(self, kept: DataFrame, read: DataFrame) -> DataFrame:
        """What comes of the memory, and what comes of silver, of other keys."""
        return kept.unionByName(read)

    def _from_silver(self, batch: Batch, new: DataFrame) -> DataFrame:
        """What silver holds of the keys of what is new."""
        days = (batch.first - self.HORIZON - _DAY, batch.last + self.HORIZON + _DAY)
        silver = storage.read(new.sparkSession, self.settings, SOURCE).select(*INPUTS)
        near = self._asked(silver.where(F.col("event_date").between(*map(F.lit, days))))
        keys, own = new.select(self.KEY).distinct(), ["event_id", self.INSTANT]
        asking = self._asked(batch.rows).select(*own).distinct().withColumn("is_new", F.lit(True))
        rows = near.join(keys, on=self.KEY, how="left_semi").join(asking, on=own, how="left")
        return rows.withColumn("is_new", F.coalesce("is_new", F.lit(False)))

    def _is_time(self, batch: Batch) -> bool:
        return self._memory is None or batch.middle - SLACK >= self._memory.moment + STEP

    def _move(self, batch: Batch, taken: int) -> None:
        """Move the moment on; `taken` is the version of silver that the stream has taken."""
        spark, to = batch.rows.sparkSession, batch.middle - SLACK
        with storage.in_pool(spark, storage.BESIDE):
            silver = storage.read(spark, self.settings, SOURCE, taken).select(*INPUTS)
            if self._memory is None:
                self._is_too_much = self._count(silver, to) > self.MOST
                self._memory = None if self._is_too_much else self._begun(silver, to)
            else:
                self._memory = self._moved(self._memory, silver, to)
                self._is_too_much = self._memory.size > self.MOST
