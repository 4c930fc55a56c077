"""Reconciliation: every input line stands in exactly one counted place, and every transaction has its features."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import reduce
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lake import storage
from lake.catalog import ALERTS, DUPLICATES, QUARANTINE, USER_5M
from lake.feeds import FEEDS, TRANSACTIONS
from lake.inbox import count_lines, visible_files
from lake.settings import Settings
from lake.table import Table
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
    sizes = _sizes(spark, settings)
    quarantined, duplicates = _by_feed(spark, settings, QUARANTINE), _by_feed(spark, settings, DUPLICATES)
    return Status(
        feeds={
            name: FeedCounts(
                lines=inbox_lines(settings, name),
                bronze=sizes[f"bronze.{name}"].rows,
                silver=sizes[f"silver.{name}"].rows,
                quarantined=quarantined.get(name, 0),
                duplicates=duplicates.get(name, 0),
            )
            for name in FEEDS
        },
        feature_rows=sizes[USER_5M.name].rows,
        parity=measure(spark, settings) if with_parity else None,
        alerts=_alerts(spark, settings),
        quarantine=_quarantine(spark, settings),
        freshness_s={name: sizes[name].age_s for name in _FRESH},
    )


def inbox_lines(settings: Settings, feed: str) -> int:
    """Lines in the inbox folder of a feed, as bronze must hold them."""
    return sum(count_lines(file) for file in visible_files(settings.local_path("inbox", feed)))


@dataclass(frozen=True)
class _Size:
    """Rows of a table, and the seconds since the newest line that it knows of (None where it knows none)."""

    rows: int
    age_s: float | None


def _sizes(spark: SparkSession, settings: Settings) -> dict[str, _Size]:
    names = [f"{layer}.{feed}" for feed in FEEDS for layer in ("bronze", "silver")] + [USER_5M.name, ALERTS.name]
    # One query for all: planning a small one costs more than counting.
    counted = [
        storage.read(spark, settings, name).agg(
            F.lit(name).alias("name"),
            F.count("*").alias("rows"),
            F.unix_micros(F.max(_FRESH.get(name, "arrived_at"))).alias("newest_us"),
        )
        for name in names
    ]
    now = datetime.now(UTC).timestamp()
    return {
        row["name"]: _Size(row["rows"], None if row["newest_us"] is None else round(now - row["newest_us"] / 1e6, 1))
        for row in reduce(DataFrame.union, counted).collect()
    }


# What tells the newest line of transactions that a table knows of.
_FRESH = {
    f"bronze.{TRANSACTIONS.name}": "arrived_at",
    f"silver.{TRANSACTIONS.name}": "arrived_at",
    USER_5M.name: "inputs_arrived_at",
    ALERTS.name: "inputs_arrived_at",
}


def _by_feed(spark: SparkSession, settings: Settings, table: Table) -> dict[str, int]:
    rows = storage.read(spark, settings, table.name)
    return {row["feed"]: row["count"] for row in rows.groupBy("feed").count().collect()}


def _alerts(spark: SparkSession, settings: Settings) -> dict[str, int]:
    standing = storage.read(spark, settings, ALERTS.name).where("state = 'open'")
    return {row["rule"]: row["count"] for row in standing.groupBy("rule").count().orderBy("rule").collect()}


def _quarantine(spark: SparkSession, settings: Settings) -> dict[str, int]:
    rows = storage.read(spark, settings, QUARANTINE.name)
    codes = rows.select(F.explode("reasons.code").alias("code"))
    return {row["code"]: row["count"] for row in codes.groupBy("code").count().orderBy("code").collect()}
