"""Trains and judges every model on one dataset: frames in, figures and scores out. No storage and no clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from ml import evaluation, metrics, models, promotion
from ml.alerting import is_known_card
from ml.dataset import Dataset
from ml.features import feature_columns
from ml.labels import all_frauds, known_frauds, scenario_of
from ml.windows import Windows


@dataclass(frozen=True)
class Outcome:
    """What a training found: the figures for the report, the fitted models, and the scores of the test events."""

    figures: dict[str, Any]
    fitted: dict[str, Pipeline]
    scores: dict[str, np.ndarray]
    test: pd.DataFrame
    daily: pd.DataFrame

    @property
    def promoted(self) -> str | None:
        """Name of the promoted model, None where none is."""
        return self.figures["promoted"]


def train_and_judge(data: Dataset, windows: Windows, seed: int, tell: Callable[[str], None]) -> Outcome:
    """Choose the candidate, fit every model on the train days, judge them on the test days and decide."""
    is_fraud = known_frauds(data.train["reported_at"], windows.moment)
    tell(f"Fitting on {len(data.train):,} events with {int(is_fraud.sum()):,} known frauds")
    candidate, fitted = fit_models(data.train, is_fraud, windows, seed)
    test = judged_events(data)
    frame = feature_columns(test)
    scores = {name: models.score(model, frame) for name, model in fitted.items()}
    tell(f"Judging {len(fitted)} models on {len(test):,} events with {int(test['is_fraud'].sum()):,} frauds")
    entries = judge(test, scores, seed)
    base_rate = float(test["is_fraud"].mean())
    if candidate is None:
        promoted, why = None, "No fraud was known in the train days, so no model could learn: none is promoted"
    else:
        promoted, why = promotion.decide(candidate.name, entries, base_rate)
    figures = {
        **_counts(data, is_fraud, test),
        "promoted": promoted,
        "why": why,
        "candidate": None if candidate is None else vars(candidate),
        "models": entries,
        "thresholds": _thresholds(test, scores, candidate.name if candidate else None),
    }
    return Outcome(figures, fitted, scores, test, daily_frauds(data.train, is_fraud, test))


def fit_models(
    train: pd.DataFrame, is_fraud: pd.Series, windows: Windows, seed: int
) -> tuple[promotion.Candidate | None, dict[str, Pipeline]]:
    """The candidate and every model fitted on all train days; without known frauds only what needs no labels."""
    frame = feature_columns(train)
    learns = models.can_learn(is_fraud)
    candidate = promotion.choose_candidate(frame, is_fraud, train["day"], windows, seed) if learns else None
    fitted = {
        name: models.fit(model, frame, is_fraud)
        for name, model in models.build_models(seed).items()
        if learns or name in models.WITHOUT_LABELS
    }
    return candidate, fitted


def judged_events(data: Dataset) -> pd.DataFrame:
    """The test events with their labels, whenever reported: adds `is_fraud`, `scenario`, `is_known_card`."""
    return data.test.assign(
        is_fraud=all_frauds(data.test["reported_at"]),
        scenario=data.test["reason"].map(scenario_of, na_action="ignore"),
        is_known_card=is_known_card(data.test, data.known_at),
    )


def judge(test: pd.DataFrame, scores: dict[str, np.ndarray], seed: int) -> dict[str, evaluation.Entry]:
    """One entry for every model, those that could not be fitted included."""
    resamples = metrics.resample_users(test["user_id"], seed)
    return {
        name: evaluation.evaluate(
            test, scores[name], resamples, is_probability=name not in models.WITHOUT_LABELS, seed=seed
        )
        if name in scores
        else evaluation.undefined_entry()
        for name in models.build_models(seed)
    }


def daily_frauds(train: pd.DataFrame, known: pd.Series, test: pd.DataFrame) -> pd.DataFrame:
    """Events and frauds of each train and test day: `day`, `part`, `events`, `frauds_known`, `frauds_later`.

    Of the test days all frauds are later: training knew of none.
    """
    ever = all_frauds(train["reported_at"])
    learnt = train[["day"]].assign(part="train", frauds_known=known, frauds_later=ever & ~known)
    judged = test[["day"]].assign(part="test", frauds_known=False, frauds_later=test["is_fraud"])
    days = pd.concat([learnt, judged]).assign(events=1).groupby(["day", "part"], as_index=False)
    return days[["events", "frauds_known", "frauds_later"]].sum()


def _counts(data: Dataset, known: pd.Series, test: pd.DataFrame) -> dict[str, Any]:
    unknown = test[~test["is_known_card"]]
    return {
        "base_rate": float(test["is_fraud"].mean()),
        "test_events": len(test),
        "test_frauds": int(test["is_fraud"].sum()),
        "train_events": len(data.train),
        "train_frauds_known": int(known.sum()),
        "train_frauds_later": int((all_frauds(data.train["reported_at"]) & ~known).sum()),
        "unknown_cards": {
            "test_events": len(unknown),
            "test_frauds": int(unknown["is_fraud"].sum()),
            "card_precision_best": evaluation.best_reachable(test),
        },
        "events_without_features": data.without_features,
        "currencies": sorted(test["currency"].unique()),
    }


def _thresholds(test: pd.DataFrame, scores: dict[str, np.ndarray], name: str | None) -> list[evaluation.Entry]:
    return evaluation.thresholds(test, scores[name], test["day"].nunique()) if name else []
