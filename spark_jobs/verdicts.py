"""Where each typed line goes: an accepted event or version, quarantine, the duplicates, or it waits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from lake.feed import Feed
from spark_jobs.mask import excerpt
from spark_jobs.reasons import REASON_TYPE, fault, reasons
from spark_jobs.time_ranges import TimeRanges

ACCEPTED, QUARANTINED, DUPLICATE, WAITING = "accepted", "quarantined", "duplicate", "waiting"

# The order in which lines arrived, however they were cut into micro-batches: the first of an id is the event.
ARRIVAL_ORDER = ("arrived_at", "file_modified_at", "source_file", "line_number")

# Up to so many lines, their ids are sent to wherever silver's files are read, instead of all being sorted.
_FEW = 200_000


def is_good() -> Column:
    """Whether a typed row has no fault."""
    return F.size("faults") == 0


def decided(rows: DataFrame, held: DataFrame, feed: Feed) -> DataFrame:
    """Add `verdict` to typed rows, given what is accepted already (identity, content_hash and lineage).

    Beside it, `is_held` says whether the line itself is accepted already.

    The first line of an id, in the order of arrival, is the event; a later one is a duplicate, or goes to quarantine
    if its content differs. Of a reference feed, each content of a key is a version once. A line that is accepted
    already is accepted again, so a replayed batch decides alike.
    """
    identity = list(feed.identity)
    good, bad = rows.where(is_good()), rows.where(~is_good())
    known = held.select(
        *identity,
        F.col("content_hash").alias("held_hash"),
        F.col("source_file").alias("held_file"),
        F.col("line_number").alias("held_line"),
    )
    of_one_id = Window.partitionBy(*identity).orderBy(*ARRIVAL_ORDER)
    is_held_itself = (F.col("held_file") == F.col("source_file")) & (F.col("held_line") == F.col("line_number"))
    is_event = F.when(F.col("held_file").isNotNull(), is_held_itself).otherwise(F.row_number().over(of_one_id) == 1)
    first_hash = F.first("content_hash").over(of_one_id.rowsBetween(Window.unboundedPreceding, Window.currentRow))
    is_altered = F.col("content_hash") != F.coalesce("held_hash", first_hash)
    compared = good.join(known, on=identity, how="left").withColumn(
        "verdict",
        F.when(is_event, ACCEPTED).when(is_altered, QUARANTINED).otherwise(F.lit(DUPLICATE)),
    )
    settled = compared.withColumn(
        "faults",
        F.when(F.col("verdict") == QUARANTINED, F.array(fault("altered_duplicate"))).otherwise(F.col("faults")),
    )
    is_held = (F.col("verdict") == ACCEPTED) & F.col("held_file").isNotNull()
    return settled.select(*rows.columns, "verdict", is_held.alias("is_held")).unionByName(
        bad.withColumns({"verdict": F.lit(QUARANTINED), "is_held": F.lit(False)})
    )


@dataclass(frozen=True)
class Extent:
    """How many typed rows there are, how many of them are good, and from which to which date those extent."""

    rows: int
    good: int
    first: date | None = None
    last: date | None = None


def extent_of(rows: DataFrame, feed: Feed) -> Extent:
    """The extent of typed rows; of a feed without an event time, no dates."""
    day = F.when(is_good(), F.col("event_date"))
    counts, days = [F.count("*"), F.count_if(is_good())], [F.min(day), F.max(day)]
    return Extent(*rows.agg(*counts, *(days if feed.event_time else [])).collect()[0])


def held_near(events: DataFrame, rows: DataFrame, feed: Feed, horizon_days: int, extent: Extent) -> DataFrame:
    """What of the accepted lines could be the same event as one of the typed rows, whose extent is given.

    A repeat has the event time of its event, so it is found however late it comes; a line that has another event time
    than the one whose id it repeats is found if the two dates lie at most `horizon_days` apart.
    """
    near = events
    if extent.first is not None and extent.last is not None:
        horizon = timedelta(days=horizon_days)
        near = events.where(F.col("event_date").between(F.lit(extent.first - horizon), F.lit(extent.last + horizon)))
    return _of_same_id(near, rows, feed, extent)


def held_within(events: DataFrame, rows: DataFrame, feed: Feed, ranges: TimeRanges, extent: Extent) -> DataFrame:
    """The same, where it is known in which ranges of event time they lie, if anywhere."""
    return _of_same_id(events.where(ranges.condition(time=str(feed.event_time))), rows, feed, extent)


def _of_same_id(near: DataFrame, rows: DataFrame, feed: Feed, extent: Extent) -> DataFrame:
    columns = [*dict.fromkeys((*feed.identity, "content_hash")), "source_file", "line_number"]
    ids = rows.where(is_good()).select(*feed.identity).distinct()
    return near.select(columns).join(
        F.broadcast(ids) if extent.good <= _FEW else ids, on=list(feed.identity), how="left_semi"
    )


def quarantine_rows(rows: DataFrame, feed: Feed) -> DataFrame:
    """Decided rows of verdict `quarantined` as rows of `silver.quarantine`."""
    return rows.select(
        F.lit(feed.name).alias("feed"),
        "source_file",
        "line_number",
        excerpt(F.col("line"), feed).alias("excerpt"),
        reasons(F.col("faults")).cast(f"array<{REASON_TYPE}>").alias("reasons"),
        "arrived_at",
        F.to_date("arrived_at").alias("arrival_date"),
    )


def duplicate_rows(rows: DataFrame, feed: Feed) -> DataFrame:
    """Decided rows of verdict `duplicate` as rows of `silver.duplicates`."""
    return rows.select(
        F.lit(feed.name).alias("feed"), F.col(feed.key).alias("event_key"), "source_file", "line_number", "arrived_at"
    )


def unknown_fields(rows: DataFrame, feed: Feed) -> DataFrame:
    """From accepted rows to those of `monitoring.unknown_fields`: which fields they hold that the feed does not."""
    named = rows.select(F.explode(F.json_object_keys("rest")).alias("field"), "arrived_at")
    counted = named.groupBy("field").agg(F.count("*").alias("lines"), F.max("arrived_at").alias("arrived_at"))
    return counted.withColumn("feed", F.lit(feed.name))
