"""The tables of features: which feed each is of, which stream writes it, and how it is recomputed from silver."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from pyspark.sql import DataFrame, SparkSession

from lake import feeds, storage
from lake.catalog import DISPUTES, ORDERS, USER_5M, USER_WINDOWS
from lake.feature_tables import EVENT
from lake.feed import Feed
from lake.feed_tables import silver_table
from lake.settings import Settings
from lake.table import Table
from lake.transaction_features import HORIZON
from lake.window_features import WINDOW
from spark_jobs import disputes, links, orders, user_5m, user_windows
from spark_jobs.streams import RARE, URGENT


@dataclass(frozen=True)
class FeatureTable:
    """A table of features of a feed's events.

    `recompute` makes its content from all rows of its `sources`, silver tables of which that of the feed is the first;
    nothing depends on events that lie more than `horizon` apart. `is_by_event` says whether it has one row for each
    event of the feed, and not one for several or for some. Between two looks of its stream lie `pace` triggers.
    """

    table: Table
    feed: Feed
    horizon: timedelta
    recompute: Callable[..., DataFrame]
    others: tuple[Feed, ...] = ()
    is_by_event: bool = True
    pace: float = URGENT

    @property
    def name(self) -> str:
        """The name of the table in its layer."""
        return self.table.short_name

    @property
    def source(self) -> str:
        """The table of its events."""
        return self.sources[0]

    @property
    def sources(self) -> tuple[str, ...]:
        """The tables that it is made of, in the order in which its stream reads them."""
        return tuple(silver_table(feed).name for feed in (self.feed, *self.others))

    @property
    def event(self) -> tuple[str, str]:
        """What `EVENT` is called in the table of its events."""
        return self.feed.key, self.feed.event_time or "event_time"

    @property
    def query(self) -> str:
        """The stream that writes it."""
        return self.table.name.replace(".", "_")


def _transactions(silver: DataFrame) -> DataFrame:
    of_users = user_5m.user_5m(silver.select(*user_5m.INPUTS))
    return of_users.join(links.link_features(silver), on=list(EVENT), how="left").select(*USER_5M.content)


def _orders(silver: DataFrame) -> DataFrame:
    return orders.orders(orders.orders_of(silver).select(*orders.INPUTS))


def _windows(silver: DataFrame) -> DataFrame:
    return user_windows.user_windows(silver.select(*user_windows.INPUTS))


# At most one row an event.
EVENT_TABLES = (
    FeatureTable(USER_5M, feeds.TRANSACTIONS, HORIZON, _transactions),
    FeatureTable(ORDERS, feeds.ORDERS, orders.HORIZON, _orders),
    FeatureTable(
        DISPUTES,
        feeds.DISPUTES,
        disputes.HORIZON,
        disputes.disputes,
        others=(feeds.TRANSACTIONS,),
        is_by_event=False,
        pace=RARE,
    ),
)
FEATURE_TABLES = (
    *EVENT_TABLES,
    FeatureTable(USER_WINDOWS, feeds.TRANSACTIONS, WINDOW, _windows, is_by_event=False),
)


def feature_tables(spark: SparkSession, settings: Settings) -> list[FeatureTable]:
    """Those that the lake has."""
    return [found for found in FEATURE_TABLES if storage.exists(spark, settings, found.table.name)]
