"""The transform of `features.user_5m`: what was known of a user at each of its transactions."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from lake.catalog import USER_5M

WINDOW_MINUTES = 5
# How far back "the user's previous transaction" is looked for.
HORIZON_DAYS = 30

# What the transform needs of `silver.transactions`.
INPUTS = ("event_id", "user_id", "merchant_id", "amount", "country", "event_time", "event_date", "arrived_at")

_SECOND = 1_000_000
_MINOR_UNITS = 10_000


def user_5m(transactions: DataFrame) -> DataFrame:
    """From transactions (columns `INPUTS`, whole users) to the rows of `features.user_5m`.

    A row sees what happened up to its own event time: all events of the same instant included in the window, and as
    previous event the one before it by (event time, event id). Other columns of the input are kept behind.
    """
    moment = F.unix_micros("event_time")
    trailing = (
        Window.partitionBy("user_id")
        .orderBy(moment)
        .rangeBetween(-WINDOW_MINUTES * 60 * _SECOND + 1, Window.currentRow)
    )
    in_order = Window.partitionBy("user_id").orderBy("event_time", "event_id")
    windowed = transactions.select(
        *transactions.columns,
        F.count("event_id").over(trailing).alias("txn_count_5m"),
        F.sum("amount").over(trailing).alias("amount_sum_5m"),
        F.max("amount").over(trailing).alias("amount_max_5m"),
        F.try_sum(_minor() * _minor()).over(trailing).alias("squares_5m"),
        F.size(F.collect_set("merchant_id").over(trailing)).alias("distinct_merchants_5m"),
        F.size(F.collect_set("country").over(trailing)).alias("distinct_countries_5m"),
        F.max("arrived_at").over(trailing).alias("window_arrived_at"),
        F.lag("event_time").over(in_order).alias("previous_time"),
        F.lag("country").over(in_order).alias("previous_country"),
        F.lag("arrived_at").over(in_order).alias("previous_arrived_at"),
    )
    gap = (moment - F.unix_micros("previous_time")) / _SECOND
    has_previous = gap <= HORIZON_DAYS * 86_400
    featured = windowed.select(
        *windowed.columns,
        (F.col("amount_sum_5m").cast("double") / F.col("txn_count_5m")).alias("amount_mean_5m"),
        _standard_deviation().alias("amount_std_5m"),
        F.when(has_previous, gap).alias("seconds_since_previous"),
        F.when(has_previous, F.col("country") != F.col("previous_country")).alias("country_changed"),
        F.greatest("window_arrived_at", F.when(has_previous, F.col("previous_arrived_at"))).alias("inputs_arrived_at"),
    )
    extra = [name for name in transactions.columns if name not in INPUTS]
    return featured.select(*USER_5M.column_names, *extra)


def touched(transactions: DataFrame, is_new: str) -> DataFrame:
    """Add `is_touched` to transactions: whether a new event (column `is_new`) lies in their window or before them."""
    trailing = (
        Window.partitionBy("user_id")
        .orderBy(F.unix_micros("event_time"))
        .rangeBetween(-WINDOW_MINUTES * 60 * _SECOND + 1, Window.currentRow)
    )
    in_order = Window.partitionBy("user_id").orderBy("event_time", "event_id")
    seen = F.max(is_new).over(trailing) | F.coalesce(F.lag(is_new).over(in_order), F.lit(False))
    return transactions.withColumn("is_touched", seen)


def _minor() -> Column:
    # Whole ten-thousandths: their sums are exact, so no order of adding changes a last digit.
    return (F.col("amount") * _MINOR_UNITS).cast("decimal(18, 0)")


def _standard_deviation() -> Column:
    """Sample standard deviation from exact sums; in doubles where a sum of squares exceeds 38 digits."""
    count = F.col("txn_count_5m")
    total = (F.col("amount_sum_5m") * _MINOR_UNITS).cast("decimal(28, 0)")
    squares = F.col("squares_5m").cast("decimal(38, 0)")
    exact = F.try_subtract(F.try_multiply(count.cast("decimal(19, 0)"), squares), F.try_multiply(total, total)).cast(
        "double"
    )
    rough = count * squares.cast("double") - total.cast("double") * total.cast("double")
    scaled = F.coalesce(exact, F.greatest(rough, F.lit(0.0)))
    return F.when(count > 1, F.sqrt(scaled / (count * (count - 1))) / _MINOR_UNITS)
