"""Windows: what each user did in the five minutes from each whole minute on, kept up to date by a stream of their own.

They are for monitoring, so nothing waits for them: their stream looks seldom, and comes last.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache, partial

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming import StreamingQuery

from lake import storage
from lake.catalog import USER_WINDOWS
from lake.feeds import TRANSACTIONS
from lake.settings import Settings
from lake.window_features import LATENESS, TILE, WINDOW
from spark_jobs.streams import Rank, Stream
from spark_jobs.time_ranges import time_ranges
from spark_jobs.user_5m import is_declined
from spark_jobs.waiting_bytes import waiting_bytes

JOB = "user_windows"
QUERY = "features_user_windows"
SOURCE = f"silver.{TRANSACTIONS.name}"
# What the transform needs of `silver.transactions`.
INPUTS = ("user_id", "merchant_id", "amount", "status", "event_time", "arrived_at")
# Each row becomes one in several windows.
_TIMES = WINDOW // TILE


def user_windows(transactions: DataFrame) -> DataFrame:
    """From transactions (columns `INPUTS`) to the rows of `features.user_windows`, without `updated_at`.

    Each minute of a user is summed up once (by merchant), and added to the five windows that it lies in. A window has
    no row before it has a transaction, and its row is right where all of its transactions are given.
    """
    return _added_up(_by_minute(transactions).withColumn("is_new", F.lit(True)))


def changed(near: DataFrame, new: DataFrame) -> DataFrame:
    """The rows of those windows that hold one of some new minutes (`user_id`, `minute`).

    Of the users of the new minutes, `near` (columns `INPUTS`) has all transactions that lie less than a window before
    or after them.
    """
    of_users = near.join(F.broadcast(new.select("user_id").distinct()), on="user_id", how="left_semi")
    marked = F.broadcast(new.withColumn("is_new", F.lit(True)))
    return _added_up(_by_minute(of_users).join(marked, on=["user_id", "minute"], how="left"))


def minutes(transactions: DataFrame) -> DataFrame:
    """The minutes (`user_id`, `minute`) in which transactions lie, each once."""
    return transactions.select("user_id", F.date_trunc("minute", "event_time").alias("minute")).distinct()


def _by_minute(transactions: DataFrame) -> DataFrame:
    minute = F.date_trunc("minute", "event_time").alias("minute")
    return transactions.groupBy("user_id", minute, "merchant_id").agg(*_of_a_minute())


def _added_up(by_minute: DataFrame) -> DataFrame:
    """From sums by minute and merchant to windows, as far as one of their minutes `is_new`."""
    in_windows = by_minute.withColumn("window_start", F.explode(_begins()))
    by_merchant = in_windows.groupBy(*USER_WINDOWS.keys, "merchant_id").agg(
        *_sums(), F.bool_or("is_new").alias("is_new")
    )
    windows = by_merchant.groupBy(*USER_WINDOWS.keys).agg(
        *_sums(), F.count("merchant_id").cast("int").alias("distinct_merchants"), F.bool_or("is_new").alias("is_new")
    )
    return windows.where("is_new").withColumns(_bounds()).select(*USER_WINDOWS.content, "inputs_arrived_at")


# Built in the JVM step by step: once, not for each micro-batch.
@cache
def _begins() -> Column:
    """The begins of the windows that a minute lies in."""
    return F.array(*(F.col("minute") - F.lit(n * TILE) for n in range(WINDOW // TILE)))


@cache
def _of_a_minute() -> tuple[Column, ...]:
    return (
        F.count("*").alias("txn_count"),
        F.sum("amount").alias("amount_sum"),
        F.max("amount").alias("amount_max"),
        F.count_if(is_declined(F.col("status"))).alias("declined_count"),
        F.max("arrived_at").alias("inputs_arrived_at"),
    )


@cache
def _sums() -> tuple[Column, ...]:
    """What comes to the same, whether it is added up at once or in parts."""
    return (
        F.sum("txn_count").alias("txn_count"),
        F.sum("amount_sum").cast("decimal(28, 4)").alias("amount_sum"),
        F.max("amount_max").alias("amount_max"),
        F.sum("declined_count").alias("declined_count"),
        F.max("inputs_arrived_at").alias("inputs_arrived_at"),
    )


@cache
def _bounds() -> dict[str, Column]:
    begin = F.col("window_start")
    return {
        "window_end": begin + F.lit(WINDOW),
        "event_date": F.to_date(begin),
        "final_at": begin + F.lit(WINDOW + LATENESS),
    }


def streams(spark: SparkSession, settings: Settings) -> list[Stream]:
    """The stream of windows, once there are transactions, if it is wanted."""
    is_wanted = settings.windows_seconds > 0 and storage.exists(spark, settings, SOURCE)
    return [Stream(QUERY, _starter(spark, settings))] if is_wanted else []


def _starter(spark: SparkSession, settings: Settings) -> Callable[[bool], StreamingQuery]:
    def start(continuous: bool) -> StreamingQuery:
        name = USER_WINDOWS.name
        storage.ensure_tables(spark, settings, [name])
        storage.require_matching_checkpoint(spark, settings, QUERY, [name])
        return storage.stream_batches(
            storage.read_stream(spark, settings, SOURCE),
            settings,
            _batch_writer(settings),
            query=QUERY,
            continuous=continuous,
            how_much=partial(waiting_bytes, settings, QUERY, SOURCE, times=_TIMES),
            rank=Rank.MONITORING,
            every_seconds=settings.windows_seconds,
        )

    return start


def _batch_writer(settings: Settings) -> Callable[[DataFrame, int], None]:
    def write(batch: DataFrame, batch_id: int) -> None:
        new = minutes(batch).localCheckpoint(eager=False)
        ranges = time_ranges(new.withColumnRenamed("minute", "event_time")).wider(WINDOW)
        if not ranges:
            return
        # All of silver is counted, whichever micro-batch brought it: the same again changes nothing.
        near = storage.read(batch.sparkSession, settings, SOURCE).where(ranges.condition()).select(*INPUTS)
        rows = changed(near, new).withColumn("updated_at", F.lit(datetime.now(UTC))).localCheckpoint(eager=False)
        within = ranges.condition("old", time="window_start")
        storage.merge_changes(rows, settings, USER_WINDOWS.name, within=within, insert=True)

    return write


if __name__ == "__main__":
    from spark_jobs.run import main

    main(JOB)
