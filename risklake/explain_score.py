"""What the newest promoted model says of one transaction, and which of its features say it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from lake.settings import Settings
from ml import models
from ml.artifact import load_model, model_path
from ml.contributions import contributions
from ml.features import FEATURES, FROM_USER_5M, feature_columns
from ml.train import model_version


def scored_now(settings: Settings, event: dict[str, Any], features: dict[str, Any]) -> dict[str, Any] | None:
    """Version, score (0 to 1) and parts in log-odds, the strongest first; None where no model is promoted."""
    report = _last_with_promotion(settings.local_path("reports"))
    if report is None:
        return None
    path = model_path(settings.local_path("models"), report["promoted"], report["as_of"])
    if not path.is_file():
        return None
    model = load_model(path).model
    frame = feature_columns(_as_read(event, features))
    meanings = {feature.name: feature.meaning for feature in FEATURES}
    parts = [vars(one) | {"meaning": meanings[one.feature]} for one in contributions(model, frame)]
    version = model_version(report["promoted"], report["as_of"])
    return {"version": version, "score": float(models.score(model, frame)[0]), "kept": False, "parts": parts}


def _last_with_promotion(reports: Path) -> dict[str, Any] | None:
    """The newest report of a training that promoted a model; that of last night may have promoted none."""
    for path in sorted(reports.glob("model-*.json"), reverse=True):
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if report["promoted"]:
            return report
    return None


def _as_read(event: dict[str, Any], features: dict[str, Any]) -> pd.DataFrame:
    numbers = {name: _number(features[name]) for name in FROM_USER_5M}
    moment = pd.Timestamp(event["event_time"])
    return pd.DataFrame(
        [{"event_time": moment, "amount": float(event["amount"]), "currency": event["currency"]} | numbers]
    )


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)
