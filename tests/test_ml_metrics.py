"""Figures over all test events, against scikit-learn and against brute force."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score

from ml import metrics


def events(number: int = 400, seed: int = 1) -> tuple[np.ndarray, np.ndarray, pd.Series]:
    """Labels, scores with many ties, and users."""
    draw = np.random.default_rng(seed)
    is_fraud = draw.random(number) < 0.1
    scores = np.round(np.clip(draw.normal(0.3 + 0.2 * is_fraud, 0.2), 0, 1), 1)
    return is_fraud, scores, pd.Series([f"u{i}" for i in draw.integers(0, 50, number)])


def test_figures_are_null_where_there_are_no_frauds() -> None:
    none, scores = np.zeros(5, dtype=bool), np.linspace(0, 1, 5)
    resamples = metrics.resample_users(pd.Series(list("abcde")), seed=1)
    assert metrics.auc(none, scores) is None
    assert metrics.average_precision(none, scores) is None
    assert metrics.average_precision_interval(none, scores, resamples) is None


def test_each_resample_has_the_average_precision_of_scikit_learn_with_those_weights() -> None:
    is_fraud, scores, users = events()
    resamples = metrics.resample_users(users, seed=3, resamples=20)
    expected = [
        average_precision_score(is_fraud, scores, sample_weight=counts[resamples.user]) for counts in resamples.counts
    ]
    interval = metrics.average_precision_interval(is_fraud, scores, resamples)
    assert interval == pytest.approx(tuple(np.quantile(expected, [0.025, 0.975])))


def test_a_resample_draws_as_many_users_as_there_are() -> None:
    _, _, users = events()
    assert (metrics.resample_users(users, seed=3).counts.sum(axis=1) == users.nunique()).all()


def test_the_interval_surrounds_the_figure_and_does_not_depend_on_the_order_of_rows() -> None:
    is_fraud, scores, users = events()
    low, high = metrics.average_precision_interval(is_fraud, scores, metrics.resample_users(users, seed=3)) or (1, 0)
    assert low < (metrics.average_precision(is_fraud, scores) or 0) < high
    other = np.random.default_rng(5).permutation(len(scores))
    again = metrics.resample_users(users.iloc[other], seed=3)
    assert metrics.average_precision_interval(is_fraud[other], scores[other], again) == pytest.approx((low, high))


def test_frauds_of_too_few_users_have_no_interval() -> None:
    is_fraud = np.arange(500) < 20
    scores = np.random.default_rng(2).random(500) * 0.5 + 0.3 * is_fraud
    users = pd.Series([f"u{i % 4 if i < 20 else i}" for i in range(500)])
    assert metrics.average_precision_interval(is_fraud, scores, metrics.resample_users(users, seed=1)) is None


def test_sixty_thousand_events_take_seconds() -> None:
    is_fraud, scores, users = events(60_000)
    started = time.monotonic()
    metrics.average_precision_interval(is_fraud, scores + 0.0, metrics.resample_users(users, seed=1, resamples=200))
    assert time.monotonic() - started < 10
