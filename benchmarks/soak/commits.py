"""How long lines took to reach a table, read from the log of the table, so that nothing is asked of the stream."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

# Tables of a payment, with the column that tells when a line of theirs came: visible in the inbox, or into bronze.
STAGES = {
    "bronze.transactions": "file_modified_at",
    "silver.transactions": "arrived_at",
    "features.user_5m": "inputs_arrived_at",
}


@dataclass(frozen=True)
class Commit:
    """A commit that appended rows: when (seconds since 1970), how many, and the age in seconds of the oldest one."""

    at: float
    rows: int
    oldest_s: float


class CommitLog:
    """The appending commits of a local Delta table; each call reads those that are new."""

    def __init__(self, table: Path, arrival: str) -> None:
        self._log = table / "_delta_log"
        self._arrival = arrival
        self._next = 0

    def new(self) -> list[Commit]:
        """The commits since the last call, in order."""
        found = []
        while (file := self._log / f"{self._next:020d}.json").is_file():
            found += list(appended(file.read_text(encoding="utf-8"), self._arrival))
            self._next += 1
        return found


def appended(text: str, arrival: str) -> Iterator[Commit]:
    """The commit that a file of the log tells of, if it appended rows. `arrival` is the column of their arrival."""
    actions = [json.loads(line) for line in text.split("\n") if line]
    info: dict[str, Any] = next((action["commitInfo"] for action in actions if "commitInfo" in action), {})
    files = [json.loads(action["add"].get("stats") or "{}") for action in actions if "add" in action]
    oldest = [stats["minValues"][arrival] for stats in files if arrival in stats.get("minValues", {})]
    if info.get("operation") != "WRITE" or not oldest:
        return
    at = info["timestamp"] / 1000
    rows = sum(stats["numRecords"] for stats in files)
    yield Commit(at, rows, round(at - min(datetime.fromisoformat(time).timestamp() for time in oldest), 3))
