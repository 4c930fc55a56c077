from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from pyspark.sql import SparkSession

from generator.write import generate
from lake.settings import Settings
from ml import train
from risklake.detection import measure_detection
from risklake.marts import build_marts
from spark_jobs import pipeline

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"


def test_notebooks_are_kept_without_outputs() -> None:
    for file in NOTEBOOKS.glob("*.ipynb"):
        for cell in json.loads(file.read_text(encoding="utf-8"))["cells"]:
            assert cell.get("outputs", []) == []
            assert cell.get("execution_count") is None


@pytest.mark.end_to_end
def test_the_notebook_follows_a_transaction_through_a_generated_lake(
    spark: SparkSession, settings: Settings, monkeypatch: pytest.MonkeyPatch, land: Callable[..., Path]
) -> None:
    made = generate(
        settings.local_path("inbox"),
        rows=6000,
        days=24,
        users=80,
        merchants=40,
        seed=7,
        feeds=["transactions", "disputes"],
        chaos={"late": 0.01},
    )
    pipeline.run(spark, settings, continuous=False)
    build_marts(spark, settings)
    report = train.run(spark, settings)
    assert set(report["models"]) >= {"amount_and_time", "velocity_rule"}
    monkeypatch.setenv("LAKE_ROOT", settings.lake_root)
    notebook = nbformat.read(NOTEBOOKS / "follow_a_transaction.ipynb", as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(NOTEBOOKS)}}).execute()
    printed = "".join(str(cell.get("outputs", "")) for cell in notebook.cells)
    assert "transactions-" in printed
    assert "base rate" in printed
    # The same run of the whole line, against the truth that only this looks at.
    found = measure_detection(spark, settings)
    assert found.missing == 0
    assert {row.scenario: row.transactions for row in found.scenarios[:-1]} == {
        name: count for name, count in made.frauds.items() if count
    }
    by_name = {row.scenario: row for row in found.scenarios}
    assert by_name["card_testing"].by_rule["velocity_5m"] > by_name["card_testing"].transactions / 2
    assert by_name["impossible_travel"].by_rule["country_hop_1h"] > by_name["impossible_travel"].transactions / 2
    assert by_name[""].by_any_rule < by_name[""].transactions / 10
