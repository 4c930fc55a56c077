"""The inventory of the inbox: each file's lines, counted once and apart from the streams, and what became of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lake import storage
from lake.catalog import FILES
from lake.feed import Feed
from lake.feed_tables import bronze_table
from lake.feeds import FEEDS
from lake.inbox import count_lines, visible_files
from lake.lease import turn
from lake.settings import Settings


@dataclass(frozen=True)
class Entry:
    """One file of the inbox as it lay there when its lines were counted; `bytes` is 0 where bronze had to tell."""

    feed: str
    source_file: str
    bytes: int
    modified_at: datetime
    lines: int
    counted_at: datetime


# What a table and Python can both say; some file systems know other years.
_EARLIEST_S, _LATEST_S = (datetime(year, 1, 1, tzinfo=UTC).timestamp() for year in (2, 9999))

# The feed and the name of a file.
Key = tuple[str, str]


@dataclass(frozen=True)
class Taken:
    """A file as bronze took it, and how many lines had been counted of that name otherwise (0 if it never was)."""

    entry: Entry
    counted: int


@dataclass(frozen=True)
class Inventory:
    """How many lines were counted in all files that ever came, and the entries of those that lie in the inbox.

    `lines_of` are by feed. Of the files that are `lying`, `new` ones were counted just now, and `changed` ones are
    not what was counted. Of those that are `as_taken`, bronze has told what it took (`with_taken`).
    """

    lines_of: dict[str, int]
    lying: dict[Key, Entry]
    new: list[Entry]
    changed: list[Key]
    as_taken: list[Taken] = field(default_factory=list)

    def lines(self, feed: str) -> int:
        """Lines that have come in by a feed."""
        corrected = sum(taken.entry.lines - taken.counted for taken in self.as_taken if taken.entry.feed == feed)
        return self.lines_of.get(feed, 0) + corrected

    def files(self, spark: SparkSession, settings: Settings, feed: str) -> DataFrame:
        """All files of a feed that were ever counted, as rows of `monitoring.files`."""
        new = _as_rows(spark, [entry for entry in self.new if entry.feed == feed])
        if not storage.exists(spark, settings, FILES.name):
            return new
        # New ones may be kept there by now.
        others = storage.read(spark, settings, FILES.name).where(F.col("feed") == feed)
        return others.join(F.broadcast(new), on="source_file", how="left_anti").unionByName(new)


def take_inventory(spark: SparkSession, settings: Settings) -> Inventory:
    """Look at all files of the inbox, and count those that no earlier run has counted."""
    files = {(feed, file.name): file for feed in FEEDS for file in visible_files(settings.local_path("inbox", feed))}
    lines_of, lying = _known(spark, settings, list(files))
    changed = [key for key, entry in lying.items() if not _is_as_counted(files[key], entry)]
    counted = (_counted(key[0], file) for key, file in files.items() if key not in lying)
    new = [entry for entry in counted if entry is not None]
    for entry in new:
        lines_of[entry.feed] = lines_of.get(entry.feed, 0) + entry.lines
    return Inventory(lines_of, lying | {(entry.feed, entry.source_file): entry for entry in new}, new, changed)


def keep_inventory(spark: SparkSession, settings: Settings) -> Inventory:
    """Take the inventory and keep the newly counted files in `monitoring.files`; programs do so in turn."""
    with turn(settings, FILES.name):
        inventory = take_inventory(spark, settings)
        if inventory.new:
            storage.ensure_tables(spark, settings, [FILES.name])
            storage.append(_as_rows(spark, inventory.new), settings, FILES.name)
    return inventory


def with_taken(
    spark: SparkSession, settings: Settings, inventory: Inventory, versions: Mapping[str, int | None]
) -> Inventory:
    """The inventory with the lines that bronze (as of these versions) holds of files that it took otherwise.

    Those had changed or were gone when somebody first looked, so nobody can count what bronze took. They are named as
    changed ones. Of all others the count stands, whatever bronze holds.
    """
    taken = [
        one
        for feed in FEEDS.values()
        if storage.exists(spark, settings, bronze_table(feed).name)
        for one in _taken(spark, settings, feed, inventory, versions.get(bronze_table(feed).name))
    ]
    named = [(one.entry.feed, one.entry.source_file) for one in taken]
    changed = [*inventory.changed, *(key for key in named if key not in inventory.changed)]
    return replace(inventory, changed=changed, as_taken=taken)


def keep_taken(spark: SparkSession, settings: Settings, inventory: Inventory) -> None:
    """Keep what bronze has told of files in `monitoring.files`, in the place of what was counted."""
    if inventory.as_taken:
        with turn(settings, FILES.name):
            storage.ensure_tables(spark, settings, [FILES.name])
            rows = _as_rows(spark, [taken.entry for taken in inventory.as_taken])
            storage.merge_changes(rows, settings, FILES.name, insert=True)


def _taken(
    spark: SparkSession, settings: Settings, feed: Feed, inventory: Inventory, version: int | None
) -> Iterator[Taken]:
    bronze = storage.read(spark, settings, bronze_table(feed).name, version).groupBy("source_file")
    taken = bronze.agg(F.max(F.unix_micros("file_modified_at")).alias("modified_us"), F.count("*").alias("lines"))
    counted = inventory.files(spark, settings, feed.name).select(
        "source_file", F.unix_micros("modified_at").alias("counted_us"), F.col("lines").alias("counted")
    )
    # Spark knows milliseconds.
    is_same_file = F.abs(F.col("modified_us") - F.col("counted_us")) < 1000
    is_other = F.col("counted").isNull() | ((F.col("lines") != F.col("counted")) & ~is_same_file)
    for row in taken.join(counted, on="source_file", how="left").where(is_other).toLocalIterator():
        modified = _modified(row["modified_us"] * 1000)
        entry = Entry(feed.name, row["source_file"], 0, modified, row["lines"], datetime.now(UTC))
        yield Taken(entry, row["counted"] or 0)


def _known(spark: SparkSession, settings: Settings, lying: list[Key]) -> tuple[dict[str, int], dict[Key, Entry]]:
    """Lines by feed of all files that were counted before, and the entries of those that are `lying` in the inbox.

    Asked in one query, so that both are of the same moment. Of files that are gone no more than their lines is read:
    in time they are many more than what can lie in a folder.
    """
    if not storage.exists(spark, settings, FILES.name):
        return {}, {}
    names = spark.createDataFrame(lying, "feed string, source_file string").withColumn("lies", F.lit(True))
    rows = storage.read(spark, settings, FILES.name).join(F.broadcast(names), on=["feed", "source_file"], how="left")
    file = F.when(F.col("lies"), F.col("source_file"))
    entry = F.first(F.struct(*FILES.column_names)).alias("entry")
    lines_of: dict[str, int] = {}
    entries: dict[Key, Entry] = {}
    for row in rows.groupBy("feed", file.alias("file")).agg(F.sum("lines").alias("lines"), entry).toLocalIterator():
        lines_of[row["feed"]] = lines_of.get(row["feed"], 0) + row["lines"]
        if row["file"] is not None:
            entries[row["feed"], row["file"]] = Entry(**row["entry"].asDict())
    return lines_of, entries


def _as_rows(spark: SparkSession, entries: list[Entry]) -> DataFrame:
    return spark.createDataFrame([tuple(vars(entry).values()) for entry in entries], FILES.schema)


def _counted(feed: str, file: Path) -> Entry | None:
    try:
        status = file.lstat()
    except FileNotFoundError:
        return None  # it went meanwhile, perhaps into the archive
    lines = count_lines(file, csv_allowed=FEEDS[feed].is_reference)
    return Entry(feed, file.name, status.st_size, _modified(status.st_mtime_ns), lines, datetime.now(UTC))


def _is_as_counted(file: Path, entry: Entry) -> bool:
    try:
        status = file.lstat()
    except OSError:
        return True
    return status.st_size == entry.bytes and _modified(status.st_mtime_ns).timestamp() == entry.modified_at.timestamp()


def _modified(nanoseconds: int) -> datetime:
    # Whole microseconds, as a table keeps them.
    seconds = min(max(nanoseconds // 1000 / 1_000_000, _EARLIEST_S), _LATEST_S)
    return datetime.fromtimestamp(seconds, UTC)
