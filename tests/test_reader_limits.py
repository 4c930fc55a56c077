"""What one file may cost: memory, time and rows."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lake.inbox import BOMB_BYTES, BOMB_LINES, count_lines
from spark_jobs.read_errors import LINE_TOO_LONG, TOO_MANY_BYTES, TOO_MANY_LINES
from tests.reading import Row, rows

MIB = 1 << 20

# Reads a file as the stream does, counts it apart, and says what that needed beyond what was needed before. (The peak
# that `getrusage` knows begins with that of the program which started this one.)
_MEASURE = """
import json, sys, time
from pathlib import Path
from lake.inbox import count_lines
from spark_jobs.line_reader import reader_of
from tests.reading import CSV_FEEDS, listing
def peak_kib():
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
small, path = map(Path, sys.argv[1:])
list(reader_of(CSV_FEEDS)([listing(small)]))
Path("/proc/self/clear_refs").write_text("5")
before, began = peak_kib(), time.monotonic()
rows, errors = 0, []
for batch in reader_of(CSV_FEEDS)([listing(path)]):
    rows += batch.num_rows
    errors += filter(None, batch.column("read_error").to_pylist())
counted = count_lines(path, csv_allowed=True)
print(json.dumps({"rows": rows, "counted": counted, "errors": errors, "grown_mib": (peak_kib() - before) / 1024,
                  "seconds": time.monotonic() - began}))
"""


def measured(path: Path) -> dict[str, Any]:
    small = path.with_name("small.jsonl")
    small.write_bytes(b"a\n")
    command = [sys.executable, "-c", _MEASURE, str(small), str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parent.parent)
    return dict(json.loads(done.stdout))


def hole(path: Path, size: int) -> None:
    """One line of zeros, and a short one."""
    with path.open("wb") as file:
        file.truncate(size)
        file.seek(size)
        file.write(b"\nlast\n")


def joined(block: bytes, count: int) -> Callable[[Path], None]:
    """A gzip file of the same block many times."""
    return lambda path: (path.write_bytes(gzip.compress(block, 9, mtime=0) * count), None)[1]


def quoted(path: Path) -> None:
    """A record of CSV that is not closed, with millions of newlines."""
    path.write_bytes(b'a\n"' + b"\n" * (50 * MIB))


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells a program's peak from now on")
@pytest.mark.parametrize(
    ("name", "make", "expected", "errors"),
    [
        ("f.jsonl", lambda path: hole(path, 50 * MIB), 2, [LINE_TOO_LONG]),
        ("f.jsonl", lambda path: hole(path, 200 * MIB), 2, [LINE_TOO_LONG]),
        ("f.csv", lambda path: hole(path, 200 * MIB), 1, ["The header is longer than 16 KiB"]),
        ("f.csv", quoted, 1, [LINE_TOO_LONG]),
        ("f.jsonl.gz", joined(bytes(64 * MIB), 16), 2, [LINE_TOO_LONG, TOO_MANY_BYTES]),
        ("f.jsonl.gz", joined(b"\n" * MIB, 300), BOMB_LINES + 1, [TOO_MANY_LINES]),
        ("f.csv.gz", joined(b"{}\n" * MIB, 100), BOMB_LINES, [TOO_MANY_LINES]),
    ],
    ids=[
        "50 MB",
        "200 MB",
        "a header of 200 MB",
        "quoted newlines",
        "1 GB of zeros",
        "300 million newlines",
        "short lines",
    ],
)
def test_no_file_needs_much_memory_time_or_rows(
    name: str, make: Callable[[Path], None], expected: int, errors: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "users" / name
    path.parent.mkdir()
    make(path)
    found = measured(path)
    assert (found["rows"], found["counted"], found["errors"]) == (expected, expected, errors)
    assert found["grown_mib"] < 200
    assert found["seconds"] < 60


def test_content_that_packs_well_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "f.jsonl.gz"
    joined(bytes(16 * MIB - 1) + b"\n", BOMB_BYTES // (16 * MIB))(path)
    assert {row.error for row in rows(path)} == {None}
    joined(b"\n" * 1000, BOMB_LINES // 1000)(path)
    assert count_lines(path) == BOMB_LINES


def test_reading_ends_with_the_last_byte_and_line_that_are_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f.jsonl.gz"
    stored = gzip.compress(b"ab\n" * 2000, mtime=0)
    path.write_bytes(stored)
    for module in ("lake.inbox", "spark_jobs.file_content"):
        monkeypatch.setattr(f"{module}.BOMB_BYTES", 100)
        monkeypatch.setattr(f"{module}.BOMB_RATIO", 1)
        monkeypatch.setattr(f"{module}.BOMB_LINES", 3000)
    most = max(100, len(stored))
    found = rows(path)
    assert b"\n".join(row.line or b"" for row in found[:-1]) == (b"ab\n" * 2000)[:most].rstrip(b"\n")
    assert found[-1] == Row(0, None, TOO_MANY_BYTES)
    assert count_lines(path) == len(found)
    for module in ("lake.inbox", "spark_jobs.file_content"):
        monkeypatch.setattr(f"{module}.BOMB_BYTES", 6000)
        monkeypatch.setattr(f"{module}.BOMB_LINES", 2)
    found = rows(path)
    assert len(found) == count_lines(path) == max(2, len(stored)) + 1
    assert found[-1] == Row(0, None, TOO_MANY_LINES)
