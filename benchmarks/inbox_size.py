"""Drain a great many small files, or one great one, and see that memory stays within bounds.

`python -m benchmarks.inbox_size --files 100000` and `python -m benchmarks.inbox_size --gigabytes 2`.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from datetime import date
from itertools import count, islice
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.drain import drained_and_told
from benchmarks.figures import place_of
from benchmarks.processes import as_command
from generator.write import generate
from lake.errors import UsageError
from lake.inbox import land_blocks, open_file, visible_files
from lake.progress import Stages
from lake.settings import Settings, load_settings

_MADE = 20_000
_BLOCK_LINES = 10_000


def write_small_files(settings: Settings, files: int) -> None:
    """Put so many files of one payment each into the inbox of a lake."""
    folder = settings.local_path("inbox", "transactions")
    for number, line in enumerate(islice(_payments(), files)):
        land_blocks([line], folder / f"{number:07d}.jsonl")


def write_great_file(settings: Settings, size_bytes: int) -> None:
    """Put one file of payments of at least this size into the inbox of a lake."""
    land_blocks(_blocks(size_bytes), settings.local_path("inbox", "transactions") / "great.jsonl")


def main(
    files: Annotated[int, typer.Option(help="How many small files, of one line each", min=0)] = 0,
    gigabytes: Annotated[float, typer.Option(help="Or the size of one file, in GB", min=0)] = 0.0,
    most_mib: Annotated[float, typer.Option(help="Most memory of all processes together, in MiB")] = 8192,
    folder: Annotated[Path | None, typer.Option(help="Where to work; a temporary folder by default")] = None,
) -> None:
    """Drain the input and print where it went. Exit code 7 if a line is missing, 1 if it took too much memory."""
    if bool(files) == bool(gigabytes):
        raise UsageError("say either --files, such as --files 100000, or --gigabytes, such as --gigabytes 2")
    stages, place = Stages(), place_of(folder, "inbox-size")
    settings = load_settings({"lake_root": str(place / "lake")})
    with stages.stage("input"):
        if files:
            write_small_files(settings, files)
        else:
            write_great_file(settings, int(gigabytes * 1e9))
    drained_and_told(settings, stages, "inbox_size", most_mib)
    if folder is None:
        shutil.rmtree(place)


def _blocks(size_bytes: int) -> Iterator[bytes]:
    payments, written = _payments(), 0
    while written < size_bytes:
        block = b"".join(islice(payments, _BLOCK_LINES))
        written += len(block)
        yield block


def _payments() -> Iterator[bytes]:
    """Lines of payments without end; what repeats has ids of its own."""
    with tempfile.TemporaryDirectory() as made:
        inbox = Path(made) / "inbox"
        feeds = ("transactions",)
        generate(
            inbox, rows=_MADE, days=5, users=2000, merchants=200, seed=7, end=date(2026, 1, 31), chaos={}, feeds=feeds
        )
        lines = []
        for file in visible_files(inbox / "transactions"):
            with open_file(file) as content:
                lines += content.read().splitlines(keepends=True)
    for turn in count():
        own = f'{{"event_id":"{turn:x}-'.encode()
        yield from (own + line.removeprefix(b'{"event_id":"') for line in lines)


if __name__ == "__main__":
    as_command(main, "inbox_size")
