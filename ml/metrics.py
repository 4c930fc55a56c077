"""Figures over all test events: AUC, average precision with its interval, Brier score.

Every function takes one score and one bool an event, and gives None where the figure is not defined.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

RESAMPLES = 400
FEWEST_USERS = 5
_RESAMPLES_AT_ONCE = 16


def auc(is_fraud: np.ndarray, scores: np.ndarray) -> float | None:
    """Area under the ROC curve: how often a fraud scores above a legitimate event. 0.5 is chance, 1 is best."""
    return float(roc_auc_score(is_fraud, scores)) if is_fraud.any() and not is_fraud.all() else None


def average_precision(is_fraud: np.ndarray, scores: np.ndarray) -> float | None:
    """Area under the precision-recall curve by steps. Chance is the base rate, 1 is best."""
    return float(average_precision_score(is_fraud, scores)) if is_fraud.any() else None


def brier(is_fraud: np.ndarray, scores: np.ndarray) -> float | None:
    """Mean squared difference between score and outcome; 0 is best, always saying the base rate gives p(1 - p)."""
    return float(brier_score_loss(is_fraud, scores)) if len(scores) else None


@dataclass(frozen=True)
class Resamples:
    """How often each resample drew each user: `counts` of shape (resamples, users), `user` of each event."""

    counts: np.ndarray
    user: np.ndarray


def resample_users(users: pd.Series, seed: int, resamples: int = RESAMPLES) -> Resamples:
    """Draw the users with replacement, as many as there are, `resamples` times.

    The frauds of one user come in chains and are not independent, so whole users are drawn (cluster bootstrap; Field
    and Welsh, "Bootstrapping clustered data", 2007). All models share the draws.
    """
    codes, names = pd.factorize(users, sort=True)
    number = len(names)
    counts = np.random.default_rng(seed).multinomial(number, np.full(number, 1 / number), size=resamples)
    return Resamples(counts.astype(np.float32), codes)


def average_precision_interval(
    is_fraud: np.ndarray, scores: np.ndarray, resamples: Resamples
) -> tuple[float, float] | None:
    """95 % percentile interval of the average precision over resampled users.

    None where the frauds are of fewer than `FEWEST_USERS` users: the draws would hardly differ, and the interval be
    far too narrow. Resamples that drew no fraud are left out.
    """
    if len(np.unique(resamples.user[is_fraud])) < FEWEST_USERS:
        return None
    order = np.argsort(-scores, kind="stable")
    last_of_ties = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    user, fraud = resamples.user[order], is_fraud[order].astype(np.float64)
    drawn = [
        _weighted_average_precision(resamples.counts[start : start + _RESAMPLES_AT_ONCE][:, user], fraud, last_of_ties)
        for start in range(0, len(resamples.counts), _RESAMPLES_AT_ONCE)
    ]
    values = np.concatenate(drawn)
    values = values[~np.isnan(values)]
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def _weighted_average_precision(weights: np.ndarray, fraud: np.ndarray, last_of_ties: np.ndarray) -> np.ndarray:
    """Average precision of each row of weights (resamples, events sorted by falling score); NaN without frauds."""
    alerts = np.cumsum(weights, axis=1, dtype=np.float64)[:, last_of_ties]
    hits = np.cumsum(weights * fraud, axis=1, dtype=np.float64)[:, last_of_ties]
    gained = np.diff(hits, axis=1, prepend=0)
    total = hits[:, -1]
    area = (gained * hits / np.maximum(alerts, 1)).sum(axis=1)
    return np.divide(area, total, out=np.full(len(total), np.nan), where=total > 0)
