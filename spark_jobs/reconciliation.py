"""Reconciliation: every input line stands in exactly one counted place, and every transaction has its features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lake import storage
from lake.catalog import INGESTION
from lake.feed import Feed
from lake.feed_tables import accepted_table, bronze_table
from lake.feeds import FEEDS
from lake.lease import turn
from lake.settings import Settings
from spark_jobs import silver
from spark_jobs.archive import archive_finished
from spark_jobs.expired import Expired, expired
from spark_jobs.feature_tables import FeatureTable, feature_tables
from spark_jobs.inventory import Inventory, keep_inventory, keep_taken, take_inventory, with_taken
from spark_jobs.lag import NO_LAG, Lag, LagMeter
from spark_jobs.parity import Parity, keep, measure
from spark_jobs.standing import FRESH, NO_ROWS, accepted_orphans, sizes, tallies

CountFiles = Callable[[SparkSession, Settings], Inventory]


@dataclass(frozen=True)
class FeedCounts:
    """Where the lines of one feed stand.

    `silver` are accepted events, of a reference feed accepted versions; `pending` are lines of files that no stream
    has taken yet; `orphans` are accepted events whose user, merchant or product is unknown. Lines that have outlived
    `retention_days` are in none of them.
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
    lag: Lag = NO_LAG

    @property
    def difference(self) -> int:
        """Lines that stand nowhere, or if negative, more than once; lines that are on their way are not lost."""
        lost_before_bronze = self.lines - self.pending - self.bronze
        return lost_before_bronze or self.lag.unexplained(self._undecided)

    @property
    def on_their_way(self) -> int:
        """Lines of files that no stream has taken, and rows of bronze that silver has not decided about yet."""
        return self.pending + max(self._undecided - self.difference, 0)

    @property
    def is_consistent(self) -> bool:
        """Whether every line has been taken, none is lost and none counted twice."""
        return self.pending == 0 and self.difference == 0 and self._undecided <= 0

    @property
    def _undecided(self) -> int:
        return self.bronze - self.silver - self.quarantined - self.duplicates - self.waiting

    def as_dict(self) -> dict[str, int]:
        """As `risklake status --json` shows it."""
        shown = ("lines", "bronze", "silver", "quarantined", "duplicates", "waiting", "orphans", "on_their_way",
                 "difference")  # fmt: skip
        return {name: getattr(self, name) for name in shown}


@dataclass(frozen=True)
class FeatureCounts:
    """How many accepted events of a feed there are, how many rows its table of features has, and its stream's lag.

    `events` is None for a table without a row for each of them.
    """

    events: int | None
    rows: int
    lag: Lag = NO_LAG

    @property
    def difference(self) -> int:
        """Accepted events without features (rows too many, if negative); those on their way are not lost."""
        return 0 if self.events is None else self.lag.unexplained(self.events - self.rows)

    @property
    def is_complete(self) -> bool:
        """Whether there are as many rows as events."""
        return self.events is None or self.events == self.rows


@dataclass(frozen=True)
class Status:
    """The state of a lake; `features` and `parity` are by table, and parity is empty where it was not asked for.

    Ages (`freshness_s`) are those at `counted_at`.
    """

    feeds: dict[str, FeedCounts]
    features: dict[str, FeatureCounts]
    parity: dict[str, Parity]
    alerts: dict[str, int]
    quarantine: dict[str, int]
    freshness_s: dict[str, float | None] = field(default_factory=dict)
    changed_files: list[str] = field(default_factory=list)
    unknown_fields: dict[str, int] = field(default_factory=dict)
    counted_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def has_difference(self) -> bool:
        """Whether lines or features are lost, doubled or differ: a defect, not work that is still on its way."""
        differences = [counts.difference for counts in self.feeds.values()]
        differences += [counts.difference for counts in self.features.values()]
        return any(differences) or bool(self.differing)

    @property
    def differing(self) -> dict[str, int]:
        """Feature rows that differ from their recomputation, by table."""
        # While rows are on their way, the comparison sees some before and some after them.
        is_still = {name for name, counts in self.features.items() if counts.lag == NO_LAG}
        return {name: one.differing for name, one in self.parity.items() if one.differing and name in is_still}

    @property
    def is_consistent(self) -> bool:
        """Whether all has arrived, all counts agree, and no feature row differs from its recomputation."""
        have_features = all(counts.is_complete for counts in self.features.values())
        return have_features and all(feed.is_consistent for feed in self.feeds.values()) and not self.has_difference

    def as_dict(self) -> dict[str, Any]:
        """The JSON of `risklake status --json`."""
        return {
            "consistent": self.is_consistent,
            "feeds": {name: counts.as_dict() for name, counts in self.feeds.items()},
            "features": {name: {"rows": counts.rows} for name, counts in self.features.items()},
            "parity": {name: parity.as_dict() for name, parity in self.parity.items()},
            "alerts": self.alerts,
            "quarantine": self.quarantine,
            "freshness_s": self.freshness_s,
            "changed_files": self.changed_files,
            "unknown_fields": self.unknown_fields,
        }


def measure_status(spark: SparkSession, settings: Settings, *, with_parity: bool = True) -> Status:
    """Count the lake as it stands now: inbox files by plain Python, tables by Spark."""
    storage.ensure_tables(spark, settings)
    return _measured(spark, settings, take_inventory, with_parity=with_parity)[0]


def close_run(spark: SparkSession, settings: Settings, *, with_parity: bool = False) -> Status:
    """Reconcile at the end of a run, keep the counts in `monitoring.ingestion`, and archive finished files if wanted.

    May run beside the streams of the lake. Programs write the counts in turn.
    """
    status, inventory = _measured(spark, settings, keep_inventory, with_parity=with_parity)
    keep_taken(spark, settings, inventory)
    if settings.finished_files == "archive":
        archive_finished(spark, settings, inventory)
    with turn(settings, INGESTION.name):
        storage.ensure_tables(spark, settings, [INGESTION.name])
        storage.require_columns(spark, settings, INGESTION.name)
        storage.append(_as_rows(spark, status), settings, INGESTION.name)
    keep(spark, settings, status.parity)
    return status


def _measured(
    spark: SparkSession, settings: Settings, count_files: CountFiles, *, with_parity: bool
) -> tuple[Status, Inventory]:
    """The status, measured again where something differs.

    Beside a running stream, a line that is just being released from the orphans stands in two places for a moment, and
    what expires may go between two counts. And a file may have changed, or gone, after bronze took it and before it was
    counted.
    """
    status, inventory = _status(spark, settings, count_files, with_parity=with_parity)
    if status.has_difference:
        status, inventory = _status(spark, settings, count_files, with_parity=with_parity, again=True)
    return status, inventory


def _status(
    spark: SparkSession, settings: Settings, count_files: CountFiles, *, with_parity: bool, again: bool = False
) -> tuple[Status, Inventory]:
    # In this order, so that what arrives meanwhile can only look like work on its way: each table is pinned before
    # those that are written from it are counted, and the files of the inbox are counted last.
    meters = {name: LagMeter(settings, silver.query(feed), bronze_table(feed).name) for name, feed in FEEDS.items()}
    tables = feature_tables(spark, settings)
    feature_meters = {found.name: LagMeter(settings, found.query, found.source) for found in tables}
    versions = {bronze_table(FEEDS[name]).name: meter.version for name, meter in meters.items()}
    versions |= {found.source: feature_meters[found.name].version for found in tables if found.is_by_event}
    gone = expired(spark, settings)
    counted_at = datetime.now(UTC)
    size_of = sizes(spark, settings, versions, gone)
    tally, orphans = tallies(spark, settings, gone), accepted_orphans(spark, settings, gone)
    # Before the lag is known: what is written meanwhile then counts as being on its way.
    parity = measure(spark, settings, gone) if with_parity else {}
    lags = {name: meter.close() for name, meter in meters.items()}
    feature_lags = {name: meter.close() for name, meter in feature_meters.items()}
    inventory = count_files(spark, settings)
    if again:
        inventory = with_taken(spark, settings, inventory, versions)

    def pending(feed: Feed) -> int:
        return _not_in_bronze(spark, settings, feed, inventory, meters[feed.name].version, gone)

    def counts(feed: Feed) -> FeedCounts:
        past = gone.lines.get(feed.name, 0)
        lines, bronze = inventory.lines(feed.name) - past, size_of.get(bronze_table(feed).name, NO_ROWS).rows
        return FeedCounts(
            lines=lines,
            bronze=bronze,
            silver=size_of.get(accepted_table(feed).name, NO_ROWS).rows,
            quarantined=tally.quarantined.get(feed.name, 0),
            duplicates=tally.duplicates.get(feed.name, 0),
            waiting=tally.waiting.get(feed.name, 0),
            orphans=orphans.get(feed.name, 0),
            pending=pending(feed) - past if lines > bronze else 0,
            changed_files=sum(name == feed.name for name, _ in inventory.changed),
            lag=lags[feed.name],
        )

    def feature_counts(found: FeatureTable) -> FeatureCounts:
        events, rows = (size_of.get(name, NO_ROWS).rows for name in (found.source, found.table.name))
        return FeatureCounts(events if found.is_by_event else None, rows, feature_lags[found.name])

    by_feed = {feed.name: counts(feed) for feed in FEEDS.values()}
    status = Status(
        feeds={name: feed for name, feed in by_feed.items() if FEEDS[name].is_core or feed.lines or feed.bronze},
        features={found.name: feature_counts(found) for found in tables},
        parity=parity,
        alerts=tally.alerts,
        quarantine=tally.codes,
        freshness_s={name: size_of[name].age_s for name in FRESH},
        changed_files=[f"{feed}/{file}" for feed, file in inventory.changed],
        unknown_fields=tally.unknown,
        counted_at=counted_at,
    )
    return status, inventory


def _as_rows(spark: SparkSession, status: Status) -> DataFrame:
    now, run = datetime.now(UTC), uuid4().hex
    rows = [
        {
            "run_id": run,
            "feed": name,
            "measured_at": now,
            "measured_date": now.date(),
            "verdict": "Consistent" if counts.difference == 0 else "Inconsistent",
            "pending": counts.pending,
            "undecided": counts.on_their_way - counts.pending,
            "changed_files": counts.changed_files,
            **counts.as_dict(),
        }
        for name, counts in status.feeds.items()
    ]
    return spark.createDataFrame([tuple(row[c] for c in INGESTION.column_names) for row in rows], INGESTION.schema)


def _not_in_bronze(
    spark: SparkSession, settings: Settings, feed: Feed, inventory: Inventory, version: int | None, gone: Expired
) -> int:
    """Lines of files of which bronze, as of a version, holds nothing, or nothing that has not expired."""
    files = inventory.files(spark, settings, feed.name)
    if storage.exists(spark, settings, bronze_table(feed).name):
        rows = gone.kept_of(feed.name, storage.read(spark, settings, bronze_table(feed).name, version))
        files = files.join(rows.select("source_file").distinct(), on="source_file", how="left_anti")
    return int(files.agg(F.coalesce(F.sum("lines"), F.lit(0))).collect()[0][0])
