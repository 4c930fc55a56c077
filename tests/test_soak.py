"""The soak: its figures, and a minute of it; `python -m benchmarks.soak` is the long one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from benchmarks.soak.commits import Commit, CommitLog, appended
from benchmarks.soak.flatness import by_quarter, course, tail
from benchmarks.soak.rules import write_rules
from benchmarks.soak.run import soak
from lake.settings import load_settings
from spark_jobs import pipeline
from spark_jobs.reconciliation import close_run
from spark_jobs.rules.files import SHIPPED, read_rules

ADDED = {"numRecords": 3, "minValues": {"arrived_at": "2026-01-05T10:00:00.500Z"}}


def commit_text(operation: str, *stats: dict[str, object]) -> str:
    info = {"commitInfo": {"operation": operation, "timestamp": 1_767_607_203_000}}
    return "\n".join(json.dumps(action) for action in (info, *({"add": {"stats": json.dumps(s)}} for s in stats)))


def test_a_commit_tells_how_long_its_oldest_line_took() -> None:
    later = {"numRecords": 2, "minValues": {"arrived_at": "2026-01-05T10:00:02Z"}}
    assert list(appended(commit_text("WRITE", ADDED, later), "arrived_at")) == [Commit(1_767_607_203.0, 5, 2.5)]


@pytest.mark.parametrize("text", [commit_text("OPTIMIZE", ADDED), commit_text("WRITE"), commit_text("CREATE TABLE")])
def test_commits_that_append_nothing_have_no_latency(text: str) -> None:
    assert list(appended(text, "arrived_at")) == []


def test_a_log_gives_each_commit_once(tmp_path: Path) -> None:
    log = tmp_path / "_delta_log"
    log.mkdir()
    (log / f"{0:020d}.json").write_text(commit_text("WRITE", ADDED))
    commits = CommitLog(tmp_path, "arrived_at")
    assert len(commits.new()) == 1
    assert commits.new() == []
    (log / f"{1:020d}.json").write_text(commit_text("WRITE", ADDED))
    assert len(commits.new()) == 1


def test_points_fall_into_the_quarters_of_a_run() -> None:
    points = [(float(at), float(at)) for at in range(-1, 9)]
    assert by_quarter(points, 0, 8) == [[0, 1], [2, 3], [4, 5], [6, 7]]


def test_the_last_quarter_is_held_against_the_second() -> None:
    level, growing = [[9.0], [10.0], [11.0], [12.4]], [[9.0], [10.0], [11.0], [12.6]]
    assert course("memory", "MiB", level, growth=1.25).is_flat
    assert not course("memory", "MiB", growing, growth=1.25).is_flat
    assert course("memory", "MiB", growing, growth=1.25, slack=0.1).is_flat


def test_one_slow_batch_in_twenty_shows_in_the_tail_only() -> None:
    slow = [[1.0] * 20] * 3 + [[1.0] * 17 + [9.0] * 3]
    assert course("latency", "s", slow, growth=1.25).is_flat
    assert not tail("latency", "s", slow, growth=1.25).is_flat


def test_the_rules_of_the_soak_are_the_shipped_ones_with_other_bounds(tmp_path: Path) -> None:
    folder = write_rules(tmp_path / "rules")
    ours, shipped = read_rules(sorted(folder.glob("*.yml"))), read_rules(sorted(SHIPPED.glob("*.yml")))
    assert list(ours.named) == list(shipped.named)
    changed = {name for name, rule in ours.named.items() if rule != shipped.named[name]}
    assert changed == {
        "velocity_5m", "velocity_merchants_5m", "velocity_countries_5m", "night_spree", "equal_orders_of_many_users",
    }  # fmt: skip


@pytest.mark.end_to_end
def test_steady_load_ends_with_every_line_in_its_place(spark: SparkSession, tmp_path: Path) -> None:
    looks: list[float] = []
    observed = soak(
        tmp_path / "lake", tmp_path / "said", rate=10, seconds=20, upkeep_minutes=60, every=5,
        report=lambda done, seen: looks.append(seen.memory_mib), feeds="transactions",
    )  # fmt: skip
    assert all(observed.commits.values())
    assert min(looks) > 100
    assert observed.samples[-1].taken_files > 0
    said = (tmp_path / "said" / "stream.log").read_text(encoding="utf-8")
    assert "inconsistent" not in said
    assert "ALERT" not in said
    # What came after the stream's last micro-batches is taken here; the long run does so by another command.
    lake = load_settings({"lake_root": str(tmp_path / "lake")}, environment={})
    pipeline.run(spark, lake, continuous=False)
    status = close_run(spark, lake)
    assert status.is_consistent, status.as_dict()
    assert status.feeds["transactions"].lines > 200
