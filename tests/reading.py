"""Reads one file as the stream does, without Spark."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from spark_jobs.line_reader import OUTPUT, reader_of

CSV_FEEDS = frozenset({"users"})


class Row(NamedTuple):
    """What most tests look at."""

    number: int
    line: bytes | None
    error: str | None = None


def listing(path: Path, *, size: int | None = None, modified_us: int | None = None) -> pa.RecordBatch:
    """The file as Spark's file source lists it now, or otherwise where that is named."""
    if os.path.lexists(path):
        state = os.lstat(path)
        size = state.st_size if size is None else size
        modified_us = state.st_mtime_ns // 1_000_000 * 1000 if modified_us is None else modified_us
    return pa.RecordBatch.from_arrays(
        [
            pa.array([f"file:{path}"]),
            pa.array([modified_us], pa.int64()).cast(pa.timestamp("us", tz="UTC")),
            pa.array([size], pa.int64()),
        ],
        names=["path", "modificationTime", "length"],
    )


def rows(path: Path, **listed: int) -> list[Row]:
    """The rows of a file; the folder `users` takes CSV."""
    return [row for row, _ in rows_and_headers(path, **listed)]


def rows_and_headers(path: Path, **listed: int) -> list[tuple[Row, bytes | None]]:
    """The rows of a file, each with the header that goes with it."""
    table = pa.Table.from_batches(reader_of(CSV_FEEDS)([listing(path, **listed)]))
    assert table.column_names == OUTPUT.names
    assert set(table["source_file"].to_pylist()) == {path.name}
    assert set(table["feed"].to_pylist()) == {path.parent.name}
    columns = [table["line_number"], table["line"].cast(pa.binary()), table["read_error"]]
    values = zip(*(column.to_pylist() for column in columns), strict=True)
    return list(zip((Row(*value) for value in values), table["header"].cast(pa.binary()).to_pylist(), strict=True))
