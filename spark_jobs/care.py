"""Care of tables: small files are compacted, files that no reader needs any more are deleted, old watching rows go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from pyspark.sql import SparkSession

from lake import storage
from lake.catalog import TABLES
from lake.lease import turn_of_table
from lake.settings import Settings
from spark_jobs.retention import expire
from spark_jobs.streams import Rank

# A partition with more files than this is worth rewriting.
MANY_FILES = 8

# Called with tables done, and tables in all.
Report = Callable[[float, float | None], None]


@dataclass(frozen=True)
class Care:
    """What was done for one table."""

    table: str
    files_before: int
    files_after: int
    rows_expired: int


def care(
    spark: SparkSession, settings: Settings, report: Report | None = None, today: date | None = None
) -> list[Care]:
    """Care for every table that the streams write, one after the other, after letting go what has outlived its time.

    Safe beside running streams, if it runs in the same program as they do: compaction changes no row, and what else
    rewrites a table waits for it (`storage.alone`). A kill at any moment costs nothing but the work. Where old lines
    cannot be let go, all else is done first, and then the error is raised.
    """
    today = today or datetime.now(UTC).date()
    failure: Exception | None = None
    try:
        expired = expire(spark, settings, today)
    except Exception as error:
        expired, failure = {}, error
    names = [name for name in storage.tables_on_disk(spark, settings) if name in TABLES]
    done = []
    for number, name in enumerate(names, start=1):
        # Of streams of this program, only those that no alert waits for wait for it.
        its_turn = storage.turns_of(Rank.CARE).turn(Rank.CARE)
        with its_turn, turn_of_table(settings, name):
            done.append(_care_for(spark, settings, name, today, expired.get(name, 0)))
        if report:
            report(number, len(names))
    if failure:
        raise failure
    return done


def crowded(files: list[str]) -> list[str]:
    """Of the paths of a table's files, the folders (partitions) that hold more than `MANY_FILES`."""
    folders = [file.rsplit("/", 1)[0] for file in files]
    return sorted({folder for folder in folders if folders.count(folder) > MANY_FILES})


def _care_for(spark: SparkSession, settings: Settings, name: str, today: date, expired: int) -> Care:
    before = storage.data_files(spark, settings, name)
    expired += _expire_watching(spark, settings, name, today)
    after = before
    if crowded(before) or TABLES[name].changes_often:
        storage.compact(spark, settings, name)
        after = storage.data_files(spark, settings, name)
    # Looking for old files takes seconds a table, also where there are none.
    if storage.has_old_files(settings, name, len(after)):
        storage.vacuum(spark, settings, name, settings.keep_old_files_hours)
    return Care(name, len(before), len(after), expired)


def _expire_watching(spark: SparkSession, settings: Settings, name: str, today: date) -> int:
    table = TABLES[name]
    if not table.retention_days:
        return 0
    oldest = today - timedelta(days=table.retention_days)
    day = table.partition_by[0] if table.partition_by else "arrived_at"
    return storage.delete_where(spark, settings, name, f"{day} < date'{oldest}'")
