"""Alerts: the rules in force over each event and its features; what late lines undo is withdrawn."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache, partial

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql.streaming import StreamingQuery

from lake import feeds, storage
from lake.catalog import ALERTS, FRAUD_ALERT, PROCESSED_ORDERS
from lake.feature_tables import EVENT
from lake.named_columns import all_named, named
from lake.settings import Settings
from lake.storage import Transaction
from spark_jobs import cases
from spark_jobs.lag import has_more, is_behind
from spark_jobs.processed_orders import FRAUD, fraud_alert, processed_orders
from spark_jobs.rules.book import RuleBook
from spark_jobs.rules.evaluate import WITHDRAWN, evaluate
from spark_jobs.rules.watched import WATCHED, Watched
from spark_jobs.side_by_side import side_by_side
from spark_jobs.streams import URGENT, Rank, Stream
from spark_jobs.time_ranges import TimeRanges, ranges_and_any
from spark_jobs.waiting_bytes import waiting_bytes

JOB = "alerts"
QUERY = WATCHED[feeds.TRANSACTIONS.name].query
# By lake the rules that the running streams of this program go by, and one of these streams.
_IN_FORCE: dict[str, tuple[RuleBook, StreamingQuery]] = {}
# What is made of a feed's events beside alerts.
_OUTPUTS = {feeds.ORDERS.name: (PROCESSED_ORDERS, FRAUD_ALERT)}


def withdrawn(standing: DataFrame, changed: DataFrame, fired: DataFrame) -> DataFrame:
    """The standing alerts of changed events whose rule no longer fires, as withdrawn by the line that changed them."""
    of_now = standing.where(F.col("state") != WITHDRAWN).drop(*ALERTS.bookkeeping)
    of_changed = of_now.join(changed.select(*EVENT, "inputs_arrived_at"), on=list(EVENT), how="inner")
    gone = of_changed.join(fired.select(*ALERTS.keys), on=list(ALERTS.keys), how="left_anti")
    return gone.withColumn("state", F.lit(WITHDRAWN)).select(fired.columns)


def streams(spark: SparkSession, settings: Settings) -> list[Stream]:
    """A stream for each feed that rules may watch, once it has features, and the one of cases."""
    of_feeds = [
        Stream(watched.query, _starter(spark, settings, watched))
        for watched in WATCHED.values()
        if storage.exists(spark, settings, watched.features.name)
    ]
    return [*of_feeds, cases.stream(spark, settings)]


def _starter(spark: SparkSession, settings: Settings, watched: Watched) -> Callable[[bool], StreamingQuery]:
    def start(continuous: bool) -> StreamingQuery:
        rules = _rules(settings) if continuous else RuleBook(settings)
        outputs = [table.name for table in _OUTPUTS.get(watched.name, ())]
        if outputs:
            storage.ensure_tables(spark, settings, outputs)
        # Other streams write alerts too.
        own = outputs or [ALERTS.name]
        storage.require_matching_checkpoint(
            spark, settings, watched.query, own, only=None if outputs else f"watches = '{watched.name}'"
        )
        changes = storage.read_stream(spark, settings, watched.features.name, continuous=continuous)
        query = storage.stream_batches(
            changes,
            settings,
            _batch_writer(settings, watched, rules),
            query=watched.query,
            continuous=continuous,
            how_much=partial(waiting_bytes, settings, watched.query, watched.features.name),
            is_behind=partial(is_behind, settings, watched.query, [watched.features.name]),
            has_more=partial(has_more, settings, watched.query, [watched.features.name]),
            rank=Rank.ALERTS,
            every_seconds=URGENT * settings.trigger_seconds,
        )
        if continuous:
            _IN_FORCE[settings.lake_root] = rules, query
        return query

    return start


def _rules(settings: Settings) -> RuleBook:
    """The rules in force on a lake, where streams of it run already: a wrong file stops none that starts later.

    They write in turns, and so look for other files one after the other.
    """
    rules, query = _IN_FORCE.get(settings.lake_root, (None, None))
    return rules if rules is not None and query is not None and query.isActive else RuleBook(settings)


def _batch_writer(settings: Settings, watched: Watched, rules: RuleBook) -> Callable[[DataFrame, int], None]:
    def write(batch: DataFrame, batch_id: int) -> None:
        spark = batch.sparkSession
        # Checkpoints, not caches: each query on a cache plans again all that led to it.
        rows = batch.where("_change_type in ('insert', 'update_postimage')").localCheckpoint(eager=False)
        ranges, has_changed = ranges_and_any(rows, named("_change_type") != "insert")
        if ranges:
            latest = _latest(rows, watched, has_changed=has_changed)
            in_force, now = rules.current(), F.lit(datetime.now(UTC))
            silver = storage.read(spark, settings, f"silver.{watched.name}")
            events = latest.join(watched.events(silver, ranges.condition()), on=list(EVENT), how="inner")
            if watched.name in _OUTPUTS:
                events = events.localCheckpoint(eager=False)
            fired = evaluate(events, in_force, watched.name)
            if has_changed or watched.name in _OUTPUTS:
                fired = fired.localCheckpoint(eager=False)
            transaction = storage.transaction_of(spark, settings, watched.query, batch_id)
            new = _of(fired, latest.where("is_insert")) if has_changed else fired
            storage.append(new.withColumn("updated_at", now), settings, ALERTS.name, transaction)
            if has_changed:
                _correct(fired, latest.where("not is_insert"), settings, ranges, now, watched.name)
            if watched.name in _OUTPUTS:
                judged = processed_orders(events, fired, in_force).withColumn("updated_at", now)
                _write_judged(judged, settings, transaction)
                if has_changed:
                    _correct_judged(judged.where("not is_insert"), settings, ranges)

    return write


def _write_judged(judged: DataFrame, settings: Settings, transaction: Transaction) -> None:
    new = judged.where("is_insert")
    written = (PROCESSED_ORDERS, new), (FRAUD_ALERT, fraud_alert(new))
    works = [partial(storage.append, rows, settings, table.name, transaction) for table, rows in written]
    side_by_side(judged.sparkSession, works)


def _correct_judged(changed: DataFrame, settings: Settings, ranges: TimeRanges) -> None:
    within = ranges.condition("old", time="event_ts")
    storage.merge_changes(changed, settings, PROCESSED_ORDERS.name, within=within, insert=True)
    storage.delete_matching(changed.where(f"status != '{FRAUD}'"), settings, FRAUD_ALERT.name, within=within)
    storage.merge_changes(fraud_alert(changed), settings, FRAUD_ALERT.name, within=within, insert=True)


def _latest(rows: DataFrame, watched: Watched, *, has_changed: bool) -> DataFrame:
    """The newest feature row of each event in a micro-batch of changes, and whether all of them are insertions.

    Mostly nothing `has_changed`: then each event has one row.
    """
    columns = all_named(watched.features.column_names)
    if not has_changed:
        return rows.select(*columns, F.lit(True).alias("is_insert"))
    newest = rows.select(*columns, *_newest()).where("is_newest").drop("is_newest")
    return newest.localCheckpoint(eager=False)


# Built in the JVM step by step: once, not for each micro-batch.
@cache
def _newest() -> tuple[Column, Column]:
    of_one = Window.partitionBy(*EVENT)
    newest = F.row_number().over(of_one.orderBy(F.desc("_commit_version"))) == 1
    only_inserted = F.min(F.col("_change_type") == "insert").over(of_one)
    return newest.alias("is_newest"), only_inserted.alias("is_insert")


def _of(alerts: DataFrame, events: DataFrame) -> DataFrame:
    return alerts.join(events.select(*EVENT), on=list(EVENT), how="left_semi")


def _correct(
    fired: DataFrame, changed: DataFrame, settings: Settings, ranges: TimeRanges, now: Column, feed: str
) -> None:
    # Another feed may have the same ids.
    alerts = storage.read(changed.sparkSession, settings, ALERTS.name).where(F.col("watches") == feed)
    standing = alerts.where(ranges.condition())
    fires = _of(fired, changed)
    rows = fires.unionByName(withdrawn(standing, changed, fires)).withColumn("updated_at", now)
    storage.merge_changes(rows, settings, ALERTS.name, within=ranges.condition("old"), insert=True)


if __name__ == "__main__":
    from spark_jobs.run import main

    main(JOB)
