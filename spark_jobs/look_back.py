"""What the features of a micro-batch depend on, found at a cost that does not grow with silver.

A stream that runs on keeps in memory what is known of each user at a *moment* that follows the micro-batches at some
distance, and every transaction since (`spark_jobs/kept_history.py`, `spark_jobs/seen.py`). From that, the transform of
`features.user_5m` makes the same values as from all of silver, for every transaction between the moment and some
minutes after it. Only for a user of whom a transaction lies outside that span (one that comes very late, or one from
the future that has come before), silver is read as far back and ahead as anything can depend on it. What is kept is
made anew from silver after a start, so a kill costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import reduce

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from lake import storage
from lake.feeds import TRANSACTIONS
from lake.settings import Settings
from lake.transaction_features import HORIZON
from spark_jobs import kept_history, seen
from spark_jobs.kept_history import SPAN, is_after, is_between
from spark_jobs.user_5m import INPUTS, weighted

SOURCE = f"silver.{TRANSACTIONS.name}"
# The moment stays so far behind the middle of a micro-batch, and moves in steps: each costs a look at all users.
SLACK = timedelta(minutes=10)
STEP = timedelta(minutes=5)

_DAY = timedelta(days=1)
# The rows of so many micro-batches are put together.
_MANY = 8


@dataclass
class LookBack:
    """The surroundings of one micro-batch after the other, for a stream that has just been started.

    A stream that drains and ends keeps nothing (`keeps` is false).
    """

    settings: Settings
    keeps: bool
    _moment: datetime | None = None
    _kept: DataFrame | None = None  # at the moment, and what had come after it when it was moved
    _seen: DataFrame | None = None  # merchants and devices of each user, at the moment
    _since: list[DataFrame] = field(default_factory=list)  # what has come since then
    _latest_us: int = 0  # the latest event time of all that is kept

    def around(self, batch: DataFrame, taken: int | None = None) -> DataFrame | None:
        """The transactions that those of a batch depend on, and those which depend on them; None for an empty batch.

        They are as `user_5m` takes them; `is_new` says which are of the batch. To be called once for each micro-batch
        of the stream, in their order, when silver holds it. Where it is kept, the batch must be a local checkpoint, as
        it is looked at again later. `taken` is the version of silver that the stream has taken as a whole with this
        micro-batch; None if there is none.
        """
        is_stray = F.lit(True) if self._moment is None else ~is_between(self._moment, self._moment + SPAN)
        first, last, middle_us, latest_us, strays, rows = batch.agg(
            F.min("event_date"),
            F.max("event_date"),
            F.percentile_approx(F.unix_micros("event_time"), 0.5),
            F.max(F.unix_micros("event_time")),
            F.count_if(is_stray),
            F.count("*"),
        ).collect()[0]
        if first is None:
            return None
        new = weighted(batch.select(*INPUTS))
        days = (first - HORIZON - _DAY, last + HORIZON + _DAY)
        around = self._from_silver(new, None, days) if strays == rows else self._around(new, is_stray, strays, days)
        if self.keeps:
            self._note(new)
            self._latest_us = max(self._latest_us, latest_us)
            if taken is not None:
                middle = datetime.fromtimestamp(middle_us // 1_000_000, UTC)
                self._move(batch.sparkSession, taken, middle - SLACK)
        return around

    def _around(self, new: DataFrame, is_stray: Column, strays: int, days: tuple[date, date]) -> DataFrame:
        apart = [new.where(is_stray).select("user_id")] if strays else []
        if self._moment is not None and self._latest_us > _micros(self._moment + SPAN):
            # From what is kept, the features of transactions so far ahead would be wrong.
            ahead = _together(self._known()).where(is_after(self._moment + SPAN))
            apart.append(_of(new.select("user_id").distinct(), ahead).select("user_id"))
        users = reduce(DataFrame.unionByName, apart).distinct().localCheckpoint() if apart else None
        if users is None or users.isEmpty():
            return self._from_memory(new)
        others = self._from_memory(new.join(users, on="user_id", how="left_anti"))
        return others.unionByName(self._from_silver(new, users, days))

    def _from_memory(self, new: DataFrame) -> DataFrame:
        users = F.broadcast(new.select("user_id").distinct())
        before = _of(users, _together(self._known()))
        rows = before.withColumn("is_new", F.lit(False)).unionByName(new.withColumn("is_new", F.lit(True)))
        if self._seen is None:
            return rows.withColumns(seen.nothing())
        return rows.join(_of(users, self._seen), on="user_id", how="left")

    def _from_silver(self, new: DataFrame, users: DataFrame | None, days: tuple[date, date]) -> DataFrame:
        """What silver holds of some users of the batch, or of all of them."""
        users = new.select("user_id").distinct() if users is None else users
        silver = storage.read(new.sparkSession, self.settings, SOURCE).select(*INPUTS)
        near = weighted(_of(users, silver.where(F.col("event_date").between(*map(F.lit, days)))))
        is_new = new.select("event_id", F.lit(True).alias("is_new"))
        rows = near.join(is_new, on="event_id", how="left")
        return rows.withColumns({"is_new": F.coalesce("is_new", F.lit(False)), **seen.nothing()})

    def _known(self) -> list[DataFrame]:
        return [frame for frame in (self._kept, *self._since) if frame is not None]

    def _note(self, new: DataFrame) -> None:
        """Remember a micro-batch; before the first moment there is nothing to add it to."""
        if self._moment is None:
            return
        self._since.append(new)
        if len(self._since) % _MANY == 0:
            # Few large ones and some small ones, as in a log-structured merge tree.
            self._since = [*self._since[:-_MANY], _together(self._since[-_MANY:]).coalesce(1).localCheckpoint()]

    def _move(self, spark: SparkSession, taken: int, to: datetime) -> None:
        """Move the moment on where it is time; `taken` is the version of silver that the stream has taken."""
        if self._moment is not None and to < self._moment + STEP:
            return
        silver = storage.read(spark, self.settings, SOURCE, taken).select(*INPUTS)
        if self._moment is None or self._kept is None or self._seen is None:
            recent = silver.where((F.col("event_date") >= F.lit((to - HORIZON).date())) & is_after(to - HORIZON))
            self._kept = kept_history.of_all(recent, to).localCheckpoint()
            self._seen = seen.of_all(recent.where(~is_after(to)), to).localCheckpoint()
            self._latest_us = self._kept.agg(F.max(F.unix_micros("event_time"))).collect()[0][0] or 0
        else:
            moment, known = self._moment, _together(self._known())
            aside = silver.where(kept_history.of_spans(kept_history.aside_spans(moment, to)))
            fresh = _together([self._kept.where(is_after(moment)), *self._since]).where(~is_after(to))
            self._seen = seen.moved(self._seen, fresh, to).coalesce(2).localCheckpoint()
            self._kept = kept_history.moved(known, aside, moment, to).coalesce(2).localCheckpoint()
        self._moment, self._since = to, []


def _micros(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond


def _together(frames: list[DataFrame]) -> DataFrame:
    return reduce(DataFrame.unionByName, frames).coalesce(2)


def _of(users: DataFrame, rows: DataFrame) -> DataFrame:
    return rows.join(users, on="user_id", how="left_semi")
