"""Where each typed line goes: an accepted event or version, quarantine, the duplicates, or it waits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from lake.feed import Feed
from lake.named_columns import all_named
from spark_jobs.mask import excerpt
from spark_jobs.reasons import REASON_TYPE, fault, reasons
from spark_jobs.time_ranges import TimeRanges

ACCEPTED, QUARANTINED, DUPLICATE, WAITING = "accepted", "quarantined", "duplicate", "waiting"

# The order in which lines arrived, however they were cut into micro-batches: the first of an id is the event.
ARRIVAL_ORDER = ("arrived_at", "file_modified_at", "source_file", "line_number")

# Up to so many lines, their ids are sent to wherever silver's files are read, instead of all being sorted.
_FEW = 200_000


@cache
def is_good() -> Column:
    """Whether a typed row has no fault."""
    return F.size("faults") == 0


@cache
def is_drifted() -> Column:
    """Whether a typed row has fields that its feed does not declare."""
    return F.col("rest").isNotNull()


def decided(rows: DataFrame, held: DataFrame | None, feed: Feed, horizon_days: int) -> DataFrame:
    """Add `verdict` to typed rows, given what is accepted already (as `held_near` gives it).

    None says that nothing is, and that no two of the good rows have the same key. Beside it, `is_held` says whether the
    line itself is accepted already.

    The first line of an id, in the order of arrival, is the event. A later one whose date lies at most `horizon_days`
    from an event of its id is a duplicate, or goes to quarantine if its content differs; one that lies farther from
    all of them is another event. Of a reference feed, each content of a key is a version once. A line that is accepted
    already is accepted again, so a replayed batch decides alike.
    """
    if held is None:
        return rows.withColumns(_by_faults())
    good, bad = rows.where(is_good()), rows.where(~is_good())
    settled = _versions(good, held, feed) if feed.is_reference else _events(good, held, feed, horizon_days)
    return settled.select(all_named((*rows.columns, "verdict", "is_held"))).unionByName(
        bad.withColumns({"verdict": F.lit(QUARANTINED), "is_held": F.lit(False)})
    )


@cache
def _by_faults() -> dict[str, Column]:
    verdict = F.when(is_good(), F.lit(ACCEPTED)).otherwise(F.lit(QUARANTINED))
    return {"verdict": verdict, "is_held": F.lit(False)}


def _versions(good: DataFrame, held: DataFrame, feed: Feed) -> DataFrame:
    identity = list(feed.identity)
    known = held.select(*identity, F.col("source_file").alias("held_file"), F.col("line_number").alias("held_line"))
    number = F.row_number().over(Window.partitionBy(*identity).orderBy(*ARRIVAL_ORDER))
    is_itself = (F.col("held_file") == F.col("source_file")) & (F.col("held_line") == F.col("line_number"))
    is_held = F.coalesce(is_itself, F.lit(False))
    is_first = F.when(F.col("held_file").isNull(), number == 1).otherwise(is_itself)
    compared = good.join(known, on=identity, how="left")
    return compared.withColumns({"is_held": is_held, "verdict": F.when(is_first, ACCEPTED).otherwise(F.lit(DUPLICATE))})


def _events(good: DataFrame, held: DataFrame, feed: Feed, horizon_days: int) -> DataFrame:
    standing = held.groupBy(feed.key).agg(_standing())
    lines = good.join(standing, on=feed.key, how="left").withColumn("arrival", _arrival())
    told = lines.join(_begun(lines, feed.key, horizon_days), on=feed.key, how="left")
    return told.withColumns(_judged(horizon_days)).withColumn("faults", _with_altered())


# Built in the JVM step by step: once, not for each micro-batch.
@cache
def _standing() -> Column:
    of_event = F.struct("event_date", "content_hash", "source_file", "line_number")
    return F.collect_list(of_event).alias("standing")


@cache
def _arrival() -> Column:
    return F.struct(*ARRIVAL_ORDER)


@cache
def _with_altered() -> Column:
    altered = F.when(F.col("verdict") == QUARANTINED, F.array(fault("altered_duplicate")))
    return F.coalesce(altered, "faults")


@cache
def _judged(horizon_days: int) -> dict[str, Column]:
    """The verdict on a line, from the events of its id that are `standing`, and those that have `begun` with it."""

    def repeats(one: Column) -> Column:
        return _is_near(one, F.col("event_date"), horizon_days) & (one["content_hash"] == F.col("content_hash"))

    is_held = _some(
        "standing",
        lambda one: (one["source_file"] == F.col("source_file")) & (one["line_number"] == F.col("line_number")),
    )
    begins = _some("begun", lambda one: one["arrival"] == F.col("arrival"))
    is_repeat = _some("standing", repeats) | _some(
        "begun", lambda one: repeats(one) & (one["arrival"] < F.col("arrival"))
    )
    verdict = F.when(is_held | begins, ACCEPTED).when(is_repeat, DUPLICATE).otherwise(F.lit(QUARANTINED))
    return {"is_held": is_held, "verdict": verdict}


def _begun(lines: DataFrame, key: str, horizon_days: int) -> DataFrame:
    """By id the lines that are events of their own (`begun`), in the order of arrival.

    Of an id and date only the first line can be one. So the cost does not grow with how often an id is repeated.
    """
    of_days = lines.groupBy(key, "event_date").agg(*_first_of_day())
    by_id = of_days.groupBy(key).agg(*_firsts())
    return by_id.select(key, _begun_of_id(horizon_days))


@cache
def _first_of_day() -> tuple[Column, Column]:
    first = F.min(F.struct("arrival", "content_hash")).alias("first")
    return first, F.first("standing").alias("standing")


@cache
def _firsts() -> tuple[Column, Column]:
    in_order = F.sort_array(F.collect_list(F.struct("first.arrival", "event_date", "first.content_hash")))
    return in_order.alias("firsts"), F.first("standing").alias("standing")


@cache
def _begun_of_id(horizon_days: int) -> Column:
    def taken_up(begun: Column, one: Column) -> Column:
        def is_near(other: Column) -> Column:
            return _is_near(other, one["event_date"], horizon_days)

        return F.when(F.exists(begun, is_near) | _some("standing", is_near), begun).otherwise(
            F.concat(begun, F.array(one))
        )

    nothing = F.filter("firsts", lambda one: F.lit(False))
    return F.aggregate("firsts", nothing, taken_up).alias("begun")


def _is_near(event: Column, day: Column, horizon_days: int) -> Column:
    """Whether an event of an id may be the one that a line of a day repeats; of one that waits the day is not known."""
    return F.coalesce(F.abs(F.datediff(event["event_date"], day)) <= horizon_days, F.lit(True))


def _some(events: str, condition: Callable[[Column], Column]) -> Column:
    return F.coalesce(F.exists(events, condition), F.lit(False))


@dataclass(frozen=True)
class Extent:
    """How many typed rows there are, how many of them are good, and from which to which date those extent."""

    rows: int
    good: int
    first: date | None = None
    last: date | None = None


@dataclass(frozen=True)
class Look:
    """What one look at typed rows tells: their extent, and of the good ones the keys and whether one is drifted."""

    extent: Extent
    keys: list[str] = field(default_factory=list)
    is_drifted: bool = False


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
    columns += ["event_date"] if feed.event_time else []
    ids = rows.where(is_good()).select(*feed.identity).distinct()
    return near.select(columns).join(
        F.broadcast(ids) if extent.good <= _FEW else ids, on=list(feed.identity), how="left_semi"
    )


def quarantine_rows(rows: DataFrame, feed: Feed) -> DataFrame:
    """Decided rows of verdict `quarantined` as rows of `silver.quarantine`."""
    has_wrong_key = F.exists("faults", lambda one: _tells_of_key(one, feed))
    return rows.select(
        F.lit(feed.name).alias("feed"),
        "source_file",
        "line_number",
        F.when(~has_wrong_key, F.col(feed.key)).alias("event_key"),
        excerpt(F.col("line"), feed).alias("excerpt"),
        reasons(F.col("faults")).cast(f"array<{REASON_TYPE}>").alias("reasons"),
        "arrived_at",
        F.to_date("arrived_at").alias("arrival_date"),
    )


def _tells_of_key(one: Column, feed: Feed) -> Column:
    """Whether a fault is one of the key, or of the line as a whole, whose key nobody has looked at then."""
    of_line = one["field"].isNull() & (one["code"] != "altered_duplicate")
    return of_line | one["field"].eqNullSafe(F.lit(feed.key))


def duplicate_rows(rows: DataFrame, feed: Feed) -> DataFrame:
    """Decided rows of verdict `duplicate` as rows of `silver.duplicates`."""
    return rows.select(
        F.lit(feed.name).alias("feed"), F.col(feed.key).alias("event_key"), "source_file", "line_number", "arrived_at"
    )


def unknown_fields(rows: DataFrame, feed: Feed) -> DataFrame:
    """From accepted and waiting rows to those of `monitoring.unknown_fields`: fields that the feed does not declare."""
    named = rows.select(F.explode(F.json_object_keys("rest")).alias("field"), "arrived_at")
    counted = named.groupBy("field").agg(F.count("*").alias("lines"), F.max("arrived_at").alias("arrived_at"))
    return counted.withColumn("feed", F.lit(feed.name))
