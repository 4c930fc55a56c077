"""Bronze: every line of the inbox, unchanged, with its file, position and arrival time."""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming import StreamingQuery
from pyspark.sql.types import BinaryType, LongType, StringType, StructField, StructType, TimestampType

from lake import storage
from lake.catalog import bronze_table
from lake.feeds import FEEDS, Feed
from lake.inbox import SUFFIXES
from lake.settings import Settings
from spark_jobs.line_reader import OUTPUT, read_files

JOB = "bronze"

# The file source decides which files are new; the reader opens them. `content` is never selected, so never read.
_FILES = StructType(
    [
        StructField("path", StringType()),
        StructField("modificationTime", TimestampType()),
        StructField("length", LongType()),
        StructField("content", BinaryType()),
    ]
)


def bronze(files: DataFrame, feed: Feed) -> DataFrame:
    """From one row a file to the rows of `bronze.<feed>`: one row a line."""
    lines = files.select("path", "modificationTime").mapInArrow(read_files, OUTPUT)
    # In a stream this is the time of the micro-batch, kept in its log: a replayed batch gets the same.
    arrived = lines.withColumn("arrived_at", F.current_timestamp())
    return arrived.withColumn("arrival_date", F.to_date("arrived_at")).select(bronze_table(feed).column_names)


def inbox_files(spark: SparkSession, settings: Settings, feed: Feed) -> DataFrame:
    """A stream of the files that appear in the feed's inbox folder."""
    folder = settings.path("inbox", feed.name)
    storage.make_folder(spark, folder)
    return (
        spark.readStream.format("binaryFile")
        .schema(_FILES)
        .option("pathGlobFilter", "*{" + ",".join(SUFFIXES) + "}")
        .option("maxFilesPerTrigger", settings.max_files_per_trigger)
        # By default a file more than seven days older than the newest is skipped for ever, without a word.
        .option("maxFileAge", "36500d")
        .load(folder)
    )


def start(spark: SparkSession, settings: Settings, *, continuous: bool) -> list[StreamingQuery]:
    """Start the bronze stream of each feed."""
    queries = []
    for feed in FEEDS.values():
        name, query = f"bronze.{feed.name}", f"bronze_{feed.name}"
        storage.require_matching_checkpoint(spark, settings, query, [name])
        rows = bronze(inbox_files(spark, settings, feed), feed)
        queries.append(storage.stream_into(rows, settings, name, query=query, continuous=continuous))
    return queries


if __name__ == "__main__":
    from spark_jobs.run import main

    main(JOB)
