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
from spark_jobs.streams import SELDOM, Rank, Stream
from spark_jobs.time_ranges import range_of_us
from spark_jobs.waiting_bytes import waiting_bytes

QUERY = "alerts_cases"

_ENTITY = ("entity", "entity_id")
# What a case says of all its alerts.
_SUMMED = (
    "last_at",
    "open_until",
    "alerts",
    "events",
    "severity",
    "score",
    "decision",
    "rules",
    "typologies",
    "reason",
)
# An alert takes all those with it that its entity has had lately.
_TIMES = 8
_LONGEST = f"interval {int(LONGEST_COOL_DOWN.total_seconds())} seconds"


def cases(alerts: DataFrame) -> DataFrame:
    """From all alerts on some entities to their cases, without `updated_at`.

    An alert keeps the case of its entity open for its own cool-down, whatever comes meanwhile: another one belongs to
    the case if it comes until the latest of these ends. So each alert of a long attack keeps its case open.
    """
    return _put_together(_pieces(alerts))


def grown(latest: DataFrame, alerts: DataFrame) -> DataFrame:
    """From the latest cases of some entities (columns of `alerts.cases`) and alerts that are later than all of theirs,
    to the cases that these alerts belong to."""
    known = latest.select(*_ENTITY, *_of_case())
    return _put_together(known.unionByName(_pieces(alerts)))


def _pieces(alerts: DataFrame) -> DataFrame:
    """Each open alert as a case of its own, but for its event (`events` are others): what cases are put together of."""
    return alerts.where(F.col("state") == OPEN).select(*_ENTITY, *_of_alert())


def _put_together(pieces: DataFrame) -> DataFrame:
    """From pieces, of which none begins before those that stand for a case are over, to the cases that have alerts."""
    numbered = pieces.withColumn("number", _number())
    gathered = numbered.groupBy(*_ENTITY, "number").agg(*_gathered()).where("has_alerts")
    return gathered.withColumns(_told()).select(*CASES.content)


# Built in the JVM step by step: once, not for each micro-batch.
@cache
def _of_alert() -> tuple[Column, ...]:
    ends_us = F.unix_micros("event_time") + F.col("cool_down_s").cast("long") * 1_000_000
    return (
        F.lit(None).cast("string").alias("case_id"),
        F.col("event_time").alias("at"),
        F.col("event_id"),
        F.col("rule"),
        F.col("event_time").alias("last_at"),
        F.timestamp_micros(ends_us).alias("open_until"),
        F.lit(1).cast("long").alias("alerts"),
        F.lit(0).cast("long").alias("events"),
        F.col("severity"),
        F.col("score"),
        F.col("decision"),
        F.array("rule").alias("rules"),
        F.array_compact(F.array(F.nullif("typology", F.lit("")))).alias("typologies"),
        F.col("reason"),
    )


@cache
def _of_case() -> tuple[Column | str, ...]:
    nobody = F.lit(None).cast("string")
    begins = F.col("began_at").alias("at")
    return ("case_id", begins, nobody.alias("event_id"), nobody.alias("rule"), *_SUMMED)


@cache
def _number() -> Column:
    """Which case of its entity, in their order, a piece belongs to."""
    in_order = Window.partitionBy(*_ENTITY).orderBy("at", "event_id", "rule")
    # Of pieces of one time any may stand first: none is later than the end of another.
    is_open_until = F.max("open_until").over(in_order.rowsBetween(Window.unboundedPreceding, -1))
    begins = F.coalesce(F.col("at") > is_open_until, F.lit(True)).cast("int")
    return F.sum(begins).over(in_order.rowsBetween(Window.unboundedPreceding, Window.currentRow))


@cache
def _gathered() -> tuple[Column, ...]:
    """What the pieces of a case come to."""
    loudest = F.struct(-F.col("score"), "at", "event_id", "rule")
    return (
        F.max("case_id").alias("known_id"),
        (F.count("event_id") > 0).alias("has_alerts"),
        F.min(F.struct("at", "event_id", "rule")).alias("first"),
        F.max("last_at").alias("last_at"),
        F.max("open_until").alias("open_until"),
        F.sum("alerts").alias("alerts"),
        (F.sum("events") + F.size(F.collect_set("event_id"))).alias("events"),
        F.max(_rank("severity", tuple(SEVERITIES))).alias("severity"),
        F.max("score").alias("score"),
        F.max(_rank("decision", DECISIONS)).alias("decision"),
        *(
            F.sort_array(F.array_distinct(F.flatten(F.collect_list(name)))).alias(name)
            for name in ("rules", "typologies")
        ),
        F.min_by("reason", loudest).alias("reason"),
    )


@cache
def _told() -> dict[str, Column]:
    """The columns of a case that follow from those."""
    return {
        "case_id": F.coalesce("known_id", id_of("first.event_id", "first.at", "first.rule")),
        "began_at": F.col("first.at"),
        "event_date": F.to_date("first.at"),
        "severity": F.get(F.array(*map(F.lit, SEVERITIES)), F.col("severity")),
        "decision": F.get(F.array(*map(F.lit, DECISIONS)), F.col("decision")),
    }


def id_of(event_id: str, at: str, rule: str) -> Column:
    """The id of the case that begins with an alert, from the columns of its event's id and time and of its rule."""
    return F.concat(F.lit("c"), F.lower(F.hex(F.xxhash64(*_ENTITY, event_id, at, rule))))


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
            how_much=partial(waiting_bytes, settings, QUERY, ALERTS.name, times=_TIMES),
            rank=Rank.REFERENCE,
            every_seconds=SELDOM * settings.trigger_seconds,
        )

    return start


def _batch_writer(settings: Settings) -> Callable[[DataFrame, int], None]:
    def write(batch: DataFrame, batch_id: int) -> None:
        spark = batch.sparkSession
        standing, now = storage.read(spark, settings, CASES.name), F.lit(datetime.now(UTC))
        # What is not open is no part of a case. Checkpoints, not caches: each query on a cache plans again all that led
        # to it.
        changes = batch.where((F.col("_change_type") != "insert") | (F.col("state") == OPEN))
        changes = changes.localCheckpoint(eager=False)
        touched = _touched(changes).localCheckpoint(eager=False)
        bounds = _days(touched)
        if not bounds:
            return
        extents = _extents(touched, _near(standing, *bounds)).localCheckpoint(eager=False)
        dates = "event_date between date'{}' and date'{}'".format(*_days(extents) or bounds)
        growing, others = extents.where("grows"), extents.where("not grows")
        latest = growing.where("latest is not null").select("latest.*")
        found = grown(latest, changes.join(F.broadcast(growing.select(*_ENTITY)), on=list(_ENTITY), how="left_semi"))
        has_others = not others.isEmpty()
        if has_others:
            found = found.unionByName(cases(_alerts_of(settings, others)))
        found = found.withColumn("updated_at", now).localCheckpoint(eager=False)
        storage.merge_changes(found, settings, CASES.name, within=f"old.{dates}", insert=True)
        if has_others:
            before = _within(standing.where(dates), others, "began_at")
            gone = before.join(found, on="case_id", how="left_anti").select("case_id").localCheckpoint(eager=False)
            if not gone.isEmpty():
                # Two cases have become one, or a late line undid the reason for one.
                storage.delete_matching(gone, settings, CASES.name, within=f"old.{dates}")

    return write


def _alerts_of(settings: Settings, extents: DataFrame) -> DataFrame:
    """All alerts within some extents; with literal bounds, so that files are skipped."""
    first_us, last_us = extents.agg(F.unix_micros(F.min("first")), F.unix_micros(F.max("last"))).collect()[0]
    alerts = storage.read(extents.sparkSession, settings, ALERTS.name)
    return _within(alerts.where(range_of_us(first_us, last_us).condition()), extents, "event_time")


def _touched(changes: DataFrame) -> DataFrame:
    """The entities of changed alerts, with the event times of the first and the last, and whether all are new ones."""
    is_insert = F.col("_change_type") == "insert"
    return changes.groupBy(*_ENTITY).agg(
        F.min("event_time").alias("first"), F.max("event_time").alias("last"), F.bool_and(is_insert).alias("is_new")
    )


def _extents(touched: DataFrame, standing: DataFrame) -> DataFrame:
    """Between which event times cases of an entity may change: from the first one that its changed alerts may have
    belonged to or may belong to now, whole, to the last.

    Mostly all of them are new, and later than its `latest` case, which then tells enough: it `grows`.
    """
    # A change reaches as far ahead as its own cool-down may, and back to the cases that were open then.
    is_near = (_ends() >= F.col("first")) & (F.col("began_at") <= F.col("last") + F.expr(_LONGEST))
    near = standing.join(F.broadcast(touched), on=list(_ENTITY)).where(is_near)
    latest = F.max_by(F.struct(*CASES.content), "began_at").alias("latest")
    wide = near.groupBy(*_ENTITY).agg(F.min("began_at").alias("began_at"), F.max("last_at").alias("last_at"), latest)
    is_later = (F.col("first") > F.col("last_at")) & F.col("latest.open_until").isNotNull()
    grows = F.col("is_new") & (F.col("latest").isNull() | F.coalesce(is_later, F.lit(False)))
    since = F.when(F.col("grows"), F.col("latest.began_at")).otherwise(F.col("began_at"))
    return (
        touched.join(wide, on=list(_ENTITY), how="left")
        .withColumn("grows", grows)
        .select(
            *_ENTITY,
            F.least("first", since).alias("first"),
            F.greatest("last", "last_at").alias("last"),
            "latest",
            "grows",
        )
    )


def _near(standing: DataFrame, first: date, last: date) -> DataFrame:
    """Cases that may lie near some days; with literal bounds, so that files are skipped."""
    apart = LONGEST_COOL_DOWN + timedelta(days=1)
    return standing.where((F.col("last_at") >= F.lit(first - apart)) & (F.col("began_at") <= F.lit(last + apart)))


def _ends() -> Column:
    """Until when a case is open; one of before that was kept, as long as any may be."""
    return F.coalesce("open_until", F.col("last_at") + F.expr(_LONGEST))


def _days(extents: DataFrame) -> tuple[date, date] | None:
    """The first and the last UTC date of some extents; None if there are none."""
    found = extents.agg(F.min(F.to_date("first")).alias("first"), F.max(F.to_date("last")).alias("last")).collect()[0]
    return (found["first"], found["last"]) if found["first"] else None


def _within(rows: DataFrame, extents: DataFrame, time: str) -> DataFrame:
    joined = rows.join(F.broadcast(extents), on=list(_ENTITY))
    return joined.where(F.col(time).between(F.col("first"), F.col("last"))).select(*rows.columns)


def _rank(name: str, order: tuple[str, ...]) -> Column:
    return F.array_position(F.array(*map(F.lit, order)), F.col(name)) - 1
