"""The benchmark of the time to an alert: what it reads from a lake."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.latency import alert_seconds, appended_files, percentiles

VISIBLE = datetime(2026, 1, 5, 10, tzinfo=UTC)


def table(lake: Path, name: str, commits: list[tuple[str, dict[str, list[Any]]]], at: float = 0.0) -> None:
    """A table of which each commit (operation, columns) adds one file; its commits are there so many seconds apart."""
    folder = lake.joinpath(*name.split("."))
    (folder / "_delta_log").mkdir(parents=True)
    for number, (operation, columns) in enumerate(commits):
        pq.write_table(pa.table(columns), folder / f"part {number}.parquet")
        actions = [{"commitInfo": {"operation": operation}}, {"add": {"path": f"part%20{number}.parquet"}}]
        log = folder / "_delta_log" / f"{number:020d}.json"
        log.write_text("\n".join(map(json.dumps, actions)), encoding="utf-8")
        os.utime(log, (VISIBLE.timestamp() + at + number,) * 2)


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    files = {"source_file": ["a.jsonl", "b.jsonl"], "file_modified_at": [VISIBLE, VISIBLE.replace(second=2)]}
    table(tmp_path, "bronze.transactions", [("WRITE", files)])
    silver = {"event_id": ["1", "2", "3"], "source_file": ["a.jsonl", "a.jsonl", "b.jsonl"]}
    table(tmp_path, "silver.transactions", [("WRITE", silver)])
    alerts = [("WRITE", {"event_id": ["1", "1"]}), ("MERGE", {"event_id": ["2"]}), ("WRITE", {"event_id": ["3"]})]
    table(tmp_path, "alerts.alerts", alerts, at=4.0)
    return tmp_path


def test_an_alert_takes_from_its_file_to_the_commit_that_appends_it(lake: Path) -> None:
    began = VISIBLE.timestamp()
    assert list(alert_seconds(lake)) == [(began + 4.0, 4.0), (began + 4.0, 4.0), (began + 6.0, 4.0)]


def test_a_file_that_is_gone_is_left_out(lake: Path) -> None:
    (lake / "alerts" / "alerts" / "part 0.parquet").unlink()
    assert [file.name for _, file in appended_files(lake / "alerts" / "alerts")] == ["part 2.parquet"]


def test_percentiles_are_of_the_values_themselves() -> None:
    assert percentiles([float(n) for n in range(101)]) == {50: 50.0, 90: 90.0, 95: 95.0, 99: 99.0}
