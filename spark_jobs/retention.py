"""Retention: lines of events that have outlived their time go, with all that was made of them, and stay counted.

They go by the time of their arrival, whole files at once. What goes is decided first, in one commit of
`monitoring.retention`; from then on the rest is counted without it. Then it is deleted, from the end of the line to its
beginning. A kill in between costs nothing: the next care goes on. Reference feeds are kept.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lake import storage
from lake.catalog import ALERTS, DUPLICATES, ORPHANS, QUARANTINE, RETENTION, SCORES, USER_5M
from lake.feed import Feed
from lake.feed_tables import bronze_table, silver_table
from lake.feeds import FEEDS, TRANSACTIONS
from lake.settings import Settings
from spark_jobs.archive import ARCHIVE
from spark_jobs.lag import LagMeter
from spark_jobs.silver import query
from spark_jobs.user_5m import HORIZON_DAYS

EVENT_FEEDS = {name: feed for name, feed in FEEDS.items() if not feed.is_reference}


@dataclass(frozen=True)
class Expired:
    """What has outlived its time: lines that arrived before a moment (UTC), and how many there were by feed."""

    before: datetime | None = None
    lines: dict[str, int] = field(default_factory=dict)

    def kept(self, rows: DataFrame) -> DataFrame:
        """Of rows with `arrived_at`, of events only, those that are kept."""
        return rows if self.before is None else rows.where(F.col("arrived_at") >= F.lit(self.before))

    def kept_by_feed(self, rows: DataFrame) -> DataFrame:
        """The same of rows of all feeds, with a column `feed`."""
        if self.before is None:
            return rows
        return rows.where((F.col("arrived_at") >= F.lit(self.before)) | ~F.col("feed").isin(*EVENT_FEEDS))

    def whole_from(self) -> date | None:
        """The first day whose features depend on kept events only; None if nothing has expired."""
        # An event lies at most a day after its arrival.
        return None if self.before is None else self.before.date() + timedelta(days=HORIZON_DAYS + 2)


def expired(spark: SparkSession, settings: Settings) -> Expired:
    """What has been decided to go so far."""
    if not storage.exists(spark, settings, RETENTION.name):
        return Expired()
    moment = F.unix_micros("expired_before").alias("before_us")
    rows = storage.read(spark, settings, RETENTION.name).select("feed", moment, "lines").collect()
    latest = max(row["before_us"] for row in rows)
    before = datetime.fromtimestamp(latest // 1_000_000, UTC)
    return Expired(before, {row["feed"]: row["lines"] for row in rows if row["before_us"] == latest})


def expire(spark: SparkSession, settings: Settings, today: date) -> dict[str, int]:
    """Let lines of events go that arrived more than `retention_days` before a day; gives the deleted rows by table.

    Nothing goes while silver has lines before it that it has not decided about.
    """
    known = expired(spark, settings)
    before = datetime.combine(today - timedelta(days=settings.retention_days), time.min, UTC)
    feeds = [feed for feed in EVENT_FEEDS.values() if storage.exists(spark, settings, bronze_table(feed).name)]
    if any(LagMeter(settings, query(feed), bronze_table(feed).name).close().behind for feed in feeds):
        return {}
    if known.before is None or before > known.before:
        due = _due(spark, settings, feeds, known, before)
        if due != known.lines and any(due.values()):
            _decide(spark, settings, due, before)
            known = Expired(before, due)
    # Again each time, in case that the last one was killed.
    return _delete(spark, settings, feeds, known)


def _due(
    spark: SparkSession, settings: Settings, feeds: list[Feed], known: Expired, before: datetime
) -> dict[str, int]:
    def lines(feed: Feed) -> int:
        rows = known.kept(storage.read(spark, settings, bronze_table(feed).name))
        return known.lines.get(feed.name, 0) + rows.where(F.col("arrived_at") < F.lit(before)).count()

    return {feed.name: lines(feed) for feed in feeds}


def _decide(spark: SparkSession, settings: Settings, lines: dict[str, int], before: datetime) -> None:
    storage.ensure_tables(spark, settings, [RETENTION.name])
    now = datetime.now(UTC)
    rows = [(feed, before, count, now) for feed, count in lines.items()]
    storage.append(spark.createDataFrame(rows, RETENTION.schema), settings, RETENTION.name)


def _delete(spark: SparkSession, settings: Settings, feeds: list[Feed], gone: Expired) -> dict[str, int]:
    if gone.before is None:
        return {}
    _delete_made_of(spark, settings, gone.before)
    moment = f"arrived_at < timestamp'{gone.before:%Y-%m-%d %H:%M:%S}Z'"
    of_events = f"feed in ({', '.join(repr(name) for name in EVENT_FEEDS)}) and {moment}"
    conditions = {silver_table(feed).name: moment for feed in feeds}
    conditions |= {table.name: of_events for table in (QUARANTINE, DUPLICATES, ORPHANS)}
    conditions |= {bronze_table(feed).name: f"arrival_date < date'{gone.before.date()}'" for feed in feeds}
    deleted = {
        name: storage.delete_where(spark, settings, name, condition)
        for name, condition in conditions.items()
        if storage.exists(spark, settings, name)
    }
    _delete_archive(settings, feeds, gone.before.date())
    return {name: rows for name, rows in deleted.items() if rows}


def _delete_made_of(spark: SparkSession, settings: Settings, before: datetime) -> None:
    """Features, alerts and scores of the transactions that go."""
    transactions = storage.read(spark, settings, f"silver.{TRANSACTIONS.name}")
    gone = transactions.where(F.col("arrived_at") < F.lit(before)).select("event_id", "event_date").persist()
    first, last = gone.agg(F.min("event_date"), F.max("event_date")).collect()[0]
    if first is not None:
        within = f"old.event_date between date'{first}' and date'{last}'"
        for name in (SCORES.name, ALERTS.name, USER_5M.name):
            if storage.exists(spark, settings, name):
                storage.delete_matching(gone, settings, name, within=within, on=("event_id",))
    gone.unpersist()


def _delete_archive(settings: Settings, feeds: list[Feed], before: date) -> None:
    # Files in the archive hold the same lines, raw.
    for feed in feeds if settings.is_local else ():
        folder = settings.local_path(ARCHIVE, feed.name)
        for day in sorted(folder.iterdir()) if folder.is_dir() else ():
            if day.name < str(before):
                shutil.rmtree(day)
