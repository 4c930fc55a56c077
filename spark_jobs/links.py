"""The transform of what people have in common: how many used a device, or a payment method, before each transaction.

A value counts at an instant if it was last used less than the window ago. So each use adds one from its own instant on,
until the same value is used again or the window has passed, and the count is a running sum: a sort, however busy a
device is. A set over a sliding window would look at the whole window again for each transaction.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache, reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from lake.feature import Feature
from lake.feature_tables import EVENT
from lake.transaction_features import LINK_FEATURES
from spark_jobs.instants import length_us

# The keys of features, and the features of each.
KEYS: dict[str, tuple[Feature, ...]] = {
    key: tuple(one for one in LINK_FEATURES if one.key == key)
    for key in dict.fromkeys(one.key for one in LINK_FEATURES)
}
# How far back a transaction is looked at.
HORIZON = max(one.window for one in LINK_FEATURES if one.window is not None)

_LINK = ("feature", "key")
_OF_EVENT = ("event_id", "at_us")


def uses(events: DataFrame, features: tuple[Feature, ...] = LINK_FEATURES) -> DataFrame:
    """From events, by default transactions, to a row for each feature and each of them that has the feature's key.

    `feature` and `key` say what was used, `value` what is counted (null if the event names none), `event_id` and
    `at_us` where and when (microseconds since 1970).
    """
    rows = events.select("event_id", F.unix_micros("event_time").alias("at_us"), F.inline(_each(features)))
    return rows.where(F.col("key").isNotNull())


def link_features(events: DataFrame, features: tuple[Feature, ...] = LINK_FEATURES) -> DataFrame:
    """From all events to `EVENT` and such counts of different values, for those that have a key of one."""
    counts = _counted(uses(events, features).withColumn("is_new", F.lit(False)), features)
    by_event = counts.groupBy(*_OF_EVENT).agg(*_counts(features))
    return by_event.withColumn("event_time", _instant()).drop("at_us")


def changed_links(around: DataFrame) -> DataFrame:
    """Counts of the transactions of new uses (`is_new`), and of those whose counts the new uses may change.

    `around` holds uses; of the keys that new ones have, all that lie less than the horizon from them, also such as are
    in silver and in no micro-batch yet. A count is null where the transaction has no such key, or, unless `is_new`,
    where it has one that no new use has; `is_changed_<key>` says which may have to be corrected.
    """
    by_transaction = _counted(around, LINK_FEATURES).groupBy(*_OF_EVENT)
    found = by_transaction.agg(F.bool_or("is_new").alias("is_new"), *_counts(LINK_FEATURES), *_follows())
    touched = found.where(_any(F.col(name) for name in ("is_new", *map(changed_column, KEYS))))
    return touched.withColumn("event_time", _instant()).drop("at_us")


def united(changes: DataFrame) -> DataFrame:
    """Changed counts in one row a transaction again, where those of its keys were counted apart."""
    return changes.groupBy(*EVENT).agg(*_united())


def changed_column(key: str) -> str:
    """The column that says whether the counts of a key may have to be corrected."""
    return f"is_changed_{key}"


def _counted(uses: DataFrame, features: tuple[Feature, ...]) -> DataFrame:
    """The uses, each with the `count` of its feature at its instant, and whether it `follows` a new one in its window.

    Whether a new use changes a count cannot be told from what silver holds: another one of the same value may lie there
    that no micro-batch has brought yet, and the count be stored without either.
    """
    steps = uses.withColumn("until", _until(features)).select(*_LINK, F.inline(_steps()))
    asked = steps.withColumns(_running()).where(F.col("event_id").isNotNull())
    is_near = F.coalesce(_since_new() < _length_us(features), F.lit(False))
    return asked.withColumn("follows", ~F.col("is_new") & is_near)


# A column is built in the JVM step by step: once, not for each micro-batch.
@cache
def _each(features: tuple[Feature, ...]) -> Column:
    return F.array(
        *(
            F.struct(F.lit(one.name).alias("feature"), F.col(one.key).alias("key"), F.col(one.of).alias("value"))
            for one in features
        )
    )


@cache
def _until(features: tuple[Feature, ...]) -> Column:
    """When a use no longer counts. Of several at the same instant only the last one counts."""
    of_value = Window.partitionBy(*_LINK, "value").orderBy("at_us")
    return F.least(F.lead("at_us").over(of_value), F.col("at_us") + _length_us(features))


@cache
def _steps() -> Column:
    """What a use adds to the count, and when; that of no value only asks."""
    nobody, is_old = F.lit(None).cast("string"), F.lit(False)
    asks, adds = (_step(F.col("event_id"), F.col("at_us"), step, F.col("is_new")) for step in (0, 1))
    takes = _step(nobody, F.col("until"), -1, is_old)
    return F.when(F.col("value").isNull(), F.array(asks)).otherwise(F.array(adds, takes))


def _step(event_id: Column, at_us: Column, step: int, is_new: Column) -> Column:
    return F.struct(event_id.alias("event_id"), at_us.alias("at_us"), F.lit(step).alias("step"), is_new.alias("is_new"))


@cache
def _running() -> dict[str, Column]:
    by_time = Window.partitionBy(*_LINK).orderBy("at_us")
    up_to_now = by_time.rangeBetween(Window.unboundedPreceding, Window.currentRow)
    return {
        "count": F.sum("step").over(up_to_now),
        "new_at_us": F.max(F.when(F.col("is_new"), F.col("at_us"))).over(up_to_now),
    }


def _since_new() -> Column:
    return F.col("at_us") - F.col("new_at_us")


@cache
def _length_us(features: tuple[Feature, ...]) -> Column:
    """The length of the window of a row's feature."""
    lengths = {one.name: length_us(one.window) for one in features}
    return F.element_at(F.create_map(*(F.lit(part) for pair in lengths.items() for part in pair)), F.col("feature"))


@cache
def _counts(features: tuple[Feature, ...]) -> tuple[Column, ...]:
    return tuple(F.max(F.when(_is(one), F.col("count"))).cast(one.type).alias(one.name) for one in features)


def _instant() -> Column:
    return F.timestamp_micros("at_us")


@cache
def _follows() -> tuple[Column, ...]:
    return tuple(
        F.bool_or(F.col("follows") & _any(map(_is, features))).alias(changed_column(key))
        for key, features in KEYS.items()
    )


@cache
def _united() -> tuple[Column, ...]:
    return (
        F.bool_or("is_new").alias("is_new"),
        *(F.max(one.name).alias(one.name) for one in LINK_FEATURES),
        *(F.bool_or(changed_column(key)).alias(changed_column(key)) for key in KEYS),
    )


def _is(feature: Feature) -> Column:
    return F.col("feature") == feature.name


def _any(conditions: Iterable[Column]) -> Column:
    return reduce(Column.__or__, conditions)
