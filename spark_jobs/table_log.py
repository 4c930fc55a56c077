"""What the log of a local Delta table adds, commit by commit, as a stream of the table counts it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote


@dataclass(frozen=True, order=True)
class Taken:
    """How far a stream has read: all files of the commits before `version`, and of that one those up to `index`."""

    version: int = 0
    index: int = -1

    @classmethod
    def of(cls, offset: Mapping[str, Any]) -> Taken:
        """From the offset of Delta's source, as its checkpoint holds it."""
        return cls(int(offset["reservoirVersion"]), max(int(offset.get("index", -1)), -1))


@dataclass(frozen=True)
class Added:
    """A data file that a commit adds; rows are None where its statistics do not tell."""

    size_bytes: int
    rows: int | None


def total_rows(added: Sequence[Added]) -> int | None:
    """Rows of all files together, None if those of one are not known."""
    rows = [file.rows for file in added]
    return None if None in rows else sum(row for row in rows if row is not None)


class TableLog:
    """The commits of a table; each is read once, and forgotten when it is asked for no more."""

    def __init__(self, table: Path) -> None:
        self._log = table / "_delta_log"
        self._added: dict[int, list[Added]] = {}

    def is_there(self) -> bool:
        """Whether the table has a log."""
        return self._log.is_dir()

    def has(self, number: int) -> bool:
        """Whether a commit is there."""
        return (self._log / f"{number:020d}.json").is_file()

    def latest(self) -> int:
        """The number of the newest commit, -1 if there is none."""
        numbers = (file.name.split(".")[0] for file in self._log.glob("*.json"))
        return max((int(number) for number in numbers if number.isdigit()), default=-1)

    def added_after(self, taken: Taken, up_to: int | None = None) -> list[Added]:
        """The files that a stream has still to read, of commits up to a number or of all.

        Raises `ValueError` where the log does not reach back so far.
        """
        self._added = {number: added for number, added in self._added.items() if number >= taken.version}
        found: list[Added] = []
        number = taken.version
        if self._of(number) is None and self._is_gone(number):
            raise ValueError(f"the commit {number} is gone")
        while (up_to is None or number <= up_to) and (added := self._of(number)) is not None:
            found += added[taken.index + 1 :] if number == taken.version else added
            number += 1
        return found

    def files_of(self, number: int) -> list[str] | None:
        """The data files, by their paths in the table, with rows that a commit adds or rewrites; None if it is gone."""
        commit = self._commit(number)
        if not commit.is_file():
            return None
        lines = [line for line in commit.read_text(encoding="utf-8").split("\n") if line.startswith('{"add"')]
        added = [json.loads(line)["add"] for line in lines]
        return [unquote(file["path"]) for file in added if file.get("dataChange", True)]

    def _of(self, number: int) -> list[Added] | None:
        if number not in self._added:
            commit = self._commit(number)
            if not commit.is_file():
                return None
            self._added[number] = added_files(commit.read_text(encoding="utf-8"))
        return self._added[number]

    def _is_gone(self, number: int) -> bool:
        """Whether a commit that is not there was: others follow it.

        Mostly it is the next one to come, behind one that is there; the log, which may be long, is then not listed.
        """
        return not (number > 0 and self._commit(number - 1).is_file()) and number <= self.latest()

    def _commit(self, number: int) -> Path:
        return self._log / f"{number:020d}.json"


def added_files(commit: str) -> list[Added]:
    """The data files that a commit adds, in the order in which a stream counts them.

    A stream of changes reads those instead of the rewritten files; other streams skip commits that change rows.
    """
    added, changes, changes_rows = [], [], False
    # Statistics may hold any character; `splitlines` would also cut at some of them.
    for line in commit.split("\n"):
        if line.startswith('{"cdc"'):
            changes.append(Added(int(json.loads(line)["cdc"]["size"]), None))
        elif line.startswith('{"add"'):
            file = json.loads(line)["add"]
            added += [_added(file)] if file.get("dataChange", True) else []
        elif line.startswith('{"remove"'):
            changes_rows |= bool(json.loads(line)["remove"].get("dataChange", True))
    return changes or ([] if changes_rows else added)


def _added(file: Mapping[str, Any]) -> Added:
    rows = json.loads(file.get("stats") or "{}").get("numRecords")
    return Added(int(file["size"]), None if rows is None else int(rows))
