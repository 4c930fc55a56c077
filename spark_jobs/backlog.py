"""What waits before a stream, as far as its source tells, or the files of a local lake show.

Kafka's source reports the newest offsets. The file source of Spark 4.2 and the source of Delta 4.4 report nothing of
the kind (`sources[].metrics` is empty), so theirs is read from the folder and from the log of the table.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from lake.inbox import is_visible
from lake.settings import Settings
from lake.storage import checkpoint
from spark_jobs.table_log import TableLog, Taken, total_rows

_LOCAL_SOURCE = re.compile(r"(FileStreamSource|DeltaSource)\[file:(.+)]")


@dataclass(frozen=True)
class Backlog:
    """Rows, files and bytes that wait; None where it is not known."""

    rows: int | None = None
    files: int | None = None
    size_bytes: int | None = None


NOTHING_WAITS = Backlog(0, 0, 0)


def reported(source: Mapping[str, Any]) -> Backlog:
    """What a source itself tells in its progress (Spark's JSON, as a dict)."""
    metrics = source.get("metrics") or {}
    return Backlog(
        _offsets_between(source.get("endOffset"), source.get("latestOffset")),
        _whole(metrics.get("numFilesOutstanding")),
        _whole(metrics.get("numBytesOutstanding")),
    )


class Backlogs:
    """The backlog of each query of a run; keeps what it has read, so that each event reads only what is new."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._readers: dict[tuple[str, int], _Table | _Folders] = {}

    def after(self, progress: Mapping[str, Any]) -> Backlog:
        """What waited at the end of a micro-batch: the sum over the query's sources."""
        found = [self._of(progress, n, source) for n, source in enumerate(progress.get("sources") or [])]
        return Backlog(
            _sum([one.rows for one in found]),
            _sum([one.files for one in found]),
            _sum([one.size_bytes for one in found]),
        )

    def _of(self, progress: Mapping[str, Any], number: int, source: Mapping[str, Any]) -> Backlog:
        told, place = reported(source), _LOCAL_SOURCE.fullmatch(source.get("description") or "")
        if told != Backlog() or place is None or not self._settings.is_local or not source.get("endOffset"):
            return told
        key = (progress["runId"], number)
        if key not in self._readers:
            self._readers[key] = self._reader(place.group(1), place.group(2), progress["name"], number)
        try:
            return self._readers[key].waiting(source["endOffset"])
        except (KeyError, OSError, TypeError, ValueError):
            # A log that is cleaned up meanwhile, or written otherwise than it is today: then it is not known.
            return told

    def _reader(self, kind: str, place: str, query: str, number: int) -> _Table | _Folders:
        if kind == "DeltaSource":
            return _Table(TableLog(Path(place)))
        log = Path(checkpoint(self._settings, query), "sources", str(number))
        return _Folders(_folders(place), log)


class _Table:
    """The data files that the log of a local Delta table adds after what a stream has read."""

    def __init__(self, log: TableLog) -> None:
        self._log = log

    def waiting(self, end: Mapping[str, Any]) -> Backlog:
        # Within its first snapshot a stream reads in an order of its own.
        if end.get("isStartingVersion") or not self._log.is_there():
            return Backlog()
        added = self._log.added_after(Taken.of(end))
        return Backlog(total_rows(added), len(added), sum(file.size_bytes for file in added))


class _Folders:
    """The files of local folders that the log of Spark's file source does not name yet."""

    def __init__(self, folders: list[Path], log: Path) -> None:
        self._folders = folders
        self._log = log
        self._taken: set[tuple[str, str]] = set()
        self._read_up_to = -1

    def waiting(self, end: Mapping[str, Any]) -> Backlog:
        for number, file in self._entries(int(end["logOffset"])):
            lines = file.read_text(encoding="utf-8").strip().split("\n")[1:]
            self._taken |= {_last_two(json.loads(line)["path"]) for line in lines}
            self._read_up_to = number
        lying = {
            (folder.name, file.name): file for folder in self._folders if folder.is_dir() for file in _visible(folder)
        }
        # What was moved to the archive need not be remembered.
        self._taken &= lying.keys()
        sizes = [file.stat().st_size for name, file in lying.items() if name not in self._taken]
        return Backlog(None, len(sizes), sum(sizes))

    def _entries(self, last: int) -> list[tuple[int, Path]]:
        # Every tenth entry holds all that went before it, and what went before may be gone.
        names = {int(file.name.split(".")[0]): file for file in self._log.iterdir() if file.name[0] != "."}
        new = sorted((number, file) for number, file in names.items() if self._read_up_to < number <= last)
        whole = [number for number, file in new if file.suffix == ".compact"]
        return [(number, file) for number, file in new if number >= max(whole, default=0)]


def _folders(pattern: str) -> list[Path]:
    """The folders that a glob pattern such as `/lake/inbox/{users,orders}` stands for; others mean themselves."""
    above, _, last = pattern.rpartition("/")
    names = last[1:-1].split(",") if last.startswith("{") else [last]
    plain = re.sub(r"\\(.)", r"\1", above)
    return [Path(plain, name) for name in names]


def _last_two(address: str) -> tuple[str, str]:
    folder, name = address.rsplit("/", 2)[-2:]
    return unquote(folder), unquote(name)


def _visible(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as files:
        return [file for file in files if is_visible(file.name)]


def _offsets_between(end: Any, latest: Any) -> int | None:
    # Kafka's: {"topic": {"0": 17}}.
    if not (isinstance(end, dict) and isinstance(latest, dict) and all(isinstance(p, dict) for p in latest.values())):
        return None
    return sum(
        max(offset - end.get(topic, {}).get(partition, 0), 0)
        for topic, partitions in latest.items()
        for partition, offset in partitions.items()
    )


def _whole(text: str | None) -> int | None:
    return None if text is None else int(float(text))


def _sum(values: list[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None
