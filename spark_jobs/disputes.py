"""The transform of `features.disputes`: how often a merchant's payments were disputed, at each dispute of one.

A dispute names its payment, and that says whose and where. Mostly it comes days after the payment, but nothing depends
on that: whichever comes last, the row is there.
"""

from __future__ import annotations

from datetime import timedelta

from pyspark.sql import Column, DataFrame, Window, WindowSpec
from pyspark.sql import functions as F

from lake.catalog import DISPUTES
from lake.dispute_features import FOUR_WEEKS, LONGEST_DELAY, MERCHANT_FEATURES, WEEK
from lake.feature import Aggregate
from lake.feature_tables import EVENT
from spark_jobs.instants import SECOND_US, length_us
from spark_jobs.links import link_features

# How far back and ahead anything depends on a dispute.
REACH = WEEK + FOUR_WEEKS
# The same, seen from the payment of a dispute.
HORIZON = REACH + LONGEST_DELAY

_DAY_US = 86_400 * SECOND_US
_COUNTS = tuple(one for one in MERCHANT_FEATURES if one.aggregate is Aggregate.COUNT)
_DISTINCT = tuple(one for one in MERCHANT_FEATURES if one.aggregate is Aggregate.DISTINCT)
# What is known of a dispute by itself.
OWN = tuple(name for name in DISPUTES.content if name not in {one.name for one in MERCHANT_FEATURES})


def disputes(reported: DataFrame, payments: DataFrame) -> DataFrame:
    """From all of `silver.disputes` and `silver.transactions` to the content of `features.disputes`."""
    return counted(paid(reported, payments)).select(*DISPUTES.content)


def paid(reported: DataFrame, payments: DataFrame) -> DataFrame:
    """The disputes of payments that are known and not too old: columns `OWN` and `inputs_arrived_at`.

    A dispute that is dated before its payment is none of it. Of several payments with its id, it is of the first.
    """
    of_payments = payments.select(
        F.col("event_id").alias("transaction_id"),
        "user_id",
        "merchant_id",
        F.unix_micros("event_time").alias("paid_us"),
        F.col("arrived_at").alias("payment_arrived_at"),
    )
    named = reported.select(
        F.col("dispute_id").alias("event_id"),
        F.col("event_id").alias("transaction_id"),
        F.col("reported_at").alias("event_time"),
        "event_date",
        "arrived_at",
    )
    delay_us = F.unix_micros("event_time") - F.col("paid_us")
    known = named.join(of_payments, on="transaction_id", how="inner")
    near = known.where(delay_us.between(0, length_us(LONGEST_DELAY)))
    # Silver may hold an id twice, long apart (`duplicate_horizon_days`).
    first = Window.partitionBy(*EVENT).orderBy("paid_us", "transaction_id")
    return (
        near.withColumn("place", F.row_number().over(first))
        .where("place = 1")
        .select(
            *(name for name in OWN if name != "days_to_dispute"),
            (delay_us / _DAY_US).alias("days_to_dispute"),
            F.greatest("arrived_at", "payment_arrived_at").alias("inputs_arrived_at"),
        )
    )


def changed(new: DataFrame, stored: DataFrame) -> DataFrame:
    """The rows of new disputes (as `paid` gives them), and of those whose counts a new one may change.

    `stored` are rows of `features.disputes`: of the merchants of new ones at least those that lie less than `REACH`
    before or after. New ones may be among them already.
    """
    columns = (*OWN, "inputs_arrived_at", "is_new")
    marked = new.withColumn("is_new", F.lit(True)).select(*columns)
    others = stored.join(new.select(*EVENT), on=list(EVENT), how="left_anti")
    others = others.join(new.select("merchant_id").distinct(), on="merchant_id", how="left_semi")
    near = marked.unionByName(others.withColumn("is_new", F.lit(False)).select(*columns))
    is_touched = F.max("is_new").over(_by_time().rangeBetween(1 - length_us(REACH), Window.currentRow))
    return counted(near.withColumn("is_touched", is_touched)).where("is_touched")


def counted(known: DataFrame) -> DataFrame:
    """Add `MERCHANT_FEATURES` to disputes, of whole merchants; columns are kept."""
    counts = {one.name: _trailing(one.window or timedelta()).cast(one.type) for one in _COUNTS}
    return known.withColumns(counts).join(link_features(known, _DISTINCT), on=list(EVENT), how="left")


def _trailing(window: timedelta) -> Column:
    """How many disputes of the merchant lie in (event time - window, event time]: the difference of running counts."""
    up_to_now = F.count("*").over(_by_time().rangeBetween(Window.unboundedPreceding, Window.currentRow))
    up_to_begin = F.count("*").over(_by_time().rangeBetween(Window.unboundedPreceding, -length_us(window)))
    return up_to_now - up_to_begin


def _by_time() -> WindowSpec:
    return Window.partitionBy("merchant_id").orderBy(F.unix_micros("event_time"))
