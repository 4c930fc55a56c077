"""Reads back what the generator wrote, for the tests of it: by plain Python, line by line."""

from __future__ import annotations

import gzip
from pathlib import Path

from lake.inbox import visible_files


def lines_of(inbox: Path, feed: str) -> list[str]:
    """All lines of a feed, in the order of the files."""
    return [line for file in visible_files(inbox / feed) for line in text_of(file).splitlines()]


def text_of(file: Path) -> str:
    """The text of a file, gzip'd or not."""
    data = file.read_bytes()
    return (gzip.decompress(data) if file.suffix == ".gz" else data).decode()


def labels_of(inbox: Path) -> dict[str, str]:
    """The scenario of each event by the truth, empty for honest ones; each event stands there once."""
    found: dict[str, str] = {}
    for file in sorted((inbox.parent / "truth" / "labels").iterdir()):
        header, *rows = text_of(file).splitlines()
        assert header == "event_id,is_fraud,scenario"
        for event, is_fraud, scenario in (row.split(",") for row in rows):
            assert event not in found
            assert is_fraud == ("1" if scenario else "0")
            found[event] = scenario
    return found
