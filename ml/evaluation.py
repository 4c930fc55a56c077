"""Judges scores on the test days: one entry a model for the report."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ml import alerting, metrics

CARDS_A_DAY = (20, 100)
Entry = dict[str, Any]


def undefined_entry() -> Entry:
    """The entry of a model that could not be fitted: every figure is None."""
    return {
        "auc": None,
        "average_precision": None,
        "average_precision_ci": None,
        "brier": None,
        "card_precision_at": {str(k): None for k in CARDS_A_DAY},
        "unknown_cards": {"auc": None, "average_precision": None},
        "by_scenario": {},
    }


def evaluate(
    test: pd.DataFrame, scores: np.ndarray, resamples: metrics.Resamples, *, is_probability: bool, seed: int
) -> Entry:
    """Every figure of one model.

    `test` has one row an event: `day`, `user_id`, `is_fraud`, `is_known_card`, `scenario` (None for legitimate
    events); `scores` stand in the same order, higher is riskier. The figures under `unknown_cards` and the card
    precision leave known cards out, as the handbook does; all others are over all test events.
    """
    is_fraud = test["is_fraud"].to_numpy()
    interval = metrics.average_precision_interval(is_fraud, scores, resamples)
    unknown = ~test["is_known_card"].to_numpy()
    cards = test.assign(score=scores)[unknown]
    return {
        "auc": metrics.auc(is_fraud, scores),
        "average_precision": metrics.average_precision(is_fraud, scores),
        "average_precision_ci": list(interval) if interval else None,
        "brier": metrics.brier(is_fraud, scores) if is_probability else None,
        "card_precision_at": {str(k): _card_precision(cards, k, seed) for k in CARDS_A_DAY},
        "unknown_cards": {
            "auc": metrics.auc(is_fraud[unknown], scores[unknown]),
            "average_precision": metrics.average_precision(is_fraud[unknown], scores[unknown]),
        },
        "by_scenario": by_scenario(test, scores),
    }


def by_scenario(test: pd.DataFrame, scores: np.ndarray) -> dict[str, Entry]:
    """By scenario: how many frauds, their recall in the top 1 % of all events, and average precision.

    The average precision is against legitimate events only: frauds of other scenarios are left out, they are no
    false alarms. Its chance level is much lower than the base rate where a scenario is rare.
    """
    is_fraud = test["is_fraud"].to_numpy()
    entries = {}
    for scenario in sorted(test.loc[is_fraud, "scenario"].unique()):
        belongs = (test["scenario"] == scenario).to_numpy()
        compared = belongs | ~is_fraud
        entries[scenario] = {
            "frauds": int(belongs.sum()),
            "recall_at_1pct": alerting.recall_at(belongs, scores, alerting.SCENARIO_BUDGET),
            "average_precision": metrics.average_precision(belongs[compared], scores[compared]),
        }
    return entries


def thresholds(test: pd.DataFrame, scores: np.ndarray, days: int) -> list[Entry]:
    """One row a review budget; `test` has `is_fraud`, `amount` and `currency`, `days` is the number of test days."""
    events = test.assign(score=scores, value=alerting.in_typical_payments(test))
    return [alerting.threshold_row(events, budget, days) for budget in alerting.BUDGETS]


def best_reachable(test: pd.DataFrame) -> dict[str, float | None]:
    """Card precision of a perfect model, by number of cards a day: what the others are to be held against."""
    cards = test[~test["is_known_card"]]
    return {str(k): alerting.perfect_card_precision(cards, k) for k in CARDS_A_DAY}


def _card_precision(cards: pd.DataFrame, k: int, seed: int) -> float | None:
    return alerting.card_precision(cards, k, seed) if cards["is_fraud"].any() else None
