from __future__ import annotations

import gzip
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.inbox import KEPT_BYTES, MAX_LINE_BYTES, count_lines
from spark_jobs.line_reader import reader_of
from spark_jobs.read_errors import CHANGED, EMPTY_FILE, LINE_TOO_LONG, LINK, NOT_A_FILE, VANISHED
from tests.reading import Row, listing, rows

Stored = Callable[..., Path]

# The first example waits for imports.
unhurried = settings(deadline=None)


@pytest.fixture
def stored(tmp_path: Path) -> Stored:
    """Puts bytes into a file of the folder `transactions`, or of another."""

    def put(content: bytes, name: str = "f.jsonl", feed: str = "transactions") -> Path:
        path = tmp_path / feed / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        return path

    return put


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the many files of one property."""
    return tmp_path_factory.mktemp("transactions")


def lines_of(content: bytes) -> list[bytes]:
    """Lines as a person counts them: newline ends one, and a last one needs none."""
    lines = content.split(b"\n")
    return lines[:-1] if lines[-1] == b"" else lines


@unhurried
@given(content=st.binary(max_size=200))
def test_every_line_comes_back_unchanged_and_numbered_from_one(content: bytes, scratch: Path) -> None:
    path = scratch / "f.jsonl"
    path.write_bytes(content)
    if not content:
        assert rows(path) == [Row(0, None, EMPTY_FILE)]
    else:
        assert rows(path) == [Row(n, line) for n, line in enumerate(lines_of(content), start=1)]


@unhurried
@given(content=st.binary(min_size=1, max_size=200))
def test_a_gzip_file_reads_as_what_it_packs(content: bytes, scratch: Path) -> None:
    plain, packed = scratch / "f.jsonl", scratch / "f.jsonl.gz"
    plain.write_bytes(content)
    packed.write_bytes(gzip.compress(content))
    assert rows(packed) == rows(plain)


def test_a_thousand_packed_files_joined_together_read_as_one(stored: Stored) -> None:
    joined = b"".join(gzip.compress(b"line %d\n" % n) for n in range(1000))
    found = rows(stored(joined, "f.jsonl.gz"))
    assert found == [Row(n + 1, b"line %d" % n) for n in range(1000)]


def test_a_line_longer_than_a_block_stays_whole(stored: Stored) -> None:
    long = b"x" * (3 << 20)
    assert rows(stored(b"a\n" + long + b"\nb")) == [Row(1, b"a"), Row(2, long), Row(3, b"b")]


@pytest.mark.parametrize("line", [b"a\r", b"a\x00b", b"\xff\xfe", b"", b"\xe2\x80\xa8"])
def test_only_a_newline_ends_a_line(line: bytes, stored: Stored) -> None:
    assert rows(stored(line + b"\nnext\n")) == [Row(1, line), Row(2, b"next")]


def test_a_line_that_is_too_long_gives_its_start_and_reading_goes_on(stored: Stored) -> None:
    longest, longer = b"x" * MAX_LINE_BYTES, b"y" * (MAX_LINE_BYTES + 1)
    found = rows(stored(b"\n".join([b"a", longest, longer, b"b"])))
    assert found == [Row(1, b"a"), Row(2, longest), Row(3, b"y" * KEPT_BYTES, LINE_TOO_LONG), Row(4, b"b")]
    assert LINE_TOO_LONG == "The line is longer than 16 MiB"


@pytest.mark.parametrize(
    ("character", "kept"), [("ü", 4095), ("€", 4096), ("😀", 4093), ("x", 4096)], ids=["2", "3", "4", "1 byte"]
)
def test_the_start_of_a_line_ends_with_a_whole_character(character: str, kept: int, stored: Stored) -> None:
    line = ("x" + character * (1 + MAX_LINE_BYTES // len(character.encode()))).encode()
    assert rows(stored(line)) == [Row(1, line[:kept], LINE_TOO_LONG)]
    assert line[:kept].decode()


def test_the_start_of_a_line_that_is_no_utf8_is_cut_anywhere(stored: Stored) -> None:
    assert rows(stored(b"\x80" * (MAX_LINE_BYTES + 1))) == [Row(1, b"\x80" * 4096, LINE_TOO_LONG)]


def test_a_file_that_is_no_gzip_gives_one_entry_that_says_so(stored: Stored) -> None:
    [row] = rows(stored(b"not packed\nat all\n", "f.jsonl.gz"))
    assert (row.number, row.line) == (0, None)
    assert row.error is not None
    assert row.error.startswith("Not a gzipped file")


def test_a_cut_off_gzip_file_gives_its_whole_lines_and_then_the_error(stored: Stored) -> None:
    packed = gzip.compress(b"".join(b"line %d\n" % n for n in range(100_000)))
    *lines, last = rows(stored(packed[: len(packed) // 2], "f.jsonl.gz"))
    assert len(lines) > 1000
    assert [row.line for row in lines[:-1]] == [b"line %d" % n for n in range(len(lines) - 1)]
    assert last.number == 0
    assert "end-of-stream" in str(last.error)


@unhurried
@given(content=st.binary(max_size=300), gzipped=st.booleans(), cut=st.integers(0, 40))
def test_the_independent_count_of_lines_agrees_with_the_reader(
    content: bytes, gzipped: bool, cut: int, scratch: Path
) -> None:
    kept = gzip.compress(content) if gzipped else content
    path = scratch / ("f.jsonl.gz" if gzipped else "f.jsonl")
    path.write_bytes(kept[: max(0, len(kept) - cut)])
    assert count_lines(path) == len(rows(path))


def test_a_link_is_not_followed(stored: Stored, tmp_path: Path) -> None:
    secret = stored(b"secret\n", "secret.txt", "elsewhere")
    for target in (secret, tmp_path / "nothing", tmp_path / "elsewhere", Path("link.jsonl")):
        link = tmp_path / "transactions" / "link.jsonl"
        link.parent.mkdir(exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(target)
        assert rows(link) == [Row(0, None, LINK)]
        assert count_lines(link) == 1


def test_what_is_no_file_gives_one_entry_and_nobody_waits(stored: Stored) -> None:
    folder = stored(b"").parent
    (folder / "folder.jsonl").mkdir()
    os.mkfifo(folder / "pipe.jsonl")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "socket.jsonl"))
        assert rows(folder / "folder.jsonl") == rows(folder / "pipe.jsonl") == [Row(0, None, NOT_A_FILE)]
        assert [(row.number, row.line) for row in rows(folder / "socket.jsonl")] == [(0, None)]
        assert [count_lines(folder / f"{kind}.jsonl") for kind in ("folder", "pipe", "socket")] == [1, 1, 1]


def test_a_file_that_vanished_says_so(stored: Stored) -> None:
    path = stored(b"a\n")
    path.unlink()
    assert rows(path, size=2, modified_us=0) == [Row(0, None, VANISHED)]
    assert count_lines(path) == 1


@pytest.mark.parametrize(
    "listed", [{"size": 3}, {"size": 5}, {"modified_us": 0}], ids=["it grew", "it shrank", "it was written anew"]
)
def test_a_file_that_is_not_as_it_was_listed_says_so_after_its_lines(listed: dict[str, int], stored: Stored) -> None:
    assert rows(stored(b"a\nb\n"), **listed) == [Row(1, b"a"), Row(2, b"b"), Row(0, None, CHANGED)]


def test_a_file_that_grows_while_it_is_read_says_so_once(stored: Stored) -> None:
    path = stored(gzip.compress(b"a\n")[:-4], "f.jsonl.gz")
    batches = reader_of(frozenset())([listing(path)])
    first = next(batches)
    with path.open("ab") as file:
        file.write(b"more")
    table = pa.Table.from_batches([first, *batches])
    assert table["read_error"].to_pylist() == [None, CHANGED]


def test_a_file_may_be_dated_beyond_the_years_of_python(stored: Stored) -> None:
    far = 3 * 10**17
    table = pa.Table.from_batches(reader_of(frozenset())([listing(stored(b"a\n"), modified_us=far)]))
    assert table["file_modified_at"].cast(pa.int64()).to_pylist() == [far, far]


def test_many_short_lines_come_in_batches_of_bounded_size(stored: Stored) -> None:
    sizes = [batch.num_rows for batch in reader_of(frozenset())([listing(stored(b"\n" * 100_001))])]
    assert sum(sizes) == 100_001
    assert max(sizes) <= 20_000
