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
_LENGTH_US = length_us(TEN_MINUTES)


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
    return _with_runs(_with_users(events), events)


def changed_of_users(around: DataFrame) -> DataFrame:
    """As `user_part`, of those orders whose features a new one (`is_new`) may change; new ones are among them."""
    return user_part(around).withColumn("is_touched", _touched(DAY, "user_id")).where("is_touched")


def changed_equal(around: DataFrame) -> DataFrame:
    """As `equal_part`, of those orders whose features a new one (`is_new`) may change; new ones are among them."""
    marked = around.withColumn("is_touched", _touched(TEN_MINUTES, *EQUAL))
    return _with_runs(_with_users(marked).where("is_touched"), around)


def _with_users(orders: DataFrame) -> DataFrame:
    """Orders with the number of different users who had ordered the same in the window up to each.

    An order counts from its own instant on, until its user orders the same again or the window has passed. So the
    count is a running sum, as those of `spark_jobs.links`: a sort, however many order the same.
    """
    again = F.lead("at_us").over(Window.partitionBy(*EQUAL, "user_id").orderBy("at_us"))
    counting = orders.withColumn("at_us", _moment()).withColumn("until", F.least(again, F.col("at_us") + _LENGTH_US))
    steps = F.array(_step(F.col("at_us"), 1), _step(F.col("until"), -1))
    of_equal = Window.partitionBy(*EQUAL).orderBy("at_us")
    up_to_now = of_equal.rangeBetween(Window.unboundedPreceding, Window.currentRow)
    counted = counting.select(*orders.columns, F.inline(steps)).withColumn(
        "equal_orders_users_10m", F.sum("step").over(up_to_now).cast("int")
    )
    return counted.where("step = 1").drop("at_us", "step")


def _step(at_us: Column, step: int) -> Column:
    return F.struct(at_us.alias("at_us"), F.lit(step).alias("step"))


def _with_runs(asking: DataFrame, everything: DataFrame) -> DataFrame:
    """Some of all orders, with how many numbers of users around their own follow each other in the window up to each.

    Each asks for the numbers next to its own, so what it costs does not grow with how many order the same.
    """
    numbered = asking.withColumns(_numbered() | {"at_us": _moment()}).where(F.col("number").isNotNull())
    asked = numbered.select(*EVENT, *EQUAL, *_numbered(), "at_us", F.explode(_offsets()).alias("offset"))
    wanted = asked.withColumn("number", F.col("number") + F.col("offset"))
    found = wanted.join(_spans(everything), on=[*EQUAL, *_numbered()], how="inner").where(
        F.col("at_us").between(F.col("first_us"), F.col("last_us"))
    )
    by_order = found.groupBy(*EVENT).agg(F.collect_set("offset").alias("offsets"))
    with_offsets = asking.join(by_order, on=list(EVENT), how="left").select(*asking.columns, "offsets")
    return with_offsets.withColumn("user_number_run_10m", 1 + _reach(-1) + _reach(1)).drop("offsets")


def _spans(orders: DataFrame) -> DataFrame:
    """From when to when (`first_us`, `last_us`) a number is in the window of those who order the same."""
    numbered = orders.withColumns(_numbered() | {"at_us": _moment()}).where("number is not null")
    of_number = Window.partitionBy(*EQUAL, *_numbered()).orderBy("at_us")
    begins = F.coalesce(F.col("at_us") - F.lag("at_us").over(of_number) >= _LENGTH_US, F.lit(True)).cast("int")
    spans = numbered.withColumn("begins", begins).withColumn(
        "span", F.sum("begins").over(of_number.rowsBetween(Window.unboundedPreceding, 0))
    )
    return spans.groupBy(*EQUAL, *_numbered(), "span").agg(
        F.min("at_us").alias("first_us"), (F.max("at_us") + (_LENGTH_US - 1)).alias("last_us")
    )


def _numbered() -> dict[str, Column]:
    """The user's id in two parts: the number at its end, null if there is none, and what stands before it."""
    return {
        "series": F.regexp_replace("user_id", r"\d{1,15}$", ""),
        "number": F.regexp_extract("user_id", r"(\d{1,15})$", 1).try_cast("long"),
    }


def _touched(window: timedelta, *keys: str) -> Column:
    """Whether an order of the same keys that `is_new` lies in the window of an order."""
    up_to_now = Window.partitionBy(*keys).orderBy(_moment()).rangeBetween(Window.unboundedPreceding, Window.currentRow)
    new_us = F.max(F.when(F.col("is_new"), _moment())).over(up_to_now)
    return F.coalesce(_moment() - new_us < length_us(window), F.lit(False))


def _moment() -> Column:
    return F.unix_micros("event_time")


def _frame(window: timedelta, *keys: str) -> WindowSpec:
    return Window.partitionBy(*keys).orderBy(_moment()).rangeBetween(1 - length_us(window), Window.currentRow)


def _offsets() -> Column:
    return F.array(*(F.lit(step * way) for way in (-1, 1) for step in range(1, _LONGEST_RUN + 1)))


def _reach(way: int) -> Column:
    """How many numbers follow on one side, -1 or 1: the first that is missing ends the run."""
    found = F.coalesce("offsets", F.array().cast("array<int>"))
    steps = F.sequence(F.lit(1), F.lit(_LONGEST_RUN))
    missing = F.filter(steps, lambda step: ~F.array_contains(found, step * way))
    return F.coalesce(F.array_min(missing) - 1, F.lit(_LONGEST_RUN)).cast("int")
