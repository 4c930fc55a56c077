"""Files lose a user and nothing else, damaged ones too."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from lake.settings import load_settings
from risklake.clearing import Clearing
from risklake.forget_files import clear_file, files_that_tell, files_with_text
from risklake.person import Person

CLEARING = Clearing(Person("u1", "u1", "TOKEN", ("siti@mail.id",), ("Siti",)))
MINE, OTHERS = b'{"user_id":"u1","name":"Siti"}\n', b'{"user_id":"u2","amount":1.5}\n'


def packed(*lines: bytes) -> bytes:
    return gzip.compress(b"".join(lines), 1, mtime=0)


def test_lines_of_others_stay_byte_by_byte_and_the_time_of_the_file_too(tmp_path: Path) -> None:
    file = tmp_path / "u1.jsonl.gz"
    file.write_bytes(packed(OTHERS, MINE, b"\n", b"\xff no text\r\n", b"u2, without an end"))
    before = file.stat().st_mtime_ns
    assert clear_file(file, CLEARING) == (1, False)
    assert gzip.decompress(file.read_bytes()) == b"".join(
        (OTHERS, b'{"user_id":"TOKEN","name":"forgotten"}\n', b"\n", b"\xff no text\r\n", b"u2, without an end")
    )
    assert file.stat().st_mtime_ns == before
    assert clear_file(file, CLEARING) == (0, False)


@pytest.mark.parametrize("content", [MINE, packed(OTHERS, MINE)])
def test_the_size_that_a_file_will_have_is_told_before_it_changes(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "u1.jsonl.gz"
    file.write_bytes(content)

    def killed(cleared: Path, size: int) -> None:
        assert cleared == file
        sizes.append(size)
        raise InterruptedError

    sizes: list[int] = []
    for _ in range(2):
        with pytest.raises(InterruptedError):
            clear_file(file, CLEARING, killed)
        assert file.read_bytes() == content
    assert clear_file(file, CLEARING, lambda _, size: sizes.append(size)) == (1, False)
    assert sizes == [file.stat().st_size] * 3
    assert [one.name for one in tmp_path.iterdir()] == [file.name]


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_csv_is_cleared_by_its_header_over_lines_in_quotes(tmp_path: Path, end: bytes) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(b'user_id;name;country\nu2;u12;u1\n\nu1;"Siti\nu1 Siti";ID' + end)
    assert clear_file(file, CLEARING) == (1, False)
    assert file.read_bytes() == b'user_id;name;country\nu2;u12;u1\n\nTOKEN;"forgotten\nTOKEN forgotten";ID' + end


def test_a_file_that_is_only_a_header_or_empty_stays_unless_the_header_tells(tmp_path: Path) -> None:
    for content in (b"", b"user_id,name", b"user_id,name\n"):
        (tmp_path / "a.csv").write_bytes(content)
        assert clear_file(tmp_path / "a.csv", CLEARING) == (0, False)
        assert (tmp_path / "a.csv").read_bytes() == content
    (tmp_path / "a.csv").write_bytes(b"u1,Siti\n")
    assert clear_file(tmp_path / "a.csv", CLEARING) == (1, False)
    assert (tmp_path / "a.csv").read_bytes() == b"TOKEN,forgotten\n"


def test_a_header_that_is_too_long_makes_the_file_a_file_of_lines(tmp_path: Path) -> None:
    header = b"user_id," + b"x" * (2 << 20)
    (tmp_path / "a.csv").write_bytes(header + b"\nu1,u2\n")
    assert clear_file(tmp_path / "a.csv", CLEARING) == (1, False)
    assert (tmp_path / "a.csv").read_bytes() == header + b"\nTOKEN,u2\n"


def damaged(content: bytes, kind: str) -> bytes:
    whole = packed(content, *(b"%d\n" % (number * number) for number in range(40_000)))
    middle = len(whole) // 2
    return whole[:middle] if kind == "cut off" else whole[:middle] + b"\xff" * 200 + whole[middle + 200 :]


@pytest.mark.parametrize("kind", ["cut off", "flipped bytes"])
def test_a_damaged_file_of_the_user_is_kept_as_far_as_it_can_be_read(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "a.jsonl.gz"
    file.write_bytes(damaged(MINE, kind))
    assert clear_file(file, CLEARING) == (1, True)
    lines = gzip.decompress(file.read_bytes()).splitlines()
    assert lines[:3] == [b'{"user_id":"TOKEN","name":"forgotten"}', b"0", b"1"]
    assert len(lines) > 1000


@pytest.mark.parametrize("kind", ["cut off", "flipped bytes"])
def test_a_damaged_file_of_others_stays_as_it_is(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "a.jsonl.gz"
    file.write_bytes(damaged(OTHERS, kind))
    before = file.read_bytes()
    assert clear_file(file, CLEARING) == (0, False)
    assert file.read_bytes() == before


def test_a_file_that_is_no_gzip_but_called_so_is_cleared_and_stays_none(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl.gz"
    file.write_bytes(MINE)
    assert clear_file(file, CLEARING) == (1, False)
    assert file.read_bytes() == b'{"user_id":"TOKEN","name":"forgotten"}\n'
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_models_are_left_alone_and_any_other_file_of_the_lake_is_searched(tmp_path: Path) -> None:
    settings = load_settings({"lake_root": str(tmp_path)}, environment={})
    for name in ("models/m.skops", "models/m.json", "logs/a.log", "silver/users/_delta_log/0.json", "x.parquet"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(MINE)
    assert [file.name for file in files_with_text(settings)] == ["a.log"]
    assert sorted(file.name for file in files_that_tell(settings, CLEARING)) == ["0.json", "a.log"]
