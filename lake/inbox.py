"""The inbox: how files get in whole, and how many lines lie there."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import stat
import zlib
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, BinaryIO

JSON_SUFFIXES = (".json", ".jsonl", ".json.gz", ".jsonl.gz")
CSV_SUFFIXES = (".csv", ".csv.gz")
SUFFIXES = JSON_SUFFIXES + CSV_SUFFIXES
# The same names for Spark's file source, which would take `_a=b.jsonl` too.
SPARK_GLOB = "[!._]*{" + ",".join(SUFFIXES) + "}"
GZIP_LEVEL = 1

# What one file may ask of its readers. The reader in Spark and `count_lines` share these figures and no code.
# Content is taken in blocks of at most this size; how much a damaged gzip file still gives depends on it.
READ_BYTES = 1 << 20
# Of a longer line the first bytes are kept.
MAX_LINE_BYTES = 16 << 20
KEPT_BYTES = 4096
# The header of CSV goes with each of its rows.
MAX_HEADER_BYTES = 16 << 10
# Reading of a gzip file ends before the first byte that would make its content longer than the greater of BOMB_BYTES
# and BOMB_RATIO times its packed size, and before the first byte of a line that would make more lines than the greater
# of BOMB_LINES and its packed bytes (an unpacked file cannot have more lines than bytes either).
BOMB_BYTES = 256 << 20
BOMB_RATIO = 200
BOMB_LINES = 1_000_000


def visible_files(folder: Path) -> list[Path]:
    """Files of one feed that the stream will read, in the order of their names.

    A link to a file is among them (the stream refuses it with an entry); folders, pipes, sockets, devices and links to
    any of these or to nothing are not.
    """
    if not folder.is_dir():
        return []
    with os.scandir(folder) as found:
        names = [entry.name for entry in found if is_visible(entry.name) and _is_file(entry)]
    return [folder / name for name in sorted(names)]


def is_visible(name: str) -> bool:
    """Whether the stream reads a file of this name; a name that is no UTF-8 cannot be opened by Java."""
    return name.endswith(SUFFIXES) and not name.startswith((".", "_")) and _is_utf8(name)


def land_copy(source: Path, folder: Path, name: str | None = None) -> Path:
    """Copy a file into an inbox folder; it becomes visible whole, or not at all."""
    target = folder / (name or source.name)
    with source.open("rb") as read, _hidden(target).open("wb") as write:
        shutil.copyfileobj(read, write, READ_BYTES)
    return _show(target)


def land_lines(lines: Iterable[str], folder: Path, name: str) -> Path:
    """Write lines (without newlines) as one inbox file, gzip'd where `name` ends in `.gz`."""
    return land_blocks((line.encode("utf-8") + b"\n" for line in lines), folder / name)


def land_blocks(blocks: Iterable[bytes | memoryview], target: Path) -> Path:
    """Write blocks of bytes as one file, gzip'd where its name ends in `.gz`; the same blocks give the same bytes.

    It becomes visible whole, in the place of one that was there, or not at all.
    """
    hidden = _hidden(target)
    try:
        with hidden.open("wb") as raw, _packed(raw) if target.suffix == ".gz" else nullcontext(raw) as write:
            for block in blocks:
                write.write(block)
        return _show(target)
    finally:
        hidden.unlink(missing_ok=True)


def count_lines(path: Path, csv_allowed: bool = False) -> int:
    """Rows that bronze must hold of one file, counted apart from Spark.

    One a line, or with `csv_allowed` one a record of a CSV file, and none for its header. A last one without newline
    counts. One more for a file that gives none of these, and for one that is not read to its end: the entry that says
    why. A link or a CSV file that is not allowed gives that entry only.
    """
    is_csv = path.name.endswith(CSV_SUFFIXES)
    if (is_csv and not csv_allowed) or not _is_ordinary(path):
        return 1
    count = _Records() if is_csv else _Lines()
    try:
        for block in _blocks(path):
            count.take(block)
    except (OSError, EOFError, zlib.error, _LimitError):
        return count.total() + 1
    return count.total() or 1


class _LimitError(Exception):
    """The file is not read on, though it goes on."""


class _Lines:
    """Counts lines of JSON: as many as newlines, and a last one that has none."""

    def __init__(self) -> None:
        self.newlines, self.last = 0, b"\n"

    def take(self, block: bytes) -> None:
        self.newlines += block.count(b"\n")
        self.last = block[-1:]

    def total(self) -> int:
        return self.newlines + (self.last != b"\n")


class _Records:
    """Counts records of CSV: as many as newlines outside quotes, and a last one that has none, without the header.

    A quote opens where a value begins, and again where it follows the one that closed.
    """

    def __init__(self) -> None:
        self.head = self.separator = b""
        self.quoted = False
        # Bytes taken, and where in them the last record ended, the last value began and the last quote closed.
        self.size = self.ended = self.began = 0
        self.closed = -2
        self.ends = 0

    def take(self, block: bytes) -> None:
        if not self.separator:
            block = self.head = self.head + block
            self._find_separator()
            if not self.separator:
                return
        if b'"' in block:
            self._take_quoted(block)
        elif not self.quoted:
            self._end(block.find(b"\n"), block.rfind(b"\n"), block.count(b"\n"))
            if block.endswith((self.separator, b"\n")):
                self.began = self.size + len(block)
        self.size += len(block)

    def total(self) -> int:
        return max(0, self.ends - 1 + (self.size > self.ended))

    def _find_separator(self) -> None:
        line, newline, _ = self.head.partition(b"\n")
        if newline:
            unquoted = b"".join(line.split(b'"')[::2])
            self.separator = b";" if unquoted.count(b";") > unquoted.count(b",") else b","
            self.began = 3 if line.startswith(b"\xef\xbb\xbf") else 0
        elif len(line) > MAX_HEADER_BYTES:
            raise _LimitError

    def _take_quoted(self, block: bytes) -> None:
        for mark in re.finditer(b'["\n' + self.separator + b"]", block):
            at = self.size + mark.start()
            if mark.group() != b'"':
                if not self.quoted:
                    self.began = at + 1
                    if mark.group() == b"\n":
                        self._end(mark.start(), mark.start(), 1)
            elif self.quoted:
                self.quoted, self.closed = False, at
            else:
                self.quoted = at in (self.began, self.closed + 1)

    def _end(self, first: int, last: int, count: int) -> None:
        if count:
            if not self.ends and self.size + first > MAX_HEADER_BYTES:
                raise _LimitError
            self.ended = self.size + last + 1
            self.ends += count


def _blocks(path: Path) -> Iterator[bytes]:
    with open_file(path) as read:
        # read1 hands over what could be unpacked before a damaged place; read would drop it.
        blocks = iter(lambda: read.read1(READ_BYTES), b"")
        yield from _limited(blocks, path.stat().st_size) if path.name.endswith(".gz") else blocks


def _limited(blocks: Iterator[bytes], packed_bytes: int) -> Iterator[bytes]:
    """Unpacked blocks up to the limits, then `_LimitError` where there is more."""
    most_bytes, most_lines = max(BOMB_BYTES, BOMB_RATIO * packed_bytes), max(BOMB_LINES, packed_bytes)
    for block in blocks:
        allowed = block[:most_bytes]
        newlines = allowed.count(b"\n")
        if newlines >= most_lines:
            allowed = b"".join(line + b"\n" for line in allowed.split(b"\n", most_lines)[:most_lines])
        if allowed:
            yield allowed
        if len(allowed) < len(block):
            raise _LimitError
        most_bytes, most_lines = most_bytes - len(block), most_lines - newlines


def _is_ordinary(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:
        # A link that leads round in a circle, or to where one may not look.
        return False


def _is_utf8(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def open_file(path: Path) -> Any:
    """A file as bytes, unpacked where its name ends in `.gz`."""
    return _opened(path, "rb", zipped=path.name.endswith(".gz"))


def _opened(path: Path, mode: str, *, zipped: bool) -> Any:
    return gzip.open(path, mode) if zipped else path.open(mode)


def _packed(raw: BinaryIO) -> gzip.GzipFile:
    # Without a name and a time inside.
    return gzip.GzipFile("", "wb", GZIP_LEVEL, raw, mtime=0)


def _hidden(target: Path) -> Path:
    # Spark ignores names that begin with a dot, so a half-written file is never read.
    target.parent.mkdir(parents=True, exist_ok=True)
    return target.with_name(f".{target.name}.{os.getpid()}.part")


def _show(target: Path) -> Path:
    _hidden(target).rename(target)
    return target
