"""Retention: lines of events that have outlived their time go, with all that was made of them, and stay counted.

They go by the time of their arrival, whole days at once. What goes is decided first, in one commit of
`monitoring.retention`; from then on the rest is counted without it. Then it is deleted, from the end of the line to its
beginning, raw files of inbox and archive included. A kill in between costs nothing: the next care goes on. Reference
feeds are kept.
"""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from datetime import UTC, date, datetime, time, timedelta
from functools import reduce

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lake import storage
from lake.catalog import (
    ALERTS,
    DUPLICATES,
    FRAUD_ALERT,
    ORPHANS,
    PROCESSED_ORDERS,
    QUARANTINE,
    RETENTION,
    SCORES,
    USER_WINDOWS,
)
from lake.feature_tables import EVENT
from lake.feed import Feed
from lake.feed_tables import bronze_table, silver_table
from lake.feeds import DISPUTES, ORDERS, TRANSACTIONS
from lake.lease import turn
from lake.settings import Settings
from spark_jobs.archive import ARCHIVE
from spark_jobs.expired import EVENT_FEEDS, Expired, expired
from spark_jobs.feature_tables import EVENT_TABLES
from spark_jobs.inventory import keep_inventory


def expire(spark: SparkSession, settings: Settings, today: date) -> dict[str, int]:
    """Let lines of events go that arrived more than `retention_days` before a day; gives the deleted rows by table.

    Nothing goes by the word of the clock alone: the day is at most the one after the last earlier day on which lines
    came. Nothing goes while a line of that time stands nowhere in silver yet. Call it in the program that holds the
    leases of the streams.
    """
    feeds = [feed for feed in EVENT_FEEDS.values() if storage.exists(spark, settings, bronze_table(feed).name)]
    last_day = _last_day_with_lines(spark, settings, feeds, today)
    if settings.retention_days and last_day:
        day = min(today, last_day + timedelta(days=1)) - timedelta(days=settings.retention_days)
        with ExitStack() as alone:
            # No micro-batch decides meanwhile; the next one knows what has expired.
            for feed in feeds:
                alone.enter_context(storage.alone(settings, f"lines of {feed.name}"))
            _decide(spark, settings, feeds, datetime.combine(day, time.min, UTC))
    # Again each time, in case that the last one was killed.
    return _delete(spark, settings, feeds, expired(spark, settings))


def _last_day_with_lines(spark: SparkSession, settings: Settings, feeds: list[Feed], today: date) -> date | None:
    """The last day before today on which lines of events came."""
    days = [
        storage.read(spark, settings, bronze_table(feed).name)
        .where(F.col("arrival_date") < F.lit(today))
        .agg(F.max("arrival_date").alias("day"))
        for feed in feeds
    ]
    found = [row["day"] for row in reduce(DataFrame.union, days).collect() if row["day"]] if days else []
    return max(found, default=None)


def _decide(spark: SparkSession, settings: Settings, feeds: list[Feed], before: datetime) -> None:
    """Note what goes from now on, if lines have become old since the last time and all of them are decided about."""
    known = expired(spark, settings)
    if known.before is not None and before <= known.before:
        return
    due = [(feed, _due(spark, settings, feed, known, before)) for feed in feeds]
    some = [(feed, lines) for feed, lines in due if lines]
    if not some or any(lines != _settled(spark, settings, feed, known, before) for feed, lines in some):
        return
    storage.ensure_tables(spark, settings, [RETENTION.name])
    now = datetime.now(UTC)
    rows = [(feed.name, before, known.lines.get(feed.name, 0) + lines, now) for feed, lines in due]
    storage.append(spark.createDataFrame(rows, RETENTION.schema), settings, RETENTION.name)


def _due(spark: SparkSession, settings: Settings, feed: Feed, known: Expired, before: datetime) -> int:
    """Lines of a feed that would go."""
    lines = storage.read(spark, settings, bronze_table(feed).name)
    return known.kept(lines).where(F.col("arrival_date") < F.lit(before.date())).count()


def _settled(spark: SparkSession, settings: Settings, feed: Feed, known: Expired, before: datetime) -> int:
    """How many of them silver has decided about."""

    def rows(name: str) -> DataFrame:
        found = known.kept(storage.read(spark, settings, name)).where(F.col("arrived_at") < F.lit(before))
        if name == ORPHANS.name:
            found = found.where("stands_in = 'waiting'")
        return found if "feed" not in found.columns else found.where(F.col("feed") == feed.name)

    names = (silver_table(feed).name, QUARANTINE.name, DUPLICATES.name, ORPHANS.name)
    counted = [rows(name).agg(F.count("*")) for name in names if storage.exists(spark, settings, name)]
    return sum(row[0] for row in reduce(DataFrame.union, counted).collect()) if counted else 0


# Beside features, in the order in which they go.
_MADE_OF = {
    TRANSACTIONS.name: (SCORES, ALERTS),
    ORDERS.name: (FRAUD_ALERT, PROCESSED_ORDERS, ALERTS),
    DISPUTES.name: (ALERTS,),
}


def _delete(spark: SparkSession, settings: Settings, feeds: list[Feed], gone: Expired) -> dict[str, int]:
    if gone.before is None:
        return {}
    _delete_made_of(spark, settings, gone.before)
    moment = f"arrived_at < timestamp'{gone.before:%Y-%m-%d %H:%M:%S}Z'"
    of_events = f"feed in ({', '.join(repr(name) for name in EVENT_FEEDS)}) and {moment}"
    # Windows by the newest of their lines: those in which something is kept are kept.
    conditions = {USER_WINDOWS.name: f"inputs_{moment}"} | {silver_table(feed).name: moment for feed in feeds}
    conditions |= {table.name: of_events for table in (QUARANTINE, DUPLICATES, ORPHANS)}
    deleted = _deleted(spark, settings, conditions)
    if settings.is_local:
        _delete_files(spark, settings, feeds, gone.before.date())
    days = {bronze_table(feed).name: f"arrival_date < date'{gone.before.date()}'" for feed in feeds}
    return deleted | _deleted(spark, settings, days)


def _deleted(spark: SparkSession, settings: Settings, conditions: dict[str, str]) -> dict[str, int]:
    """Delete by the conditions of tables; gives the rows of those where something went."""
    deleted = {
        name: storage.delete_where(spark, settings, name, condition)
        for name, condition in conditions.items()
        if storage.exists(spark, settings, name)
    }
    return {name: rows for name, rows in deleted.items() if rows}


def _delete_made_of(spark: SparkSession, settings: Settings, before: datetime) -> None:
    """Features, alerts, scores and judgements of the events that go."""
    for found in EVENT_TABLES:
        if not storage.exists(spark, settings, found.source):
            continue
        events = storage.read(spark, settings, found.source).where(F.col("arrived_at") < F.lit(before))
        # By the names of all events, and by those of their feed.
        named = dict(zip(EVENT, found.event, strict=True))
        own = {name: name for name in found.event}
        gone = events.select(*(F.col(of).alias(to) for to, of in (own | named).items()), "event_date").persist()
        first, last = gone.agg(F.min("event_date"), F.max("event_date")).collect()[0]
        if first is not None:
            within = f"old.event_date between date'{first}' and date'{last}'"
            for table in (*_MADE_OF[found.feed.name], found.table):
                if storage.exists(spark, settings, table.name):
                    # Scores are written by another program.
                    with turn(settings, table.name):
                        on = EVENT if set(EVENT) <= set(table.column_names) else table.keys
                        storage.delete_matching(gone, settings, table.name, within=within, on=on)
        gone.unpersist()


def _delete_files(spark: SparkSession, settings: Settings, feeds: list[Feed], before: date) -> None:
    """Files of inbox and archive that hold the same lines, raw; what changed since it was taken stays, and is named."""
    inventory = keep_inventory(spark, settings)
    for feed in feeds:
        old = storage.read(spark, settings, bronze_table(feed).name).where(F.col("arrival_date") < F.lit(before))
        for row in old.select("source_file").distinct().toLocalIterator():
            key = (feed.name, row["source_file"])
            if key in inventory.lying and key not in inventory.changed:
                (settings.local_path("inbox", feed.name) / row["source_file"]).unlink(missing_ok=True)
        folder = settings.local_path(ARCHIVE, feed.name)
        for day in sorted(folder.iterdir()) if folder.is_dir() else ():
            if day.is_dir() and day.name < str(before):
                shutil.rmtree(day)
