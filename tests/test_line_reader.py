from __future__ import annotations

import gzip
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.inbox import count_lines
from spark_jobs.line_reader import EMPTY_FILE, entries


def read(content: bytes, *, gzipped: bool = False) -> list[tuple[int, bytes | None, str | None]]:
    return list(entries(io.BytesIO(content), gzipped=gzipped))


def expected(content: bytes) -> list[bytes]:
    """Lines as a person counts them: newline ends one, and a last one needs none."""
    lines = content.split(b"\n")
    return lines[:-1] if lines[-1] == b"" else lines


@given(st.binary(max_size=200))
def test_every_line_comes_back_unchanged_and_numbered_from_one(content: bytes) -> None:
    found = read(content)
    if not content:
        assert found == [(0, None, EMPTY_FILE)]
    else:
        assert found == [(n, line, None) for n, line in enumerate(expected(content), start=1)]


@given(st.binary(min_size=1, max_size=200))
def test_a_gzip_file_reads_as_what_it_packs(content: bytes) -> None:
    assert read(gzip.compress(content), gzipped=True) == read(content)


def test_two_packed_files_joined_together_read_as_one() -> None:
    assert read(gzip.compress(b"a\n") + gzip.compress(b"b\n"), gzipped=True) == read(b"a\nb\n")


def test_a_line_longer_than_a_block_stays_whole() -> None:
    long = b"x" * (3 << 20)
    assert read(b"a\n" + long + b"\nb") == [(1, b"a", None), (2, long, None), (3, b"b", None)]


@pytest.mark.parametrize("line", [b"a\r", b"a\x00b", b"\xff\xfe", b"", b"\xe2\x80\xa8"])
def test_only_a_newline_ends_a_line(line: bytes) -> None:
    assert read(line + b"\nnext\n") == [(1, line, None), (2, b"next", None)]


def test_a_file_that_is_no_gzip_gives_one_entry_that_says_so() -> None:
    [(number, line, error)] = read(b"not packed\nat all\n", gzipped=True)
    assert (number, line) == (0, None)
    assert error is not None
    assert error.startswith("Not a gzipped file")


def test_a_cut_off_gzip_file_gives_its_whole_lines_and_then_the_error() -> None:
    packed = gzip.compress(b"".join(b"line %d\n" % n for n in range(100_000)))
    found = read(packed[: len(packed) // 2], gzipped=True)
    lines = [entry for entry in found if entry[1] is not None]
    assert len(lines) > 1000
    assert [entry[1] for entry in lines[:-1]] == [b"line %d" % n for n in range(len(lines) - 1)]
    assert found[-1][2] is not None
    assert "end-of-stream" in found[-1][2]


@given(st.binary(max_size=300), st.booleans(), st.integers(0, 40))
def test_the_independent_count_of_lines_agrees_with_the_reader(content: bytes, gzipped: bool, cut: int) -> None:
    stored = gzip.compress(content) if gzipped else content
    stored = stored[: max(0, len(stored) - cut)]
    with_name = Path(_folder) / ("f.jsonl.gz" if gzipped else "f.jsonl")
    with_name.write_bytes(stored)
    assert count_lines(with_name) == len(read(stored, gzipped=gzipped))


@pytest.fixture(autouse=True, scope="module")
def _scratch(tmp_path_factory: pytest.TempPathFactory) -> None:
    global _folder
    _folder = str(tmp_path_factory.mktemp("lines"))


_folder = ""
