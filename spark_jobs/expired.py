"""What has outlived its time: it is counted no more from the decision on, whether it is deleted already or not."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lake import storage
from lake.catalog import RETENTION
from lake.feeds import FEEDS
from lake.settings import Settings

# Reference feeds are kept.
EVENT_FEEDS = {name: feed for name, feed in FEEDS.items() if not feed.is_reference}


@dataclass(frozen=True)
class Expired:
    """What has outlived its time: lines that arrived before a moment (UTC), and how many there were by feed."""

    before: datetime | None = None
    lines: dict[str, int] = field(default_factory=dict)

    def kept(self, rows: DataFrame) -> DataFrame:
        """Of rows with `arrived_at`, of events only, those that are kept."""
        return rows if self.before is None else rows.where(F.col("arrived_at") >= F.lit(self.before))

    def kept_of(self, feed: str, rows: DataFrame) -> DataFrame:
        """The same of rows of one feed, which may be a reference feed."""
        return self.kept(rows) if feed in EVENT_FEEDS else rows

    def kept_by_feed(self, rows: DataFrame) -> DataFrame:
        """The same of rows of all feeds, with a column `feed`."""
        if self.before is None:
            return rows
        return rows.where((F.col("arrived_at") >= F.lit(self.before)) | ~F.col("feed").isin(*EVENT_FEEDS))


def expired(spark: SparkSession, settings: Settings) -> Expired:
    """What has been decided to go so far."""
    if not storage.exists(spark, settings, RETENTION.name):
        return Expired()
    moment = F.unix_micros("expired_before").alias("before_us")
    rows = storage.read(spark, settings, RETENTION.name).select("feed", moment, "lines").collect()
    # A kill may leave the table without a row.
    latest = max((row["before_us"] for row in rows), default=None)
    if latest is None:
        return Expired()
    before = datetime.fromtimestamp(latest // 1_000_000, UTC)
    return Expired(before, {row["feed"]: row["lines"] for row in rows if row["before_us"] == latest})
