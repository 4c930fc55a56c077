"""The tables of features: which feed each is of, which stream writes it, and how it is recomputed from silver."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from pyspark.sql import DataFrame, SparkSession

from lake import feeds, storage
from lake.catalog import ORDERS, USER_5M, USER_WINDOWS
from lake.feed import Feed
from lake.settings import Settings
from lake.table import Table
from lake.transaction_features import HORIZON
from lake.window_features import WINDOW
from spark_jobs import links, orders, user_5m, user_windows


@dataclass(frozen=True)
class FeatureTable:
    """A table of features of a feed's events.

    `recompute` makes its content from all rows of the feed's silver table; nothing depends on events that lie more than
    `horizon` apart.
    """

    table: Table
    feed: Feed
    horizon: timedelta
    recompute: Callable[[DataFrame], DataFrame]

    @property
    def name(self) -> str:
        """The name of the table in its layer."""
        return self.table.short_name

    @property
    def source(self) -> str:
        """The table that it is made of."""
        return f"silver.{self.feed.name}"

    @property
    def query(self) -> str:
        """The stream that writes it."""
        return self.table.name.replace(".", "_")

    @property
    def is_by_event(self) -> bool:
        """Whether it has one row for each event, and not one for several."""
        return self.table.keys == ("event_id",)


def _transactions(silver: DataFrame) -> DataFrame:
    of_users = user_5m.user_5m(silver.select(*user_5m.INPUTS))
    return of_users.join(links.link_features(silver), on="event_id", how="left").select(*USER_5M.content)


def _orders(silver: DataFrame) -> DataFrame:
    return orders.orders(orders.orders_of(silver).select(*orders.INPUTS))


def _windows(silver: DataFrame) -> DataFrame:
    return user_windows.user_windows(silver.select(*user_windows.INPUTS))


# One row an event.
EVENT_TABLES = (
    FeatureTable(USER_5M, feeds.TRANSACTIONS, HORIZON, _transactions),
    FeatureTable(ORDERS, feeds.ORDERS, orders.HORIZON, _orders),
)
FEATURE_TABLES = (*EVENT_TABLES, FeatureTable(USER_WINDOWS, feeds.TRANSACTIONS, WINDOW, _windows))


def feature_tables(spark: SparkSession, settings: Settings) -> list[FeatureTable]:
    """Those that the lake has."""
    return [found for found in FEATURE_TABLES if storage.exists(spark, settings, found.table.name)]
