"""Cases: alerts on one entity that belong together, kept up to date by a stream over the changes of alerts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import cache, partial

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql.streaming import StreamingQuery

from lake import storage
from lake.catalog import ALERTS, CASES
from lake.settings import Settings
from spark_jobs.rules.evaluate import OPEN
from spark_jobs.rules.rule_set import DECISIONS, LONGEST_COOL_DOWN, SEVERITIES
from spark_jobs.small_input import MOST_BYTES, is_small
from spark_jobs.streams import SELDOM, Rank, Stream

QUERY = "alerts_cases"

_ENTITY = ("entity", "entity_id")
# An alert takes all those with it that its entity has had lately.
_MOST_BYTES = MOST_BYTES // 8


def cases(alerts: DataFrame) -> DataFrame:
    """From all alerts on some entities to their cases, without `updated_at`.

    An alert keeps the case of its entity open for its own cool-down, whatever comes meanwhile: another one belongs to
    the case if it comes until the latest of these ends. So each alert of a long attack keeps its case open.
    """
    opened = alerts.where(F.col("state") == OPEN).withColumn("number", _number())
    return opened.groupBy(*_ENTITY, "number").agg(*_gathered()).withColumns(_told()).select(*CASES.content)


# Built in the JVM step by step: once, not for each micro-batch.
@cache
def _number() -> Column:
    """Which case of its entity, in their order, an alert belongs to."""
    in_order = Window.partitionBy(*_ENTITY).orderBy("event_time", "event_id", "rule")
    at = F.unix_micros("event_time")
    ends = at + F.col("cool_down_s").cast("long") * 1_000_000
    # Of alerts of one time any may stand first: none is later than the end of another.
    is_open_until = F.max(ends).over(in_order.rowsBetween(Window.unboundedPreceding, -1))
    begins = F.coalesce(at > is_open_until, F.lit(True)).cast("int")
    return F.sum(begins).over(in_order.rowsBetween(Window.unboundedPreceding, Window.currentRow))


@cache
def _gathered() -> tuple[Column, ...]:
    """What the alerts of a case come to."""
    first = F.struct("event_time", "event_id", "rule")
    loudest = F.struct(-F.col("score"), "event_time", "event_id", "rule")
    return (
        F.min(first).alias("first"),
        F.max("event_time").alias("last_at"),
        F.count("*").alias("alerts"),
        F.size(F.collect_set("event_id")).cast("long").alias("events"),
        F.max(_rank("severity", tuple(SEVERITIES))).alias("severity"),
        F.max("score").alias("score"),
        F.max(_rank("decision", DECISIONS)).alias("decision"),
        F.sort_array(F.collect_set("rule")).alias("rules"),
        F.sort_array(F.collect_set(F.nullif("typology", F.lit("")))).alias("typologies"),
        F.min_by("reason", loudest).alias("reason"),
    )


@cache
def _told() -> dict[str, Column]:
    """The columns of a case that follow from those."""
    of_first = (f"first.{name}" for name in ("event_id", "event_time", "rule"))
    return {
        "case_id": F.concat(F.lit("c"), F.lower(F.hex(F.xxhash64(*_ENTITY, *of_first)))),
        "began_at": F.col("first.event_time"),
        "event_date": F.to_date("first.event_time"),
        "severity": F.get(F.array(*map(F.lit, SEVERITIES)), F.col("severity")),
        "decision": F.get(F.array(*map(F.lit, DECISIONS)), F.col("decision")),
    }


def stream(spark: SparkSession, settings: Settings) -> Stream:
    """The stream of cases; it drains when those of alerts have."""
    return Stream(QUERY, _starter(spark, settings), rank=1)


def _starter(spark: SparkSession, settings: Settings) -> Callable[[bool], StreamingQuery]:
    def start(continuous: bool) -> StreamingQuery:
        storage.ensure_tables(spark, settings, [CASES.name])
        storage.require_matching_checkpoint(spark, settings, QUERY, [CASES.name])
        changes = storage.read_stream(spark, settings, ALERTS.name, continuous=continuous)
        write = _batch_writer(settings)
        return storage.stream_batches(
            changes,
            settings,
            write,
            query=QUERY,
            continuous=continuous,
            has_little=partial(is_small, settings, QUERY, ALERTS.name, most_bytes=_MOST_BYTES),
            rank=Rank.REFERENCE,
            every_seconds=SELDOM * settings.trigger_seconds,
        )

    return start


def _batch_writer(settings: Settings) -> Callable[[DataFrame, int], None]:
    def write(batch: DataFrame, batch_id: int) -> None:
        spark = batch.sparkSession
        touched = batch.groupBy(*_ENTITY).agg(F.min("event_time").alias("first"), F.max("event_time").alias("last"))
        # Checkpoints, not caches: each query on a cache plans again all that led to it.
        touched = touched.localCheckpoint(eager=False)
        bounds = _days(touched)
        if bounds:
            standing = storage.read(spark, settings, CASES.name)
            extents = _extents(touched, _near(standing, *bounds)).localCheckpoint(eager=False)
            dates = "event_date between date'{}' and date'{}'".format(*_days(extents) or bounds)
            alerts = _within(storage.read(spark, settings, ALERTS.name).where(dates), extents, "event_time")
            now = cases(alerts).withColumn("updated_at", F.lit(datetime.now(UTC))).localCheckpoint(eager=False)
            before = _within(standing.where(dates), extents, "began_at")
            gone = before.join(now, on="case_id", how="left_anti").select("case_id").localCheckpoint(eager=False)
            storage.merge_changes(now, settings, CASES.name, within=f"old.{dates}", insert=True)
            if not gone.isEmpty():
                # Two cases have become one, or a late line undid the reason for one.
                storage.delete_matching(gone, settings, CASES.name, within=f"old.{dates}")

    return write


def _extents(touched: DataFrame, standing: DataFrame) -> DataFrame:
    """Between which event times cases of an entity may change: from the first one that its changed alerts may have
    belonged to or may belong to now, whole, to the last."""
    apart = F.expr(f"interval {int(LONGEST_COOL_DOWN.total_seconds())} seconds")
    is_near = (F.col("last_at") >= F.col("first") - apart) & (F.col("began_at") <= F.col("last") + apart)
    near = standing.join(F.broadcast(touched), on=list(_ENTITY)).where(is_near)
    wide = near.groupBy(*_ENTITY).agg(F.min("began_at").alias("began_at"), F.max("last_at").alias("last_at"))
    return touched.join(wide, on=list(_ENTITY), how="left").select(
        *_ENTITY, F.least("first", "began_at").alias("first"), F.greatest("last", "last_at").alias("last")
    )


def _near(standing: DataFrame, first: date, last: date) -> DataFrame:
    """Cases that may lie near some days; with literal bounds, so that files are skipped."""
    apart = LONGEST_COOL_DOWN + timedelta(days=1)
    return standing.where((F.col("last_at") >= F.lit(first - apart)) & (F.col("began_at") <= F.lit(last + apart)))


def _days(extents: DataFrame) -> tuple[date, date] | None:
    """The first and the last UTC date of some extents; None if there are none."""
    found = extents.agg(F.min(F.to_date("first")).alias("first"), F.max(F.to_date("last")).alias("last")).collect()[0]
    return (found["first"], found["last"]) if found["first"] else None


def _within(rows: DataFrame, extents: DataFrame, time: str) -> DataFrame:
    joined = rows.join(F.broadcast(extents), on=list(_ENTITY))
    return joined.where(F.col(time).between(F.col("first"), F.col("last"))).select(*rows.columns)


def _rank(name: str, order: tuple[str, ...]) -> Column:
    return F.array_position(F.array(*map(F.lit, order)), F.col(name)) - 1
