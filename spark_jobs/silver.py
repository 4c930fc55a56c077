"""Silver: each bronze line becomes an accepted event, a quarantined line or a counted duplicate."""

from __future__ import annotations

from collections.abc import Callable

from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql.streaming import StreamingQuery

from lake import storage
from lake.catalog import DUPLICATES, QUARANTINE, silver_table
from lake.feeds import FEEDS, Feed
from lake.settings import Settings
from lake.storage import Transaction
from spark_jobs.mask import excerpt
from spark_jobs.parse import parse
from spark_jobs.reasons import REASON_TYPE, fault, reasons
from spark_jobs.validate import check, checked_lines, opened

JOB = "silver"

ACCEPTED, QUARANTINED, DUPLICATE = "accepted", "quarantined", "duplicate"

# The order in which lines arrived, however they were cut into micro-batches: the first of an id is the event.
_ARRIVAL_ORDER = ("file_modified_at", "source_file", "line_number")


def typed(lines: DataFrame, feed: Feed) -> DataFrame:
    """From bronze rows to the feed's typed columns, with `faults` (none for a good line), one row a line."""
    checked = [check(field, feed) for field in feed.fields]
    values = checked_lines(opened(parse(lines, feed), feed), checked).select(
        *feed.field_names, "rest", "faults", "line", *_ARRIVAL_ORDER, "arrived_at"
    )
    hashed = [part for c in checked for part in (F.col(c.name), F.col(c.name).isNull())]
    return values.withColumn("event_date", F.to_date(feed.event_time)).withColumn(
        # Nulls are skipped by the hash, so each column also says whether it is one.
        "content_hash",
        F.xxhash64(*hashed, F.coalesce("rest", F.lit(""))),
    )


def decided(rows: DataFrame, events: DataFrame, feed: Feed) -> DataFrame:
    """Add `verdict` to typed rows, given the events that silver holds already (key, content_hash and lineage).

    The first line of an id, in the order of arrival, is the event; a later one is a duplicate, or goes to quarantine
    if its content differs. A line that silver holds already is accepted again, so a replayed batch decides alike.
    """
    good, bad = rows.where(F.size("faults") == 0), rows.where(F.size("faults") > 0)
    held = events.join(good.select(feed.key).distinct(), on=feed.key, how="left_semi").select(
        feed.key,
        F.col("content_hash").alias("held_hash"),
        F.col("source_file").alias("held_file"),
        F.col("line_number").alias("held_line"),
    )
    of_one_id = Window.partitionBy(feed.key).orderBy(*_ARRIVAL_ORDER)
    is_held_itself = (F.col("held_file") == F.col("source_file")) & (F.col("held_line") == F.col("line_number"))
    is_event = F.when(F.col("held_file").isNotNull(), is_held_itself).otherwise(F.row_number().over(of_one_id) == 1)
    first_hash = F.first("content_hash").over(of_one_id.rowsBetween(Window.unboundedPreceding, Window.currentRow))
    is_altered = F.col("content_hash") != F.coalesce("held_hash", first_hash)
    compared = good.join(held, on=feed.key, how="left").withColumn(
        "verdict",
        F.when(is_event, ACCEPTED).when(is_altered, QUARANTINED).otherwise(F.lit(DUPLICATE)),
    )
    settled = compared.withColumn(
        "faults",
        F.when(F.col("verdict") == QUARANTINED, F.array(fault("altered_duplicate"))).otherwise(F.col("faults")),
    )
    return settled.drop("held_hash", "held_file", "held_line").unionByName(
        bad.withColumn("verdict", F.lit(QUARANTINED))
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


def start(spark: SparkSession, settings: Settings, *, continuous: bool) -> list[StreamingQuery]:
    """Start the silver stream of each feed."""
    queries = []
    for feed in FEEDS.values():
        query = f"silver_{feed.name}"
        storage.require_matching_checkpoint(spark, settings, query, [silver_table(feed).name])
        lines = storage.read_stream(spark, settings, f"bronze.{feed.name}")
        write = _batch_writer(settings, feed, query)
        queries.append(storage.stream_batches(lines, settings, write, query=query, continuous=continuous))
    return queries


def _batch_writer(settings: Settings, feed: Feed, query: str) -> Callable[[DataFrame, int], None]:
    table = silver_table(feed).name

    def write(batch: DataFrame, batch_id: int) -> None:
        if batch.isEmpty():  # as the first of a feed that gets no files; the plan below costs seconds
            return
        transaction = Transaction(storage.query_id(batch.sparkSession, settings, query), batch_id)
        events = storage.read(batch.sparkSession, settings, table)
        # Checkpoints, not caches: the plan of the validation is long, and every write would plan it again.
        lines = typed(batch, feed).localCheckpoint()
        rows = decided(lines, events, feed).localCheckpoint()
        outcomes = {row["verdict"] for row in rows.groupBy("verdict").count().collect()}
        for outcome, target, shaped in (
            (ACCEPTED, table, lambda chosen: chosen),
            (QUARANTINED, QUARANTINE.name, lambda chosen: quarantine_rows(chosen, feed)),
            (DUPLICATE, DUPLICATES.name, lambda chosen: duplicate_rows(chosen, feed)),
        ):
            if outcome in outcomes:
                chosen = rows.where(F.col("verdict") == outcome)
                storage.append(shaped(chosen), settings, target, transaction)

    return write


if __name__ == "__main__":
    from spark_jobs.run import main

    main(JOB)
