"""Rejected lines on their way back: listed, exported, mended, replayed once, and counted in their places throughout."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from lake import storage
from lake.errors import InputError, StreamError, UsageError
from lake.settings import Settings
from risklake.quarantine import LineId, entries, export, groups, raw_lines, replay, waiting
from spark_jobs import pipeline
from spark_jobs.reconciliation import measure_status
from tests.lines_of_feeds import line


@pytest.fixture
def quarantined(
    spark: SparkSession, settings: Settings, land: Callable[..., Path], transaction: Callable[..., str]
) -> Settings:
    """A lake with one accepted and three rejected transactions."""
    land(
        [
            transaction("good"),
            transaction("comma", amount="12,50", email="budi@mail.id"),
            transaction("both", amount="x", country="XX"),
            "no json",
        ],
        "a file's name.jsonl",
    )
    take(spark, settings)
    return settings


def take(spark: SparkSession, settings: Settings) -> None:
    pipeline.run(spark, settings, continuous=False, jobs=["bronze", "silver"])


def mended(file: Path) -> Path:
    """The exported file with every line mended that can be."""
    entries_ = [json.loads(text) for text in file.read_text(encoding="utf-8").splitlines()]
    for entry in entries_:
        if entry["line"].startswith("{"):
            entry["line"] = json.dumps(json.loads(entry["line"]) | {"amount": 12.5, "country": "ID"})
    file.write_text("".join(json.dumps(entry) + "\n" for entry in entries_), encoding="utf-8")
    return file


def test_lines_are_grouped_by_reason_and_shown_masked_and_raw(spark: SparkSession, quarantined: Settings) -> None:
    rows = entries(spark, quarantined)
    found = {(row["code"], row["field"]): (row["lines"], row["released"]) for row in groups(rows).collect()}
    assert found == {
        ("not_a_number", "amount"): (2, 0),
        ("unknown_country", "country"): (1, 0),
        ("malformed_json", None): (1, 0),
    }
    only = entries(spark, quarantined, feed="transactions", code="unknown_country")
    assert [(str(line_id), codes) for line_id, codes, _ in raw_lines(spark, quarantined, only)] == [
        ("transactions/a file's name.jsonl:3", ["not_a_number", "unknown_country"])
    ]
    assert not any("budi" in row["excerpt"] for row in rows.collect())
    assert any("budi@mail.id" in line for _, _, line in raw_lines(spark, quarantined, rows))


def test_a_mended_line_is_replayed_once_and_every_line_stays_counted(
    spark: SparkSession, quarantined: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "mend.jsonl"
    assert export(spark, quarantined, entries(spark, quarantined, code="not_a_number"), file) == 2
    first = replay(spark, quarantined, mended(file))
    assert (first.landed, first.released_before, len(first.files)) == (2, 0, 1)
    again = replay(spark, quarantined, file)
    assert (again.landed, again.released_before, again.files) == (0, 2, [])
    take(spark, quarantined)
    counts = measure_status(spark, quarantined, with_parity=False).feeds["transactions"]
    assert counts.is_consistent
    assert (counts.lines, counts.silver, counts.quarantined, counts.duplicates) == (6, 3, 3, 0)
    # What was released is not exported again.
    assert export(spark, quarantined, entries(spark, quarantined), file) == 1


def places(spark: SparkSession, settings: Settings) -> tuple[int, int, int, int]:
    """Lines of payments: accepted, in quarantine, duplicates, and those that wait."""
    counts = measure_status(spark, settings, with_parity=False).feeds["transactions"]
    assert counts.is_consistent, counts
    return counts.silver, counts.quarantined, counts.duplicates, counts.waiting


def test_an_orphan_is_mended_and_its_own_line_stays_where_it_is_whatever_comes(
    spark: SparkSession, settings: Settings, land: Callable[..., Path], tmp_path: Path
) -> None:
    settings, file = replace(settings, orphans="transactions=quarantine"), tmp_path / "mend.jsonl"
    land([line("users")], "u.jsonl", "users")
    land([line("merchants")], "m.jsonl", "merchants")
    wrong = line("transactions", user_id="typo")
    land([wrong], "a.jsonl")
    take(spark, settings)
    assert places(spark, settings) == (0, 1, 0, 0)
    assert export(spark, settings, entries(spark, settings, code="unknown_reference"), file) == 1
    file.write_text(file.read_text(encoding="utf-8").replace("typo", "u1"), encoding="utf-8")
    assert replay(spark, settings, file).landed == 1
    take(spark, settings)
    assert places(spark, settings) == (1, 1, 0, 0)
    # Who was meant by mistake comes after all, and so does the line.
    land([line("users", user_id="typo")], "u2.jsonl", "users")
    land([wrong], "b.jsonl")
    take(spark, settings)
    assert places(spark, settings) == (1, 2, 0, 0)
    [row] = storage.read(spark, settings, "silver.transactions").collect()
    assert row["user_id"] == "u1"


def test_an_orphan_whose_taking_up_was_cut_off_is_not_released_as_well(
    spark: SparkSession, settings: Settings, land: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, file = replace(settings, orphans="transactions=quarantine"), tmp_path / "mend.jsonl"
    land([line("merchants")], "m.jsonl", "merchants")
    land([line("transactions")], "a.jsonl")
    take(spark, settings)
    export(spark, settings, entries(spark, settings), file)

    def dies(*words: object, **more: object) -> None:
        raise RuntimeError("died")

    land([line("users")], "u.jsonl", "users")
    with monkeypatch.context() as patch:
        patch.setattr(storage, "delete_matching", dies)
        with pytest.raises(StreamError, match="died"):
            take(spark, settings)
    assert storage.read(spark, settings, "silver.transactions").count() == 1
    with pytest.raises(InputError, match=r"transactions/a.jsonl:1 is being accepted.*`risklake stream --once`"):
        replay(spark, settings, file)
    take(spark, settings)
    assert places(spark, settings) == (1, 0, 0, 0)
    with pytest.raises(InputError, match="is not in quarantine"):
        replay(spark, settings, file)


def test_lines_that_wait_are_listed_with_what_they_wait_for(
    spark: SparkSession, settings: Settings, land: Callable[..., Path]
) -> None:
    settings = replace(settings, orphans="transactions=wait, orders=wait")
    land([line("users")], "u.jsonl", "users")
    land([line("merchants")], "m.jsonl", "merchants")
    land([line("transactions"), line("transactions", event_id="t2", user_id="u2")], "a.jsonl")
    land([line("orders", user_id="u3")], "o.jsonl", "orders")
    take(spark, settings)
    [found] = waiting(spark, settings, feed="transactions").collect()
    assert (found["event_key"], [tuple(one) for one in found["missing"]]) == ("t2", [("user_id", "u2")])
    assert sorted(row["event_key"] for row in waiting(spark, settings).collect()) == ["o1", "t2"]


def test_a_replay_that_was_cut_off_before_its_note_is_undone_and_after_it_finished(
    spark: SparkSession, quarantined: Settings, tmp_path: Path
) -> None:
    file, inbox = tmp_path / "mend.jsonl", quarantined.local_path("inbox", "transactions")
    export(spark, quarantined, entries(spark, quarantined, code="not_a_number"), file)
    (inbox / ".replayed-0123456789abcdef.jsonl.staged").write_text("of a replay that was killed before its note\n")
    [name] = replay(spark, quarantined, mended(file)).files
    assert list(inbox.glob(".replayed*")) == []
    # As after a kill between the note and the showing.
    landed = quarantined.local_path("inbox") / name
    landed.rename(landed.with_name(f".{landed.name}.staged"))
    assert replay(spark, quarantined, file).landed == 0
    assert landed.exists()


def test_a_file_of_another_form_or_of_unknown_lines_is_refused_and_nothing_is_landed(
    spark: SparkSession, quarantined: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "mend.jsonl"
    for text, words in (
        ('{"line": "x"}', "mend.jsonl, line 1: each line must be"),
        ("not json", "mend.jsonl, line 1: each line must be"),
        ('{"id": "transactions/a file\'s name.jsonl:3", "line": "two\\nlines"}', "must be the text of one line"),
        ('{"id": "transactions/other.jsonl:1", "line": "x"}', "transactions/other.jsonl:1 is not in quarantine"),
    ):
        file.write_text(text + "\n", encoding="utf-8")
        with pytest.raises(InputError, match=words):
            replay(spark, quarantined, file)
    file.write_bytes('{"id": "transactions/a.jsonl:1", "line": "ü"}'.encode("latin-1"))
    with pytest.raises(InputError, match=r"mend.jsonl is no text in UTF-8 \(byte 43\)"):
        replay(spark, quarantined, file)
    with pytest.raises(UsageError, match="There is no file"):
        replay(spark, quarantined, tmp_path / "nowhere.jsonl")
    assert not storage.exists(spark, quarantined, "monitoring.releases")


@pytest.mark.parametrize("text", ["", "a.jsonl:1", "transactions/a.jsonl", "transactions/a.jsonl:x", "fax/a.jsonl:1"])
def test_a_line_id_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="write feed/file:number"):
        LineId.parse(text)


def test_a_line_id_may_hold_colons_and_slashes_in_its_file() -> None:
    assert LineId.parse("users/a:b/c.csv:12") == LineId("users", "a:b/c.csv", 12)
