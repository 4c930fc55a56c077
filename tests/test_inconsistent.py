"""What is said and kept when a lake does not add up: a row of silver is written twice here, as a defect would."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from typer.testing import CliRunner

from lake import storage
from lake.catalog import INGESTION
from lake.errors import InconsistentError, MartsError
from lake.progress import Stages
from lake.settings import Settings
from risklake import cli
from risklake.marts import build_marts
from risklake.message import Message
from risklake.streaming import name_inconsistent
from spark_jobs import pipeline
from spark_jobs.reconciliation import close_run


def verdicts(spark: SparkSession, settings: Settings) -> dict[str, tuple[str, int]]:
    """What the last count has kept of each feed."""
    rows = storage.read(spark, settings, INGESTION.name).orderBy("measured_at").collect()
    return {row["feed"]: (row["verdict"], row["difference"]) for row in rows}


def test_a_row_too_many_is_kept_as_inconsistent_told_and_stops_what_depends_on_it(
    spark: SparkSession,
    settings: Settings,
    land: Callable[..., Path],
    transaction: Callable[..., str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    land([transaction(f"e{n}") for n in range(3)])
    pipeline.run(spark, settings, continuous=False)
    assert not close_run(spark, settings).has_difference
    assert verdicts(spark, settings)["transactions"] == ("Consistent", 0)

    name = "silver.transactions"
    twice = storage.read(spark, settings, name).where("event_id = 'e1'").localCheckpoint()
    storage.append(twice, settings, name)
    status, told = close_run(spark, settings), list[Message]()
    assert status.has_difference
    assert verdicts(spark, settings)["transactions"] == ("Inconsistent", -1)
    name_inconsistent(status, Stages(), told.append)
    said = capsys.readouterr().err
    assert "ALERT: transactions does not reconcile, by -1 lines" in said
    # The stream of features has not come to that row yet, so of them nothing is said.
    assert [(one.severity, one.title) for one in told] == [
        ("critical", "transactions does not reconcile, by -1"),
    ]  # fmt: skip

    with pytest.raises(MartsError, match="ingestion_is_consistent"):
        build_marts(spark, settings)
    monkeypatch.setattr(spark, "stop", lambda: None)
    monkeypatch.setattr(cli, "session_for", lambda *_: spark)
    for command in (["status"], ["stream", "--once"]):
        result = CliRunner().invoke(cli.app, [*command, "--lake", settings.lake_root])
        assert isinstance(result.exception, InconsistentError), result.output
        assert result.exception.exit_code == 7
