"""The columns that rules may use, for each feed that they may watch, and what kind of value each holds."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql.types import BooleanType, DataType, NumericType, StringType, StructType, TimestampType

from lake import feeds
from lake.catalog import DISPUTES, ORDERS, TABLES, USER_5M
from lake.feature_tables import EVENT
from lake.feed import Feed
from lake.named_columns import all_named
from lake.table import Table
from spark_jobs.rules.functions import Kind

_KINDS: dict[type[DataType], Kind] = {
    NumericType: Kind.NUMBER,
    StringType: Kind.TEXT,
    BooleanType: Kind.TRUTH,
    TimestampType: Kind.TIME,
}


@dataclass(frozen=True)
class Watched:
    """A feed that rules may watch, and the table of its features. `query` is the stream that evaluates them.

    `amount` and `currency` are the fields that say what an event is worth.
    """

    feed: Feed
    features: Table
    query: str
    amount: str = "amount"
    currency: str = "currency"

    @property
    def name(self) -> str:
        """The name of the feed."""
        return self.feed.name

    @property
    def fields(self) -> list[str]:
        """The fields of an event that stand beside its features."""
        own = {self.feed.key, self.feed.event_time}
        return [name for name in self.feed.value_names if name not in own | set(self.features.column_names)]

    def named(self, silver: DataFrame) -> DataFrame:
        """The feed's silver table by the names that all events have: `event_id` and `event_time`."""
        names = {self.feed.key: "event_id", self.feed.event_time or "event_time": "event_time"}
        # A dispute calls the payment that it is about `event_id`; its features have that as `transaction_id`.
        taken = [new for old, new in names.items() if old != new]
        return silver.drop(*taken).withColumnsRenamed(names)

    def events(self, silver: DataFrame, condition: str) -> DataFrame:
        """From the feed's silver table to `EVENT` and the fields of events that meet a condition on `event_time`."""
        return self.named(silver).where(condition).select(all_named((*EVENT, *self.fields)))


WATCHED = {
    watched.name: watched
    for watched in (
        Watched(feeds.TRANSACTIONS, USER_5M, "alerts_alerts"),
        Watched(feeds.ORDERS, ORDERS, "alerts_orders", "amount_numeric", "amount_currency"),
        Watched(feeds.DISPUTES, DISPUTES, "alerts_disputes"),
    )
}
FEEDS = tuple(WATCHED)
# Those that are judged while they happen: what a list is held against unless it says otherwise.
JUDGED = tuple(name for name in FEEDS if WATCHED[name].feed.is_judged)


def schema(feed: str) -> StructType:
    """An event of a feed as rules see it: its fields and its features."""
    watched = WATCHED[feed]
    silver = TABLES[f"silver.{feed}"].schema
    return StructType([*(silver[name] for name in watched.fields), *watched.features.schema.fields])


def kinds(feed: str) -> dict[str, Kind]:
    """The columns that a condition may use, by name; dates and the bookkeeping of the lake are none."""
    found = {}
    for field in schema(feed).fields:
        kind = next((kind for type_, kind in _KINDS.items() if isinstance(field.dataType, type_)), None)
        if kind is not None and field.name not in WATCHED[feed].features.bookkeeping:
            found[field.name] = kind
    return found
