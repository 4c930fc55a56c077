"""The transform of `features.orders`: what was known of a user, and of equal orders, at each order.

It comes in two parts, since a late order may change the one of its user's orders, and the other of other users'.
"""

from __future__ import annotations

from datetime import timedelta

from pyspark.sql import Column, DataFrame, Window, WindowSpec
from pyspark.sql import functions as F

from lake.catalog import ORDERS
from lake.feature_tables import EVENT
from lake.order_features import DAY, EQUAL_FEATURES, HOUR, TEN_MINUTES, USER_FEATURES
from spark_jobs.instants import length_us
from spark_jobs.time_ranges import time_ranges
from spark_jobs.travel import local_hour

# What is equal in equal orders.
EQUAL = ("product_id", "quantity")
# What the parts need of an order.
INPUTS = ("event_id", "user_id", *EQUAL, "country", "event_time", "event_date", "arrived_at")
# How far back and ahead anything depends on an order.
HORIZON = DAY

# A run is looked for so far to either side; a longer one is one of twice as many and one.
_LONGEST_RUN = 20


def orders_of(silver: DataFrame) -> DataFrame:
    """Rows of `silver.orders` by the names that events have."""
    return silver.withColumnsRenamed({"order_id": "event_id", "event_ts": "event_time"})


def orders(events: DataFrame) -> DataFrame:
    """From all orders (columns `INPUTS`) to the rows of `features.orders`, their bookkeeping apart."""
    equal = equal_part(events).select(*EVENT, *(feature.name for feature in EQUAL_FEATURES))
    return user_part(events).join(equal, on=list(EVENT), how="inner").select(*ORDERS.content)


def around(new: DataFrame, silver: DataFrame) -> tuple[DataFrame, DataFrame] | None:
    """All orders of the users of new ones, and all that equal a new one, as near as anything depends on them.

    New ones (columns `INPUTS`) are in `silver.orders` already; `is_new` tells them. None if there are no new ones.
    """
    ranges = time_ranges(new)
    if not ranges:
        return None
    everything = orders_of(silver).select(*INPUTS)
    of_users = everything.where(ranges.wider(HORIZON).condition())
    # Most are equal to some new one, but few of them are of these minutes.
    equal = everything.where(ranges.wider(TEN_MINUTES).condition())
    return _of_same(new, of_users, "user_id"), _of_same(new, equal, *EQUAL)


def _of_same(new: DataFrame, near: DataFrame, *keys: str) -> DataFrame:
    """Those of some orders that have the same keys as a new one, marked where they are new themselves."""
    asking = new.select(*EVENT, F.lit(True).alias("is_new"))
    same = near.join(new.select(*keys).distinct(), on=list(keys), how="left_semi")
    found = same.join(asking, on=list(EVENT), how="left")
    return found.withColumn("is_new", F.coalesce("is_new", F.lit(False)))


def user_part(events: DataFrame) -> DataFrame:
    """The features of the user, from whole users; other columns of the input are kept."""
    in_order = Window.partitionBy("user_id").orderBy("event_time", "event_id")
    begins = F.coalesce(F.lag("product_id").over(in_order) != F.col("product_id"), F.lit(True)).cast("int")
    streaks = events.withColumn("streak", F.sum(begins).over(in_order.rowsBetween(Window.unboundedPreceding, 0)))
    return streaks.withColumns(
        {
            "order_count_1h": F.count("event_id").over(_frame(HOUR, "user_id")),
            "same_product_streak": F.count("event_id").over(_frame(DAY, "user_id", "streak")),
            "local_hour": local_hour(F.col("country"), F.col("event_time")),
        }
    ).select(*events.columns, *(feature.name for feature in USER_FEATURES))


def equal_part(events: DataFrame) -> DataFrame:
    """The features of equal orders, from all orders of a product and quantity; other columns are kept."""
    return _of_equal(events.withColumn("users", _users()))


def changed_of_users(around: DataFrame) -> DataFrame:
    """As `user_part`, of those orders whose features a new one (`is_new`) may change; new ones are among them."""
    return user_part(around).withColumn("is_touched", _touched(DAY, "user_id")).where("is_touched")


def changed_equal(around: DataFrame) -> DataFrame:
    """As `equal_part`, of those orders whose features a new one (`is_new`) may change; new ones are among them."""
    # Looking for runs costs most: only where it is asked.
    marked = around.withColumns({"users": _users(), "is_touched": _touched(TEN_MINUTES, *EQUAL)})
    return _of_equal(marked.where("is_touched"))


def _of_equal(orders: DataFrame) -> DataFrame:
    """From orders with the `users` of equal ones in the window to their features; other columns are kept."""
    own = {"number": _number(F.col("user_id")), "numbers": F.array_compact(F.transform("users", _number))}
    run = F.when(F.col("number").isNull(), 1).otherwise(_run(F.col("number"), F.col("numbers")))
    return orders.withColumns(own).select(
        *(name for name in orders.columns if name != "users"),
        F.size("users").alias("equal_orders_users_10m"),
        run.alias("user_number_run_10m"),
    )


def _users() -> Column:
    return F.collect_set("user_id").over(_frame(TEN_MINUTES, *EQUAL))


def _number(user_id: Column) -> Column:
    """The number at the end of an id; null if there is none."""
    return F.regexp_extract(user_id, r"(\d{1,15})$", 1).try_cast("long")


def _touched(window: timedelta, *keys: str) -> Column:
    """Whether an order of the same keys that `is_new` lies in the window of an order."""
    return F.max("is_new").over(_frame(window, *keys))


def _frame(window: timedelta, *keys: str) -> WindowSpec:
    moment = F.unix_micros("event_time")
    return Window.partitionBy(*keys).orderBy(moment).rangeBetween(1 - length_us(window), Window.currentRow)


def _run(number: Column, numbers: Column) -> Column:
    """How many numbers follow each other without a gap around one of them."""
    return 1 + _reach(number, numbers, -1) + _reach(number, numbers, 1)


def _reach(number: Column, numbers: Column, step: int) -> Column:
    """How many numbers follow on one side: the first that is missing ends the run."""
    steps = F.sequence(F.lit(1), F.lit(_LONGEST_RUN))
    missing = F.filter(steps, lambda n: ~F.array_contains(numbers, number + n * step))
    return F.coalesce(F.array_min(missing) - 1, F.lit(_LONGEST_RUN)).cast("int")
