"""Forgetting a user in the files of the lake: inbox, archive, logs, reports and the truth of generated payments."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lake.inbox import CSV_SUFFIXES, MAX_HEADER_BYTES, READ_BYTES, land_blocks
from lake.settings import Settings
from risklake.clearing import Clearing, names_of
from spark_jobs.archive import ARCHIVE
from spark_jobs.line_splitting import csv_header, csv_records

# Folders of files that hold lines or text. Those of `models` hold numbers.
_FOLDERS = ("inbox", ARCHIVE, "logs", "reports", "truth")
_NO_TEXT = (".parquet", ".crc", ".png", ".skops")
_GZIP = b"\x1f\x8b"
# Told the size that a file is about to have.
Note = Callable[[Path, int], None]
DAMAGED = " (damaged: kept as far as it can be read)"


def files_with_text(settings: Settings) -> list[Path]:
    """The files in which a user is replaced."""
    return [file for folder in _FOLDERS for file in _files(settings.local_path(folder))]


def files_that_tell(settings: Settings, clearing: Clearing) -> Iterator[Path]:
    """Of all files of the lake, Delta's logs included, those that tell the person; the data of tables is no part."""
    models = settings.local_path("models")
    for file in _files(settings.local_path()):
        if models not in file.parents and _tells(file, clearing):
            yield file


def clear_file(file: Path, clearing: Clearing, note: Note = lambda file, size: None) -> tuple[int, bool]:
    """Take the person out of a file; gives how many lines changed, and whether the file is damaged.

    A damaged file that tells the person is kept as far as it can be read; any other file stays as it is. Before the
    file changes, `note` is told the size that it will have: cut off between the two, the same call does both again.
    """
    if not _tells(file, clearing):
        return 0, False
    status, content = file.stat(), _Content(file)
    changed = 0

    def blocks() -> Iterator[bytes]:
        nonlocal changed
        for part, cleared in _cleared(content, clearing):
            changed += part != cleared
            yield cleared

    # What is named .gz is packed.
    hidden = file.with_name(f".cleared-{file.name}" if content.is_packed else f".{file.name}.cleared")
    land_blocks(blocks(), hidden)
    os.utime(hidden, ns=(status.st_atime_ns, status.st_mtime_ns))
    note(file, hidden.stat().st_size)
    hidden.rename(file)
    return changed, content.is_damaged


def _tells(file: Path, clearing: Clearing) -> bool:
    return any(part != cleared for part, cleared in _cleared(_Content(file), clearing))


class _Content:
    """The bytes of a file, unpacked, up to where it is damaged."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.is_csv = file.name.endswith(CSV_SUFFIXES)
        self.is_damaged = False
        with file.open("rb") as read:
            # What is called .gz and is none holds its text as it is.
            self.is_packed = file.name.endswith(".gz") and read.read(len(_GZIP)) == _GZIP

    def blocks(self) -> Iterator[bytes]:
        opened: Any = gzip.open if self.is_packed else open
        with opened(self.file, "rb") as read:
            try:
                # read1 hands over what could be unpacked before a damaged place; read would drop it.
                yield from iter(lambda: read.read1(READ_BYTES), b"")
            except (EOFError, zlib.error, gzip.BadGzipFile):
                self.is_damaged = True


def _cleared(content: _Content, clearing: Clearing) -> Iterator[tuple[bytes, bytes]]:
    """The parts of a file one after the other, each with what it is without the person."""
    if not content.is_csv:
        yield from ((line, clearing.line(line)) for line in _lines(content.blocks()))
        return
    blocks = _Blocks(content.blocks())
    header = csv_header(iter(blocks))
    if len(header.text) > MAX_HEADER_BYTES:
        yield from ((line, clearing.line(line)) for line in _lines(content.blocks()))
        return
    names, separator = names_of(header.text)
    yield header.text, clearing.record(header.text, (), separator)
    for run in csv_records(header.blocks, header.text, header.next_number):
        for record in run.lines:
            yield b"\n" + record, b"\n" + clearing.record(record, names, separator)
    if blocks.last == b"\n":
        yield b"\n", b"\n"


class _Blocks:
    """Blocks as they are, and the last byte of them."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self.blocks, self.last = blocks, b""

    def __iter__(self) -> Iterator[bytes]:
        for block in self.blocks:
            self.last = block[-1:]
            yield block


def _lines(blocks: Iterator[bytes]) -> Iterator[bytes]:
    pending: list[bytes] = []
    for block in blocks:
        *ends, tail = block.split(b"\n")
        for end in ends:
            yield b"".join((*pending, end, b"\n"))
            pending = []
        pending.append(tail)
    if last := b"".join(pending):
        yield last


def _files(folder: Path) -> Iterator[Path]:
    for file in sorted(folder.rglob("*")) if folder.is_dir() else ():
        if file.is_file() and not file.is_symlink() and file.suffix not in _NO_TEXT:
            yield file
