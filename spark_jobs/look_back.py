"""What of silver the features of a micro-batch depend on, found at a cost that does not grow with silver."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from lake import storage
from lake.feeds import TRANSACTIONS
from lake.settings import Settings
from spark_jobs.user_5m import HORIZON_DAYS, INPUTS, WINDOW_MINUTES

SOURCE = f"silver.{TRANSACTIONS.name}"
# The moment stays so far behind the middle of a micro-batch, and moves in steps: each costs a look at all users.
SLACK = timedelta(minutes=10)
STEP = timedelta(minutes=5)
# Among so many older transactions that came since, the latest of each user is chosen early.
_MANY = 100_000

_WINDOW = timedelta(minutes=WINDOW_MINUTES)
_HORIZON = timedelta(days=HORIZON_DAYS)
_DAY = timedelta(days=1)


class LookBack:
    """The surroundings of one micro-batch after the other, for a stream that has just been started.

    The latest transaction of each user before a moment is kept by the program, and the moment moves on with the stream.
    What happened after it is read from silver, where few files hold it. Only for a user of whom a transaction comes
    that is older than the moment, silver is read as far back and ahead as anything can depend on it. What is kept is
    made anew from silver after a start, so a kill costs nothing; a stream that drains and ends keeps nothing.
    """

    def __init__(self, settings: Settings, *, keeps: bool) -> None:
        self._settings = settings
        self._keeps = keeps
        self._moment: datetime | None = None
        self._latest: DataFrame | None = None  # of each user, before the moment
        self._late: DataFrame | None = None  # those older than the moment that came since
        self._late_rows = 0

    def around(self, batch: DataFrame) -> DataFrame | None:
        """The transactions that those of a batch depend on, and those which depend on them; None for an empty batch.

        Both have the columns `INPUTS`; `is_new` says which are of the batch. To be called once for each micro-batch of
        the stream, in their order, when silver holds it; the batch should be persisted.
        """
        older = F.lit(False) if self._moment is None else _is_before(self._moment)
        first, last, middle_us, late_rows = batch.agg(
            F.min("event_date"),
            F.max("event_date"),
            F.percentile_approx(F.unix_micros("event_time"), 0.5),
            F.count(F.when(older, 1)),
        ).collect()[0]
        if first is None:
            return None
        late = batch.where(older).select(*INPUTS) if late_rows else None
        around = self._around(batch, late, (first - _HORIZON - _DAY, last + _HORIZON + _DAY))
        if self._keeps:
            self._take(late, late_rows)
            self._move(batch.sparkSession, datetime.fromtimestamp(middle_us // 1_000_000, UTC) - SLACK)
        new = batch.select("event_id", F.lit(True).alias("is_new"))
        return around.join(new, on="event_id", how="left").withColumn("is_new", F.coalesce("is_new", F.lit(False)))

    def _around(self, batch: DataFrame, late: DataFrame | None, days: tuple[date, date]) -> DataFrame:
        silver = storage.read(batch.sparkSession, self._settings, SOURCE).select(*INPUTS)
        near, users = silver.where(_is_between(*days)), batch.select("user_id").distinct()
        kept = self._kept()
        if self._moment is None or kept is None:
            return _of(users, near)
        known_from = self._moment - _WINDOW
        recent = silver.where(_is_between(known_from.date(), days[1]) & ~_is_before(known_from))
        recent = recent.unionByName(kept.where(_is_before(known_from)))
        if late is None:
            return _of(users, recent)
        late_users = late.select("user_id").distinct()
        others = users.join(late_users, on="user_id", how="left_anti")
        return _of(others, recent).unionByName(_of(late_users, near))

    def _kept(self) -> DataFrame | None:
        if self._latest is None or self._late is None:
            return self._latest
        return self._latest.unionByName(self._late)

    def _take(self, late: DataFrame | None, rows: int) -> None:
        if late is None:
            return
        self._late = (late if self._late is None else self._late.unionByName(late)).coalesce(2).localCheckpoint()
        self._late_rows += rows

    def _move(self, spark: SparkSession, target: datetime) -> None:
        """Move the moment on where it is time, to the target."""
        moment = self._moment
        if moment is not None and target < moment + STEP:
            if self._late_rows < _MANY:
                return
            target = moment
        begin = moment or target - _HORIZON
        silver = storage.read(spark, self._settings, SOURCE).select(*INPUTS)
        passed = silver.where(_is_between(begin.date(), target.date()) & ~_is_before(begin) & _is_before(target))
        kept = self._kept()
        if kept is not None:
            passed = passed.unionByName(kept.where(~_is_before(target - _HORIZON)))
        newest = F.max_by(F.struct(*INPUTS), F.struct("event_time", "event_id")).alias("newest")
        self._latest = passed.groupBy("user_id").agg(newest).select("newest.*").localCheckpoint()
        self._moment, self._late, self._late_rows = target, None, 0


def _of(users: DataFrame, transactions: DataFrame) -> DataFrame:
    return transactions.join(users, on="user_id", how="left_semi")


def _is_before(moment: datetime) -> Column:
    return F.col("event_time") < F.lit(moment)


def _is_between(first: date, last: date) -> Column:
    return F.col("event_date").between(F.lit(first), F.lit(last))
