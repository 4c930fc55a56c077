"""The models: two baselines and two candidates, each a pipeline that takes the frame of `ml.features`."""

from __future__ import annotations

import warnings
from typing import Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import KBinsDiscretizer, StandardScaler
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from ml.amounts import CurrencyUnits
from ml.features import AMOUNT_AND_TIME, FEATURES, Feature

BASELINES = ("amount_and_time", "velocity_rule")
# In the order in which a tie is decided: the simpler first.
CANDIDATES = ("logistic_regression", "gradient_boosting")
WITHOUT_LABELS = ("velocity_rule",)


class VelocityRule(ClassifierMixin, BaseEstimator):
    """Says only how many transactions the user made in five minutes, as 1 - 1/count: 0 for one, towards 1 for many."""

    def fit(self, frame: pd.DataFrame, y: object = None) -> Self:
        """Nothing is learnt."""
        self.classes_ = np.array([0, 1])
        return self

    def predict_proba(self, frame: pd.DataFrame) -> np.ndarray:
        """Array of shape (rows, 2), as scikit-learn has it. The order means something, the size does not."""
        score = 1 - 1 / frame["txn_count_5m"].to_numpy(dtype=float).clip(min=1)
        return np.column_stack([1 - score, score])


def build_models(seed: int) -> dict[str, Pipeline]:
    """Every model by name, not fitted. Their settings are fixed: none is tuned to a data set.

    Frauds are not weighted up, so that a score can be read as a probability.
    """
    return {
        "amount_and_time": _bands(AMOUNT_AND_TIME),
        "velocity_rule": Pipeline([("rule", VelocityRule())]),
        "logistic_regression": _logistic(FEATURES),
        "gradient_boosting": _boosting(FEATURES, seed),
    }


def fit(model: Pipeline, frame: pd.DataFrame, is_fraud: pd.Series) -> Pipeline:
    """Fit in place; `is_fraud` is one bool a row of `frame`, and both values must occur."""
    with _one_thread(), warnings.catch_warnings():
        # Few distinct amounts make fewer bands; that is as it should be.
        warnings.filterwarnings("ignore", message="Bins whose width are too small", category=UserWarning)
        warnings.filterwarnings("ignore", message="Feature .* is constant", category=UserWarning)
        return model.fit(frame, is_fraud.to_numpy(dtype=int))


def score(model: Pipeline, frame: pd.DataFrame) -> np.ndarray:
    """Scores from 0 to 1, one a row; higher is riskier."""
    with _one_thread():
        return np.asarray(model.predict_proba(frame)[:, 1], dtype=float)


def can_learn(is_fraud: pd.Series) -> bool:
    """Whether both frauds and legitimate events are known; without either there is nothing to learn."""
    return bool(is_fraud.any() and not is_fraud.all())


def _one_thread() -> threadpool_limits:
    # Streams run beside a training. OpenMP threads that wait for a busy core spin: with two on two busy cores the
    # trees of 122,000 events took 61 s, with one 1.8 s. One thread also sums in the same order every time.
    return threadpool_limits(1)


def _units(features: tuple[Feature, ...]) -> tuple[str, CurrencyUnits]:
    money = [feature.name for feature in features if feature.money]
    return "units", CurrencyUnits([feature.name for feature in features], money)


def _bands(features: tuple[Feature, ...]) -> Pipeline:
    # Frauds are often both the smallest and the largest payments. A straight line in the amount would miss that, and
    # make a baseline that is too easily beaten.
    bands = KBinsDiscretizer(
        n_bins=20, encode="onehot", strategy="quantile", quantile_method="averaged_inverted_cdf", subsample=None
    )
    return Pipeline([_units(features), ("bands", bands), ("model", LogisticRegression(max_iter=2000))])


def _logistic(features: tuple[Feature, ...]) -> Pipeline:
    # A null is itself a sign (a user's first payment), so each column that has nulls gets an indicator.
    impute = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    return Pipeline(
        [
            _units(features),
            ("impute", impute),
            ("scale", StandardScaler()),
            ("model", LogisticRegression(max_iter=2000)),
        ]
    )


def _boosting(features: tuple[Feature, ...], seed: int) -> Pipeline:
    # Small leaves and fast learning chase single frauds where they are rare. Early stopping would spend some of them
    # on a random split, which is not ordered in time. Nulls go down a branch of their own.
    trees = HistGradientBoostingClassifier(
        learning_rate=0.05,
        max_iter=150,
        max_leaf_nodes=15,
        min_samples_leaf=30,
        l2_regularization=5.0,
        early_stopping=False,
        random_state=seed,
    )
    return Pipeline([_units(features), ("model", trees)])
