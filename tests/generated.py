"""Small runs of the generator for its tests, read back by plain Python, line by line."""

from __future__ import annotations

import gzip
from datetime import date
from pathlib import Path
from typing import Any

from generator.chaos import SPOILERS
from generator.write import generate
from lake.inbox import visible_files

END = date(2026, 1, 31)
ALL_CHAOS = dict.fromkeys(SPOILERS, 0.02)
FEEDS = ("users", "merchants", "transactions", "disputes")
SMALL: dict[str, Any] = {"rows": 3000, "days": 14, "users": 60, "merchants": 40, "seed": 7, "end": END, "feeds": FEEDS}


def made(folder: Path, **run: Any) -> Path:
    """The inbox of a small run with every kind of chaos; `run` names what is different."""
    generate(folder / "inbox", **{**SMALL, "chaos": ALL_CHAOS, **run})
    return folder / "inbox"


def truth_of(inbox: Path) -> Path:
    """The folder of the truth about an inbox."""
    return inbox.parent / "truth"


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
    for file in sorted((truth_of(inbox) / "labels").iterdir()):
        header, *rows = text_of(file).splitlines()
        assert header == "event_id,is_fraud,scenario"
        for event, is_fraud, scenario in (row.split(",") for row in rows):
            assert event not in found
            assert is_fraud == ("1" if scenario else "0")
            found[event] = scenario
    return found
