"""What speaks for and against fraud in one score: each feature's part of it, in log-odds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from ml import models
from ml.features import FEATURES

_INDICATOR = "missingindicator_"
_LEAST = 1e-9


@dataclass(frozen=True)
class Contribution:
    """One feature's part of a score: above 0 it speaks for fraud, below 0 against it. A missing value is None."""

    feature: str
    value: float | None
    log_odds: float


def contributions(model: Pipeline, frame: pd.DataFrame) -> list[Contribution]:
    """The parts of the score of the one row of `frame` (of `ml.features.feature_columns`), the largest first.

    Of a logistic regression they are exact: with the intercept, which is the log-odds of a typical payment, they add up
    to those of the score. Of other models each is what the score's log-odds lose when the value is taken for missing.
    """
    row = frame.head(1)
    parts = _linear_parts(model, row) if "scale" in model.named_steps else _parts_by_omission(model, row)
    values = row.iloc[0]
    found = [
        Contribution(name, None if pd.isna(values[name]) else float(values[name]), part) for name, part in parts.items()
    ]
    return sorted(found, key=lambda one: -abs(one.log_odds))


def _linear_parts(model: Pipeline, row: pd.DataFrame) -> dict[str, float]:
    names = [feature.name for feature in FEATURES]
    columns = model.named_steps["impute"].get_feature_names_out(names)
    parts = model[:-1].transform(row)[0] * model.named_steps["model"].coef_[0]
    found = dict.fromkeys(names, 0.0)
    for column, part in zip(columns, parts, strict=True):
        # That a value is missing says something too; it belongs to the same feature.
        found[column.removeprefix(_INDICATOR)] += float(part)
    return found


def _parts_by_omission(model: Pipeline, row: pd.DataFrame) -> dict[str, float]:
    names = [feature.name for feature in FEATURES]
    without = pd.concat([row, *(row.assign(**{name: np.nan}) for name in names)], ignore_index=True)
    odds = _log_odds(models.score(model, without))
    return dict(zip(names, (odds[0] - odds[1:]).tolist(), strict=True))


def _log_odds(scores: np.ndarray) -> np.ndarray:
    kept = scores.clip(_LEAST, 1 - _LEAST)
    return np.asarray(np.log(kept) - np.log1p(-kept))
