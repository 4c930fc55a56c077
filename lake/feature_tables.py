"""The tables of features, declared once."""

from __future__ import annotations

from pyspark.sql.types import DateType, StringType, TimestampType

from lake import dispute_features, order_features, transaction_features, window_features
from lake.table import Column, Table

# How a row came to be written, in tables that late lines correct.
WRITING = (
    Column(
        "inputs_arrived_at",
        TimestampType(),
        "Arrival of the line that made this row, or that last changed it (UTC)",
        nullable=False,
    ),
    Column("updated_at", TimestampType(), "When this row was written, or last changed (UTC)", nullable=False),
)

BOOKKEEPING = tuple(column.name for column in WRITING)

# What tells an event from all others: an id may come again, long apart (`duplicate_horizon_days`), but not at the same
# event time.
EVENT = ("event_id", "event_time")


def _event(what: str, came_about: str = "happened") -> tuple[Column, ...]:
    """The columns that say which event a row is about."""
    end = f"When it {came_about}: the end of all windows, included (UTC)"
    return (
        Column("event_id", StringType(), f"The {what}", nullable=False),
        Column("user_id", StringType(), f"Whose {what}", nullable=False),
        Column("event_time", TimestampType(), end, nullable=False),
        Column("event_date", DateType(), "UTC date of `event_time`", nullable=False),
    )


USER_5M = Table(
    name="features.user_5m",
    meaning="What was known of user, device and payment method at each transaction, by event time: the trailing five "
    "minutes, and more",
    grain="one row an accepted transaction",
    keys=EVENT,
    columns=(
        *_event("transaction"),
        *(feature.column for feature in transaction_features.FEATURES),
        *WRITING,
    ),
    partition_by=("event_date",),
    expires=True,
    change_feed=True,
    bookkeeping=BOOKKEEPING,
    written_by="spark_jobs/features.py",
)

ORDERS = Table(
    name="features.orders",
    meaning="What was known of a user, and of equal orders, at each order, by event time",
    grain="one row an accepted order",
    keys=EVENT,
    columns=(
        *_event("order"),
        *(feature.column for feature in order_features.FEATURES),
        *WRITING,
    ),
    partition_by=("event_date",),
    expires=True,
    change_feed=True,
    is_on_demand=True,
    bookkeeping=BOOKKEEPING,
    written_by="spark_jobs/features.py",
)

DISPUTES = Table(
    name="features.disputes",
    meaning="What was known of the merchant at each dispute, by the time at which it was reported",
    grain="one row an accepted dispute of a payment that is known, and that was made at most "
    f"{dispute_features.LONGEST_DELAY.days} days before",
    keys=EVENT,
    columns=(
        *_event("dispute", "was reported"),
        Column("transaction_id", StringType(), "The disputed transaction", nullable=False),
        Column("merchant_id", StringType(), "Who was paid", nullable=False),
        *(feature.column for feature in dispute_features.FEATURES),
        *WRITING,
    ),
    partition_by=("event_date",),
    expires=True,
    change_feed=True,
    is_on_demand=True,
    bookkeeping=BOOKKEEPING,
    written_by="spark_jobs/features.py",
)

USER_WINDOWS = Table(
    name="features.user_windows",
    meaning="What each user did in windows of five minutes, one of which begins each minute, for monitoring",
    grain="one row a user and window in which the user has a transaction",
    keys=("user_id", "window_start"),
    columns=(
        Column("user_id", StringType(), "Whose transactions", nullable=False),
        Column("window_start", TimestampType(), "Begin of the window, included: a whole minute (UTC)", nullable=False),
        Column("window_end", TimestampType(), "Its end, five minutes later, not included (UTC)", nullable=False),
        Column("event_date", DateType(), "UTC date of `window_start`", nullable=False),
        Column(
            "final_at",
            TimestampType(),
            "When the row counts as final, half an hour after the end of the window: by then lines that came out of "
            "order are in; one that is later still corrects it (UTC)",
            nullable=False,
        ),
        *(feature.column for feature in window_features.FEATURES),
        *WRITING,
    ),
    partition_by=("event_date",),
    expires=True,
    is_on_demand=True,
    changes_often=True,
    bookkeeping=BOOKKEEPING,
    written_by="spark_jobs/user_windows.py",
)
