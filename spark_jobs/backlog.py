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
        self._readers: dict[tuple[str, int], _TableLog | _Folder] = {}

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
            folder = Path(place.group(2))
            log = Path(checkpoint(self._settings, progress["name"]), "sources", str(number))
            self._readers[key] = _TableLog(folder) if place.group(1) == "DeltaSource" else _Folder(folder, log)
        try:
            return self._readers[key].waiting(source["endOffset"])
        except (KeyError, OSError, TypeError, ValueError):
            # A log that is cleaned up meanwhile, or written otherwise than it is today: then it is not known.
            return told


class _TableLog:
    """The data files that the log of a local Delta table adds after what a stream has read."""

    def __init__(self, table: Path) -> None:
        self._log = table / "_delta_log"
        self._sizes: dict[int, list[int]] = {}

    def waiting(self, end: Mapping[str, Any]) -> Backlog:
        # Within its first snapshot a stream reads in an order of its own.
        if end.get("isStartingVersion") or not self._log.is_dir():
            return Backlog()
        version, taken = int(end["reservoirVersion"]), max(int(end.get("index", -1)) + 1, 0)
        self._sizes = {known: sizes for known, sizes in self._sizes.items() if known >= version}
        following = max(self._sizes, default=version - 1) + 1
        while (commit := self._log / f"{following:020d}.json").is_file():
            self._sizes[following] = _added_sizes(commit)
            following += 1
        sizes = self._sizes.get(version, [])[taken:]
        sizes += [size for known, more in self._sizes.items() if known > version for size in more]
        return Backlog(None, len(sizes), sum(sizes))


class _Folder:
    """The files of a local folder that the log of Spark's file source does not name yet."""

    def __init__(self, folder: Path, log: Path) -> None:
        self._folder = folder
        self._log = log
        self._taken: set[str] = set()
        self._read_up_to = -1

    def waiting(self, end: Mapping[str, Any]) -> Backlog:
        for number, file in self._entries(int(end["logOffset"])):
            lines = file.read_text(encoding="utf-8").strip().split("\n")[1:]
            self._taken |= {unquote(json.loads(line)["path"].rsplit("/", 1)[-1]) for line in lines}
            self._read_up_to = number
        with os.scandir(self._folder) as files:
            sizes = [file.stat().st_size for file in files if is_visible(file.name) and file.name not in self._taken]
        return Backlog(None, len(sizes), sum(sizes))

    def _entries(self, last: int) -> list[tuple[int, Path]]:
        # Every tenth entry holds all that went before it, and what went before may be gone.
        names = {int(file.name.split(".")[0]): file for file in self._log.iterdir() if file.name[0] != "."}
        new = sorted((number, file) for number, file in names.items() if self._read_up_to < number <= last)
        whole = [number for number, file in new if file.suffix == ".compact"]
        return [(number, file) for number, file in new if number >= max(whole, default=0)]


def _added_sizes(commit: Path) -> list[int]:
    """Sizes of the data files that a commit adds, in the order in which a stream counts them."""
    added, changes = [], []
    # Statistics may hold any character; `splitlines` would also cut at some of them.
    for line in commit.read_text(encoding="utf-8").split("\n"):
        if line.startswith('{"cdc"'):
            changes.append(int(json.loads(line)["cdc"]["size"]))
        elif line.startswith('{"add"'):
            file = json.loads(line)["add"]
            added += [int(file["size"])] if file.get("dataChange", True) else []
    # A stream of changes reads those instead of the rewritten files.
    return changes or added


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
