"""How far a query is behind the table that it reads, so that a count beside running streams is no false alarm.

What is known of a query from outside: the offset of its last finished micro-batch, and that of the one it has begun.
The rows that it has written lie between the two. Both are read from the checkpoint, the rows between from the log of
the table; on an object store neither is asked, and a lake is then judged as if its streams had ended.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lake.settings import Settings
from lake.storage import checkpoint
from spark_jobs.table_log import Added, TableLog, Taken, total_rows


@dataclass(frozen=True)
class Lag:
    """What may lie between a table and those written from it: rows that the query has not finished (`behind`), and
    rows that came after the table was counted and may have been taken already (`ahead`)."""

    behind: int = 0
    ahead: int = 0

    def unexplained(self, difference: int) -> int:
        """What is left of a difference of counts (table minus written) that the lag does not explain."""
        if difference > self.behind:
            return difference - self.behind
        return min(difference + self.ahead, 0)


NO_LAG = Lag()
# Of a query that has finished nothing yet: all of the table is on its way, also where its first commits are gone.
_ALL = 2**63 - 1
# A checkpoint or log that is damaged, or written otherwise than it is today.
UNREADABLE = (OSError, IndexError, KeyError, TypeError, ValueError)
# In a file of offsets, a line of its format and one of the micro-batch stand before those of the sources.
_FIRST_SOURCE, _NOTHING = 2, "-"


class LagMeter:
    """The lag of a query behind a table over the time of a count: made before it, and closed after it.

    The rows of the table itself are to be counted as of `version` (None where that is not known). Of a query that reads
    several tables, `number` says which of them it is, from 0.
    """

    def __init__(self, settings: Settings, query: str, table: str, number: int = 0) -> None:
        self._number = number
        self._checkpoint = Path(checkpoint(settings, query))
        self._log = TableLog(Path(settings.table_path(table)))
        self._finished: Taken | None = None
        self.version: int | None = None
        if settings.is_local and self._log.latest() >= 0:
            with suppress(*UNREADABLE):
                latest = self._log.latest()
                self._finished = last_taken(self._checkpoint, "commits", number)
                self.version = latest

    def close(self) -> Lag:
        """The lag, now that all has been counted."""
        if self.version is None:
            return NO_LAG
        try:
            unfinished = self._added_after(self._finished, self.version)
            later = self._added_after(Taken(self.version + 1))
            not_begun = self._added_after(last_taken(self._checkpoint, "offsets", self._number))
        except UNREADABLE:
            return NO_LAG
        if unfinished is None or later is None or not_begun is None:
            return NO_LAG
        return Lag(unfinished, max(later - not_begun, 0))

    def _added_after(self, taken: Taken | None, up_to: int | None = None) -> int | None:
        return _ALL if taken is None else total_rows(self._log.added_after(taken, up_to))


def is_behind(settings: Settings, query: str, tables: Sequence[str]) -> bool:
    """Whether rows of the tables that a query reads wait for it, or are being worked on. Not known, it is not."""
    if not settings.is_local:
        return False
    try:
        return any(file.rows != 0 for file in waiting(settings, query, tables))
    except UNREADABLE:
        return False


def has_more(settings: Settings, query: str, tables: Sequence[str]) -> bool:
    """Whether a table that a query reads has got a commit since its present micro-batch. Not known, it has.

    It costs a look at one file a table, however long the log is.
    """
    if not settings.is_local:
        return True
    try:
        return any(_has_more(settings, query, table, number) for number, table in enumerate(tables))
    except UNREADABLE:
        return True


def _has_more(settings: Settings, query: str, table: str, number: int) -> bool:
    taken = last_taken(Path(checkpoint(settings, query)), "offsets", number)
    # Within a commit, or its first snapshot, a stream has more to take.
    return taken is None or taken.index >= 0 or TableLog(Path(settings.table_path(table))).has(taken.version)


def waiting(settings: Settings, query: str, tables: Sequence[str]) -> list[Added]:
    """The files of its tables, on a local lake, that a query has not finished. Raises one of `UNREADABLE`."""
    found: list[Added] = []
    for number, table in enumerate(tables):
        taken = last_taken(Path(checkpoint(settings, query)), "commits", number) or Taken()
        found += TableLog(Path(settings.table_path(table))).added_after(taken)
    return found


def taken_whole(settings: Settings, query: str) -> int | None:
    """The version of its table that a query has taken as a whole with its present micro-batch; None if unknown."""
    if not settings.is_local:
        return None
    with suppress(*UNREADABLE):
        taken = last_taken(Path(checkpoint(settings, query)), "offsets")
        if taken is not None and taken.index < 0 and taken.version > 0:
            return taken.version - 1
    return None


def last_taken(checkpoint: Path, kind: str, number: int = 0) -> Taken | None:
    """How far the newest micro-batch reads that has an entry of this kind (`offsets`, `commits`); None without one.

    It is told of one of the tables that the query reads, of which it may have taken nothing yet: None, too.
    """
    folder = checkpoint / kind
    numbers = [int(file.name) for file in folder.iterdir() if file.name.isdigit()] if folder.is_dir() else []
    if not numbers:
        return None
    text = (checkpoint / "offsets" / str(max(numbers))).read_text(encoding="utf-8").strip()
    taken = text.split("\n")[_FIRST_SOURCE + number]
    if taken == _NOTHING:
        return None
    offset = json.loads(taken)
    if offset.get("isStartingVersion"):
        return None  # within its first snapshot a stream reads in an order of its own
    return Taken.of(offset)
