"""Splits the blocks of a file into lines of JSON or records of CSV, numbered, with bounded memory."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum, auto
from itertools import chain
from typing import NamedTuple

from lake.inbox import KEPT_BYTES, MAX_HEADER_BYTES, MAX_LINE_BYTES
from spark_jobs.read_errors import LINE_TOO_LONG

_BOM = b"\xef\xbb\xbf"
_QUOTE = ord('"')


class Run(NamedTuple):
    """Lines in their order: the number of each, its bytes without newline, and what is wrong with all of them."""

    numbers: Sequence[int]
    lines: list[bytes]
    error: str | None = None


class Header(NamedTuple):
    """The header of CSV without its newline, the number of the line after it, and the blocks that follow.

    One longer than MAX_HEADER_BYTES is to be refused; it may be longer than what is given here.
    """

    text: bytes
    next_number: int
    blocks: Iterator[bytes]


def json_lines(blocks: Iterable[bytes]) -> Iterator[Run]:
    """Lines end at newlines only; a last one needs none. One that is too long gives its start, and is gone over."""
    return _Lines(1).of(blocks)


def csv_records(blocks: Iterable[bytes], header: bytes, number: int) -> Iterator[Run]:
    """Records end at newlines outside quotes. Each has the number of its first line, the first one `number`.

    A quote opens where a value begins, and closes where it is not doubled; one that never closes makes the rest of the
    file one record. Quotes elsewhere are part of the value.
    """
    return _Records(number, separator_of(header)).of(blocks)


def csv_header(blocks: Iterator[bytes]) -> Header:
    """The first record of a file."""
    head, end = b"", -1
    for block in blocks:
        head += block
        end = _header_end(head)
        if end >= 0 or len(head) > MAX_HEADER_BYTES:
            break
    text = head if end < 0 else head[:end]
    rest = b"" if end < 0 else head[end + 1 :]
    return Header(text, text.count(b"\n") + 2, chain([rest], blocks))


def separator_of(header: bytes) -> bytes:
    """Semicolon where the header's first line has more of them outside quotes than commas, else comma."""
    unquoted = re.sub(rb'"[^"]*("|$)', b"", header.partition(b"\n")[0])
    return b";" if unquoted.count(b";") > unquoted.count(b",") else b","


class _Unfinished:
    """The line that is being read, or its start once it is too long."""

    def __init__(self) -> None:
        self.text = bytearray()
        self.size = self.newlines = 0

    def add(self, part: bytes) -> None:
        self.size += len(part)
        if self.size <= MAX_LINE_BYTES:
            self.text += part
        elif len(self.text) > KEPT_BYTES:
            del self.text[KEPT_BYTES + 1 :]
        else:
            self.text += part[: KEPT_BYTES + 1 - len(self.text)]

    def run(self, number: int) -> Run:
        if self.size <= MAX_LINE_BYTES:
            return Run([number], [bytes(self.text)])
        return Run([number], [_start(bytes(self.text))], LINE_TOO_LONG)


class _Lines:
    """Takes blocks and gives the lines that end in them; no block is longer than the longest line."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.unfinished = _Unfinished()

    def of(self, blocks: Iterable[bytes]) -> Iterator[Run]:
        for block in blocks:
            yield from self.take(block)
        if self.unfinished.size:
            yield self.end()

    def take(self, block: bytes) -> Iterator[Run]:
        lines = block.split(b"\n")
        tail = lines.pop()
        if lines and self.unfinished.size:
            self.unfinished.add(lines.pop(0))
            yield self.end()
        if lines:
            yield Run(range(self.number, self.number + len(lines)), lines)
            self.number += len(lines)
        self.unfinished.add(tail)

    def end(self) -> Run:
        """The line that was unfinished."""
        run = self.unfinished.run(self.number)
        self.number += 1 + self.unfinished.newlines
        self.unfinished = _Unfinished()
        return run


class _Place(Enum):
    """Where in a record the next byte stands."""

    VALUE_START = auto()
    UNQUOTED = auto()
    QUOTED = auto()
    AFTER_QUOTE = auto()


class _Records(_Lines):
    """The same for records: a line that ends inside quotes goes on."""

    def __init__(self, number: int, separator: bytes) -> None:
        super().__init__(number)
        self.separator = separator
        self.place = _Place.VALUE_START

    def take(self, block: bytes) -> Iterator[Run]:
        if b'"' in block:
            yield from self.take_quoted(block)
        elif self.place is _Place.QUOTED:
            self.unfinished.add(block)
            self.unfinished.newlines += block.count(b"\n")
        elif block:
            yield from super().take(block)
            at_start = block.endswith((self.separator, b"\n"))
            self.place = _Place.VALUE_START if at_start else _Place.UNQUOTED

    def take_quoted(self, block: bytes) -> Iterator[Run]:
        numbers: list[int] = []
        records: list[bytes] = []
        *lines, tail = block.split(b"\n")
        for line in lines:
            if not self.unfinished.size and b'"' not in line:
                numbers.append(self.number)
                records.append(line)
                self.number += 1
                continue
            run = self.take_line(line)
            if run and run.error:
                yield Run(numbers, records)
                yield run
                numbers, records = [], []
            elif run:
                numbers += run.numbers
                records += run.lines
        yield Run(numbers, records)
        self.place = _place_after(tail, self.place, self.separator)
        self.unfinished.add(tail)

    def take_line(self, line: bytes) -> Run | None:
        """Go on to the end of a line; gives the record if it ends there."""
        self.unfinished.add(line)
        if _place_after(line, self.place, self.separator) is _Place.QUOTED:
            self.place = _Place.QUOTED
            self.unfinished.add(b"\n")
            self.unfinished.newlines += 1
            return None
        self.place = _Place.VALUE_START
        return self.end()


def _place_after(part: bytes, place: _Place, separator: bytes) -> _Place:
    """Where one stands after some bytes of a record that hold no newline outside quotes."""
    at, end = 0, len(part)
    while at < end:
        if place is _Place.QUOTED:
            at = part.find(b'"', at) + 1
            if not at:
                return place
            place = _Place.AFTER_QUOTE
        elif part[at] == _QUOTE and place is not _Place.UNQUOTED:
            place = _Place.QUOTED
            at += 1
        else:
            at = part.find(separator, at) + 1
            if not at:
                return _Place.UNQUOTED
            place = _Place.VALUE_START
    return place


def _header_end(head: bytes) -> int:
    """Where the newline stands that ends the first record, or -1."""
    separator = separator_of(head)
    place, at = _Place.VALUE_START, len(_BOM) if head.startswith(_BOM) else 0
    while (newline := head.find(b"\n", at)) >= 0:
        place = _place_after(head[at:newline], place, separator)
        if place is not _Place.QUOTED:
            return newline
        at = newline + 1
    return -1


def _start(line: bytes) -> bytes:
    """The first KEPT_BYTES of a longer line, without a character that is cut in two."""
    for end in range(KEPT_BYTES, KEPT_BYTES - 4, -1):
        if line[end] & 0b1100_0000 != 0b1000_0000:
            return line[:end]
    return line[:KEPT_BYTES]
