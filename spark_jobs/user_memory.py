"""What a stream that runs on keeps in memory of each user: enough for the features of all that comes soon.

That is what is known at a *moment* (`spark_jobs/kept_history.py`, `spark_jobs/seen.py`) and every transaction since.
For transactions of the `SPAN` after the moment, the transform of `features.user_5m` makes the same values from it as
from all of silver. It is found by the user, so a micro-batch costs what it asks for and not what is kept.
"""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import BooleanType, StructField, StructType, TimestampType

from spark_jobs import kept_history, seen
from spark_jobs.instants import instant_us
from spark_jobs.kept_history import SPAN, is_after
from spark_jobs.keyed_rows import KeyedRows

_KEY, _TIME, _IS_NEW = "user_id", "event_time", "is_new"
# Spark makes a partition of each ten thousand rows that it is given.
_PARTITIONS = 2


class UserMemory:
    """What is kept of users at a moment, and what has come since.

    Transactions are given as Arrow tables of the columns `user_5m.INPUTS`, with what each adds to the sums
    (`user_5m.weighted`).
    """

    def __init__(self, moment: datetime, kept: DataFrame, known: DataFrame) -> None:
        """`kept` and `known` are what `kept_history` and `seen` say of the moment."""
        self.moment = moment
        self._spark, self._schema, self._known_schema = kept.sparkSession, _nullable(kept), _nullable(known)
        self._kept, self._known = _keyed(kept), _keyed(known)
        self._since = KeyedRows(_KEY, self._kept.schema)
        self._latest_us = _latest_us(self._kept.rows())

    @classmethod
    def begun(cls, recent: DataFrame, moment: datetime) -> UserMemory:
        """From the transactions (columns `user_5m.INPUTS`) of the horizon before a moment, and all after it."""
        before = recent.where(~is_after(moment))
        return cls(moment, kept_history.of_all(recent, moment), seen.of_all(before, moment))

    def moved(self, aside: DataFrame, to: datetime) -> UserMemory:
        """The same at a later moment; `aside` as `kept_history.moved` takes it."""
        kept, since = (_frame(self._spark, part.rows(), self._schema) for part in (self._kept, self._since))
        known = _frame(self._spark, self._known.rows(), self._known_schema)
        fresh = kept.where(is_after(self.moment)).unionByName(since).where(~is_after(to))
        together = kept.unionByName(since)
        return UserMemory(to, kept_history.moved(together, aside, self.moment, to), seen.moved(known, fresh, to))

    @property
    def size(self) -> int:
        """How many users were known at the moment."""
        return len(self._known)

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
            near = self._transactions_of(pc.unique(new[_KEY]))
            ahead = near.filter(pc.greater(_micros_of(near), end))[_KEY]
            strays = pa.chunked_array([*strays.chunks, *ahead.chunks], pa.string())
        return pc.unique(strays)

    def around(self, new: pa.Table) -> DataFrame:
        """New transactions (`is_new`) of users of whom enough is kept, and what is kept of these, as `user_5m` takes
        them."""
        users = pc.unique(new[_KEY])
        before = self._transactions_of(users)
        rows = pa.concat_tables([_marked(before, is_new=False), _marked(new.cast(before.schema), is_new=True)])
        rows = seen.last_seen(self._known.of(users), rows)
        return _frame(self._spark, rows, StructType([*self._schema.fields, *_MARK, *_LAST_SEEN]))

    def _transactions_of(self, users: pa.Array) -> pa.Table:
        return pa.concat_tables([self._kept.of(users), self._since.of(users)])


_MARK = StructType().add(_IS_NEW, BooleanType()).fields
_LAST_SEEN = StructType([StructField(name, TimestampType()) for name in seen.LAST.values()]).fields


def _marked(rows: pa.Table, *, is_new: bool) -> pa.Table:
    return rows.append_column(_IS_NEW, pa.array([is_new] * rows.num_rows, pa.bool_()))


def _keyed(frame: DataFrame) -> KeyedRows:
    rows = frame.toArrow()
    keyed = KeyedRows(_KEY, pa.schema([field.with_nullable(True) for field in rows.schema]))
    keyed.add(rows)
    return keyed


def _nullable(frame: DataFrame) -> StructType:
    return StructType([type(field)(field.name, field.dataType, nullable=True) for field in frame.schema])


def _frame(spark: SparkSession, rows: pa.Table, schema: StructType) -> DataFrame:
    # Of several pieces, Spark would leave out what follows an empty one.
    return spark.createDataFrame(rows.combine_chunks(), schema).coalesce(_PARTITIONS)


def _micros_of(rows: pa.Table) -> pa.ChunkedArray:
    return rows[_TIME].cast(pa.int64())


def _latest_us(rows: pa.Table) -> int:
    return pc.max(_micros_of(rows)).as_py() or 0
