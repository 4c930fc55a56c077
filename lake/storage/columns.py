"""Columns that are declared, and not yet there in a table of the lake."""

from __future__ import annotations

from pyspark.sql import SparkSession

from lake.catalog import TABLES
from lake.errors import SchemaError
from lake.settings import Settings
from lake.storage.tables import read
from lake.table import Column


def missing_columns(spark: SparkSession, settings: Settings, name: str) -> list[Column]:
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


def require_columns(spark: SparkSession, settings: Settings, name: str) -> None:
    """Raise `SchemaError`, with what to do, where a table in the lake does not have the declared columns."""
    missing = missing_columns(spark, settings, name)
    if missing:
        raise SchemaError(f"{name} lacks the column {missing[0].name}, which is new: run `risklake evolve` once")


def add_missing_columns(spark: SparkSession, settings: Settings, name: str) -> list[str]:
    """Add the declared columns that a table lacks, null in the rows that are there; gives their names."""
    missing = missing_columns(spark, settings, name)
    path = settings.table_path(name).replace("`", "``")
    for column in missing:
        comment = column.comment.replace("\\", "\\\\").replace("'", "\\'")
        spark.sql(
            f"alter table delta.`{path}` add columns (`{column.name}` {column.type.simpleString()} comment '{comment}')"
        )
    return [column.name for column in missing]


def _rebuild(name: str) -> str:
    return f"Run `risklake reset --layer {TABLES[name].layer}` to rebuild it from the layer below"
