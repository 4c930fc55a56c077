"""Features: the stream that keeps `features.user_5m` equal to what silver says, late lines included."""

from __future__ import annotations

from collections.abc import Callable

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming import StreamingQuery

from lake import storage
from lake.catalog import USER_5M
from lake.settings import Settings
from lake.storage import Transaction
from spark_jobs.look_back import SOURCE, LookBack
from spark_jobs.small_input import is_interpreted
from spark_jobs.streams import Stream
from spark_jobs.time_ranges import time_ranges
from spark_jobs.user_5m import INPUTS, touched, user_5m

JOB = "features"
QUERY = "features_user_5m"


def changed(around: DataFrame) -> DataFrame:
    """Feature rows of the new transactions (`is_new`), and of those whose values a new one changes."""
    return user_5m(touched(around, "is_new")).where("is_new or is_touched")


def streams(spark: SparkSession, settings: Settings) -> list[Stream]:
    """The feature stream."""

    def start(continuous: bool) -> StreamingQuery:
        storage.require_matching_checkpoint(spark, settings, QUERY, [USER_5M.name])
        transactions = storage.read_stream(spark, settings, SOURCE)
        write = _batch_writer(settings, LookBack(settings, keeps=continuous))
        interpreted = is_interpreted(settings, QUERY, SOURCE, continuous=continuous)
        return storage.stream_batches(
            transactions, settings, write, query=QUERY, continuous=continuous, interpreted=interpreted
        )

    return [Stream(QUERY, start)]


def _batch_writer(settings: Settings, look_back: LookBack) -> Callable[[DataFrame, int], None]:
    def write(batch: DataFrame, batch_id: int) -> None:
        spark = batch.sparkSession
        arrived = batch.select(*INPUTS).persist()
        around = look_back.around(arrived)
        if around is not None:
            rows = changed(around).persist()
            corrected = rows.where("not is_new")
            ranges = time_ranges(corrected)
            transaction = Transaction(storage.query_id(spark, settings, QUERY), batch_id)
            storage.append(rows.where("is_new"), settings, USER_5M.name, transaction)
            if ranges:
                # One that a later micro-batch will bring has no row yet; that one writes it, so nothing is inserted.
                storage.merge_changes(corrected, settings, USER_5M.name, within=ranges.condition("old"))
            rows.unpersist()
        arrived.unpersist()

    return write


if __name__ == "__main__":
    from spark_jobs.run import main

    main(JOB)
