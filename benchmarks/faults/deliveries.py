"""What a producer delivers in a run of the harness: many small files of several feeds, some of them damaged.

All kinds of chaos are in the lines. Users come midway, so that payments made before wait for them.
"""

from __future__ import annotations

import gzip
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from math import ceil
from pathlib import Path
from typing import Any

from generator.chaos import SPOILERS
from generator.write import generate
from lake.inbox import land_copy, open_file, visible_files

CHAOS_SHARE = 0.02
WORLD: dict[str, Any] = {"days": 6, "users": 60, "merchants": 40, "end": date(2026, 1, 31)}
# So many seconds lie between the modification times of two files that follow each other.
STEP_SECONDS = 2
# Every so many users move to another country: a second version of them.
MOVED_EVERY = 5


@dataclass(frozen=True)
class Span:
    """The share of all files that a feed gets, and between which shares of the whole run they arrive."""

    files: float
    first: float
    last: float


SPANS = {
    "merchants": Span(0.05, 0.0, 0.2),
    "transactions": Span(0.5, 0.0, 1.0),
    "orders": Span(0.15, 0.1, 1.0),
    "users": Span(0.1, 0.4, 0.6),
    "disputes": Span(0.08, 0.3, 1.0),
}

Lines = list[bytes]


@dataclass(frozen=True)
class Delivery:
    """One file as it is delivered: its feed, where its bytes lie (its name is kept) and its modification time."""

    feed: str
    source: Path
    modified_ns: int

    def land(self, inbox: Path) -> Path:
        """Put the file into an inbox, whole, with its modification time."""
        target = land_copy(self.source, inbox / self.feed)
        os.utime(target, ns=(self.modified_ns, self.modified_ns))
        return target


@dataclass(frozen=True)
class _File:
    """A file before it has its place among the others: `at` is between 0 and 1."""

    at: float
    feed: str
    name: str
    data: bytes


def deliveries(folder: Path, *, files: int, rows: int, seed: int, chaos: bool = True) -> list[Delivery]:
    """Make about `files` files from `rows` payments, in the order in which they are delivered.

    Modification times increase strictly in that order: it decides which of two lines of one id is the event.
    """
    shares = dict.fromkeys(SPOILERS, CHAOS_SHARE) if chaos else {}
    made = folder / "generated" / "inbox"
    generate(made, rows=rows, seed=seed, chaos=shares, feeds=tuple(SPANS), processes=1, **WORLD)
    pieces = {feed: cut(_lines(made / feed), ceil(span.files * files)) for feed, span in SPANS.items()}
    planned = list(_plain_files(pieces))
    if chaos:
        planned = [*damaged(planned, pieces)]
    ordered = sorted(planned, key=lambda file: file.at)
    began = int(time.time()) - STEP_SECONDS * len(ordered)
    found = []
    for number, file in enumerate(ordered):
        target = folder / "deliveries" / file.feed / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.data)
        found.append(Delivery(file.feed, target, (began + STEP_SECONDS * number) * 10**9))
    return found


def cut(lines: Lines, count: int) -> list[Lines]:
    """Lines in at most `count` pieces of one length, in their order."""
    size = max(1, ceil(len(lines) / count))
    return [lines[start : start + size] for start in range(0, len(lines), size)]


def damaged(files: Sequence[_File], pieces: dict[str, list[Lines]]) -> Iterator[_File]:
    """The files, some of them damaged, and others that no producer should have sent."""
    payments = [file for file in files if file.feed == "transactions" and file.name.endswith(".gz")]
    spoiled = {payments[len(payments) // 3].name: _cut_gzip, payments[len(payments) // 2].name: _without_utf8}
    for file in files:
        spoil: Callable[[bytes], bytes] = spoiled.get(file.name, lambda data: data)
        yield _File(file.at, file.feed, file.name, spoil(file.data))
    yield _File(0.35, "transactions", "transactions-empty.jsonl.gz", b"")
    yield _File(0.45, "transactions", "transactions-no-gzip.jsonl.gz", b"this is no gzip\n")
    yield _File(0.55, "orders", "orders-empty.jsonl", b"")
    moved = [_moved(line) for piece in pieces["users"] for line in piece][::MOVED_EVERY]
    yield _File(0.7, "users", "users-moved.jsonl", _joined(moved))
    yield _File(0.8, "transactions", "transactions-again.jsonl.gz", payments[0].data)
    yield _File(0.85, "users", "users-again.jsonl", _joined(pieces["users"][0]))


def _plain_files(pieces: dict[str, list[Lines]]) -> Iterator[_File]:
    for feed, found in pieces.items():
        span = SPANS[feed]
        for number, lines in enumerate(found):
            at = span.first + (span.last - span.first) * number / len(found)
            if number % 3 == 2:
                yield _File(at, feed, f"{feed}-{number:03}.jsonl", _joined(lines))
            else:
                yield _File(at, feed, f"{feed}-{number:03}.jsonl.gz", gzip.compress(_joined(lines), mtime=0))


def _lines(folder: Path) -> Lines:
    found: Lines = []
    for file in visible_files(folder):
        with open_file(file) as read:
            found += read.read().split(b"\n")[:-1]
    return found


def _joined(lines: Lines) -> bytes:
    return b"".join(line + b"\n" for line in lines)


def _cut_gzip(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _without_utf8(data: bytes) -> bytes:
    first, rest = gzip.decompress(data).split(b"\n", 1)
    spoiled = first[:-1] + ',"note":"café"}'.encode("latin-1")
    return gzip.compress(spoiled + b"\n" + rest, mtime=0)


def _moved(line: bytes) -> bytes:
    user = json.loads(line)
    user["country"] = "NL" if user["country"] != "NL" else "DE"
    return json.dumps(user, ensure_ascii=False).encode()
