"""The benchmark of what micro-batches cost: what it reads from a lake."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.micro_batches import STAGES, numbers, seconds_by_query


def test_the_latest_micro_batch_of_each_stage_is_the_one_with_the_greatest_number(tmp_path: Path) -> None:
    for number in (9, 10):
        file = tmp_path / "checkpoints" / "bronze" / "commits" / str(number)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    assert numbers(tmp_path) == dict.fromkeys(STAGES, -1) | {"bronze": 10}


def test_only_micro_batches_with_rows_after_the_warm_ones_count(tmp_path: Path) -> None:
    streams = {
        "query": ["bronze", "bronze", "bronze", "bronze", "alerts_cases"],
        "batch_id": [3, 4, 5, None, 0],
        "input_rows": [1, 1, 0, 0, 7],
        "add_batch_ms": [9000, 1500, 20, None, 2500],
    }
    folder = tmp_path / "monitoring" / "streams" / "date=2026-01-05"
    folder.mkdir(parents=True)
    pq.write_table(pa.table(streams), folder / "part.parquet")
    assert seconds_by_query(tmp_path, {"bronze": 3}) == {"bronze": [1.5], "alerts_cases": [2.5]}
