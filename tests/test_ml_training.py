"""Training on frames: what it knows, what it chooses, and that the test never reaches it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml import models, promotion, training
from ml.dataset import Dataset
from ml.features import FEATURES, feature_columns
from ml.files import plain, strict_json
from ml.labels import known_frauds, scenario_of
from ml.windows import Windows, windows

WINDOWS = windows(date(2025, 10, 15), train_days=6, delay_days=2, test_days=3)


def payments(first: date, days: int, *, a_day: int = 150, seed: int = 0, reason: str = "fraud_chain") -> pd.DataFrame:
    """Payments of which 4 % are frauds that show in the velocity, reported a day later."""
    draw = np.random.default_rng(seed)
    number = a_day * days
    times = pd.Timestamp(first) + pd.to_timedelta(np.sort(draw.integers(0, days * 86_400, number)), unit="s")
    is_fraud = draw.random(number) < 0.04
    count = 1.0 + draw.poisson(0.1 + 2.5 * is_fraud)
    amount = np.round(draw.lognormal(3, 1, number), 2)
    return pd.DataFrame(
        {
            "event_id": [f"{first}-{i}" for i in range(number)],
            "user_id": [f"u{i}" for i in draw.integers(0, 60, number)],
            "event_time": times,
            "day": times.normalize(),
            "amount": amount,
            "currency": np.where(draw.random(number) < 0.5, "USD", "EUR"),
            "txn_count_5m": count,
            "amount_sum_5m": amount * count,
            "amount_mean_5m": amount,
            "amount_max_5m": amount,
            "amount_std_5m": np.where(count > 1, 1.0, np.nan),
            "distinct_merchants_5m": count,
            "distinct_countries_5m": 1.0,
            "seconds_since_previous": np.where(draw.random(number) < 0.1, np.nan, draw.exponential(5000, number)),
            "country_changed": np.where(draw.random(number) < 0.1, np.nan, 0.0),
            "reported_at": pd.Series(times + timedelta(days=1)).where(is_fraud).to_numpy(),
            "reason": np.where(is_fraud, reason, None),
        }
    )


def dataset(train: pd.DataFrame | None = None, test: pd.DataFrame | None = None) -> Dataset:
    train = payments(WINDOWS.train_from, 6, seed=1) if train is None else train
    test = payments(WINDOWS.test_from, 3, seed=2) if test is None else test
    known_at = pd.Series({"u1": pd.Timestamp(WINDOWS.test_from) - timedelta(hours=1)})
    return Dataset(train, test, known_at, without_features=0)


def judged(data: Dataset, chosen: Windows = WINDOWS) -> training.Outcome:
    return training.train_and_judge(data, chosen, 7, lambda _: None)


@pytest.fixture(scope="module")
def outcome() -> training.Outcome:
    return judged(dataset())


@pytest.mark.parametrize(
    ("reason", "scenario"),
    [
        ("fraud", "fraud"),
        ("Fraud: scenario 2", "scenario 2"),
        ("fraud_card_testing", "card_testing"),
        ("fraudulent", "fraudulent"),
        (" fraud- ", "fraud-"),
    ],
)
def test_the_scenario_is_what_the_reason_names_besides_fraud(reason: str, scenario: str) -> None:
    assert scenario_of(reason) == scenario


def test_a_report_at_the_training_moment_is_not_known_to_it() -> None:
    moment = datetime(2025, 10, 13, tzinfo=UTC)
    reports = pd.Series(pd.to_datetime(["2025-10-12 23:59:59.999999", "2025-10-13 00:00:00", None], format="mixed"))
    assert known_frauds(reports, moment).tolist() == [True, False, False]


def test_a_dispute_reported_after_the_training_moment_changes_neither_labels_nor_model(
    outcome: training.Outcome,
) -> None:
    data = dataset()
    train = data.train.copy()
    legitimate = train.index[train["reported_at"].isna()][:50]
    train.loc[legitimate, "reported_at"] = pd.Timestamp(WINDOWS.moment).tz_localize(None)
    later = judged(dataset(train))
    assert later.figures["train_frauds_known"] == outcome.figures["train_frauds_known"]
    assert later.figures["train_frauds_later"] == outcome.figures["train_frauds_later"] + 50
    for name in outcome.scores:
        np.testing.assert_array_equal(later.scores[name], outcome.scores[name])


def test_the_labels_of_the_test_change_the_figures_but_never_the_scores(outcome: training.Outcome) -> None:
    data = dataset()
    swapped = data.test.assign(
        reported_at=data.test["reported_at"].sample(frac=1, random_state=3).to_numpy(),
    )
    swapped["reason"] = np.where(swapped["reported_at"].notna(), "fraud", None)
    other = judged(dataset(test=swapped))
    assert other.figures["candidate"] == outcome.figures["candidate"]
    assert other.figures["models"] != outcome.figures["models"]
    for name in outcome.scores:
        np.testing.assert_array_equal(other.scores[name], outcome.scores[name])


def test_the_candidate_is_chosen_on_the_last_third_of_the_train_days_and_promoted(outcome: training.Outcome) -> None:
    assert outcome.figures["candidate"]["name"] in models.CANDIDATES
    assert "2025-10-09 to 2025-10-10" in outcome.figures["candidate"]["why"]
    assert outcome.promoted == outcome.figures["candidate"]["name"]


def test_without_known_frauds_nothing_that_learns_is_judged_or_promoted() -> None:
    train = payments(WINDOWS.train_from, 6).assign(reported_at=pd.NaT)
    found = judged(dataset(train)).figures
    assert found["promoted"] is None
    assert "No fraud was known" in found["why"]
    assert found["models"]["gradient_boosting"]["auc"] is None
    assert found["models"]["velocity_rule"]["auc"] > 0.5


def test_without_frauds_in_the_test_every_figure_is_null_and_the_json_is_strict() -> None:
    test = payments(WINDOWS.test_from, 3).assign(reported_at=pd.NaT, reason=None)
    found = judged(dataset(test=test)).figures
    assert found["promoted"] is None
    assert found["base_rate"] == 0
    for entry in found["models"].values():
        assert entry["auc"] is entry["average_precision"] is entry["average_precision_ci"] is None
        assert entry["card_precision_at"] == {"20": None, "100": None}
    assert b"NaN" not in strict_json(found)


def test_a_single_known_fraud_is_enough_not_to_fail() -> None:
    train = payments(WINDOWS.train_from, 6)
    kept = train["reported_at"].notna().idxmax()
    train.loc[train.index != kept, "reported_at"] = pd.NaT
    found = judged(dataset(train)).figures
    assert found["train_frauds_known"] == 1
    assert found["candidate"]["name"] == "logistic_regression"
    assert "too few" in found["candidate"]["why"]


def test_nulls_and_unknown_currencies_do_not_stop_a_model(outcome: training.Outcome) -> None:
    empty = payments(WINDOWS.test_from, 1, a_day=3).assign(
        currency="XTS", amount_std_5m=np.nan, seconds_since_previous=np.nan, country_changed=np.nan, amount_mean_5m=0.0
    )
    for model in outcome.fitted.values():
        assert np.isfinite(models.score(model, feature_columns(empty))).all()


def test_no_model_sees_an_identifier_or_a_label() -> None:
    names = set(feature_columns(payments(WINDOWS.test_from, 1, a_day=3)).columns)
    assert names == {feature.name for feature in FEATURES} | {"currency"}
    assert not names & {"user_id", "merchant_id", "event_id", "reported_at", "reason"}


def test_money_does_not_depend_on_the_unit_of_its_currency() -> None:
    train = payments(WINDOWS.train_from, 6)
    money = [f.name for f in FEATURES if f.money]
    rupiah = train.copy()
    rupiah.loc[rupiah["currency"] == "EUR", money] *= 16_000
    learns = known_frauds(train["reported_at"], WINDOWS.moment)
    scores = []
    for frame in (train, rupiah):
        model = models.fit(models.build_models(7)["logistic_regression"], feature_columns(frame), learns)
        scores.append(models.score(model, feature_columns(frame)))
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-6)


def entry(low: float, middle: float) -> dict[str, Any]:
    return {"average_precision": middle, "average_precision_ci": [low, 1.0]}


@pytest.mark.parametrize(
    ("low", "promoted", "word"),
    [
        (0.30, "gradient_boosting", "is above the base rate (0.0100) and the average precision of amount_and_time"),
        (0.15, None, "not above the average precision of amount_and_time (0.2000)"),
        (0.01, None, "not above the base rate (0.0100) and the average precision"),
    ],
)
def test_promotion_needs_the_lower_end_above_base_rate_and_baseline(
    low: float, promoted: str | None, word: str
) -> None:
    entries = {"gradient_boosting": entry(low, 0.5), "amount_and_time": entry(0.1, 0.2)}
    found, why = promotion.decide("gradient_boosting", entries, base_rate=0.01)
    assert found == promoted
    assert word in why


def test_plain_values_have_no_numpy_and_no_nan() -> None:
    value = {"a": np.float64("nan"), "b": [np.int64(3), float("inf")], "c": date(2025, 1, 2), "d": np.bool_(True)}
    assert plain(value) == {"a": None, "b": [3, None], "c": "2025-01-02", "d": True}
