"""Records of CSV, and that two counts made apart agree on every file."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from csv import reader
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake import inbox
from lake.inbox import MAX_HEADER_BYTES, MAX_LINE_BYTES, count_lines
from spark_jobs import file_content, line_reader, line_splitting
from spark_jobs.read_errors import CSV_REFUSED, EMPTY_FILE, HEADER_TOO_LONG, LINE_TOO_LONG, NO_RECORD
from tests.reading import Row, rows, rows_and_headers

Csv = Callable[[bytes], Path]


@pytest.fixture
def csv(tmp_path: Path) -> Csv:
    """Puts bytes into a CSV file of the folder `users`, which takes CSV."""

    def put(content: bytes) -> Path:
        path = tmp_path / "users" / ("f.csv.gz" if content.startswith(b"\x1f\x8b") else "f.csv")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        return path

    return put


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the many files of one property; its name is that of a feed that takes CSV."""
    folder = tmp_path_factory.mktemp("lake") / "users"
    folder.mkdir()
    return folder


@pytest.mark.parametrize(
    ("content", "expected"),
    {
        "the header goes with each record": (b"a,b\n1,2\n3,4\n", [(2, b"1,2"), (3, b"3,4")]),
        "the last newline may be missing": (b"a,b\n1,2", [(2, b"1,2")]),
        "a carriage return is part of the record": (b"a,b\r\n1,2\r\n", [(2, b"1,2\r")]),
        "an empty line is a record": (b"a,b\n\n1,2\n\n", [(2, b""), (3, b"1,2"), (4, b"")]),
        "a newline in quotes is part of the value": (b'a,b\n"x\ny",2\n3,4', [(2, b'"x\ny",2'), (4, b"3,4")]),
        "a record of many lines": (b'a\n"\n\n\n"\n1\n', [(2, b'"\n\n\n"'), (6, b"1")]),
        "a doubled quote does not close": (b'a\n"x""\n""y"\n1', [(2, b'"x""\n""y"'), (4, b"1")]),
        "a quote inside a value opens nothing": (b'a,b\n27" wide,1\n2,3', [(2, b'27" wide,1'), (3, b"2,3")]),
        "nor one behind quotes": (b'a\n"x"y"\n1', [(2, b'"x"y"'), (3, b"1")]),
        "semicolons, where the header has them": (b'a;b\n1,5;"x\n"\n', [(2, b'1,5;"x\n"')]),
        "commas in quotes do not decide": (b'"a,,,";b\n1;"\n"\n', [(2, b'1;"\n"')]),
        "the header may have lines": (b'"a\nb",c\n1,2\n', [(3, b"1,2")]),
        "a byte order mark may stand before it": (b'\xef\xbb\xbf"a\nb",c\n1,2\n', [(3, b"1,2")]),
        "a quote that never closes takes the rest": (b'a,b\n1,2\n"3,4\n5,6\n', [(2, b"1,2"), (3, b'"3,4\n5,6\n')]),
    }.values(),
)
def test_records_come_unchanged_with_the_number_of_their_first_line(
    content: bytes, expected: list[tuple[int, bytes]], csv: Csv
) -> None:
    path = csv(content)
    assert [(row.number, row.line) for row in rows(path)] == expected
    assert count_lines(path, csv_allowed=True) == len(expected)


def test_each_record_has_the_header_unchanged_and_a_line_of_json_none(csv: Csv) -> None:
    path = csv(b"\xef\xbb\xbfa,\xff\r\n1,2\n")
    assert rows_and_headers(path) == [(Row(2, b"1,2"), b"\xef\xbb\xbfa,\xff\r")]
    json = path.rename(path.with_name("f.json"))
    assert [header for _, header in rows_and_headers(json)] == [None, None]


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", EMPTY_FILE),
        (gzip.compress(b""), EMPTY_FILE),
        (b"a,b", NO_RECORD),
        (b"a,b\n", NO_RECORD),
        (b'"a,b\n1,2\n', NO_RECORD),
        (b"x" * MAX_HEADER_BYTES + b"\n", NO_RECORD),
        (b"x" * (MAX_HEADER_BYTES + 1) + b"\n1\n", HEADER_TOO_LONG),
        (b'"' + b"x\n" * MAX_HEADER_BYTES, HEADER_TOO_LONG),
    ],
)
def test_a_file_without_a_record_gives_one_entry(content: bytes, error: str, csv: Csv) -> None:
    path = csv(content)
    assert rows(path) == [Row(0, None, error)]
    assert count_lines(path, csv_allowed=True) == 1


def test_a_feed_that_takes_no_csv_refuses_the_file(csv: Csv, tmp_path: Path) -> None:
    (tmp_path / "transactions").mkdir()
    path = csv(b"a,b\n1,2\n3,4\n").rename(tmp_path / "transactions" / "f.csv")
    assert rows(path) == [Row(0, None, CSV_REFUSED)]
    assert count_lines(path) == 1


def test_a_record_that_is_too_long_gives_its_start_and_ends_where_it_ends(csv: Csv) -> None:
    long = b'"' + b"x\n" * (MAX_LINE_BYTES // 2) + b'"'
    path = csv(b"a\n1\n" + long + b"\n2\n")
    after = 4 + MAX_LINE_BYTES // 2
    assert rows(path) == [Row(2, b"1"), Row(3, long[:4096], LINE_TOO_LONG), Row(after, b"2")]
    assert count_lines(path, csv_allowed=True) == 3


@contextmanager
def limits(**low: int) -> Iterator[None]:
    """With other limits than those of `lake.inbox`, for every module that keeps to them."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in low.items():
            for module in (inbox, file_content, line_splitting, line_reader):
                if hasattr(module, name):
                    patch.setattr(module, name, value)
        yield


LOW = {"READ_BYTES": 7, "MAX_LINE_BYTES": 20, "KEPT_BYTES": 10, "MAX_HEADER_BYTES": 9}
LOW |= {"BOMB_BYTES": 60, "BOMB_RATIO": 1, "BOMB_LINES": 10}

# Bytes as they come, and bytes of which most mean something in CSV.
any_content = st.binary(max_size=300) | st.lists(
    st.sampled_from([b'"', b'"', b",", b";", b"\n", b"\n", b"\r\n", b"a", b"\xef\xbb\xbf", b'""', b"\n\n\n\n\n\n\n"])
).map(b"".join)


@settings(deadline=None, max_examples=400)
@given(
    content=any_content,
    name=st.sampled_from(["f.json", "f.jsonl.gz", "f.csv", "f.csv.gz"]),
    cut=st.integers(0, 30),
    joined=st.booleans(),
    low=st.booleans(),
)
def test_the_independent_count_agrees_with_the_reader_on_every_file(
    content: bytes, name: str, cut: int, joined: bool, low: bool, scratch: Path
) -> None:
    stored = content
    if name.endswith(".gz"):
        stored = gzip.compress(content, mtime=0) + (gzip.compress(content, mtime=0) if joined else b"")
    path = scratch / name
    path.write_bytes(stored[: max(0, len(stored) - cut)])
    with limits(**(LOW if low else {})):
        found = rows(path)
        assert count_lines(path, csv_allowed=True) == len(found)
    assert sum(row.number == 0 for row in found) <= 1
    numbers = [row.number for row in found if row.number]
    assert numbers == sorted(set(numbers))


@settings(deadline=None, max_examples=200)
@given(content=any_content, size=st.integers(1, 9))
def test_records_do_not_depend_on_where_blocks_end(content: bytes, size: int, scratch: Path) -> None:
    path = scratch / "f.csv"
    path.write_bytes(content)
    whole = rows_and_headers(path)
    with limits(READ_BYTES=size):
        assert rows_and_headers(path) == whole
        assert count_lines(path, csv_allowed=True) == len(whole)


@settings(deadline=None, max_examples=200)
@given(content=st.lists(st.sampled_from(['"', '"', ",", "\n", "a", '""'])).map("".join))
def test_records_are_those_that_python_finds(content: str, scratch: Path) -> None:
    path = scratch / "f.csv"
    path.write_text("a,b\n" + content)
    records = [(row.line or b"").decode() for row in rows(path) if row.number]
    values = [next(reader([record])) for record in records]
    assert values == list(reader(io.StringIO(content)))
