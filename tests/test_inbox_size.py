"""Many small files and a great one, on a small scale; `python -m benchmarks.inbox_size` is the long run."""

from __future__ import annotations

import pytest
from pyspark.sql import SparkSession

from benchmarks.drain import drain
from benchmarks.inbox_size import main, write_great_file, write_small_files
from lake.errors import UsageError
from lake.settings import Settings


def test_every_line_of_small_files_and_of_a_great_one_stands_in_one_place(
    spark: SparkSession, settings: Settings
) -> None:
    write_small_files(settings, files=40)
    write_great_file(settings, size_bytes=300_000)
    great = settings.local_path("inbox", "transactions") / "great.jsonl"
    assert great.stat().st_size >= 300_000
    lines = great.read_bytes().count(b"\n")
    outcome = drain(settings, spark)
    assert (outcome.files, outcome.lines) == (41, lines + 40)
    # Both begin with the same payments.
    assert (outcome.silver, outcome.duplicates, outcome.quarantined) == (lines, 40, 0)
    assert outcome.peak_mib > 100


def test_it_must_be_said_which_input_is_wanted() -> None:
    with pytest.raises(UsageError, match="either --files"):
        main(files=0, gigabytes=0)
    with pytest.raises(UsageError, match="either --files"):
        main(files=1, gigabytes=1)
