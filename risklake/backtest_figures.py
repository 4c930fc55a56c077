"""Figures of a rule over labelled events: what it fires on, how much of that is fraud, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from risklake.detection import HONEST

# Intervals come from so many draws of users, and need frauds or alerts of so many.
_DRAWS, _FEWEST_USERS = 400, 10
_SEED = 7


@dataclass(frozen=True)
class Figures:
    """What one rule or block list (or all of them together) would have raised; an event counts once.

    What lists and snoozes hold back counts nowhere but in the figures of the name `HELD_BACK`.

    `precision` and `recall` are from 0 to 1, None where there is nothing to divide by; `precision_interval` (95 %) is
    over resampled users. `money_caught` is the amount of the frauds it fires on, by currency. `by_scenario` counts the
    events that it fires on by the scenario of the truth, where there is one.
    """

    name: str
    state: str
    events: int = 0
    frauds: int = 0
    precision: float | None = None
    precision_interval: tuple[float, float] | None = None
    recall: float | None = None
    false_positives_a_day: float = 0.0
    money_caught: dict[str, Decimal] = field(default_factory=dict)
    by_scenario: dict[str, int] = field(default_factory=dict)


def by_user(raised: DataFrame, *keys: str) -> pd.DataFrame:
    """Events that alerts are on, by user, scenario and currency: `count`, `frauds`, `money`."""
    return (
        raised.groupBy(*keys, "user_id", "scenario", "currency")
        .agg(
            F.count("*").alias("count"),
            F.count_if("is_fraud").alias("frauds"),
            F.sum(F.when(F.col("is_fraud"), F.col("amount"))).alias("money"),
        )
        .toPandas()
    )


def figures(rows: pd.DataFrame, name: str, state: str, frauds: int, days: int) -> Figures:
    """The figures of a rule from rows of `by_user`, given all frauds and how many days there were."""
    events, caught = int(rows["count"].sum()), int(rows["frauds"].sum())
    return Figures(
        name,
        state,
        events,
        caught,
        caught / events if events else None,
        _interval(rows.groupby("user_id")[["frauds", "count"]].sum()),
        caught / frauds if frauds else None,
        (events - caught) / days,
        money_of(rows),
        scenarios_of(rows),
    )


def _interval(by_user: pd.DataFrame) -> tuple[float, float] | None:
    """95 % interval of frauds over events, over resampled users: alerts on one user are not independent."""
    if len(by_user) < _FEWEST_USERS:
        return None
    drawn = np.random.default_rng(_SEED).poisson(1.0, (_DRAWS, len(by_user)))
    frauds, events = drawn @ by_user["frauds"].to_numpy(), drawn @ by_user["count"].to_numpy()
    shares = frauds[events > 0] / events[events > 0]
    low, high = np.quantile(shares, (0.025, 0.975))
    return float(low), float(high)


def money_of(rows: pd.DataFrame) -> dict[str, Decimal]:
    """The sum of `money` by currency, the largest first."""
    sums = ((str(currency), _sum(money)) for currency, money in rows.groupby("currency")["money"])
    return {currency: total for currency, total in sorted(sums, key=lambda one: -one[1]) if total}


def _sum(amounts: Iterable[Any]) -> Decimal:
    return sum((amount for amount in amounts if isinstance(amount, Decimal)), Decimal(0))


def scenarios_of(rows: pd.DataFrame) -> dict[str, int]:
    """The sum of `count` by scenario of the truth, honest ones last; nothing where there is no truth."""
    counts = rows.dropna(subset=["scenario"]).groupby("scenario")["count"].sum()
    return {str(name) or "honest": int(count) for name, count in counts.sort_index(key=lambda n: n == HONEST).items()}
