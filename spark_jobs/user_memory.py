"""What a stream that runs on keeps in memory of each user: enough for the features of all that comes soon.

That is what is known at a *moment* (`spark_jobs/kept_history.py`, `spark_jobs/seen.py`) and every transaction since.
For transactions of the `SPAN` after the moment, the transform of `features.user_5m` makes the same values from it as
from all of silver. It is found by the user, so a micro-batch costs what it asks for and not what is kept.
"""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql.types import BooleanType, StructField, StructType, TimestampType

from spark_jobs import kept_history, seen
from spark_jobs.instants import instant_us
from spark_jobs.kept_history import SPAN, Kept, is_after
from spark_jobs.keyed_rows import KeyedRows
from spark_jobs.look_back import Around
from spark_jobs.seen import Seen
from spark_jobs.time_ranges import ranges_of_us
from spark_jobs.user_5m import weighted

_KEY, _TIME, _IS_NEW = "user_id", "event_time", "is_new"
# Spark makes a partition of each ten thousand rows that it is given.
_PARTITIONS = 2


class UserMemory:
    """What is kept of users at a moment, and what has come since.

    Transactions are given as Arrow tables of the columns `user_5m.INPUTS`, with what each adds to the sums
    (`user_5m.weighted`).
    """

    def __init__(self, moment: datetime, kept: Kept, known: Seen, since: pa.Table, like: DataFrame) -> None:
        """`kept` and `known` are of the moment, `since` has all that came after it; `like` has the columns of that."""
        self.moment = moment
        self._like = like
        self._kept, self._sums, self._since = _keyed(kept.rows), _keyed(kept.sums), _keyed(since)
        self._known = known
        self._latest_us = _latest_us(since)

    @classmethod
    def begun(cls, recent: DataFrame, moment: datetime) -> UserMemory:
        """From the transactions (columns `user_5m.INPUTS`) of the horizon before a moment, and all after it."""
        like = weighted(recent)
        kept, since = kept_history.of_all(recent, moment), like.where(is_after(moment)).toArrow()
        return cls(moment, kept, seen.of_all(recent.where(~is_after(moment))), since, like)

    def moved(self, aside: DataFrame, to: datetime) -> UserMemory:
        """The same at a later moment; `aside` are the transactions of `kept_history.aside_spans`."""
        since = self._since.rows()
        is_past = pc.less_equal(_micros_of(since), instant_us(to))
        before = Kept(self._kept.rows(), self._sums.rows())
        kept = kept_history.moved(before, since, weighted(aside).toArrow(), self.moment, to)
        self._known.note(since.filter(is_past), to)
        return UserMemory(to, kept, self._known, since.filter(pc.invert(is_past)), self._like)

    @property
    def size(self) -> int:
        """How much was known at the moment: users, each with the currencies and ways in which they pay."""
        return len(self._sums)

    def note(self, new: pa.Table) -> None:
        """Take in transactions that have come."""
        self._since.add(new)
        self._latest_us = max(self._latest_us, _latest_us(new))

    def not_enough_for(self, new: pa.Table) -> pa.Array:
        """The users, each once, of whom a new transaction lies outside the span, or one that is known lies after it."""
        begin, end = instant_us(self.moment), instant_us(self.moment + SPAN)
        at = _micros_of(new)
        is_outside = pc.or_(pc.less_equal(at, begin), pc.greater(at, end))
        strays = new.filter(is_outside)[_KEY]
        if self._latest_us > end:
            # From what is kept, the features of transactions so far ahead would be wrong.
            near = self._since.of(pc.unique(new[_KEY]))
            ahead = near.filter(pc.greater(_micros_of(near), end))[_KEY]
            strays = pa.chunked_array([*strays.chunks, *ahead.chunks], pa.string())
        return pc.unique(strays)

    def around(self, new: pa.Table) -> Around:
        """New transactions of users of whom enough is kept, and what is kept of these, as `user_5m` takes them."""
        users = pc.unique(new[_KEY])
        since = self._since.of(users)
        kept = kept_history.with_sums(Kept(self._kept.of(users), self._sums.of(users)), self.moment)
        parts = ((kept, False), (since, False), (new, True))
        rows = pa.concat_tables([_marked(part.cast(self._since.schema), is_new=is_new) for part, is_new in parts])
        return Around(_frame(self._known.last_seen(users, rows), self._like), ranges_of_us(_later_us(since, new)))


_MORE = [
    StructField(_IS_NEW, BooleanType()),
    *(StructField(name, TimestampType()) for name in seen.LAST.values()),
]


def _later_us(since: pa.Table, new: pa.Table) -> pa.ChunkedArray:
    """When what came before took place, as far as a new transaction of the same user may change its features.

    What is kept of the time before the moment is earlier than all that is new.
    """
    first = new.select([_KEY, _TIME]).group_by(_KEY).aggregate([(_TIME, "min")])
    both = since.select([_KEY, _TIME]).join(first, keys=_KEY, join_type="inner")
    return _micros_of(both.filter(pc.greater_equal(both[_TIME], both[f"{_TIME}_min"])))


def _marked(rows: pa.Table, *, is_new: bool) -> pa.Table:
    return rows.append_column(_IS_NEW, pa.array([is_new] * rows.num_rows, pa.bool_()))


def _keyed(rows: pa.Table) -> KeyedRows:
    keyed = KeyedRows(_KEY, pa.schema([field.with_nullable(True) for field in rows.schema]))
    keyed.add(rows)
    return keyed


def _frame(rows: pa.Table, like: DataFrame) -> DataFrame:
    known = [StructField(field.name, field.dataType, nullable=True) for field in like.schema]
    # Of several pieces, Spark would leave out what follows an empty one.
    made = like.sparkSession.createDataFrame(rows.combine_chunks(), StructType([*known, *_MORE]))
    return made.coalesce(_PARTITIONS)


def _micros_of(rows: pa.Table) -> pa.ChunkedArray:
    return rows[_TIME].cast(pa.int64())


def _latest_us(rows: pa.Table) -> int:
    return pc.max(_micros_of(rows)).as_py() or 0
