"""Bronze: every line of the inbox, unchanged, with its file, position and arrival time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import reduce
from itertools import groupby

from pyspark.sql import Column, DataFrame, Row, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming import StreamingQuery
from pyspark.sql.types import BinaryType, LongType, StringType, StructField, StructType, TimestampType

from lake import storage
from lake.feed import Feed
from lake.feed_tables import bronze_table
from lake.feeds import FEEDS
from lake.inbox import SPARK_GLOB, is_visible
from lake.settings import Settings
from spark_jobs.line_reader import OUTPUT, reader_of
from spark_jobs.read_errors import EMPTY_FILE
from spark_jobs.streams import Rank, Stream

JOB = "bronze"
QUERY = "bronze"

# The file source decides which files are new; the reader opens them. `content` is never selected, so never read.
_FILES = StructType(
    [
        StructField("path", StringType()),
        StructField("modificationTime", TimestampType()),
        StructField("length", LongType()),
        StructField("content", BinaryType()),
    ]
)
_LISTED = StructType(
    [
        StructField("path", StringType()),
        StructField("length", LongType()),
        StructField("modified_us", LongType()),
    ]
)


def lines(files: DataFrame) -> DataFrame:
    """From one row a file (`path`, `modificationTime`, `length`) to one row a line (schema `OUTPUT`)."""
    csv_feeds = frozenset(feed.name for feed in FEEDS.values() if feed.is_reference)
    return files.mapInArrow(reader_of(csv_feeds), OUTPUT)


def arrived(entries: DataFrame, arrived_us: int) -> DataFrame:
    """From lines (schema `OUTPUT`) to rows of `bronze.<feed>`; `arrived_us` is in microseconds since 1970 (UTC)."""
    at = F.timestamp_micros(F.lit(arrived_us))
    return entries.withColumns({"arrived_at": at, "arrival_date": F.to_date(at)})


def inbox_files(spark: SparkSession, settings: Settings) -> DataFrame:
    """A stream of the files that appear in the inbox folders of all feeds.

    The time of arrival is that of the micro-batch, which its log keeps: a replayed one has the same.
    """
    for feed in FEEDS:
        storage.make_folder(spark, settings.path("inbox", feed))
    return (
        spark.readStream.format("binaryFile")
        .schema(_FILES)
        .option("pathGlobFilter", SPARK_GLOB)
        # Without it a folder named `a=b` hides the files beside it, and a name with `[` or `*` reads all others again
        # (SPARK-58518). With it files in folders below are listed too.
        .option("recursiveFileLookup", "true")
        # A file that is gone when it is to be read would stop the stream.
        .option("ignoreMissingFiles", "true")
        .option("maxFilesPerTrigger", settings.max_files_per_trigger)
        # By default a file more than seven days older than the newest is skipped for ever, without a word.
        .option("maxFileAge", "36500d")
        .load(storage.as_glob(settings.path("inbox")) + "/{" + ",".join(FEEDS) + "}")
        .where(_in_own_folder(spark, settings))
        .select(
            "path",
            "length",
            F.unix_micros("modificationTime").alias("modified_us"),
            F.unix_micros(F.current_timestamp()).alias("arrived_us"),
        )
    )


def _in_own_folder(spark: SparkSession, settings: Settings) -> Column:
    """Whether a file lies in a feed's folder itself, not in one below it."""
    inbox = storage.qualified(spark, settings.path("inbox"))
    last_two = F.substring_index("path", "/", -2)
    is_feed = F.substring_index(last_two, "/", 1).isin(*FEEDS)
    return is_feed & (F.col("path") == F.concat(F.lit(f"{inbox}/"), last_two))


def empty_file_entries(spark: SparkSession, files: list[tuple[str, datetime]]) -> DataFrame:
    """One entry (schema `OUTPUT`) for each file without a byte (name, modification time)."""
    return spark.createDataFrame(
        [(None, None, name, 0, modified, EMPTY_FILE, None) for name, modified in files], OUTPUT
    )


def streams(spark: SparkSession, settings: Settings) -> list[Stream]:
    """The one stream that takes the files of all feeds."""

    def start(continuous: bool) -> StreamingQuery:
        tables = [bronze_table(feed).name for feed in FEEDS.values()]
        storage.require_matching_checkpoint(spark, settings, QUERY, tables)
        files = inbox_files(spark, settings)
        return storage.stream_batches(
            files,
            settings,
            _batch_writer(settings),
            query=QUERY,
            continuous=continuous,
            leads=True,
            rank=Rank.BRONZE,
        )

    return [Stream(QUERY, start)]


def _batch_writer(settings: Settings) -> Callable[[DataFrame, int], None]:
    # Empty files that stay in the inbox, by feed: looking for them each time would cost more than all new lines.
    entered: dict[str, set[str]] = {feed: set() for feed in FEEDS}

    def write(batch: DataFrame, batch_id: int) -> None:
        spark = batch.sparkSession
        transaction = storage.transaction_of(spark, settings, QUERY, batch_id)
        listed = batch.collect()
        # All of one micro-batch, from its log; one that has only empty files takes the clock's.
        arrived_us = listed[0]["arrived_us"] if listed else int(datetime.now(UTC).timestamp() * 1_000_000)
        files = dict(_by_feed(listed))
        for feed in FEEDS.values():
            entries = _entries(spark, settings, feed, files.get(feed.name, []), entered[feed.name])
            if entries is not None:
                storage.append(arrived(entries, arrived_us), settings, bronze_table(feed).name, transaction)

    return write


def _by_feed(files: list[Row]) -> Iterator[tuple[str, list[Row]]]:
    # The folder of a file is its feed.
    def feed(row: Row) -> str:
        return str(row["path"]).rsplit("/", 2)[-2]

    for name, rows in groupby(sorted(files, key=feed), feed):
        yield name, sorted(rows, key=lambda row: (row["modified_us"], row["path"]))


def _entries(
    spark: SparkSession, settings: Settings, feed: Feed, files: list[Row], entered: set[str]
) -> DataFrame | None:
    """The lines of a feed's new files, None if there are none. The feed's table is made with the first of them."""
    empty = _new_empty_files(spark, settings, feed, entered)
    if not files and not empty:
        return None
    storage.ensure_tables(spark, settings, [bronze_table(feed).name])
    entries = []
    if files:
        modified = F.timestamp_micros("modified_us").alias("modificationTime")
        paths = spark.createDataFrame([(row["path"], row["length"], row["modified_us"]) for row in files], _LISTED)
        entries.append(lines(paths.select("path", "length", modified)))
    if empty:
        entries.append(empty_file_entries(spark, empty))
    return reduce(DataFrame.unionByName, entries)


def _new_empty_files(
    spark: SparkSession, settings: Settings, feed: Feed, entered: set[str]
) -> list[tuple[str, datetime]]:
    """The files without a byte (name, modification time) that bronze does not hold; those it holds become `entered`.

    Spark's file source counts such a file as read, and gives no row for it. What is only written does not count as
    entered: of a micro-batch that is done again, Delta ignores all that is written.
    """
    found = [file for file in storage.empty_files(spark, settings.path("inbox", feed.name)) if is_visible(file[0])]
    names = [name for name, _ in found if name not in entered]
    table = bronze_table(feed).name
    if names and storage.exists(spark, settings, table):
        held = storage.read(spark, settings, table).where(
            F.col("source_file").isin(names) & (F.col("line_number") == 0)
        )
        entered.update(row["source_file"] for row in held.select("source_file").collect())
    return [(name, modified) for name, modified in found if name not in entered]


if __name__ == "__main__":
    from spark_jobs.run import main

    main(JOB)
