"""What a model sees of a transaction: declared once, with a meaning, and derived from the columns of the tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

SECONDS_A_DAY = 86_400.0
NIGHT_ENDS_HOUR = 6


@dataclass(frozen=True)
class Feature:
    """One input column of the models. A `money` column is in units of the row's currency."""

    name: str
    meaning: str
    money: bool = False
    dtype: str = "float64"


CURRENCY = Feature("currency", "ISO 4217 code; only the scale of the money columns is taken from it", dtype="str")

AMOUNT_AND_TIME = (
    Feature("amount", "Amount of the payment", money=True),
    Feature("hour_sin", "Sine of the time of day (UTC), one turn a day; from -1 to 1"),
    Feature("hour_cos", "Cosine of the time of day (UTC), one turn a day; from -1 to 1"),
)

FEATURES = (
    *AMOUNT_AND_TIME,
    Feature("is_night", "1 from 00:00 to 06:00 UTC, else 0"),
    Feature("amount_to_mean_5m", "Amount over the mean amount of the user's five minutes; null where that mean is 0"),
    Feature("txn_count_5m", "Transactions of the user in the five minutes, this one included; at least 1"),
    Feature("amount_sum_5m", "Sum of their amounts", money=True),
    Feature("amount_mean_5m", "Mean of their amounts", money=True),
    Feature("amount_max_5m", "Largest of their amounts", money=True),
    Feature("amount_std_5m", "Sample standard deviation of their amounts; null for a single one", money=True),
    Feature("distinct_merchants_5m", "Different merchants among them; at least 1"),
    Feature("distinct_countries_5m", "Different countries among them; at least 1"),
    Feature(
        "log_seconds_since_previous",
        "Natural logarithm of 1 + seconds since the user's previous transaction; null if there is none",
    ),
    Feature("country_changed", "1 if that previous transaction was in another country, else 0; null if there is none"),
)

FROM_TRANSACTIONS = ("event_time", "amount", "currency")
FROM_USER_5M = (
    "txn_count_5m",
    "amount_sum_5m",
    "amount_mean_5m",
    "amount_max_5m",
    "amount_std_5m",
    "distinct_merchants_5m",
    "distinct_countries_5m",
    "seconds_since_previous",
    "country_changed",
)


def feature_columns(events: pd.DataFrame) -> pd.DataFrame:
    """One row a transaction → one row of `CURRENCY` and `FEATURES`, same index.

    `events` holds `FROM_TRANSACTIONS` (`event_time` in UTC without zone) and `FROM_USER_5M`. Nulls stay NaN: each
    model says itself what it does about them.
    """
    turn = 2 * np.pi * _seconds_of_day(events["event_time"]) / SECONDS_A_DAY
    mean = events["amount_mean_5m"].astype(float)
    derived = events.assign(
        hour_sin=np.sin(turn),
        hour_cos=np.cos(turn),
        is_night=(events["event_time"].dt.hour < NIGHT_ENDS_HOUR).astype(float),
        amount_to_mean_5m=events["amount"].astype(float) / mean.where(mean > 0),
        log_seconds_since_previous=np.log1p(events["seconds_since_previous"].astype(float)),
    )
    numbers = derived[[feature.name for feature in FEATURES]].astype(float)
    return numbers.assign(currency=events["currency"].astype(str))


def _seconds_of_day(times: pd.Series) -> pd.Series:
    return (times - times.dt.normalize()).dt.total_seconds()
