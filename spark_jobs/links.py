"""The transform of what people have in common: how many used a device, or a payment method, before each transaction.

A value counts at an instant if it was last used less than the window ago. So each use adds one from its own instant on,
until the same value is used again or the window has passed, and the count is a running sum: a sort, however busy a
device is. A set over a sliding window would look at the whole window again for each transaction.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from functools import cache, reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from lake.feature import Feature
from lake.transaction_features import LINK_FEATURES

# The keys of features, and the features of each.
KEYS: dict[str, tuple[Feature, ...]] = {
    key: tuple(one for one in LINK_FEATURES if one.key == key)
    for key in dict.fromkeys(one.key for one in LINK_FEATURES)
}
# How far back a transaction is looked at.
HORIZON = max(one.window for one in LINK_FEATURES if one.window is not None)

_LINK = ("feature", "key")
_BEFORE, _SIDE = "_before", "is_with_new"


def uses(transactions: DataFrame) -> DataFrame:
    """From transactions to a row for each feature and each transaction that has the feature's key.

    `feature` and `key` say what was used, `value` what is counted (null if the transaction names none), `event_id` and
    `at_us` where and when (microseconds since 1970).
    """
    rows = transactions.select("event_id", F.unix_micros("event_time").alias("at_us"), F.inline(_each()))
    return rows.where(F.col("key").isNotNull())


def link_features(transactions: DataFrame) -> DataFrame:
    """From all transactions to `event_id` and `LINK_FEATURES`, for those that have a key of one."""
    counts = _counted(uses(transactions)).groupBy("event_id")
    return counts.agg(*(_of(one, F.lit(True)).alias(one.name) for one in LINK_FEATURES))


def changed_links(around: DataFrame) -> DataFrame:
    """Counts of the transactions of new uses (`is_new`), and of those whose counts the new uses change.

    `around` holds uses; of the keys that new ones have, all that lie less than the horizon from them. One without an
    `event_id` stands for itself only as something that happened. A count is null where the transaction has no such key,
    or, unless `is_new`, where it has one that no new use has; `is_changed_<key>` says which are to be corrected.
    """
    counts = _counted(around.withColumn(_SIDE, _sides()), _SIDE).groupBy("event_id").agg(*_on_both_sides())
    return counts.withColumns(_changes()).where(_is_changed()).drop(*(one.name + _BEFORE for one in LINK_FEATURES))


def united(changes: DataFrame) -> DataFrame:
    """Changed counts in one row a transaction again, where those of its keys were counted apart."""
    return changes.groupBy("event_id").agg(*_united())


def changed_column(key: str) -> str:
    """The column that says whether the counts of a key are to be corrected."""
    return f"is_changed_{key}"


def _counted(uses: DataFrame, *apart: str) -> DataFrame:
    """The uses of transactions with the `count` of their feature at their instant, rows of other `apart` left out."""
    steps = uses.withColumn("until", _until(*apart)).select(*apart, *_LINK, F.inline(_steps()))
    return steps.withColumn("count", _running(*apart)).where(F.col("event_id").isNotNull())


# A column is built in the JVM step by step: once, not for each micro-batch.
@cache
def _each() -> Column:
    return F.array(
        *(
            F.struct(F.lit(one.name).alias("feature"), F.col(one.key).alias("key"), F.col(one.of).alias("value"))
            for one in LINK_FEATURES
        )
    )


@cache
def _sides() -> Column:
    """New uses are counted on one side only, the others with and without them."""
    with_new, both = F.array(F.lit(True)), F.array(F.lit(True), F.lit(False))
    return F.explode(F.when(F.col("is_new"), with_new).otherwise(both))


@cache
def _on_both_sides() -> tuple[Column, ...]:
    return (
        F.timestamp_micros(F.max("at_us")).alias("event_time"),
        F.bool_and(_SIDE).alias("is_new"),
        *(_of(one, F.col(_SIDE)).alias(one.name) for one in LINK_FEATURES),
        *(_of(one, ~F.col(_SIDE)).alias(one.name + _BEFORE) for one in LINK_FEATURES),
    )


@cache
def _changes() -> dict[str, Column]:
    return {changed_column(key): _differs(key) for key in KEYS}


@cache
def _is_changed() -> Column:
    return F.col("is_new") | _any(F.col(changed_column(key)) for key in KEYS)


@cache
def _united() -> tuple[Column, ...]:
    return (
        F.max("event_time").alias("event_time"),
        F.bool_or("is_new").alias("is_new"),
        *(F.max(one.name).alias(one.name) for one in LINK_FEATURES),
        *(F.bool_or(changed_column(key)).alias(changed_column(key)) for key in KEYS),
    )


@cache
def _until(*apart: str) -> Column:
    """When a use no longer counts. Of several at the same instant only the last one counts."""
    of_value = Window.partitionBy(*apart, *_LINK, "value").orderBy("at_us")
    return F.least(F.lead("at_us").over(of_value), F.col("at_us") + _length_us())


@cache
def _steps() -> Column:
    """What a use adds to the count, and when."""
    asks, adds = _step(F.col("event_id"), F.col("at_us"), 0), _step(F.col("event_id"), F.col("at_us"), 1)
    takes = _step(F.lit(None).cast("string"), F.col("until"), -1)
    return F.when(F.col("value").isNull(), F.array(asks)).otherwise(F.array(adds, takes))


@cache
def _running(*apart: str) -> Column:
    by_time = Window.partitionBy(*apart, *_LINK).orderBy("at_us")
    return F.sum("step").over(by_time.rangeBetween(Window.unboundedPreceding, Window.currentRow))


def _step(event_id: Column, at_us: Column, step: int) -> Column:
    return F.struct(event_id.alias("event_id"), at_us.alias("at_us"), F.lit(step).alias("step"))


@cache
def _length_us() -> Column:
    """The length of the window of a row's feature."""
    lengths = {one.name: (one.window or timedelta()) // timedelta(microseconds=1) for one in LINK_FEATURES}
    return F.element_at(F.create_map(*(F.lit(part) for pair in lengths.items() for part in pair)), F.col("feature"))


def _of(feature: Feature, condition: Column) -> Column:
    is_it = (F.col("feature") == feature.name) & condition
    return F.max(F.when(is_it, F.col("count"))).cast(feature.type)


def _differs(key: str) -> Column:
    changed = _any(~F.col(one.name).eqNullSafe(F.col(one.name + _BEFORE)) for one in KEYS[key])
    return ~F.col("is_new") & changed


def _any(conditions: Iterable[Column]) -> Column:
    return reduce(Column.__or__, conditions)
