"""Which model is the candidate, and whether it is promoted: the first is settled before the test is looked at."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import pandas as pd

from ml import metrics, models
from ml.evaluation import Entry
from ml.windows import Windows

BASELINE = "amount_and_time"


@dataclass(frozen=True)
class Candidate:
    """The chosen model, why, and each candidate's average precision in validation (empty where none was possible)."""

    name: str
    why: str
    validation: dict[str, float]


def choose_candidate(
    frame: pd.DataFrame, is_fraud: pd.Series, day: pd.Series, windows: Windows, seed: int
) -> Candidate:
    """Choose by the last third of the train days, learning from the days before; the test is not seen.

    `frame` holds the features of the train events, `is_fraud` their labels as known at training, `day` their dates;
    all in the same order. Better is a higher average precision.
    """
    validate_from = windows.train_to - timedelta(days=_validation_days(windows) - 1)
    later = day >= pd.Timestamp(validate_from)
    simplest = models.CANDIDATES[0]
    if not (models.can_learn(is_fraud[~later]) and is_fraud[later].any()):
        return Candidate(simplest, "too few known frauds to compare the candidates: the simpler one is taken", {})
    built = models.build_models(seed)
    values = {}
    for name in models.CANDIDATES:
        models.fit(built[name], frame[~later], is_fraud[~later])
        scores = models.score(built[name], frame[later])
        values[name] = metrics.average_precision(is_fraud[later].to_numpy(), scores) or 0.0
    best = max(models.CANDIDATES, key=lambda name: values[name])
    days = f"{validate_from} to {windows.train_to}"
    return Candidate(best, f"best average precision on the last third of the train days, {days}", values)


def decide(candidate: str, entries: dict[str, Entry], base_rate: float | None) -> tuple[str | None, str]:
    """The promoted model or None, and the reason in words.

    Promoted only if the lower end of its interval of average precision lies above the base rate and above the average
    precision of the baseline on amount and time.
    """
    interval = entries[candidate]["average_precision_ci"]
    if interval is None or base_rate is None:
        return None, f"{candidate} could not be judged: too few frauds in the test days for an interval"
    low = interval[0]
    baseline = entries[BASELINE]["average_precision"] or 0.0
    bars = {"the base rate": base_rate, f"the average precision of {BASELINE}": baseline}
    missed = [f"{what} ({bar:.4f})" for what, bar in bars.items() if low <= bar]
    lower_end = f"the lower end of its average precision's 95 % interval ({low:.4f})"
    if missed:
        return None, f"{candidate} is not promoted: {lower_end} is not above {' and '.join(missed)}"
    above = " and ".join(f"{what} ({bar:.4f})" for what, bar in bars.items())
    return candidate, f"{candidate} is promoted: {lower_end} is above {above}"


def _validation_days(windows: Windows) -> int:
    return max(1, ((windows.train_to - windows.train_from).days + 1) // 3)
