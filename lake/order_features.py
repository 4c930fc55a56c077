"""The features of an order: what was known of its user, and of equal orders, at the moment when it was made."""

from __future__ import annotations

from datetime import timedelta

from pyspark.sql.types import IntegerType, LongType

from lake.feature import Aggregate, Feature

TEN_MINUTES, HOUR, DAY = timedelta(minutes=10), timedelta(hours=1), timedelta(days=1)

# Of the user, and of the order itself.
USER_FEATURES = (
    Feature("order_count_1h", "Orders of the user in the trailing hour, itself included", "count", LongType(),
            "user_id", Aggregate.COUNT, window=HOUR),
    Feature("same_product_streak", "Orders of the user in a row, this one the last of them, that are all for this "
            "product, in the trailing 24 hours", "count", LongType(), "user_id", window=DAY),
    Feature("local_hour", "Hour of the day at the main city of the country; null for a country without one", "0 to 23",
            IntegerType(), "event_id", is_always_there=False),
)  # fmt: skip
# Of all orders of the same quantity of the same product.
EQUAL_FEATURES = (
    Feature("equal_orders_users_10m", "Different users, this one included, who have ordered this quantity of this "
            "product in the trailing 10 minutes", "count", IntegerType(), "product_id, quantity", Aggregate.DISTINCT,
            "user_id", TEN_MINUTES),
    Feature("user_number_run_10m", "Of the numbers at the end of these users' ids, behind the same beginning, how many "
            "follow each other without a gap, this user's among them (at most 41); 1 for an id without a number",
            "count", IntegerType(),
            "product_id, quantity", window=TEN_MINUTES),
)  # fmt: skip
FEATURES = (*USER_FEATURES, *EQUAL_FEATURES)
