"""The part of `features.user_5m` that is about users: what was known of one at each of its transactions."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from functools import cache

from pyspark.sql import Column, DataFrame, Window, WindowSpec
from pyspark.sql import functions as F

from lake.catalog import USER_5M
from lake.feature import Aggregate, Feature
from lake.transaction_features import DAY, FIVE_MINUTES, HORIZON, HOUR, LEAST_PAST, MONTH, USER_FEATURES
from spark_jobs.instants import SECOND_US, length_us
from spark_jobs.travel import distance_km, local_hour

# What the transform needs of `silver.transactions`, and what rules see beside the features.
INPUTS = (
    *("event_id", "user_id", "merchant_id", "amount", "currency", "country", "event_time", "event_date"),
    *("device_id", "payment_method_id", "product_id", "quantity", "channel", "status", "arrived_at"),
)
# What the transform gives: the table but for what is known of devices and payment methods (`spark_jobs/links.py`).
CONTENT = ("event_id", "user_id", "event_time", "event_date", *(feature.name for feature in USER_FEATURES))
# Longer windows are sums only, so that transactions of long ago may come summed up.
LONGEST_WHOLE = FIVE_MINUTES
DECLINED, ONLINE = "declined", "online"

# What a transaction adds to each sum over a long window. One that stands for many of long ago (`kept_history`) brings
# columns of these names.
LONG_SUMS = {
    "w_txn_count_1h": HOUR,
    "w_amount_sum_1h": HOUR,
    "w_declined_count_1h": HOUR,
    "w_txn_count_24h": DAY,
    "w_amount_sum_24h": DAY,
    "w_past_count_30d": MONTH,
    "w_past_amount_30d": MONTH,
}

_MINOR_UNITS = 10_000
_PART = Decimal(10**18)


def is_online() -> Column:
    """Whether a payment was made from anywhere."""
    return F.coalesce(F.col("channel") == ONLINE, F.lit(False))


def is_declined(status: Column) -> Column:
    """Whether a payment was declined."""
    return F.coalesce(F.lower(status) == DECLINED, F.lit(False))


def weighted(transactions: DataFrame) -> DataFrame:
    """Add what each transaction adds to the sums over long windows (`LONG_SUMS`), where it stands for itself only."""
    one, amount = F.lit(1).cast("long"), F.col("amount").cast("decimal(28, 4)")
    declined = is_declined(F.col("status")).cast("long")
    values = {name: amount if "amount" in name else one for name in LONG_SUMS} | {"w_declined_count_1h": declined}
    return transactions.withColumns(values)


def user_5m(transactions: DataFrame) -> DataFrame:
    """From transactions (columns `INPUTS`, whole users) to rows of `CONTENT`.

    A row sees what happened up to its own event time: all events of the same instant included in the windows, and as
    earlier ones those before it by (event time, event id). Other columns of the input are kept behind. Transactions of
    long ago may be summed up (columns of `LONG_SUMS`), and it may be given when its user was last seen, long ago, at
    the merchant and on the device of a transaction (columns `merchant_seen_at` and `device_seen_at`).
    """
    given = transactions.columns
    rows = transactions if set(LONG_SUMS) <= set(given) else weighted(transactions)
    featured = rows.withColumns(_over_windows()).withColumns(_formulas(has_seen=set(_SEEN) <= set(given)))
    kept = [name for name in given if name not in (*USER_5M.column_names, *LONG_SUMS, *_SEEN)]
    return featured.select(*CONTENT, *kept)


_SEEN = ("merchant_seen_at", "device_seen_at")


def _is_whole(feature: Feature) -> bool:
    return feature.window is not None and feature.window <= LONGEST_WHOLE and feature.aggregate in _AGGREGATES


def _over(feature: Feature) -> Column:
    return _AGGREGATES[feature.aggregate](feature.of or "event_id", feature.window or timedelta())


_AGGREGATES = {
    Aggregate.COUNT: lambda name, window: _within(F.count(name), window),
    Aggregate.SUM: lambda name, window: _within(F.sum(name), window).cast("decimal(28, 4)"),
    Aggregate.MAX: lambda name, window: F.max(name).over(_frame(window)),
    Aggregate.DISTINCT: lambda name, window: F.size(F.collect_set(name).over(_frame(window))),
}


def _frame(window: timedelta) -> WindowSpec:
    """The events of the same user in (event time - window, event time]."""
    return _by_time().rangeBetween(1 - length_us(window), Window.currentRow)


def _within(total: Column, window: timedelta, *keys: str) -> Column:
    """A sum or count over the same, of equal keys: that of all up to now less that of all up to the begin.

    Both are running sums, where a frame that slides goes through the whole window again at each transaction: quadratic
    in the transactions of a busy user.
    """
    up_to_begin = total.over(_by_time(*keys).rangeBetween(Window.unboundedPreceding, -length_us(window)))
    up_to_now = total.over(_by_time(*keys).rangeBetween(Window.unboundedPreceding, Window.currentRow))
    return up_to_now - F.coalesce(up_to_begin, F.lit(0))


def _by_time(*keys: str) -> WindowSpec:
    return Window.partitionBy("user_id", *keys).orderBy(F.unix_micros("event_time"))


def _in_order(*keys: str) -> WindowSpec:
    return Window.partitionBy("user_id", *keys).orderBy("event_time", "event_id")


def _keys(weight: str) -> tuple[str, ...]:
    return ("currency",) if weight.startswith("w_past_") else ()


# A column is built in the JVM step by step, a thousand for all features: once, not for each micro-batch.
@cache
def _over_windows() -> dict[str, Column]:
    """What is looked up in windows: features, and what formulas are made of, by name."""
    features = {feature.name: _over(feature) for feature in USER_FEATURES if _is_whole(feature)}
    sums = {f"sum_{name}": _within(F.sum(name), w, *_keys(name)) for name, w in LONG_SUMS.items()}
    before = _in_order().rowsBetween(Window.unboundedPreceding, -1)
    in_person = F.when(~is_online(), F.struct("event_time", "country"))
    return {
        **features,
        **sums,
        **{f"squares_{name}": _within(F.sum(part), FIVE_MINUTES) for name, part in _parts_of_square().items()},
        "previous": F.lag(F.struct("event_time", "country", "device_id", "status")).over(_in_order()),
        "in_person": F.last(in_person, ignorenulls=True).over(before),
        "at_merchant": F.lag("event_time").over(_in_order("merchant_id")),
        "on_device": F.lag("event_time").over(_in_order("device_id")),
    }


@cache
def _formulas(*, has_seen: bool) -> dict[str, Column]:
    """The features that are made of one earlier event or of sums, by name."""
    gap, travelled = _seconds_since("previous"), _seconds_since("in_person")
    has_previous, has_place = gap <= HORIZON.total_seconds(), (travelled <= HORIZON.total_seconds()) & ~is_online()
    previous, km = F.col("previous"), distance_km(F.col("in_person.country"), F.col("country"))
    past_count = F.col("sum_w_past_count_30d") - 1
    past_sum = (F.col("sum_w_past_amount_30d") - F.col("amount")).cast("double")
    long_sums = {name.removeprefix("w_"): F.col(f"sum_{name}") for name in LONG_SUMS if "_past_" not in name}
    return {
        **{name: value.cast("decimal(28, 4)") if "amount" in name else value for name, value in long_sums.items()},
        "amount_mean_5m": F.col("amount_sum_5m").cast("double") / F.col("txn_count_5m"),
        "amount_std_5m": _standard_deviation(),
        "seconds_since_previous": F.when(has_previous, gap),
        "country_changed": F.when(has_previous, F.col("country") != previous["country"]),
        "device_changed": F.when(has_previous, F.col("device_id") != previous["device_id"]),
        "previous_declined": F.when(has_previous, is_declined(previous["status"])),
        "is_new_merchant": _is_new("at_merchant", "merchant_seen_at" if has_seen else None),
        "is_new_device": F.when(
            F.col("device_id").isNotNull(), _is_new("on_device", "device_seen_at" if has_seen else None)
        ),
        "amount_ratio_30d": F.when(
            (past_count >= LEAST_PAST) & (past_sum > 0), F.col("amount").cast("double") / (past_sum / past_count)
        ),
        "travel_km": F.when(has_place, km),
        "travel_kmh": F.when(has_place & (travelled > 0), km / (travelled / 3600)),
        "local_hour": local_hour(F.col("country"), F.col("event_time")),
    }


def _seconds_since(event: str) -> Column:
    return (F.unix_micros("event_time") - F.unix_micros(F.col(f"{event}.event_time"))) / SECOND_US


def _is_new(last: str, seen: str | None) -> Column:
    """Whether no event before this one, within the horizon, has the same key."""
    begin = F.unix_micros("event_time") - length_us(HORIZON)
    is_known = F.coalesce(F.unix_micros(last) >= begin, F.lit(False))
    if seen:
        is_known = is_known | F.coalesce(F.unix_micros(seen) >= begin, F.lit(False))
    return ~is_known


def _minor() -> Column:
    # Whole ten-thousandths: their sums are exact, so no order of adding changes a last digit.
    return (F.col("amount") * _MINOR_UNITS).cast("decimal(18, 0)")


def _parts_of_square() -> dict[str, Column]:
    """The square of an amount in two parts: a running sum of either has room for more rows than there will ever be."""
    square = _minor() * _minor()
    low = square % F.lit(_PART)
    return {"low": low, "high": ((square - low) / F.lit(_PART)).cast("decimal(19, 0)")}


def _standard_deviation() -> Column:
    """Sample standard deviation from exact sums; in doubles where a sum of squares exceeds 38 digits."""
    count = F.col("txn_count_5m")
    total = (F.col("amount_sum_5m") * _MINOR_UNITS).cast("decimal(28, 0)")
    high, low = (F.col(f"squares_{name}").cast("decimal(38, 0)") for name in ("high", "low"))
    squares = F.try_add(F.try_multiply(high, F.lit(_PART)), low)
    exact = F.try_subtract(F.try_multiply(count.cast("decimal(19, 0)"), squares), F.try_multiply(total, total)).cast(
        "double"
    )
    in_doubles = high.cast("double") * float(_PART) + low.cast("double")
    rough = count * in_doubles - total.cast("double") * total.cast("double")
    scaled = F.coalesce(exact, F.greatest(rough, F.lit(0.0)))
    return F.when(count > 1, F.sqrt(scaled / (count * (count - 1))) / _MINOR_UNITS)
