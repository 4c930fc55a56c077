from __future__ import annotations

from pathlib import Path

import pytest

from lake.errors import UsageError
from lake.settings import Settings
from risklake.demo import MARKER, _mark, _prepare
from risklake.streaming import strangers

GENERATED = {"generated": 1}


def file_in(settings: Settings, folder: str) -> Path:
    file = settings.local_path(folder, "something")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    return file


def test_a_lake_that_no_demo_made_is_refused_and_left_alone(settings: Settings) -> None:
    mine = file_in(settings, "bronze")
    with pytest.raises(UsageError, match=r"holds a lake that no demo made.*--lake DIR"):
        _prepare(settings, GENERATED)
    assert mine.exists()


def test_a_finished_demo_starts_anew_and_touches_only_folders_of_a_lake(settings: Settings) -> None:
    _prepare(settings, GENERATED)
    old, notes = file_in(settings, "silver"), file_in(settings, "my notes")
    _mark(settings, GENERATED, complete=True)
    _prepare(settings, GENERATED)
    assert not old.exists()
    assert notes.exists()


def test_a_demo_that_was_cut_off_goes_on_with_what_is_there(settings: Settings) -> None:
    _prepare(settings, GENERATED)
    landed = file_in(settings, "inbox")
    _prepare(settings, GENERATED)
    assert landed.exists()


def test_another_input_does_not_go_on_with_what_is_there(settings: Settings) -> None:
    _prepare(settings, GENERATED)
    landed = file_in(settings, "inbox")
    _prepare(settings, {"input": "cards"})
    assert not landed.exists()
    assert settings.local_path(MARKER).is_file()


def test_folders_and_files_that_no_stream_reads_are_named(settings: Settings) -> None:
    file_in(settings, "inbox/transactions")
    file_in(settings, "inbox/refunds")
    settings.local_path("inbox", "transactions", "day.jsonl").touch()
    settings.local_path("inbox", "transactions", ".day2.jsonl.part").touch()
    assert strangers(settings) == ["inbox/refunds", "inbox/transactions/something"]
