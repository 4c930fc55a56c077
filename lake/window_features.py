"""The features of a window: what a user did in the five minutes that begin with a whole minute."""

from __future__ import annotations

from datetime import timedelta

from pyspark.sql.types import DecimalType, IntegerType, LongType

from lake.feature import Aggregate, Feature
from lake.feed import MONEY

# A window is as many of these as fit into it, and begins with each of them.
TILE, WINDOW = timedelta(minutes=1), timedelta(minutes=5)
# So long after its end a window counts as final. Lines that come out of order are rarely half an hour late; those that
# are later still correct it.
LATENESS = timedelta(minutes=30)

_USER = "user_id"

FEATURES = (
    Feature("txn_count", "Transactions of the user in [window_start, window_end)", "count", LongType(),
            _USER, Aggregate.COUNT, window=WINDOW),
    Feature("amount_sum", "Sum of their amounts, not converted between currencies", "money", DecimalType(28, 4),
            _USER, Aggregate.SUM, "amount", WINDOW),
    Feature("amount_max", "Largest of their amounts, not converted between currencies", "money", MONEY,
            _USER, Aggregate.MAX, "amount", WINDOW),
    Feature("declined_count", "Those among them whose status is `declined`", "count", LongType(),
            _USER, Aggregate.COUNT, window=WINDOW, only="is_declined"),
    Feature("distinct_merchants", "Different merchants among them", "count", IntegerType(),
            _USER, Aggregate.DISTINCT, "merchant_id", WINDOW),
)  # fmt: skip
