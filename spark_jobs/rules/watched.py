"""The columns that rules may use, for each feed that they may watch, and what kind of value each holds."""

from __future__ import annotations

from pyspark.sql.types import BooleanType, DataType, NumericType, StringType, StructType, TimestampType

from lake.catalog import TABLES, USER_5M
from lake.feeds import TRANSACTIONS
from spark_jobs.rules.language import Kind

_KINDS: dict[type[DataType], Kind] = {
    NumericType: Kind.NUMBER,
    StringType: Kind.TEXT,
    BooleanType: Kind.TRUTH,
    TimestampType: Kind.TIME,
}

# Fields of the event that stand beside its features.
FIELDS = {TRANSACTIONS.name: [name for name in TRANSACTIONS.value_names if name not in USER_5M.column_names]}


def schema(feed: str) -> StructType:
    """An event of a feed as rules see it: its fields and its features."""
    silver, features = TABLES[f"silver.{feed}"].schema, USER_5M.schema
    return StructType([*(silver[name] for name in FIELDS[feed]), *features.fields])


def kinds(feed: str) -> dict[str, Kind]:
    """The columns that a condition may use, by name; dates and the bookkeeping of the lake are none."""
    found = {}
    for field in schema(feed).fields:
        kind = next((kind for type_, kind in _KINDS.items() if isinstance(field.dataType, type_)), None)
        if kind is not None and field.name != "inputs_arrived_at":
            found[field.name] = kind
    return found


FEEDS = tuple(FIELDS)
