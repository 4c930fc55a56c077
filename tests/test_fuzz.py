"""Damaged lines and files, a few of them; `python -m benchmarks.fuzz` is the long run."""

from __future__ import annotations

import random

from pyspark.sql import SparkSession

from benchmarks.drain import drain
from benchmarks.fuzz import damaged_file, damaged_line, write_inbox
from lake.settings import Settings


def test_damage_is_done_by_its_seed_and_leaves_one_line() -> None:
    line = b'{"event_id":"e1","amount":10.5}'
    made = [damaged_line(line, random.Random(seed)) for seed in range(300)]
    assert made == [damaged_line(line, random.Random(seed)) for seed in range(300)]
    assert len(set(made)) > 200
    assert not any(b"\n" in text for text in made)
    assert damaged_file(b"", random.Random(1)) == b""


def test_every_damaged_line_stands_in_one_place_and_stops_nothing(spark: SparkSession, settings: Settings) -> None:
    write_inbox(settings, lines=900, files=30, seed=3)
    outcome = drain(settings, spark)
    assert outcome.is_consistent
    assert outcome.silver + outcome.quarantined + outcome.duplicates == outcome.lines
    assert min(outcome.silver, outcome.quarantined, outcome.duplicates) > 0
