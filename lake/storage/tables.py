"""Tables: made as they are declared, read, and written."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from delta.tables import DeltaTable
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql.types import StructType

from lake.catalog import LAYERS, TABLES
from lake.lease import turn
from lake.named_columns import all_named
from lake.settings import Settings
from lake.storage.file_system import files_in, folders_in
from lake.storage.transactions import Transaction, read_ahead
from lake.table import Table

# A stream takes whole files, so that none may hold too much for one turn.
MOST_ROWS_A_FILE = 125_000


def ensure_tables(spark: SparkSession, settings: Settings, names: list[str] | None = None) -> None:
    """Create declared tables that do not exist yet, empty, with comments and properties.

    By default all that a lake has from the first; those that are made on demand by their names.
    """
    wanted = set(names or [name for name, table in TABLES.items() if not table.is_on_demand])
    if all(exists(spark, settings, name) for name in wanted):
        return
    # Jobs that are started together would else create a table together, and overwrite each other's first commit.
    with turn(settings, "tables"):
        for name in TABLES:
            if name in wanted and not exists(spark, settings, name):
                _create(spark, settings, TABLES[name])


def exists(spark: SparkSession, settings: Settings, name: str) -> bool:
    """Whether a table has been made in the lake."""
    # The folder of the log comes before its first commit.
    return any(True for _ in _commits(spark, settings, name))


def is_written(spark: SparkSession, settings: Settings, name: str) -> bool:
    """Whether something has been done to a table since it was made."""
    return any(not commit.startswith(_MADE) for commit in _commits(spark, settings, name))


def tables_on_disk(spark: SparkSession, settings: Settings) -> list[str]:
    """Names of all Delta tables that lie in the lake, whoever wrote them, in the order of the flow."""
    names = []
    for layer in LAYERS:
        for folder in folders_in(spark, settings.path(layer)):
            if exists(spark, settings, f"{layer}.{folder}"):
                names.append(f"{layer}.{folder}")
    return names


def read(spark: SparkSession, settings: Settings, name: str, version: int | None = None) -> DataFrame:
    """The table as it stands now, or as it stood after the commit of a number."""
    reader = spark.read.format("delta")
    if version is not None:
        reader = reader.option("versionAsOf", version)
    return reader.load(settings.table_path(name))


def read_csv(spark: SparkSession, files: list[Path], schema: StructType) -> DataFrame:
    """Files of CSV with a header, gzip'd or not, as the columns of a schema; they are no part of the lake."""
    return spark.read.schema(schema).option("header", "true").csv([f"file:{file.resolve()}" for file in files])


def append(rows: DataFrame, settings: Settings, name: str, transaction: Transaction | None = None) -> None:
    """Append rows of the declared columns; with a transaction, at most once."""
    writer = rows.select(all_named(TABLES[name].column_names)).write.format("delta").mode("append")
    writer = writer.option("maxRecordsPerFile", MOST_ROWS_A_FILE)
    if transaction:
        writer = writer.option("txnAppId", transaction.application).option("txnVersion", transaction.version)
    path = settings.table_path(name)
    with alone(settings, _additions(name)):
        writer.save(path)
    if transaction and transaction.is_followed:
        read_ahead(rows.sparkSession, path)


def replace_where(rows: DataFrame, settings: Settings, name: str, condition: str) -> None:
    """Replace the rows that meet a condition with these, in one commit."""
    selected = rows.select(TABLES[name].column_names)
    selected.write.format("delta").mode("overwrite").option("replaceWhere", condition).save(settings.table_path(name))


def merge_changes(
    rows: DataFrame,
    settings: Settings,
    name: str,
    *,
    within: str | None = None,
    insert: bool = False,
    only: Sequence[str] | None = None,
) -> None:
    """Update the rows of the same key that differ, and with `insert` add those that are missing.

    `within` is a condition on the target with literal bounds (it is called `old` there), so that files are skipped.
    Where `only` some columns are known, the others stay as they are. The same call twice changes nothing the second
    time.
    """
    table = TABLES[name]
    spark = rows.sparkSession
    known = table.column_names if only is None else [*table.keys, *only, *table.bookkeeping]
    same_key = " and ".join(f"old.{key} = new.{key}" for key in table.keys)
    differs = " or ".join(f"not (old.{c} <=> new.{c})" for c in _comparable(table) if c in known)
    merge = (
        DeltaTable.forPath(spark, settings.table_path(name))
        .alias("old")
        .merge(rows.select(known).alias("new"), f"({within}) and {same_key}" if within else same_key)
        .whenMatchedUpdate(differs, {column: f"new.{column}" for column in known if column not in table.keys})
    )
    with _changing(settings, name):
        (merge.whenNotMatchedInsertAll() if insert else merge).execute()


def delete_matching(
    rows: DataFrame, settings: Settings, name: str, *, within: str, on: tuple[str, ...] | None = None
) -> None:
    """Delete the rows of a table whose keys (or other columns, `on`) are among these rows, where each stands once.

    `within` is as in `merge_changes`.
    """
    columns = on or TABLES[name].keys
    same_key = " and ".join(f"old.{column} = gone.{column}" for column in columns)
    target = DeltaTable.forPath(rows.sparkSession, settings.table_path(name)).alias("old")
    with _changing(settings, name):
        target.merge(rows.select(*columns).alias("gone"), f"({within}) and {same_key}").whenMatchedDelete().execute()


def delete_where(spark: SparkSession, settings: Settings, name: str, condition: str) -> int:
    """Delete the rows that meet a condition; gives their number."""
    with _changing(settings, name):
        rows = read(spark, settings, name).where(condition).count()
        if rows:
            DeltaTable.forPath(spark, settings.table_path(name)).delete(condition)
    return rows


def update_where(
    spark: SparkSession, settings: Settings, name: str, condition: Column, changes: Mapping[str, Column]
) -> int:
    """Change columns of the rows that meet a condition; gives their number."""
    with _changing(settings, name):
        rows = read(spark, settings, name).where(condition).count()
        if rows:
            DeltaTable.forPath(spark, settings.table_path(name)).update(condition, dict(changes))
    return rows


# The first commit makes the table.
_MADE = f"{0:020}."


def _commits(spark: SparkSession, settings: Settings, name: str) -> Iterator[str]:
    """The names of the files of commits that a table's log holds; none if there is no table."""
    log = settings.path(*name.split("."), "_delta_log")
    if not settings.is_local:
        yield from files_in(spark, log, ".json")
    elif Path(log).is_dir():
        with os.scandir(log) as entries:
            yield from (entry.name for entry in entries if entry.name.endswith(".json"))


@contextmanager
def alone(settings: Settings, name: str) -> Iterator[None]:
    """Keep other threads of this program from the same work, such as rewriting a table; leases keep off programs."""
    with _GUARD:
        lock = _LOCKS.setdefault(settings.path(name), threading.RLock())
    with lock:
        yield


@contextmanager
def _changing(settings: Settings, name: str) -> Iterator[None]:
    """Keep other threads of this program from rewriting a table, and from adding rows to it.

    Delta gives up a change of rows if a file comes meanwhile that it might have had to read, so retention would fail
    beside each running stream. Compaction is not disturbed by it, and may take long, so that whoever adds rows does not
    wait for that.
    """
    with alone(settings, name), alone(settings, _additions(name)):
        yield


def _additions(name: str) -> str:
    return f"additions to {name}"


_GUARD = threading.Lock()
_LOCKS: dict[str, threading.RLock] = {}


def _create(spark: SparkSession, settings: Settings, table: Table) -> None:
    builder = DeltaTable.createIfNotExists(spark).location(settings.table_path(table.name))
    builder = builder.addColumns(table.schema).comment(f"{table.meaning}. Grain: {table.grain}")
    if table.partition_by:
        builder = builder.partitionedBy(*table.partition_by)
    # Each micro-batch is a commit, of which Delta would keep a month. A stream that is behind for longer than this may
    # be lost anyway: by then the files that compaction has replaced are gone.
    kept = {"delta.logRetentionDuration": f"interval {settings.keep_old_files_hours} hours"}
    for key, value in (kept | table.delta_properties).items():
        builder = builder.property(key, value)
    builder.execute()


def _comparable(table: Table) -> list[str]:
    # Maps cannot be compared; a map column always changes together with another one here.
    kinds = {c.name: c.type.typeName() for c in table.columns}
    return [name for name in table.content if name not in table.keys and kinds[name] != "map"]
