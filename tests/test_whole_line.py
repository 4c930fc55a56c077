"""The whole line on one generated lake, from files to the report: what it shows, what it catches, what it hides."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from pyspark.sql import SparkSession

from generator.write import generate
from lake import storage
from lake.catalog import ALERTS
from lake.inbox import land_lines
from lake.settings import Settings, load_settings
from ml import train
from risklake.detection import measure_detection
from risklake.dispositions import close
from risklake.explain import explain
from risklake.explain_page import page
from risklake.marts import build_marts
from spark_jobs import pipeline
from spark_jobs.reconciliation import close_run
from tests import planted

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"


def test_notebooks_are_kept_without_outputs() -> None:
    for file in NOTEBOOKS.glob("*.ipynb"):
        for cell in json.loads(file.read_text(encoding="utf-8"))["cells"]:
            assert cell.get("outputs", []) == []
            assert cell.get("execution_count") is None


@dataclass(frozen=True)
class Whole:
    """A lake through which the whole line has gone, its frauds by scenario, and the report of its model."""

    settings: Settings
    frauds: Mapping[str, int]
    report: dict[str, Any]


@pytest.fixture(scope="module")
def whole(spark: SparkSession, empty_tables: Path, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """Generated payments, and lines of every feed in which a person is planted."""
    root = tmp_path_factory.mktemp("whole") / "lake"
    shutil.copytree(empty_tables, root)
    settings = load_settings({"lake_root": str(root)}, environment={})
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
    for (feed, name), lines in planted.FILES.items():
        land_lines(lines, settings.local_path("inbox", feed), name)
    pipeline.run(spark, settings, continuous=False)
    assert close_run(spark, settings, with_parity=True).is_consistent
    close(spark, settings, "planted3", "fraud", f"{planted.EMAIL} did not pick up {planted.PHONE}")
    build_marts(spark, settings)
    return Whole(settings, made.frauds, train.run(spark, settings))


@pytest.mark.end_to_end
def test_the_notebook_follows_a_transaction_through_a_generated_lake(
    whole: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKE_ROOT", whole.settings.lake_root)
    notebook = nbformat.read(NOTEBOOKS / "follow_a_transaction.ipynb", as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(NOTEBOOKS)}}).execute()
    printed = "".join(str(cell.get("outputs", "")) for cell in notebook.cells)
    assert "transactions-" in printed
    assert "base rate" in printed


@pytest.mark.end_to_end
def test_what_is_caught_is_held_against_the_truth_that_only_this_looks_at(spark: SparkSession, whole: Whole) -> None:
    assert set(whole.report["models"]) >= {"amount_and_time", "velocity_rule"}
    found = measure_detection(spark, whole.settings)
    assert found.missing == 0
    assert {row.scenario: row.transactions for row in found.scenarios[:-1]} == {
        name: count for name, count in whole.frauds.items() if count
    }
    by_name = {row.scenario: row for row in found.scenarios}
    assert by_name["card_testing"].by_rule["velocity_5m"] > by_name["card_testing"].transactions / 2
    assert by_name["impossible_travel"].by_rule["country_hop_1h"] > by_name["impossible_travel"].transactions / 2
    assert by_name[""].by_any_rule < by_name[""].transactions / 10


@pytest.mark.end_to_end
def test_what_tells_a_person_stands_in_no_table_log_report_or_checkpoint_but_in_bronze(
    spark: SparkSession, whole: Whole
) -> None:
    lake = whole.settings.local_path()
    for name in ("silver", "features", "alerts", "marts", "monitoring", "reports", "logs", "checkpoints"):
        assert any(lake.joinpath(name).iterdir()), name
    told = {trace for traces in planted.traces_under(lake / "bronze").values() for trace in traces}
    assert told == set(planted.TRACES), "the search finds what is there"
    assert planted.traces_under(lake, but=(*planted.RAW, "truth")) == {}
    flagged = {row["event_id"] for row in storage.read(spark, whole.settings, ALERTS.name).collect()}
    assert "planted3" in flagged


@pytest.mark.end_to_end
@pytest.mark.parametrize("asked", ["planted3", "planted4", "planted5", "transactions/planted.jsonl:9"])
def test_an_explanation_tells_no_person(spark: SparkSession, whole: Whole, asked: str) -> None:
    found = explain(spark, whole.settings, asked)
    assert found.lines[0]["text"]
    assert planted.traces_in(page(found)) == []
