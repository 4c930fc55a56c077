"""`risklake features` as its user meets it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from typer.testing import CliRunner

from lake import storage
from lake.errors import InconsistentError
from lake.monitoring_tables import FEATURE_PARITY
from lake.settings import Settings
from lake.transaction_features import FEATURES
from risklake import features_command
from risklake.cli import app
from spark_jobs import pipeline


def test_features_are_listed_with_what_they_mean() -> None:
    listed = json.loads(CliRunner().invoke(app, ["features", "list", "--json"]).output)
    assert [one["feature"] for one in listed] == [feature.name for feature in FEATURES]
    assert all(one["meaning"] and one["unit"] for one in listed)
    shown = CliRunner().invoke(app, ["features", "list", "orders"], env={"COLUMNS": "200"}).output
    assert "same_product_streak" in shown
    assert CliRunner().invoke(app, ["features", "list", "cats"]).exit_code != 0


def test_parity_is_kept_and_a_feature_that_differs_ends_with_an_error(
    spark: SparkSession,
    settings: Settings,
    land: Callable[..., Path],
    transaction: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    land([transaction(f"e{n}", event_time=f"2026-01-05T10:0{n}:00Z") for n in range(4)])
    pipeline.run(spark, settings, continuous=False, jobs=("bronze", "silver", "features"))
    monkeypatch.setattr(spark, "stop", lambda: None)
    monkeypatch.setattr(features_command, "session_for", lambda *_: spark)
    command = ["features", "parity", "--lake", settings.lake_root]
    result = CliRunner().invoke(app, [*command, "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["user_5m"] == {"compared": 4, "differing": 0}

    spark.sql(f"update delta.`{settings.table_path('features.user_5m')}` set txn_count_5m = 9 where event_id = 'e1'")
    result = CliRunner().invoke(app, command)
    assert isinstance(result.exception, InconsistentError)
    assert result.exception.exit_code == 7
    assert "features.user_5m: 4 compared, 1 differing" in result.output
    kept = storage.read(spark, settings, FEATURE_PARITY.name).orderBy("measured_at").collect()
    assert [(row["compared"], row["differing"]) for row in kept] == [(4, 0), (4, 1)]
