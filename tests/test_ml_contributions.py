"""The parts of a score, held against the score itself."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ml import models
from ml.contributions import contributions
from ml.features import FEATURES


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Payments by chance, some values missing; what makes a fraud is a high count in a high amount."""
    random = np.random.default_rng(7)
    made = pd.DataFrame({feature.name: random.gamma(2.0, 2.0, 600) for feature in FEATURES})
    made.loc[random.random(600) < 0.3, "amount_std_5m"] = np.nan
    return made.assign(currency="EUR")


@pytest.fixture(scope="module")
def is_fraud(frame: pd.DataFrame) -> pd.Series:
    return frame["txn_count_5m"] + frame["amount"] > 12


def log_odds(score: float) -> float:
    return float(np.log(score / (1 - score)))


def test_the_parts_of_a_logistic_regression_add_up_to_its_score(frame: pd.DataFrame, is_fraud: pd.Series) -> None:
    model = models.fit(models.build_models(7)["logistic_regression"], frame, is_fraud)
    intercept = float(model.named_steps["model"].intercept_[0])
    for number in range(20):
        row = frame.iloc[[number]]
        parts = contributions(model, row)
        assert {part.feature for part in parts} == {feature.name for feature in FEATURES}
        assert [abs(part.log_odds) for part in parts] == sorted((abs(part.log_odds) for part in parts), reverse=True)
        assert intercept + sum(part.log_odds for part in parts) == pytest.approx(
            log_odds(models.score(model, row)[0]), abs=1e-6
        )
        missing = {part.feature for part in parts if part.value is None}
        assert missing == set(row.columns[row.isna().iloc[0]])


def test_what_makes_a_tree_model_suspicious_comes_first(frame: pd.DataFrame, is_fraud: pd.Series) -> None:
    model = models.fit(models.build_models(7)["gradient_boosting"], frame, is_fraud)
    riskiest = frame.iloc[[int(np.argmax(models.score(model, frame)))]]
    parts = contributions(model, riskiest)
    assert {part.feature for part in parts[:2]} <= {"txn_count_5m", "amount"}
    assert parts[0].log_odds > 0
