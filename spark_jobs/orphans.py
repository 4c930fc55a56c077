"""Orphans: good lines that refer to a user, merchant or product that has not arrived.

What is done with them is a setting for each feed: they are accepted (and reported), wait, or stand in quarantine, until
what they refer to arrives.
"""

from __future__ import annotations

from functools import reduce

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from lake import storage
from lake.catalog import DUPLICATES, ORPHANS, QUARANTINE
from lake.errors import SettingError
from lake.feed import Feed
from lake.feed_tables import bronze_table, silver_table
from lake.feeds import FEEDS
from lake.lease import turn
from lake.masking_key import masking_key
from lake.settings import Settings
from lake.storage import Transaction
from spark_jobs.expired import Expired, expired
from spark_jobs.releases import with_released
from spark_jobs.typed import typed
from spark_jobs.verdicts import (
    ACCEPTED,
    DUPLICATE,
    QUARANTINED,
    WAITING,
    decided,
    duplicate_rows,
    extent_of,
    held_near,
    is_good,
    quarantine_rows,
)

ACCEPT_THEM, LET_THEM_WAIT, QUARANTINE_THEM = "accept", "wait", "quarantine"
POLICIES = (ACCEPT_THEM, LET_THEM_WAIT, QUARANTINE_THEM)
CODE = "unknown_reference"

_LINE = ["source_file", "line_number"]


def policies(settings: Settings) -> dict[str, str]:
    """What is done with the orphans of each feed. Raises `SettingError` for a wrong setting `orphans`."""
    found = {feed.name: ACCEPT_THEM for feed in FEEDS.values() if feed.references}
    for part in filter(None, (part.strip() for part in settings.orphans.split(","))):
        name, _, policy = (word.strip() for word in part.partition("="))
        if name not in found or policy not in POLICIES:
            raise SettingError(
                f"orphans says {part!r}; write feed=policy, such as transactions={LET_THEM_WAIT}, with a feed of "
                f"{', '.join(found)} and a policy of {', '.join(POLICIES)}"
            )
        found[name] = policy
    return found


def policy(settings: Settings, feed: Feed) -> str:
    """What is done with the orphans of one feed."""
    return policies(settings).get(feed.name, ACCEPT_THEM)


def held_back(spark: SparkSession, settings: Settings, rows: DataFrame, feed: Feed) -> DataFrame:
    """Decided rows, the orphans among the accepted with another outcome and, in `missing`, what they refer to."""
    chosen = policy(settings, feed)
    if chosen == ACCEPT_THEM:
        return rows
    checked = rows
    for field in feed.references:
        wanted = rows.where(F.col("verdict") == ACCEPTED).select(field).distinct()
        known = _known_keys(spark, settings, feed, field).join(wanted, on=field, how="left_semi")
        checked = checked.join(known.withColumn(_is_known(field), F.lit(True)), on=field, how="left")
    missing = F.array_compact(F.array(*(_missing(field) for field in feed.references)))
    is_orphan = (F.col("verdict") == ACCEPTED) & ~F.col("is_held") & (F.size(missing) > 0)
    faults = F.transform(
        missing, lambda item: F.struct(F.lit(CODE).alias("code"), item["field"], item["key"].alias("text"))
    )
    held = F.lit(WAITING if chosen == LET_THEM_WAIT else QUARANTINED)
    return checked.withColumns(
        {
            "missing": F.when(is_orphan, missing),
            "faults": F.when(is_orphan, faults).otherwise(F.col("faults")),
            "verdict": F.when(is_orphan, held).otherwise(F.col("verdict")),
        }
    ).drop(*(_is_known(field) for field in feed.references))


def remember(rows: DataFrame, settings: Settings, feed: Feed, transaction: Transaction) -> None:
    """Write the orphans among rows of `held_back` to `silver.orphans`, where `release` finds them."""
    storage.ensure_tables(rows.sparkSession, settings, [ORPHANS.name])
    stands_in = F.when(F.col("verdict") == WAITING, "waiting").otherwise("quarantine")
    entries = rows.where("missing is not null").select(
        F.lit(feed.name).alias("feed"),
        *_LINE,
        F.col(feed.key).alias("event_key"),
        "content_hash",
        "missing",
        stands_in.alias("stands_in"),
        "arrived_at",
        F.to_date("arrived_at").alias("arrival_date"),
    )
    storage.append(entries, settings, ORPHANS.name, transaction)


def held_too(held: DataFrame, settings: Settings, rows: DataFrame, feed: Feed, gone: Expired) -> DataFrame:
    """What is held (as of `held_near`), and the lines that wait under one of the ids of typed rows.

    A line that waits is the event of its id as an accepted one is, so that a repeat of it is a duplicate, in whichever
    micro-batch it comes; it is so no more for lines that came after a mended copy of it was released. The rows' own
    lines are left out: a batch that is done again decides about them anew.
    """
    spark = rows.sparkSession
    if not storage.exists(spark, settings, ORPHANS.name):
        return held
    first = rows.where(is_good()).groupBy(feed.key).agg(F.min("arrived_at").alias("first_arrived_at"))
    waiting = (
        gone.kept(_entries(spark, settings, feed))
        .withColumnRenamed("event_key", feed.key)
        .join(first, on=feed.key, how="inner")
        .where(F.col("released_at").isNull() | (F.col("first_arrived_at") <= F.col("released_at")))
        .select(feed.key, "content_hash", *_LINE)
        .join(rows.select(*_LINE), on=_LINE, how="left_anti")
        # A line whose release died half way stands in both.
        .join(held.select(feed.key), on=feed.key, how="left_anti")
    )
    # On which day it happened is not kept of a line that waits.
    return held.unionByName(waiting, allowMissingColumns=True)


def release(spark: SparkSession, settings: Settings, referred: str) -> None:
    """Take up the orphans that new rows of a reference feed have made complete. The same call again changes nothing."""
    if not storage.exists(spark, settings, ORPHANS.name):
        return
    for feed in (feed for feed in FEEDS.values() if referred in feed.references.values()):
        # No mended copy of a line is released meanwhile (`risklake.quarantine.replay`).
        with storage.alone(settings, f"lines of {feed.name}"), turn(settings, ORPHANS.name):
            _release(spark, settings, feed)


def _release(spark: SparkSession, settings: Settings, feed: Feed) -> None:
    gone = expired(spark, settings)
    complete = _complete(spark, settings, feed, gone).localCheckpoint(eager=False)
    found = complete.select("arrival_date", "stands_in").distinct().collect()
    if not found:
        return
    days, places = ({row[position] for row in found} for position in range(2))
    stored = storage.read(spark, settings, bronze_table(feed).name).where(F.col("arrival_date").isin(days))
    lines = stored.join(complete.select(*_LINE), on=_LINE, how="left_semi")
    rows = typed(lines, feed, masking_key(settings)).localCheckpoint(eager=False)
    extent = extent_of(rows, feed)
    accepted = gone.kept(storage.read(spark, settings, silver_table(feed).name))
    held = held_near(accepted, rows, feed, settings.duplicate_horizon_days, extent)
    settled = decided(rows, held, feed, settings.duplicate_horizon_days).localCheckpoint(eager=False)
    verdicts = {row[0] for row in settled.select("verdict").distinct().collect()}
    new = settled.where((F.col("verdict") == ACCEPTED) & ~F.col("is_held"))
    storage.append(new, settings, silver_table(feed).name)
    within = f"old.feed = '{feed.name}'"
    if DUPLICATE in verdicts:
        repeated = duplicate_rows(settled.where(F.col("verdict") == DUPLICATE), feed)
        storage.merge_changes(repeated, settings, DUPLICATES.name, within=within, insert=True)
    altered = quarantine_rows(settled.where(F.col("verdict") == QUARANTINED), feed)
    if QUARANTINED in verdicts:
        storage.merge_changes(altered, settings, QUARANTINE.name, within=within, insert=True)
    lineage = complete.select("feed", *_LINE, "stands_in")
    if "quarantine" in places:
        left = lineage.where("stands_in = 'quarantine'").join(altered, on=["feed", *_LINE], how="left_anti")
        storage.delete_matching(left, settings, QUARANTINE.name, within=within)
    # Last: until here, a killed release begins anew.
    storage.delete_matching(lineage, settings, ORPHANS.name, within=within)


def _complete(spark: SparkSession, settings: Settings, feed: Feed, gone: Expired) -> DataFrame:
    """The orphans of a feed of which nothing is missing any more, but for those that a mended copy stands for.

    Of those none is on its way to silver: then no copy is released (`risklake.quarantine.replay`).
    """
    entries = gone.kept(_entries(spark, settings, feed)).where("released_at is null")
    missing = entries.select(*_LINE, F.explode("missing").alias("missing")).select(*_LINE, "missing.*")
    known = [
        _known_keys(spark, settings, feed, field).select(F.lit(field).alias("field"), F.col(field).alias("key"))
        for field in feed.references
    ]
    still = missing.join(reduce(DataFrame.unionByName, known), on=["field", "key"], how="left_anti")
    return entries.join(still, on=_LINE, how="left_anti")


def _entries(spark: SparkSession, settings: Settings, feed: Feed) -> DataFrame:
    """The orphans of a feed; `released_at` says since when a mended copy stands for one, and is null for all others."""
    entries = storage.read(spark, settings, ORPHANS.name).where(F.col("feed") == feed.name)
    return with_released(spark, settings, entries)


def _known_keys(spark: SparkSession, settings: Settings, feed: Feed, field: str) -> DataFrame:
    """The keys that a field may refer to, in a column of the field's name."""
    referred = FEEDS[feed.references[field]]
    if not storage.exists(spark, settings, silver_table(referred).name):
        return spark.createDataFrame([], f"`{field}` string")
    return storage.read(spark, settings, silver_table(referred).name).select(F.col(referred.key).alias(field))


def _missing(field: str) -> Column:
    is_missing = F.col(field).isNotNull() & F.col(_is_known(field)).isNull()
    return F.when(is_missing, F.struct(F.lit(field).alias("field"), F.col(field).alias("key")))


def _is_known(field: str) -> str:
    return f"{field}__is_known"
