"""Bronze: every line of the inbox, unchanged, with its file, position and arrival time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming import StreamingQuery
from pyspark.sql.types import BinaryType, LongType, StringType, StructField, StructType, TimestampType

from lake import storage
from lake.catalog import bronze_table
from lake.feeds import FEEDS, Feed
from lake.inbox import SUFFIXES, is_visible
from lake.settings import Settings
from lake.storage import Transaction
from spark_jobs.line_reader import EMPTY_FILE, OUTPUT, read_files

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


def bronze(files: DataFrame) -> DataFrame:
    """From one row a file to the rows of `bronze.<feed>`: one row a line."""
    return arrived(files.select("path", "modificationTime").mapInArrow(read_files, OUTPUT))


def arrived(lines: DataFrame) -> DataFrame:
    """Add the time of arrival: in a stream that of the micro-batch, kept in its log, so a replayed one has the same."""
    now = F.current_timestamp()
    return lines.withColumns({"arrived_at": now, "arrival_date": F.to_date(now)})


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


def empty_file_entries(files: list[tuple[str, datetime]], bronze_rows: DataFrame) -> DataFrame:
    """The bronze rows of files without a byte (name, modification time) that have none yet."""
    found = [(None, name, 0, modified, EMPTY_FILE) for name, modified in files]
    known = bronze_rows.where("line_number = 0").select("source_file")
    entries = bronze_rows.sparkSession.createDataFrame(found, OUTPUT)
    return arrived(entries.join(known, on="source_file", how="left_anti"))


def start(spark: SparkSession, settings: Settings, *, continuous: bool) -> list[StreamingQuery]:
    """Start the bronze stream of each feed."""
    queries = []
    for feed in FEEDS.values():
        query = f"bronze_{feed.name}"
        storage.require_matching_checkpoint(spark, settings, query, [bronze_table(feed).name])
        rows = bronze(inbox_files(spark, settings, feed))
        write = _batch_writer(settings, feed, query)
        queries.append(storage.stream_batches(rows, settings, write, query=query, continuous=continuous))
    return queries


def _batch_writer(settings: Settings, feed: Feed, query: str) -> Callable[[DataFrame, int], None]:
    table = bronze_table(feed).name

    def write(batch: DataFrame, batch_id: int) -> None:
        spark = batch.sparkSession
        # Spark's file source counts a file without a byte as read, and gives no row for it.
        listed = storage.empty_files(spark, settings.path("inbox", feed.name))
        empty = [(name, modified) for name, modified in listed if is_visible(name)]
        rows = batch
        if empty:
            rows = batch.unionByName(empty_file_entries(empty, storage.read(spark, settings, table)))
        storage.append(rows, settings, table, Transaction(storage.query_id(spark, settings, query), batch_id))

    return write


if __name__ == "__main__":
    from spark_jobs.run import main

    main(JOB)
