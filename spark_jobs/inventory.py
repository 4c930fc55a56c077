"""The inventory of the inbox: each file's lines, counted once and apart from the streams, and what became of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from pyspark.sql import SparkSession
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


@dataclass(frozen=True)
class Inventory:
    """All files that were ever counted, those that were counted just now, and those that changed since.

    Of files that are `as_taken`, bronze has told what it took (`with_taken`).
    """

    known: dict[tuple[str, str], Entry]
    new: list[Entry]
    changed: list[tuple[str, str]]
    as_taken: list[Entry] = field(default_factory=list)

    @property
    def entries(self) -> dict[tuple[str, str], Entry]:
        """All files, by feed and name."""
        return self.known | {(entry.feed, entry.source_file): entry for entry in (*self.new, *self.as_taken)}

    def lines(self, feed: str) -> int:
        """Lines that have come in by a feed."""
        return sum(entry.lines for entry in self.entries.values() if entry.feed == feed)


def take_inventory(spark: SparkSession, settings: Settings) -> Inventory:
    """Look at all files of the inbox, and count those that no earlier run has counted."""
    known = dict(_known(spark, settings))
    new, changed = [], []
    for feed in FEEDS:
        for file in visible_files(settings.local_path("inbox", feed)):
            entry = known.get((feed, file.name))
            if entry is None:
                new.append(_counted(feed, file))
            elif not _is_as_counted(file, entry):
                changed.append((feed, file.name))
    return Inventory(known, new, changed)


def keep_inventory(spark: SparkSession, settings: Settings) -> Inventory:
    """Take the inventory and keep the newly counted files in `monitoring.files`; programs do so in turn."""
    with turn(settings, FILES.name):
        inventory = take_inventory(spark, settings)
        if inventory.new:
            storage.ensure_tables(spark, settings, [FILES.name])
            rows = [tuple(vars(entry).values()) for entry in inventory.new]
            storage.append(spark.createDataFrame(rows, FILES.schema), settings, FILES.name)
    return inventory


def with_taken(
    spark: SparkSession, settings: Settings, inventory: Inventory, versions: Mapping[str, int | None]
) -> Inventory:
    """The inventory with the lines that bronze (as of these versions) holds of files that it took otherwise.

    Those had changed or were gone when somebody first looked, so nobody can count what bronze took. They are named as
    changed ones. Of all others the count stands, whatever bronze holds.
    """
    entries = inventory.entries
    taken = [
        entry
        for feed in FEEDS.values()
        if storage.exists(spark, settings, bronze_table(feed).name)
        for entry in _taken(spark, settings, feed, versions.get(bronze_table(feed).name))
        if _is_other(entry, entries.get((feed.name, entry.source_file)))
    ]
    named = [(entry.feed, entry.source_file) for entry in taken]
    changed = [*inventory.changed, *(key for key in named if key not in inventory.changed)]
    return replace(inventory, changed=changed, as_taken=taken)


def keep_taken(spark: SparkSession, settings: Settings, inventory: Inventory) -> None:
    """Keep what bronze has told of files in `monitoring.files`, in the place of what was counted."""
    if inventory.as_taken:
        with turn(settings, FILES.name):
            storage.ensure_tables(spark, settings, [FILES.name])
            rows = [tuple(vars(entry).values()) for entry in inventory.as_taken]
            storage.merge_changes(spark.createDataFrame(rows, FILES.schema), settings, FILES.name, insert=True)


def _taken(spark: SparkSession, settings: Settings, feed: Feed, version: int | None) -> Iterator[Entry]:
    files = storage.read(spark, settings, bronze_table(feed).name, version).groupBy("source_file")
    found = files.agg(F.max(F.unix_micros("file_modified_at")).alias("modified_us"), F.count("*").alias("lines"))
    for row in found.toLocalIterator():
        modified = _modified(row["modified_us"] * 1000)
        yield Entry(feed.name, row["source_file"], 0, modified, row["lines"], datetime.now(UTC))


def _is_other(taken: Entry, counted: Entry | None) -> bool:
    if counted is None:
        return True
    # Spark knows milliseconds.
    is_same_file = abs(taken.modified_at.timestamp() - counted.modified_at.timestamp()) < 0.001
    return taken.lines != counted.lines and not is_same_file


def _known(spark: SparkSession, settings: Settings) -> Iterator[tuple[tuple[str, str], Entry]]:
    if storage.exists(spark, settings, FILES.name):
        for row in storage.read(spark, settings, FILES.name).toLocalIterator():
            found = Entry(**row.asDict())
            yield (found.feed, found.source_file), found


def _counted(feed: str, file: Path) -> Entry:
    status = file.lstat()
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
    return datetime.fromtimestamp(nanoseconds // 1000 / 1_000_000, UTC)
