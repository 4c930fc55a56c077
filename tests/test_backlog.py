from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lake.settings import Settings
from lake.storage import as_glob
from spark_jobs.backlog import Backlog, Backlogs, reported

UNKNOWN = Backlog()


def progress(source: dict[str, Any], query: str = "bronze_transactions") -> dict[str, Any]:
    return {"name": query, "runId": "r1", "sources": [source]}


def delta(table: Path, version: int, index: int = -1, *, starting: bool = False) -> dict[str, Any]:
    end = {"sourceVersion": 1, "reservoirVersion": version, "index": index, "isStartingVersion": starting}
    return progress({"description": f"DeltaSource[file:{table}]", "endOffset": end, "latestOffset": None})


def files(folder: Path, log_offset: int) -> dict[str, Any]:
    return progress({"description": f"FileStreamSource[file:{folder}]", "endOffset": {"logOffset": log_offset}})


def commit(table: Path, version: int, *actions: dict[str, Any]) -> None:
    log = table / "_delta_log"
    log.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"commitInfo": {}}, separators=(",", ":"))]
    lines += [json.dumps(action, separators=(",", ":"), ensure_ascii=False) for action in actions]
    (log / f"{version:020d}.json").write_text("\n".join(lines) + "\n", encoding="utf-8")


def add(size: int, **more: Any) -> dict[str, Any]:
    return {"add": {"path": "x.parquet", "size": size, "dataChange": True} | more}


def taken(settings: Settings, entry: str, *names: str) -> None:
    log = settings.local_path("checkpoints", "bronze_transactions", "sources", "0", entry)
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(
        "\n".join(["v1", *(json.dumps({"path": f"file:///lake/inbox/transactions/{name}"}) for name in names)])
    )


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A log whose first commit made the table."""
    folder = tmp_path / "a table"
    commit(folder, 0)
    return folder


@pytest.fixture
def inbox(settings: Settings) -> Path:
    folder = settings.local_path("inbox", "transactions")
    folder.mkdir(parents=True)
    return folder


def test_what_a_table_got_after_the_batch_waits(table: Path, settings: Settings) -> None:
    commit(table, 1, add(10))
    backlogs = Backlogs(settings)
    assert backlogs.after(delta(table, 2)) == Backlog(0, 0, 0)
    commit(table, 2, add(20), add(30, stats='{"minValues":{"line":"two\u2028lines"}}'))
    commit(table, 3, add(40))
    assert backlogs.after(delta(table, 2)) == Backlog(None, 3, 90)
    assert backlogs.after(delta(table, 2, index=0)) == Backlog(None, 2, 70)
    assert backlogs.after(delta(table, 3)) == Backlog(None, 1, 40)
    assert backlogs.after(delta(table, 4)) == Backlog(0, 0, 0)


def test_rows_are_known_where_every_file_tells_its_own(table: Path, settings: Settings) -> None:
    commit(table, 1, add(10, stats='{"numRecords":4}'), add(20, stats='{"numRecords":5}'))
    assert Backlogs(settings).after(delta(table, 1)) == Backlog(9, 2, 30)


def test_commits_that_change_rows_are_passed_over_like_the_stream_does(table: Path, settings: Settings) -> None:
    commit(table, 1, add(10, stats='{"numRecords":4}'), {"remove": {"path": "old.parquet", "dataChange": True}})
    assert Backlogs(settings).after(delta(table, 1)) == Backlog(0, 0, 0)


def test_changes_count_instead_of_rewritten_files_and_compaction_does_not_count(
    table: Path, settings: Settings
) -> None:
    commit(table, 1, add(100), {"cdc": {"path": "c.parquet", "size": 7}}, {"remove": {"path": "old.parquet"}})
    commit(table, 2, add(900, dataChange=False))
    assert Backlogs(settings).after(delta(table, 1)) == Backlog(None, 1, 7)


def test_within_its_first_snapshot_a_stream_does_not_know_what_waits(table: Path, settings: Settings) -> None:
    commit(table, 1, add(10))
    assert Backlogs(settings).after(delta(table, 1, 5, starting=True)) == UNKNOWN


def test_files_of_the_inbox_that_were_not_taken_wait(inbox: Path, settings: Settings) -> None:
    for name in ("a.jsonl", "ünd so.jsonl", "c.jsonl", ".hidden.jsonl", "notes.txt"):
        (inbox / name).write_text("12345")
    taken(settings, "0", "a.jsonl")
    backlogs = Backlogs(settings)
    assert backlogs.after(files(inbox, 0)) == Backlog(None, 2, 10)
    taken(settings, "1", "%C3%BCnd%20so.jsonl")
    taken(settings, "2", "c.jsonl")
    assert backlogs.after(files(inbox, 1)) == Backlog(None, 1, 5)
    assert backlogs.after(files(inbox, 2)) == Backlog(None, 0, 0)


def test_the_folders_of_all_feeds_are_looked_at_together(tmp_path: Path) -> None:
    odd = Settings(lake_root=str(tmp_path / "a [lake]"))
    for feed in ("transactions", "users"):
        folder = odd.local_path("inbox", feed)
        folder.mkdir(parents=True)
        (folder / "a.jsonl").write_text("12345")
    taken(odd, "0", "a.jsonl")
    pattern = as_glob(odd.path("inbox")) + "/{transactions,users,orders}"
    assert Backlogs(odd).after(files(Path(pattern), 0)) == Backlog(None, 1, 5)


def test_an_entry_that_holds_all_before_it_stands_for_them(inbox: Path, settings: Settings) -> None:
    for name in ("a.jsonl", "b.jsonl", "c.jsonl"):
        (inbox / name).write_text("12345")
    taken(settings, "9.compact", "a.jsonl", "b.jsonl")
    assert Backlogs(settings).after(files(inbox, 9)) == Backlog(None, 1, 5)


def test_what_cannot_be_read_is_not_known(tmp_path: Path, settings: Settings, inbox: Path, table: Path) -> None:
    backlogs = Backlogs(settings)
    assert backlogs.after(files(tmp_path / "gone", 0)) == UNKNOWN
    assert backlogs.after(progress({"description": "FileStreamSource[s3a://bucket/inbox]", "endOffset": {}})) == UNKNOWN
    assert backlogs.after(delta(tmp_path / "gone", 1) | {"runId": "r3"}) == UNKNOWN
    assert backlogs.after(progress({"description": None, "endOffset": None})) == UNKNOWN
    assert backlogs.after({"name": None, "runId": "r1", "sources": []}) == UNKNOWN
    (table / "_delta_log" / f"{1:020d}.json").write_text('{"add":{"pa')
    assert backlogs.after(delta(table, 1) | {"runId": "r2"}) == UNKNOWN


def test_a_source_that_reports_is_believed() -> None:
    told = {"numFilesOutstanding": "3", "numBytesOutstanding": "1.5E3"}
    assert reported({"metrics": told}) == Backlog(None, 3, 1500)
    kafka = {"endOffset": {"payments": {"0": 10, "1": 5}}, "latestOffset": {"payments": {"0": 12, "1": 5, "2": 4}}}
    assert reported(kafka) == Backlog(6, None, None)
    assert reported({"endOffset": {"logOffset": 3}, "latestOffset": None}) == UNKNOWN
    assert reported({"endOffset": 51, "latestOffset": 53, "metrics": None}) == UNKNOWN
