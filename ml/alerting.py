"""Figures of somebody who looks at the top of the list: card precision, recall at a budget, thresholds."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

BUDGETS = (0.001, 0.005, 0.01, 0.02)
SCENARIO_BUDGET = 0.01


def card_precision(cards: pd.DataFrame, k: int, seed: int = 0) -> float | None:
    """Card precision top-k: of `k` cards looked at a day, the share with a fraud that day, mean over the days.

    `cards` has one row an event of a card not yet known as compromised: `day`, `user_id`, `score`, `is_fraud`. A card
    is ranked by its highest score of the day; once found, it is blocked and left out on later days. The divisor is
    always `k`, so that where there are fewer frauds the best is below 1 (see `perfect_card_precision`); higher is
    better. Ties are drawn by `seed`. None without events. Source: Le Borgne et al., "Reproducible Machine Learning
    for Credit Card Fraud Detection", chapter 4.4.
    """
    if cards.empty:
        return None
    by_day = cards.groupby(["day", "user_id"], as_index=False)[["score", "is_fraud"]].max()
    by_day = by_day.sample(frac=1, random_state=seed).sort_values("score", ascending=False, kind="stable")
    found: set[str] = set()
    precisions = []
    for _, day in by_day.groupby("day"):
        looked_at = day[~day["user_id"].isin(found)].head(k)
        hits = looked_at.loc[looked_at["is_fraud"], "user_id"]
        found.update(hits)
        precisions.append(len(hits) / k)
    return float(np.mean(precisions))


def perfect_card_precision(cards: pd.DataFrame, k: int) -> float | None:
    """What `card_precision` would be if the scores were the truth: the best that can be reached."""
    return card_precision(cards.assign(score=cards["is_fraud"].astype(float)), k)


def is_known_card(test: pd.DataFrame, known_at: pd.Series) -> pd.Series:
    """Whether the event's card had been reported as defrauded before the event's day began; one bool an event.

    `test` has `user_id` and `day`; `known_at` is the first report by user. Such cards are blocked: the handbook
    (chapter 5.2, `get_train_test_set`) takes them out of the test days, and card precision is taken without them.
    """
    return test["user_id"].map(known_at) < test["day"]


def recall_at(is_fraud: np.ndarray, scores: np.ndarray, budget: float) -> float | None:
    """Share of the frauds among the top `budget` (0 to 1) of events; higher is better, None without frauds.

    Of events that tie at the edge, as many count as fit on average.
    """
    if not is_fraud.any():
        return None
    alerts = _alerts(len(scores), budget)
    edge = _edge(scores, alerts)
    above, tied = scores > edge, scores == edge
    fitting = (alerts - above.sum()) / tied.sum()
    return float((is_fraud[above].sum() + fitting * is_fraud[tied].sum()) / is_fraud.sum())


def threshold_row(events: pd.DataFrame, budget: float, days: int) -> dict[str, float | int | None]:
    """What alerting on the top `budget` (0 to 1) of events means.

    `events` has `score`, `is_fraud` and `value` (amount in multiples of its currency's median payment, so that
    currencies add up). Events that tie with the threshold alert too. Precision, recall and `amount_share` are from
    0 to 1, None where not defined; `alerts_per_day` is over `days`.
    """
    threshold = _edge(events["score"].to_numpy(), _alerts(len(events), budget))
    alerts = events[events["score"] >= threshold]
    frauds, caught = events[events["is_fraud"]], alerts[alerts["is_fraud"]]
    value = float(frauds["value"].sum())
    return {
        "budget": budget,
        "threshold": float(threshold),
        "alerts": len(alerts),
        "alerts_per_day": len(alerts) / days,
        "precision": len(caught) / len(alerts),
        "recall": len(caught) / len(frauds) if len(frauds) else None,
        "amount_share": float(caught["value"].sum()) / value if value > 0 else None,
    }


def in_typical_payments(events: pd.DataFrame) -> pd.Series:
    """Amounts in multiples of the median payment of their currency; at least 0, one an event."""
    median = events.groupby("currency")["amount"].transform("median")
    return events["amount"] / median.where(median > 0, 1.0)


def _alerts(events: int, budget: float) -> int:
    return max(1, math.floor(events * budget + 1e-9))


def _edge(scores: np.ndarray, alerts: int) -> float:
    return float(np.partition(scores, -alerts)[-alerts])
