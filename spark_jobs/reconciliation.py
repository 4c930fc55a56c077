"""Reconciliation: every input line stands in exactly one counted place, and every transaction has its features."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lake import storage
from lake.catalog import ALERTS, DUPLICATES, QUARANTINE, USER_5M
from lake.feeds import FEEDS, TRANSACTIONS
from lake.inbox import count_lines, visible_files
from lake.settings import Settings
from spark_jobs.parity import Parity, measure


@dataclass(frozen=True)
class FeedCounts:
    """Where the lines of one feed stand."""

    lines: int
    bronze: int
    silver: int
    quarantined: int
    duplicates: int

    @property
    def is_consistent(self) -> bool:
        """Whether no line is lost and none counted twice."""
        return self.lines == self.bronze == self.silver + self.quarantined + self.duplicates

    def as_dict(self) -> dict[str, int]:
        """As `risklake status --json` shows it."""
        return {name: getattr(self, name) for name in ("lines", "bronze", "silver", "quarantined", "duplicates")}


@dataclass(frozen=True)
class Status:
    """The state of a lake; `parity` is None where it was not asked for."""

    feeds: dict[str, FeedCounts]
    feature_rows: int
    parity: Parity | None
    alerts: dict[str, int]
    quarantine: dict[str, int]
    freshness_s: dict[str, float | None] = field(default_factory=dict)

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
        }


def measure_status(spark: SparkSession, settings: Settings, *, with_parity: bool = True) -> Status:
    """Count the lake as it stands now: inbox files by plain Python, tables by Spark."""
    storage.ensure_tables(spark, settings)
    return Status(
        feeds=_feeds(spark, settings),
        feature_rows=storage.read(spark, settings, USER_5M.name).count(),
        parity=measure(spark, settings) if with_parity else None,
        alerts=_alerts(spark, settings),
        quarantine=_quarantine(spark, settings),
        freshness_s=_freshness(spark, settings),
    )


def inbox_lines(settings: Settings, feed: str) -> int:
    """Lines in the inbox folder of a feed, as bronze must hold them."""
    return sum(count_lines(file) for file in visible_files(settings.local_path("inbox", feed)))


def _feeds(spark: SparkSession, settings: Settings) -> dict[str, FeedCounts]:
    quarantined = _by_feed(storage.read(spark, settings, QUARANTINE.name))
    duplicates = _by_feed(storage.read(spark, settings, DUPLICATES.name))
    return {
        name: FeedCounts(
            lines=inbox_lines(settings, name),
            bronze=storage.read(spark, settings, f"bronze.{name}").count(),
            silver=storage.read(spark, settings, f"silver.{name}").count(),
            quarantined=quarantined.get(name, 0),
            duplicates=duplicates.get(name, 0),
        )
        for name in FEEDS
    }


def _by_feed(rows: DataFrame) -> dict[str, int]:
    return {row["feed"]: row["count"] for row in rows.groupBy("feed").count().collect()}


def _alerts(spark: SparkSession, settings: Settings) -> dict[str, int]:
    standing = storage.read(spark, settings, ALERTS.name).where("state = 'open'")
    return {row["rule"]: row["count"] for row in standing.groupBy("rule").count().orderBy("rule").collect()}


def _quarantine(spark: SparkSession, settings: Settings) -> dict[str, int]:
    rows = storage.read(spark, settings, QUARANTINE.name)
    codes = rows.select(F.explode("reasons.code").alias("code"))
    return {row["code"]: row["count"] for row in codes.groupBy("code").count().orderBy("code").collect()}


def _freshness(spark: SparkSession, settings: Settings) -> dict[str, float | None]:
    """Seconds since the newest line of transactions that each table knows of; None where it knows none."""
    newest = {
        f"bronze.{TRANSACTIONS.name}": "arrived_at",
        f"silver.{TRANSACTIONS.name}": "arrived_at",
        USER_5M.name: "inputs_arrived_at",
        ALERTS.name: "inputs_arrived_at",
    }
    ages: dict[str, float | None] = {}
    for name, column in newest.items():
        last = storage.read(spark, settings, name).agg(F.unix_micros(F.max(column))).collect()[0][0]
        ages[name] = None if last is None else round(datetime.now(UTC).timestamp() - last / 1e6, 1)
    return ages
