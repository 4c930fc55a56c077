"""The one place that reads and writes tables, for batch and stream alike."""

from __future__ import annotations

import json
import os
import re
import stat
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from delta.tables import DeltaTable
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql.types import StructType

from lake.catalog import LAYERS, TABLES
from lake.errors import CheckpointError, SchemaError
from lake.lease import turn
from lake.settings import Settings
from lake.table import Column as DeclaredColumn
from lake.table import Table

if TYPE_CHECKING:
    from pyspark.sql.streaming import StreamingQuery


WEEK_HOURS = 168


@dataclass(frozen=True)
class Transaction:
    """Names a write, so that Delta ignores it the second time: the query's id and its micro-batch."""

    application: str
    version: int


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
    log = settings.path(*name.split("."), "_delta_log")
    if settings.is_local:
        folder = Path(log)
        return folder.is_dir() and any(entry.name.endswith(".json") for entry in os.scandir(folder))
    return bool(_files(spark, log, ".json"))


def tables_on_disk(spark: SparkSession, settings: Settings) -> list[str]:
    """Names of all Delta tables that lie in the lake, whoever wrote them, in the order of the flow."""
    names = []
    for layer in LAYERS:
        for folder in _folders(spark, settings.path(layer)):
            if exists(spark, settings, f"{layer}.{folder}"):
                names.append(f"{layer}.{folder}")
    return names


def read(spark: SparkSession, settings: Settings, name: str) -> DataFrame:
    """The table as it stands now."""
    return spark.read.format("delta").load(settings.table_path(name))


def read_csv(spark: SparkSession, files: list[Path], schema: StructType) -> DataFrame:
    """Files of CSV with a header, gzip'd or not, as the columns of a schema; they are no part of the lake."""
    return spark.read.schema(schema).option("header", "true").csv([f"file:{file.resolve()}" for file in files])


def read_stream(spark: SparkSession, settings: Settings, name: str) -> DataFrame:
    """The table as a stream of its rows; a table with a change feed as a stream of its changes."""
    reader = spark.readStream.format("delta")
    if TABLES[name].change_feed:
        reader = reader.option("readChangeFeed", "true")
    else:
        # Deleted and rewritten rows (retention, a user who is forgotten) are no new ones.
        reader = reader.option("skipChangeCommits", "true")
    return reader.load(settings.table_path(name))


def append(rows: DataFrame, settings: Settings, name: str, transaction: Transaction | None = None) -> None:
    """Append rows of the declared columns; with a transaction, at most once."""
    writer = rows.select(TABLES[name].column_names).write.format("delta").mode("append")
    if transaction:
        writer = writer.option("txnAppId", transaction.application).option("txnVersion", transaction.version)
    writer.save(settings.table_path(name))


def replace_where(rows: DataFrame, settings: Settings, name: str, condition: str) -> None:
    """Replace the rows that meet a condition with these, in one commit."""
    selected = rows.select(TABLES[name].column_names)
    selected.write.format("delta").mode("overwrite").option("replaceWhere", condition).save(settings.table_path(name))


def merge_changes(
    rows: DataFrame, settings: Settings, name: str, *, within: str | None = None, insert: bool = False
) -> None:
    """Update the rows of the same key that differ, and with `insert` add those that are missing.

    `within` is a condition on the target with literal bounds (it is called `old` there), so that files are skipped.
    The same call twice changes nothing the second time.
    """
    table = TABLES[name]
    spark = rows.sparkSession
    same_key = " and ".join(f"old.{key} = new.{key}" for key in table.keys)
    differs = " or ".join(f"not (old.{c} <=> new.{c})" for c in _comparable(table))
    merge = (
        DeltaTable.forPath(spark, settings.table_path(name))
        .alias("old")
        .merge(rows.select(table.column_names).alias("new"), f"({within}) and {same_key}" if within else same_key)
        .whenMatchedUpdateAll(differs)
    )
    with alone(settings, name):
        (merge.whenNotMatchedInsertAll() if insert else merge).execute()


def delete_matching(rows: DataFrame, settings: Settings, name: str, *, within: str) -> None:
    """Delete the rows of a table whose keys are among these; `within` is as in `merge_changes`."""
    table = TABLES[name]
    same_key = " and ".join(f"old.{key} = gone.{key}" for key in table.keys)
    target = DeltaTable.forPath(rows.sparkSession, settings.table_path(name)).alias("old")
    with alone(settings, name):
        target.merge(rows.select(*table.keys).alias("gone"), f"({within}) and {same_key}").whenMatchedDelete().execute()


def delete_where(spark: SparkSession, settings: Settings, name: str, condition: str) -> int:
    """Delete the rows that meet a condition; gives their number."""
    with alone(settings, name):
        rows = read(spark, settings, name).where(condition).count()
        if rows:
            DeltaTable.forPath(spark, settings.table_path(name)).delete(condition)
    return rows


def update_where(
    spark: SparkSession, settings: Settings, name: str, condition: Column, changes: Mapping[str, Column]
) -> int:
    """Change columns of the rows that meet a condition; gives their number."""
    with alone(settings, name):
        rows = read(spark, settings, name).where(condition).count()
        if rows:
            DeltaTable.forPath(spark, settings.table_path(name)).update(condition, dict(changes))
    return rows


def data_files(spark: SparkSession, settings: Settings, name: str) -> list[str]:
    """Addresses of the files that hold a table's rows now."""
    return list(read(spark, settings, name).inputFiles())


def has_old_files(settings: Settings, name: str, current: int) -> bool:
    """Whether more data files lie in a table's folder than the `current` ones; not known of an object store, so yes."""
    if not settings.is_local:
        return True
    lying = [file for file in Path(settings.table_path(name)).rglob("*.parquet") if "_delta_log" not in file.parts]
    return len(lying) > current


def compact(spark: SparkSession, settings: Settings, name: str) -> None:
    """Put the rows of small files into large ones; no row changes."""
    with alone(settings, name):
        DeltaTable.forPath(spark, settings.table_path(name)).optimize().executeCompaction()


def vacuum(spark: SparkSession, settings: Settings, name: str, keep_hours: int) -> None:
    """Delete files that no version of the table of the last hours needs; readers of older ones fail.

    Less than a week is for when nothing else reads or writes the lake.
    """
    check = "spark.databricks.delta.retentionDurationCheck.enabled"
    before = spark.conf.get(check, "true")
    spark.conf.set(check, str(keep_hours >= WEEK_HOURS).lower())
    try:
        DeltaTable.forPath(spark, settings.table_path(name)).vacuum(keep_hours)
    finally:
        spark.conf.set(check, str(before))


@contextmanager
def alone(settings: Settings, name: str) -> Iterator[None]:
    """Keep other threads of this program from the same work, such as rewriting a table; leases keep off programs."""
    with _GUARD:
        lock = _LOCKS.setdefault(settings.path(name), threading.RLock())
    with lock:
        yield


_GUARD = threading.Lock()
_LOCKS: dict[str, threading.RLock] = {}


def stream_batches(
    rows: DataFrame, settings: Settings, write: object, *, query: str, continuous: bool
) -> StreamingQuery:
    """Start a stream that hands each micro-batch to `write(batch, batch_id)`."""
    writer = rows.writeStream.foreachBatch(write)  # type: ignore[arg-type]
    writer = writer.queryName(query).option("checkpointLocation", checkpoint(settings, query))
    return _trigger(writer, settings, continuous).start()


def checkpoint(settings: Settings, query: str) -> str:
    """Where a query keeps its checkpoint."""
    return settings.path("checkpoints", query)


def query_id(spark: SparkSession, settings: Settings, query: str) -> str:
    """The identity of a started query. It lives and dies with the checkpoint, as the numbers of micro-batches do."""
    metadata = checkpoint(settings, query) + "/metadata"
    if settings.is_local:
        return f"{query}:{json.loads(Path(metadata).read_text(encoding='utf-8'))['id']}"
    return f"{query}:{spark.read.schema('id string').json(metadata).collect()[0]['id']}"


def require_matching_checkpoint(spark: SparkSession, settings: Settings, query: str, written: list[str]) -> None:
    """Refuse to start a query on tables with other columns than declared, or anew on those it has already written.

    A lost checkpoint would read everything again and write it a second time. Raises `CheckpointError`, `SchemaError`.
    """
    present = [name for name in written if exists(spark, settings, name)]
    for name in present:
        missing = missing_columns(spark, settings, name)
        if missing:
            raise SchemaError(f"{name} lacks the column {missing[0].name}, which is new: run `risklake evolve` once")
    if _exists(spark, checkpoint(settings, query) + "/metadata"):
        return
    for name in present:
        # Commits do not tell: VACUUM leaves some in the log of a table without a row.
        if not read(spark, settings, name).isEmpty():
            raise CheckpointError(
                f"{name} has been written, but the checkpoint of `{query}` is gone: starting would write its rows "
                f"twice. Run `risklake reset --layer {TABLES[name].layer}` to rebuild it from the layer below"
            )


def as_glob(path: str) -> str:
    """A path as a glob pattern that means itself only."""
    return re.sub(r"([\\*?\[\]{}])", r"\\\1", path)


def missing_columns(spark: SparkSession, settings: Settings, name: str) -> list[DeclaredColumn]:
    """The declared columns that a table in the lake does not have yet.

    Raises `SchemaError` for one that cannot be added, or that has another type there.
    """
    stored = {field.name: field.dataType for field in read(spark, settings, name).schema.fields}
    missing = [column for column in TABLES[name].columns if column.name not in stored]
    for column in TABLES[name].columns:
        if column in missing and not column.nullable:
            raise SchemaError(f"{name} lacks the column {column.name}, which may not be null. {_rebuild(name)}")
        if column not in missing and stored[column.name].simpleString() != column.type.simpleString():
            raise SchemaError(
                f"{name}.{column.name} is {stored[column.name].simpleString()} in the lake, and declared as "
                f"{column.type.simpleString()}. {_rebuild(name)}"
            )
    return missing


def add_missing_columns(spark: SparkSession, settings: Settings, name: str) -> list[str]:
    """Add the declared columns that a table lacks, null in the rows that are there; gives their names."""
    missing = missing_columns(spark, settings, name)
    for column in missing:
        comment = column.comment.replace("\\", "\\\\").replace("'", "\\'")
        spark.sql(
            f"alter table delta.`{settings.table_path(name)}` "
            f"add columns (`{column.name}` {column.type.simpleString()} comment '{comment}')"
        )
    return [column.name for column in missing]


def make_folder(spark: SparkSession, path: str) -> None:
    """Make a folder of the lake, with those above it, unless it is there."""
    target = _hadoop_path(spark, path)
    _file_system(spark, target).mkdirs(target)


def empty_files(spark: SparkSession, path: str) -> list[tuple[str, datetime]]:
    """Names and modification times (UTC) of the files without a byte in a folder."""
    if "://" not in path:
        return _local_empty_files(path)
    target = _hadoop_path(spark, path)
    return [
        (status.getPath().getName(), datetime.fromtimestamp(status.getModificationTime() / 1000, UTC))
        for status in _file_system(spark, target).listStatus(target)
        if status.isFile() and status.getLen() == 0
    ]


def _rebuild(name: str) -> str:
    return f"Run `risklake reset --layer {TABLES[name].layer}` to rebuild it from the layer below"


def qualified(spark: SparkSession, path: str) -> str:
    """An address as Spark writes it in the paths of files."""
    target = _hadoop_path(spark, path)
    return str(_file_system(spark, target).makeQualified(target).toString())


def _local_empty_files(folder: str) -> list[tuple[str, datetime]]:
    # Hadoop's list comes over object by object: minutes where a folder holds 100,000 files.
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            # One may be gone meanwhile, lead to nothing, or be dated beyond the years that Python knows.
            with suppress(OSError, OverflowError, ValueError):
                state = entry.stat()
                if stat.S_ISREG(state.st_mode) and state.st_size == 0:
                    found.append((entry.name, datetime.fromtimestamp(state.st_mtime_ns // 1_000_000 / 1000, UTC)))
    return found


def _create(spark: SparkSession, settings: Settings, table: Table) -> None:
    builder = DeltaTable.createIfNotExists(spark).location(settings.table_path(table.name))
    builder = builder.addColumns(table.schema).comment(f"{table.meaning}. Grain: {table.grain}")
    if table.partition_by:
        builder = builder.partitionedBy(*table.partition_by)
    for key, value in table.delta_properties.items():
        builder = builder.property(key, value)
    builder.execute()


def _comparable(table: Table) -> list[str]:
    # Maps cannot be compared; a map column always changes together with another one here.
    return [c.name for c in table.columns if c.name not in table.keys and c.type.typeName() != "map"]


def _trigger(writer: object, settings: Settings, continuous: bool):  # type: ignore[no-untyped-def]
    if continuous:
        return writer.trigger(processingTime=f"{settings.trigger_seconds} seconds")  # type: ignore[attr-defined]
    return writer.trigger(availableNow=True)  # type: ignore[attr-defined]


def _hadoop_path(spark: SparkSession, path: str):  # type: ignore[no-untyped-def]
    return spark._jvm.org.apache.hadoop.fs.Path(path)  # type: ignore[union-attr]


def _file_system(spark: SparkSession, path):  # type: ignore[no-untyped-def]
    return path.getFileSystem(spark._jsparkSession.sessionState().newHadoopConf())


def _exists(spark: SparkSession, path: str) -> bool:
    target = _hadoop_path(spark, path)
    return bool(_file_system(spark, target).exists(target))


def _folders(spark: SparkSession, path: str) -> list[str]:
    target = _hadoop_path(spark, path)
    system = _file_system(spark, target)
    if not system.exists(target):
        return []
    return sorted(status.getPath().getName() for status in system.listStatus(target) if status.isDirectory())


def _files(spark: SparkSession, path: str, suffix: str) -> list[str]:
    target = _hadoop_path(spark, path)
    system = _file_system(spark, target)
    if not system.exists(target):
        return []
    names = (status.getPath().getName() for status in system.listStatus(target))
    return sorted(name for name in names if name.endswith(suffix))
