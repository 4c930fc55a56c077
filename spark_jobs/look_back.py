"""What the features of a micro-batch depend on, found at a cost that does not grow with silver.

A stream that runs on keeps in memory what is known of each user (`spark_jobs/user_memory.py`) at a moment that follows
the micro-batches at some distance. Only for a user of whom a transaction lies outside the span after it (one that comes
very late, or one from the future that has come before), silver is read as far back and ahead as anything can depend on
it; so it is for all users of a great micro-batch, and of one that drains. What is kept is made anew from silver after a
start, so a kill costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lake import storage
from lake.feeds import TRANSACTIONS
from lake.settings import Settings
from lake.transaction_features import HORIZON
from spark_jobs import kept_history, seen
from spark_jobs.kept_history import is_after
from spark_jobs.user_5m import INPUTS, weighted
from spark_jobs.user_memory import UserMemory

SOURCE = f"silver.{TRANSACTIONS.name}"
# The moment stays so far behind the middle of a micro-batch, and moves in steps: each costs a look at all users.
SLACK = timedelta(minutes=10)
STEP = timedelta(minutes=5)
# Of more transactions at once, silver is asked. A micro-batch of a running stream (`MOST_BYTES_OF_A_TURN`) holds fewer,
# unless a single file does not.
MOST_NEW = 500_000
# Of more users (about a gigabyte), none are kept, and silver is asked each time.
MOST_USERS = 3_000_000

_DAY = timedelta(days=1)


@dataclass
class LookBack:
    """The surroundings of one micro-batch after the other, for a stream that has just been started.

    A stream that drains and ends keeps nothing (`keeps` is false).
    """

    settings: Settings
    keeps: bool
    _memory: UserMemory | None = None
    _is_too_much: bool = False

    def around(self, batch: DataFrame, taken: int | None = None) -> DataFrame | None:
        """The transactions that those of a batch depend on, and those which depend on them; None for an empty batch.

        They are as `user_5m` takes them; `is_new` says which are of the batch. To be called once for each micro-batch
        of the stream, in their order, when silver holds it. `taken` is the version of silver that the stream has taken
        as a whole with this micro-batch; None if there is none.
        """
        first, last, middle_us, rows = batch.agg(
            F.min("event_date"),
            F.max("event_date"),
            F.percentile_approx(F.unix_micros("event_time"), 0.5),
            F.count("*"),
        ).collect()[0]
        if first is None:
            return None
        days = (first - HORIZON - _DAY, last + HORIZON + _DAY)
        new = weighted(batch.select(*INPUTS))
        if not self.keeps or self._is_too_much or rows > MOST_NEW:
            self._memory = None
            return self._from_silver(new, days)
        if self._memory is None:
            around = self._from_silver(new, days)
        else:
            fetched = new.toArrow()
            around = self._around(self._memory, new, fetched, days)
            self._memory.note(fetched)
        if taken is not None:
            self._move(batch.sparkSession, taken, datetime.fromtimestamp(middle_us // 1_000_000, UTC) - SLACK)
        return around

    def _around(self, memory: UserMemory, new: DataFrame, fetched: pa.Table, days: tuple[date, date]) -> DataFrame:
        apart = memory.not_enough_for(fetched)
        if not len(apart):
            return memory.around(fetched)
        users = new.sparkSession.createDataFrame(pa.table({"user_id": apart}))
        of_apart = self._from_silver(new.join(users, on="user_id", how="left_semi"), days)
        others = fetched.filter(pc.invert(pc.is_in(fetched["user_id"], value_set=apart)))
        return of_apart if others.num_rows == 0 else memory.around(others).unionByName(of_apart)

    def _from_silver(self, new: DataFrame, days: tuple[date, date]) -> DataFrame:
        """What silver holds of the users of new transactions."""
        silver = storage.read(new.sparkSession, self.settings, SOURCE).select(*INPUTS)
        users = new.select("user_id").distinct()
        near = silver.where(F.col("event_date").between(*map(F.lit, days))).join(users, on="user_id", how="left_semi")
        is_new = new.select("event_id", F.lit(True).alias("is_new"))
        rows = weighted(near).join(is_new, on="event_id", how="left")
        return rows.withColumns({"is_new": F.coalesce("is_new", F.lit(False)), **seen.nothing()})

    def _move(self, spark: SparkSession, taken: int, to: datetime) -> None:
        """Move the moment on where it is time; `taken` is the version of silver that the stream has taken."""
        if self._memory is not None and to < self._memory.moment + STEP:
            return
        silver = storage.read(spark, self.settings, SOURCE, taken).select(*INPUTS)
        if self._memory is None:
            recent = silver.where((F.col("event_date") >= F.lit((to - HORIZON).date())) & is_after(to - HORIZON))
            self._is_too_much = recent.select("user_id").distinct().count() > MOST_USERS
            self._memory = None if self._is_too_much else UserMemory.begun(recent, to)
        else:
            aside = kept_history.aside_spans(self._memory.moment, to)
            self._memory = self._memory.moved(silver.where(kept_history.of_spans(aside)), to)
            self._is_too_much = self._memory.users > MOST_USERS
