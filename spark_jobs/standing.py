"""Counts of what stands where in a lake, read from its tables; a table that is not there yet counts nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from functools import reduce

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from lake import storage
from lake.catalog import ALERTS, DUPLICATES, ORPHANS, QUARANTINE, TABLES, UNKNOWN_FIELDS, USER_5M, USER_WINDOWS
from lake.feature_tables import EVENT
from lake.feed import Feed
from lake.feed_tables import accepted_table, bronze_table, silver_table
from lake.feeds import FEEDS, TRANSACTIONS
from lake.settings import Settings
from spark_jobs.expired import Expired
from spark_jobs.feature_tables import EVENT_TABLES, FEATURE_TABLES


def _arrival(name: str) -> str:
    """The column that tells the arrival of what a table is made of."""
    return "inputs_arrived_at" if "inputs_arrived_at" in TABLES[name].column_names else "arrived_at"


# What tells the newest line of transactions that a table knows of.
_OF_TRANSACTIONS = (f"bronze.{TRANSACTIONS.name}", f"silver.{TRANSACTIONS.name}", USER_5M.name, ALERTS.name)
FRESH = {name: _arrival(name) for name in _OF_TRANSACTIONS}


@dataclass(frozen=True)
class Size:
    """Rows of a table, and the seconds since the newest line that it knows of (None where it knows none)."""

    rows: int
    age_s: float | None


NO_ROWS = Size(0, None)
# Tables of all feeds, whose rows expire with their lines.
_BY_FEED = (QUARANTINE.name, DUPLICATES.name, ORPHANS.name)


def sizes(
    spark: SparkSession, settings: Settings, versions: Mapping[str, int | None], gone: Expired
) -> dict[str, Size]:
    """The size of each table that lines pass through, by name, without what has expired; of some as of a version."""
    tables = [table for feed in FEEDS.values() for table in (bronze_table(feed), accepted_table(feed))]
    made = [found.table for found in FEATURE_TABLES]
    names = [t.name for t in (*tables, *made, ALERTS) if storage.exists(spark, settings, t.name)]
    # One query for all: planning a small one costs more than counting.
    counted = [
        _kept(storage.read(spark, settings, name, versions.get(name)), spark, settings, name, gone).agg(
            F.lit(name).alias("name"),
            F.count("*").alias("rows"),
            F.unix_micros(F.max(_arrival(name))).alias("newest_us"),
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
    if name == USER_WINDOWS.name:
        return rows.where(F.col("inputs_arrived_at") >= F.lit(gone.before))
    # Features have no time of arrival of their own; they are deleted before their events.
    source = next(found for found in EVENT_TABLES if found.table.name == name)
    events = storage.read(spark, settings, source.source).where(F.col("arrived_at") < F.lit(gone.before))
    gone_events = events.select(*(events[of].alias(to) for of, to in zip(source.event, EVENT, strict=True)))
    return rows.join(gone_events, on=list(EVENT), how="left_anti")


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


@dataclass(frozen=True)
class Tallies:
    """Rows of quarantine, duplicates and orphans that wait, by feed; open alerts by rule; quarantined lines by reason
    (one with two reasons counts for each); accepted lines by field that no feed declares, as `feed.field`."""

    quarantined: dict[str, int] = field(default_factory=dict)
    duplicates: dict[str, int] = field(default_factory=dict)
    waiting: dict[str, int] = field(default_factory=dict)
    alerts: dict[str, int] = field(default_factory=dict)
    codes: dict[str, int] = field(default_factory=dict)
    unknown: dict[str, int] = field(default_factory=dict)


def tallies(spark: SparkSession, settings: Settings, gone: Expired) -> Tallies:
    """What stands beside the tables that lines pass through, without what has expired."""
    counted: list[DataFrame] = []

    def count(kind: str, name: str, key: Column, *, rows: Column | None = None, where: str = "true") -> None:
        if not storage.exists(spark, settings, name):
            return
        table = storage.read(spark, settings, name)
        kept = gone.kept_by_feed(table) if name in _BY_FEED else table
        keyed = kept.where(where).select(key.alias("key"), (F.lit(1) if rows is None else rows).alias("rows"))
        counted.append(keyed.groupBy("key").agg(F.lit(kind).alias("kind"), F.sum("rows").alias("rows")))

    feed = F.col("feed")
    count("quarantined", QUARANTINE.name, feed)
    count("duplicates", DUPLICATES.name, feed)
    # The other orphans stand in quarantine.
    count("waiting", ORPHANS.name, feed, where="stands_in = 'waiting'")
    count("alerts", ALERTS.name, F.col("rule"), where="state = 'open'")
    count("codes", QUARANTINE.name, F.explode("reasons.code"))
    count("unknown", UNKNOWN_FIELDS.name, F.concat_ws(".", feed, "field"), rows=F.col("lines"))
    # One query for all: planning a small one costs more than counting.
    found: dict[str, dict[str, int]] = {kind.name: {} for kind in fields(Tallies)}
    for row in sorted(reduce(DataFrame.union, counted).collect(), key=lambda row: row["key"]):
        found[row["kind"]][row["key"]] = row["rows"]
    return Tallies(**found)
