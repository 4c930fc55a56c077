"""The one place that reads and writes tables, for batch and stream alike."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from lake.catalog import LAYERS, TABLES
from lake.errors import CheckpointError
from lake.lease import turn
from lake.settings import Settings
from lake.table import Table

if TYPE_CHECKING:
    from pyspark.sql.streaming import StreamingQuery


@dataclass(frozen=True)
class Transaction:
    """Names a write, so that Delta ignores it the second time: the query's id and its micro-batch."""

    application: str
    version: int


def ensure_tables(spark: SparkSession, settings: Settings, names: list[str] | None = None) -> None:
    """Create the declared tables that do not exist yet, empty, with comments and properties."""
    wanted = set(names or TABLES)
    if wanted <= set(tables_on_disk(spark, settings)):
        return
    # Jobs that are started together would else create a table together, and overwrite each other's first commit.
    with turn(settings, "tables"):
        present = set(tables_on_disk(spark, settings))
        for name in TABLES:
            if name in wanted - present:
                _create(spark, settings, TABLES[name])


def tables_on_disk(spark: SparkSession, settings: Settings) -> list[str]:
    """Names of all Delta tables that lie in the lake, whoever wrote them, in the order of the flow."""
    names = []
    for layer in LAYERS:
        for folder in _folders(spark, settings.path(layer)):
            # The folder of the log comes before its first commit.
            if _files(spark, settings.path(layer, folder, "_delta_log"), ".json"):
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
    (merge.whenNotMatchedInsertAll() if insert else merge).execute()


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
    """Refuse to start a query anew on tables that it has already written.

    A lost checkpoint would read everything again and write it a second time. Raises `CheckpointError`.
    """
    if _exists(spark, checkpoint(settings, query) + "/metadata"):
        return
    for name in written:
        # A new table has one commit, that which made it.
        if len(_files(spark, settings.table_path(name) + "/_delta_log", ".json")) > 1:
            raise CheckpointError(
                f"{name} has been written, but the checkpoint of `{query}` is gone: starting would write its rows "
                f"twice. Run `risklake reset --layer {TABLES[name].layer}` to rebuild it from the layer below"
            )


def make_folder(spark: SparkSession, path: str) -> None:
    """Make a folder of the lake, with those above it, unless it is there."""
    target = _hadoop_path(spark, path)
    _file_system(spark, target).mkdirs(target)


def empty_files(spark: SparkSession, path: str) -> list[tuple[str, datetime]]:
    """Names and modification times (UTC) of the files without a byte in a folder."""
    target = _hadoop_path(spark, path)
    return [
        (status.getPath().getName(), datetime.fromtimestamp(status.getModificationTime() / 1000, UTC))
        for status in _file_system(spark, target).listStatus(target)
        if status.isFile() and status.getLen() == 0
    ]


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
