"""Counts of what stands where in a lake, read from its tables; a table that is not there yet counts nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import reduce

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from lake import storage
from lake.catalog import ALERTS, DUPLICATES, ORPHANS, QUARANTINE, TABLES, UNKNOWN_FIELDS, USER_5M
from lake.feed import Feed
from lake.feed_tables import accepted_table, bronze_table, silver_table
from lake.feeds import FEEDS, TRANSACTIONS
from lake.settings import Settings
from spark_jobs.expired import Expired

# What tells the newest line of transactions that a table knows of.
FRESH = {
    f"bronze.{TRANSACTIONS.name}": "arrived_at",
    f"silver.{TRANSACTIONS.name}": "arrived_at",
    USER_5M.name: "inputs_arrived_at",
    ALERTS.name: "inputs_arrived_at",
}


@dataclass(frozen=True)
class Size:
    """Rows of a table, and the seconds since the newest line that it knows of (None where it knows none)."""

    rows: int
    age_s: float | None


NO_ROWS = Size(0, None)


def sizes(
    spark: SparkSession, settings: Settings, versions: Mapping[str, int | None], gone: Expired
) -> dict[str, Size]:
    """The size of each table that lines pass through, by name, without what has expired; of some as of a version."""
    tables = [table for feed in FEEDS.values() for table in (bronze_table(feed), accepted_table(feed))]
    names = [t.name for t in (*tables, USER_5M, ALERTS) if storage.exists(spark, settings, t.name)]
    # One query for all: planning a small one costs more than counting.
    counted = [
        _kept(storage.read(spark, settings, name, versions.get(name)), spark, settings, name, gone).agg(
            F.lit(name).alias("name"),
            F.count("*").alias("rows"),
            F.unix_micros(F.max(FRESH.get(name, "arrived_at"))).alias("newest_us"),
        )
        for name in names
    ]
    now = datetime.now(UTC).timestamp()
    return {
        row["name"]: Size(row["rows"], None if row["newest_us"] is None else round(now - row["newest_us"] / 1e6, 1))
        for row in reduce(DataFrame.union, counted).collect()
    }


def _kept(rows: DataFrame, spark: SparkSession, settings: Settings, name: str, gone: Expired) -> DataFrame:
    """Without the rows that have expired, whether they are deleted already or not."""
    # Of alerts only the newest is asked for, which is kept.
    if gone.before is None or not TABLES[name].expires or name == ALERTS.name:
        return rows
    if "arrived_at" in rows.columns:
        return gone.kept(rows)
    # Features have no time of arrival of their own; they are deleted before their transactions.
    transactions = storage.read(spark, settings, f"silver.{TRANSACTIONS.name}")
    old = transactions.where(F.col("arrived_at") < F.lit(gone.before)).select("event_id")
    return rows.join(old, on="event_id", how="left_anti")


def accepted_orphans(spark: SparkSession, settings: Settings, gone: Expired) -> dict[str, int]:
    """Accepted events by feed that refer to an unknown thing; what this lake knows nothing of is not asked for."""
    counted = [_orphans_of(spark, settings, feed, gone) for feed in FEEDS.values()]
    found = [rows for rows in counted if rows is not None]
    if not found:
        return {}
    return {row["feed"]: row["orphans"] for row in reduce(DataFrame.union, found).collect()}


def _orphans_of(spark: SparkSession, settings: Settings, feed: Feed, gone: Expired) -> DataFrame | None:
    """One row (feed, orphans); None where a feed refers to nothing that the lake knows."""
    referred = {
        field: silver_table(FEEDS[name])
        for field, name in feed.references.items()
        if storage.exists(spark, settings, silver_table(FEEDS[name]).name)
    }
    if not referred or not storage.exists(spark, settings, silver_table(feed).name):
        return None
    events = gone.kept_of(feed.name, storage.read(spark, settings, silver_table(feed).name)).groupBy(*referred).count()
    for name, table in referred.items():
        known = storage.read(spark, settings, table.name).select(F.col(table.keys[0]).alias(name))
        events = events.join(known.withColumn(f"{name}__is_known", F.lit(True)), on=name, how="left")
    is_orphan = reduce(
        Column.__or__, (F.col(name).isNotNull() & F.col(f"{name}__is_known").isNull() for name in referred)
    )
    orphans = F.coalesce(F.sum(F.when(is_orphan, F.col("count"))), F.lit(0))
    return events.agg(F.lit(feed.name).alias("feed"), orphans.alias("orphans"))


def by_feed(spark: SparkSession, settings: Settings, gone: Expired) -> dict[str, dict[str, int]]:
    """Rows of quarantine, duplicates and orphans by table and feed, without what has expired.

    Of the orphans those count that wait, as the others stand in quarantine.
    """
    found: dict[str, dict[str, int]] = {name: {} for name in (QUARANTINE.name, DUPLICATES.name, ORPHANS.name)}
    there = [name for name in found if storage.exists(spark, settings, name)]
    counted = []
    for name in there:
        rows = gone.kept_by_feed(storage.read(spark, settings, name))
        if name == ORPHANS.name:
            rows = rows.where("stands_in = 'waiting'")
        counted.append(rows.groupBy("feed").agg(F.lit(name).alias("name"), F.count("*").alias("rows")))
    for row in reduce(DataFrame.union, counted).collect():
        found[row["name"]][row["feed"]] = row["rows"]
    return found


def open_alerts(spark: SparkSession, settings: Settings) -> dict[str, int]:
    """Open alerts by rule."""
    standing = storage.read(spark, settings, ALERTS.name).where("state = 'open'")
    return {row["rule"]: row["count"] for row in standing.groupBy("rule").count().orderBy("rule").collect()}


def quarantine_codes(spark: SparkSession, settings: Settings, gone: Expired) -> dict[str, int]:
    """Quarantined lines by reason; one with two reasons counts for each."""
    rows = gone.kept_by_feed(storage.read(spark, settings, QUARANTINE.name))
    codes = rows.select(F.explode("reasons.code").alias("code"))
    return {row["code"]: row["count"] for row in codes.groupBy("code").count().orderBy("code").collect()}


def unknown_fields(spark: SparkSession, settings: Settings) -> dict[str, int]:
    """Accepted lines by field that no feed declares, as `feed.field`."""
    if not storage.exists(spark, settings, UNKNOWN_FIELDS.name):
        return {}
    lines = (
        storage.read(spark, settings, UNKNOWN_FIELDS.name).groupBy("feed", "field").agg(F.sum("lines").alias("lines"))
    )
    return {f"{row['feed']}.{row['field']}": row["lines"] for row in lines.orderBy("feed", "field").collect()}
