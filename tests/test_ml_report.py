"""The page, the saved model, and the whole run on a small lake."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import skops.io
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from lake import storage
from lake.catalog import TABLES
from lake.errors import InputError, TrainingError
from lake.settings import Settings, load_settings
from lake.transaction_features import FEATURES
from ml import artifact, models, report, training
from ml.dataset import Dataset
from ml.features import feature_columns
from ml.train import run
from ml.windows import windows

AS_OF = date(2025, 10, 15)
LENGTHS = {"train_days": 4, "delay_days": 1, "test_days": 2}
WINDOWS = windows(AS_OF, **LENGTHS)


def payments(first: date, days: int, *, reason: str = "fraud_chain", frauds: bool = True) -> pd.DataFrame:
    """Sixty payments a day, every tenth a fraud that shows in its velocity and is reported six hours later."""
    number = np.arange(60 * days)
    is_fraud = (number % 10 == 0) & frauds
    times = pd.Series(pd.Timestamp(first) + pd.to_timedelta(number * 1440, unit="s"))
    count = np.where(is_fraud, 4.0, 1.0 + (number % 7 == 0))
    amount = 10.0 + number % 23
    return pd.DataFrame(
        {
            "event_id": [f"{first}-{i}" for i in number],
            "user_id": [f"u{i % 17}" for i in number],
            "event_time": times,
            "day": times.dt.normalize(),
            "amount": amount,
            "currency": "USD",
            "txn_count_5m": count,
            "amount_sum_5m": amount * count,
            "amount_mean_5m": amount,
            "amount_max_5m": amount,
            "amount_std_5m": np.where(count > 1, 0.5, np.nan),
            "distinct_merchants_5m": count,
            "distinct_countries_5m": 1.0,
            "seconds_since_previous": 60.0 * (1 + number % 50),
            "country_changed": np.where(number == 0, np.nan, 0.0),
            "reported_at": (times + pd.Timedelta(hours=6)).where(is_fraud),
            "reason": np.where(is_fraud, reason, None),
        }
    )


def outcome_of(reason: str = "fraud_chain", *, frauds: bool = True) -> training.Outcome:
    train = payments(WINDOWS.train_from, 4, frauds=frauds)
    test = payments(WINDOWS.test_from, 2, reason=reason)
    data = Dataset(train, test, pd.Series(dtype="datetime64[ns]"), without_features=3)
    return training.train_and_judge(data, WINDOWS, 7, lambda _: None)


def report_of(outcome: training.Outcome) -> dict[str, Any]:
    return report.build_report(outcome, WINDOWS, seed=7, labels_mature=False, seconds=1.25)


@pytest.fixture(scope="module")
def outcome() -> training.Outcome:
    return outcome_of()


def test_the_report_has_the_promised_keys(outcome: training.Outcome) -> None:
    found = report_of(outcome)
    assert (found["as_of"], found["train"], found["delay_days"]) == ("2025-10-15", ["2025-10-09", "2025-10-12"], 1)
    assert found["test"] == ["2025-10-14", "2025-10-15"]
    assert (found["test_events"], found["test_frauds"], found["base_rate"]) == (120, 12, 0.1)
    for entry in found["models"].values():
        assert {"auc", "average_precision", "average_precision_ci", "card_precision_at", "by_scenario"} <= set(entry)
        assert set(entry["card_precision_at"]) == {"20", "100"}
    assert found["models"]["gradient_boosting"]["by_scenario"]["chain"]["frauds"] == 12
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_a_scenario_cannot_bring_markup_into_the_page() -> None:
    outcome = outcome_of("fraud_<script>alert(1)</script>")
    page = report.render(report_of(outcome), outcome)
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_the_page_needs_no_network_and_no_script(outcome: training.Outcome) -> None:
    page = report.render(report_of(outcome), outcome)
    assert not re.search(r"https?:|//[a-z]|@import|<link|<script|src=", page)
    assert page.count("<svg") == 3
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"url\(#([^)]+)\)", page)) <= set(ids)


def test_the_page_says_what_is_missing(outcome: training.Outcome) -> None:
    page = report.render(report_of(outcome), outcome)
    assert "have not had the full delay" in page
    assert "3 transactions had no feature row" in page


def test_a_training_without_known_frauds_still_has_a_page() -> None:
    outcome = outcome_of(frauds=False)
    page = report.render(report_of(outcome), outcome)
    assert "No model promoted" in page
    assert "No fraud was known in the train days" in page


def saved(folder: Path, outcome: training.Outcome, name: str) -> Path:
    path = artifact.model_path(folder, name, AS_OF)
    return artifact.save_model(path, outcome.fitted[name], {"name": name})


@pytest.mark.parametrize("name", models.CANDIDATES)
def test_a_saved_model_scores_as_before_and_says_what_it_takes(
    tmp_path: Path, outcome: training.Outcome, name: str
) -> None:
    loaded = artifact.load_model(saved(tmp_path, outcome, name))
    np.testing.assert_array_equal(models.score(loaded.model, feature_columns(outcome.test)), outcome.scores[name])
    assert loaded.card["features"][0]["name"] == "currency"
    assert loaded.card["versions"]["scikit-learn"]
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_damaged_model_is_refused_by_name(tmp_path: Path, outcome: training.Outcome) -> None:
    path = saved(tmp_path, outcome, "logistic_regression")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"logistic_regression-2025-10-15\.skops is not the one its card describes"):
        artifact.load_model(path)
    path.with_suffix(".json").write_text("{")
    with pytest.raises(InputError, match="card"):
        artifact.load_model(path)
    with pytest.raises(InputError, match="cannot be read"):
        artifact.load_model(tmp_path / "none.skops")


def test_a_model_with_foreign_code_is_refused(tmp_path: Path) -> None:
    foreign = Pipeline([("x", FunctionTransformer(func=re.escape))])
    path = artifact.save_model(tmp_path / "foreign.skops", foreign, {})
    assert skops.io.get_untrusted_types(file=path)
    with pytest.raises(InputError, match="not trusted"):
        artifact.load_model(path)


def fill_lake(spark: SparkSession, settings: Settings, events: pd.DataFrame) -> None:
    """Write events, their features and disputes as the streams would have left them."""
    storage.ensure_tables(spark, settings, ["silver.transactions", "silver.disputes", "features.user_5m"])
    disputes = events[events["reported_at"].notna()]
    disputes = disputes.assign(dispute_id="d-" + disputes["event_id"])
    quarrel = disputes.head(1).assign(dispute_id="quarrel", event_id=events["event_id"].iloc[1], reason="not_received")
    _append(spark, settings, "silver.transactions", events, date_of="event_time")
    _append(spark, settings, "features.user_5m", events, date_of="event_time")
    _append(spark, settings, "silver.disputes", pd.concat([disputes, quarrel]), date_of="reported_at")


def _append(spark: SparkSession, settings: Settings, name: str, events: pd.DataFrame, date_of: str) -> None:
    zoned = {c: events[c].dt.tz_localize("UTC") for c in ("event_time", "reported_at")}
    rows = spark.createDataFrame(pa.Table.from_pandas(events.assign(**zoned), preserve_index=False)).coalesce(1)
    rows = rows.withColumn("event_date", F.to_date(date_of))
    fixed = dict.fromkeys(("arrived_at", "inputs_arrived_at", "updated_at"), F.current_timestamp())
    rest = {"merchant_id": "m", "country": "GB", "source_file": "f", "line_number": 1, "content_hash": 0}
    # What the model does not take, but a row of features always has.
    rest |= {feature.name: 0 for feature in FEATURES if feature.is_always_there}
    known = {**fixed, **{key: F.lit(value) for key, value in rest.items()}}
    values = known | {c: F.col(c) for c in rows.columns}
    storage.append(
        rows.select(*(values.get(c.name, F.lit(None)).cast(c.type).alias(c.name) for c in TABLES[name].columns)),
        settings,
        name,
    )


def test_a_run_writes_report_model_and_scores_once_however_often_it_runs(
    spark: SparkSession, settings: Settings
) -> None:
    settings = load_settings({"lake_root": settings.lake_root, **LENGTHS}, environment={})
    with pytest.raises(TrainingError, match=r"has no features\.user_5m"):
        run(spark, load_settings({"lake_root": f"{settings.lake_root}-nowhere", **LENGTHS}, environment={}))
    with pytest.raises(TrainingError, match="holds no transactions"):
        run(spark, settings)
    fill_lake(spark, settings, payments(WINDOWS.train_from, 7))
    told: list[str] = []
    run(spark, settings, as_of=AS_OF, progress=told.append)
    found = run(spark, settings, as_of=AS_OF)
    reports = settings.local_path("reports")
    assert json.loads((reports / "model-2025-10-15.json").read_text()) == found
    assert (reports / "latest.html").read_text() == (reports / "model-2025-10-15.html").read_text()
    assert (found["test_frauds"], found["train_frauds_known"]) == (12, 24)
    scores = storage.read(spark, settings, "alerts.scores").toPandas()
    assert len(scores) == scores["event_id"].nunique() == 120
    assert set(scores["model_version"]) == {f"{found['promoted']}-2025-10-15"}
    assert str(scores["event_time"].min()) == "2025-10-14 00:00:00"
    assert artifact.load_model(settings.local_path("models") / f"{found['promoted']}-2025-10-15.skops")
    assert told[0].startswith("Reading 2025-10-09 to 2025-10-12")
