"""Reconciliation: every input line stands in exactly one counted place, and every transaction has its features."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from pyspark.sql import DataFrame, SparkSession

from lake import storage
from lake.catalog import DUPLICATES, INGESTION, ORPHANS, QUARANTINE, USER_5M
from lake.feed import Feed
from lake.feed_tables import accepted_table, bronze_table
from lake.feeds import FEEDS, TRANSACTIONS
from lake.lease import turn
from lake.settings import Settings
from spark_jobs.archive import archive_finished
from spark_jobs.inventory import Inventory, keep_inventory, take_inventory
from spark_jobs.parity import Parity, measure
from spark_jobs.standing import (
    FRESH,
    NO_ROWS,
    accepted_orphans,
    by_feed,
    open_alerts,
    quarantine_codes,
    sizes,
    unknown_fields,
)


@dataclass(frozen=True)
class FeedCounts:
    """Where the lines of one feed stand.

    `silver` are accepted events, of a reference feed accepted versions; `pending` are lines of files that no stream
    has taken yet; `orphans` are accepted events whose user, merchant or product is unknown.
    """

    lines: int
    bronze: int
    silver: int
    quarantined: int
    duplicates: int
    waiting: int = 0
    orphans: int = 0
    pending: int = 0
    changed_files: int = 0

    @property
    def difference(self) -> int:
        """Lines that stand nowhere, or if negative, more than once; lines that are pending are not lost."""
        lost_before_bronze = self.lines - self.pending - self.bronze
        return lost_before_bronze or self.bronze - self.silver - self.quarantined - self.duplicates - self.waiting

    @property
    def is_consistent(self) -> bool:
        """Whether every line has been taken, none is lost and none counted twice."""
        return self.pending == 0 and self.difference == 0

    def as_dict(self) -> dict[str, int]:
        """As `risklake status --json` shows it."""
        shown = ("lines", "bronze", "silver", "quarantined", "duplicates", "waiting", "orphans")
        return {name: getattr(self, name) for name in shown}


@dataclass(frozen=True)
class Status:
    """The state of a lake; `parity` is None where it was not asked for."""

    feeds: dict[str, FeedCounts]
    feature_rows: int
    parity: Parity | None
    alerts: dict[str, int]
    quarantine: dict[str, int]
    freshness_s: dict[str, float | None] = field(default_factory=dict)
    changed_files: list[str] = field(default_factory=list)
    unknown_fields: dict[str, int] = field(default_factory=dict)

    @property
    def is_consistent(self) -> bool:
        """Whether all counts agree and no feature row differs from its recomputation."""
        counts = all(feed.is_consistent for feed in self.feeds.values())
        features = self.feature_rows == self.feeds[TRANSACTIONS.name].silver
        return counts and features and (self.parity is None or self.parity.differing == 0)

    def as_dict(self) -> dict[str, Any]:
        """The JSON of `risklake status --json`."""
        return {
            "consistent": self.is_consistent,
            "feeds": {name: counts.as_dict() for name, counts in self.feeds.items()},
            "features": {USER_5M.short_name: {"rows": self.feature_rows}},
            "parity": {USER_5M.short_name: self.parity.as_dict()} if self.parity else {},
            "alerts": self.alerts,
            "quarantine": self.quarantine,
            "freshness_s": self.freshness_s,
            "changed_files": self.changed_files,
            "unknown_fields": self.unknown_fields,
        }


def measure_status(spark: SparkSession, settings: Settings, *, with_parity: bool = True) -> Status:
    """Count the lake as it stands now: inbox files by plain Python, tables by Spark."""
    storage.ensure_tables(spark, settings)
    return _status(spark, settings, take_inventory(spark, settings), with_parity=with_parity)


def close_run(spark: SparkSession, settings: Settings, *, with_parity: bool = False) -> Status:
    """Reconcile at the end of a run, keep the counts in `monitoring.ingestion`, and archive finished files if wanted.

    Programs write the counts in turn.
    """
    inventory = keep_inventory(spark, settings)
    status = _status(spark, settings, inventory, with_parity=with_parity)
    if settings.finished_files == "archive":
        archive_finished(spark, settings, inventory)
    with turn(settings, INGESTION.name):
        storage.ensure_tables(spark, settings, [INGESTION.name])
        storage.append(_as_rows(spark, status), settings, INGESTION.name)
    return status


def _status(spark: SparkSession, settings: Settings, inventory: Inventory, *, with_parity: bool) -> Status:
    size_of = sizes(spark, settings)
    places = {table.name: by_feed(spark, settings, table) for table in (QUARANTINE, DUPLICATES, ORPHANS)}

    def counts(feed: Feed) -> FeedCounts:
        lines, bronze = inventory.lines(feed.name), size_of.get(bronze_table(feed).name, NO_ROWS).rows
        return FeedCounts(
            lines=lines,
            bronze=bronze,
            silver=size_of.get(accepted_table(feed).name, NO_ROWS).rows,
            quarantined=places[QUARANTINE.name].get(feed.name, 0),
            duplicates=places[DUPLICATES.name].get(feed.name, 0),
            waiting=places[ORPHANS.name].get(feed.name, 0),
            orphans=accepted_orphans(spark, settings, feed),
            pending=_pending(spark, settings, feed, inventory) if lines > bronze else 0,
            changed_files=sum(name == feed.name for name, _ in inventory.changed),
        )

    found = {feed.name: counts(feed) for feed in FEEDS.values()}
    return Status(
        feeds={name: feed for name, feed in found.items() if FEEDS[name].is_core or feed.lines or feed.bronze},
        feature_rows=size_of[USER_5M.name].rows,
        parity=measure(spark, settings) if with_parity else None,
        alerts=open_alerts(spark, settings),
        quarantine=quarantine_codes(spark, settings),
        freshness_s={name: size_of[name].age_s for name in FRESH},
        changed_files=[f"{feed}/{file}" for feed, file in inventory.changed],
        unknown_fields=unknown_fields(spark, settings),
    )


def _as_rows(spark: SparkSession, status: Status) -> DataFrame:
    now, run = datetime.now(UTC), uuid4().hex
    rows = [
        {
            "run_id": run,
            "feed": name,
            "measured_at": now,
            "measured_date": now.date(),
            "difference": counts.difference,
            "verdict": "Consistent" if counts.difference == 0 else "Inconsistent",
            "pending": counts.pending,
            "changed_files": counts.changed_files,
            **counts.as_dict(),
        }
        for name, counts in status.feeds.items()
    ]
    return spark.createDataFrame([tuple(row[c] for c in INGESTION.column_names) for row in rows], INGESTION.schema)


def _pending(spark: SparkSession, settings: Settings, feed: Feed, inventory: Inventory) -> int:
    """Lines of files of which bronze holds nothing."""
    held: set[str] = set()
    if storage.exists(spark, settings, bronze_table(feed).name):
        rows = storage.read(spark, settings, bronze_table(feed).name).select("source_file").distinct()
        held = {row["source_file"] for row in rows.collect()}
    return sum(e.lines for e in inventory.entries.values() if e.feed == feed.name and e.source_file not in held)
