"""Alerts: the rules in force over each transaction and its features; what late lines undo is withdrawn."""

from __future__ import annotations

from collections.abc import Callable

from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql.streaming import StreamingQuery

from lake import storage
from lake.catalog import ALERTS, USER_5M
from lake.feeds import TRANSACTIONS
from lake.settings import Settings
from lake.storage import Transaction
from spark_jobs.rules import watched
from spark_jobs.rules.book import RuleBook
from spark_jobs.rules.evaluate import WITHDRAWN, evaluate
from spark_jobs.small_input import is_interpreted
from spark_jobs.streams import Stream
from spark_jobs.time_ranges import TimeRanges, ranges_and_any

JOB = "alerts"
QUERY = "alerts_alerts"
SOURCE = f"silver.{TRANSACTIONS.name}"


def withdrawn(standing: DataFrame, changed: DataFrame, fired: DataFrame) -> DataFrame:
    """The standing alerts of changed events whose rule no longer fires, as withdrawn by the line that changed them."""
    of_now = standing.where(F.col("state") != WITHDRAWN).drop("inputs_arrived_at")
    of_changed = of_now.join(changed.select("event_id", "inputs_arrived_at"), on="event_id", how="inner")
    gone = of_changed.join(fired.select("event_id", "rule"), on=["event_id", "rule"], how="left_anti")
    return gone.withColumn("state", F.lit(WITHDRAWN)).select(ALERTS.column_names)


def streams(spark: SparkSession, settings: Settings) -> list[Stream]:
    """The alert stream, on the configured rule set."""

    def start(continuous: bool) -> StreamingQuery:
        rules = RuleBook(settings)
        storage.require_matching_checkpoint(spark, settings, QUERY, [ALERTS.name])
        changes = storage.read_stream(spark, settings, USER_5M.name)
        write = _batch_writer(settings, rules)
        interpreted = is_interpreted(settings, QUERY, USER_5M.name, continuous=continuous)
        return storage.stream_batches(
            changes, settings, write, query=QUERY, continuous=continuous, interpreted=interpreted
        )

    return [Stream(QUERY, start)]


def _batch_writer(settings: Settings, rules: RuleBook) -> Callable[[DataFrame, int], None]:
    def write(batch: DataFrame, batch_id: int) -> None:
        spark = batch.sparkSession
        latest = _latest(batch).persist()
        ranges, has_changed = ranges_and_any(latest, ~F.col("is_insert"))
        if ranges:
            silver = storage.read(spark, settings, SOURCE).where(ranges.condition())
            fields = silver.select("event_id", *watched.FIELDS[TRANSACTIONS.name])
            events = latest.join(fields, on="event_id", how="inner")
            fired = evaluate(events, rules.current(), TRANSACTIONS.name).persist()
            transaction = Transaction(storage.query_id(spark, settings, QUERY), batch_id)
            new, changed = latest.where("is_insert"), latest.where("not is_insert")
            storage.append(_of(fired, new), settings, ALERTS.name, transaction)
            if has_changed:
                _correct(fired, changed, settings, ranges)
            fired.unpersist()
        latest.unpersist()

    return write


def _latest(changes: DataFrame) -> DataFrame:
    """The newest feature row of each event in a micro-batch of changes, and whether all of them are insertions."""
    rows = changes.where("_change_type in ('insert', 'update_postimage')")
    of_one = Window.partitionBy("event_id")
    newest = F.row_number().over(of_one.orderBy(F.desc("_commit_version"))) == 1
    only_inserted = F.min(F.col("_change_type") == "insert").over(of_one)
    return rows.select(*USER_5M.column_names, newest.alias("is_newest"), only_inserted.alias("is_insert")).where(
        "is_newest"
    )


def _of(alerts: DataFrame, events: DataFrame) -> DataFrame:
    return alerts.join(events.select("event_id"), on="event_id", how="left_semi")


def _correct(fired: DataFrame, changed: DataFrame, settings: Settings, ranges: TimeRanges) -> None:
    standing = storage.read(changed.sparkSession, settings, ALERTS.name).where(ranges.condition())
    now = _of(fired, changed)
    rows = now.unionByName(withdrawn(standing, changed, now))
    storage.merge_changes(rows, settings, ALERTS.name, within=ranges.condition("old"), insert=True)


if __name__ == "__main__":
    from spark_jobs.run import main

    main(JOB)
