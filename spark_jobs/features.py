"""Features: the stream that keeps `features.user_5m` equal to what silver says, late lines included."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming import StreamingQuery

from lake import storage
from lake.catalog import USER_5M
from lake.feeds import TRANSACTIONS
from lake.settings import Settings
from lake.storage import Transaction
from spark_jobs.streams import Stream
from spark_jobs.user_5m import HORIZON_DAYS, INPUTS, touched, user_5m

JOB = "features"
QUERY = "features_user_5m"
SOURCE = f"silver.{TRANSACTIONS.name}"


def slice_around(batch: DataFrame, transactions: DataFrame, days: tuple[date, date]) -> DataFrame:
    """The transactions of the batch's users near its days, each marked `is_new` if it is of the batch.

    `days` are the first and last event date of the batch, as literals, so that files of other days are skipped.
    """
    first, last = days[0] - timedelta(days=HORIZON_DAYS + 1), days[1] + timedelta(days=HORIZON_DAYS + 1)
    near = transactions.where(F.col("event_date").between(F.lit(first), F.lit(last))).select(*INPUTS)
    ours = near.join(batch.select("user_id").distinct(), on="user_id", how="left_semi")
    new = batch.select("event_id", F.lit(True).alias("is_new"))
    return ours.join(new, on="event_id", how="left").withColumn("is_new", F.coalesce("is_new", F.lit(False)))


def streams(spark: SparkSession, settings: Settings) -> list[Stream]:
    """The feature stream."""

    def start(continuous: bool) -> StreamingQuery:
        storage.require_matching_checkpoint(spark, settings, QUERY, [USER_5M.name])
        transactions = storage.read_stream(spark, settings, SOURCE)
        return storage.stream_batches(
            transactions, settings, _batch_writer(settings), query=QUERY, continuous=continuous
        )

    return [Stream(QUERY, start)]


def _batch_writer(settings: Settings) -> Callable[[DataFrame, int], None]:
    def write(batch: DataFrame, batch_id: int) -> None:
        spark = batch.sparkSession
        arrived = batch.select("event_id", "user_id", "event_date").persist()
        first, last = arrived.select(F.min("event_date"), F.max("event_date")).collect()[0]
        if first is not None:
            around = slice_around(arrived, storage.read(spark, settings, SOURCE), (first, last))
            rows = user_5m(touched(around, "is_new")).where("is_new or is_touched").persist()
            days = [row[0] for row in rows.where("not is_new").select("event_date").distinct().collect()]
            transaction = Transaction(storage.query_id(spark, settings, QUERY), batch_id)
            storage.append(rows.where("is_new"), settings, USER_5M.name, transaction)
            if days:
                _correct(rows.where("not is_new"), settings, days)
            rows.unpersist()
        arrived.unpersist()

    return write


def _correct(rows: DataFrame, settings: Settings, days: list[date]) -> None:
    # A transaction that a later micro-batch will bring has no row yet; that batch writes it, so nothing is inserted.
    bounds = f"old.event_date between date'{min(days)}' and date'{max(days)}'"
    storage.merge_changes(rows, settings, USER_5M.name, within=bounds)


if __name__ == "__main__":
    from spark_jobs.run import main

    main(JOB)
