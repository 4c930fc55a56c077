"""The points at which a running program is killed, recognised from outside by what it leaves in the file system."""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lake.catalog import TABLES
from lake.feeds import FEEDS
from spark_jobs import alerts, bronze, cases
from spark_jobs.feature_tables import FEATURE_TABLES
from spark_jobs.rules.watched import WATCHED

QUERIES = (
    bronze.QUERY,
    *(f"silver_{feed}" for feed in FEEDS),
    *(found.query for found in FEATURE_TABLES),
    *(watched.query for watched in WATCHED.values()),
    cases.QUERY,
)
# A micro-batch writes another table after one of these.
WRITTEN_BEFORE = ("silver.quarantine", "silver.orphans", *(f"bronze.{feed}" for feed in FEEDS))
WRITTEN_LAST = tuple(
    name for name in TABLES if name not in WRITTEN_BEFORE and not name.startswith(("monitoring.", "alerts.scores"))
)
# Nothing of the line comes after these, so a round that waits for a later moment takes theirs.
LAST_PLACES = (alerts.QUERY, "alerts.alerts")
# Moments of a point that a round lets pass, so that all stages of the line come up; a round with one new file of
# payments has few more.
SKIPS = (0, 0, 1, 1, 2, 3)
# A run that would not end by itself is killed between these seconds: from its start, Java's included, to some rounds of
# all its streams.
WATCHED_SECONDS = (5.0, 45.0)
BY_THE_CLOCK = "by the clock"
# So many times what a whole round takes at least, one waits for a moment that may not come.
_PATIENCE = 1.5
# A folder's time moves on in ticks of the kernel: after a change, what follows in the same tick would not show.
_TICK_SECONDS = 0.02
# The first commit makes a table; what a micro-batch writes are the others.
_COMMITS = r"(?!0{20})\d{20}\.json"

Place = tuple[str, Path]


@dataclass(frozen=True)
class Point:
    """A kind of moment: its name, what is special about it, and how it is recognised.

    `places` gives, for the root of a lake, the folders to watch by the names of their queries or tables; a new name
    there that matches `pattern` is a moment. `command` is what runs meanwhile. A point without places is a moment by
    the clock.
    """

    name: str
    meaning: str
    recognised: str
    places: Callable[[Path], Iterable[Place]] = lambda root: ()
    pattern: str = ""
    command: str = "stream"


@dataclass(frozen=True)
class Moment:
    """Something that appeared: where, and under which name."""

    place: str
    name: str


@dataclass(frozen=True)
class Aim:
    """What a round waits for: the first moment of a point, or the one after `skip` others; at one place if it is given.

    `share` (0 to 1) says when a moment by the clock comes: it is the moment of a point without places, and ends the
    waiting for others. With `runs_on` the streams run until they are killed, side by side, instead of draining in turn.
    One that `is_patient` is killed at its point or not at all.
    """

    point: Point
    skip: int = 0
    share: float = 0.0
    place: str | None = None
    runs_on: bool = False
    is_patient: bool = False

    @property
    def command(self) -> str:
        """What runs until the kill."""
        return "watch" if self.runs_on and self.point.command == "stream" else self.point.command

    def takes(self, moment: Moment, passed: int) -> bool:
        """Whether to kill at a moment after so many others have passed."""
        if self.place is not None:
            return moment.place == self.place
        return passed >= self.skip or moment.place in LAST_PLACES

    def latest(self, whole_seconds: float | None) -> float:
        """Seconds after which a round is killed wherever it is, given what a whole one takes at least, if known.

        A place is waited for in any case.
        """
        if self.is_patient or self.place is not None:
            return math.inf
        first, last = WATCHED_SECONDS if self.command == "watch" else (0.0, whole_seconds)
        if last is None:
            return math.inf
        return last * _PATIENCE if self.point.pattern else first + self.share * (last - first)


def _offsets(root: Path) -> list[Place]:
    return [(query, root / "checkpoints" / query / "offsets") for query in QUERIES]


def _logs(names: Sequence[str]) -> Callable[[Path], list[Place]]:
    return lambda root: [(name, root.joinpath(*name.split("."), "_delta_log")) for name in names]


def _data(root: Path) -> Iterator[Place]:
    for name in TABLES:
        folder = root.joinpath(*name.split("."))
        yield name, folder
        if folder.is_dir():
            yield from ((name, part) for part in sorted(folder.iterdir()) if part.is_dir() and part.name[0] != "_")


RANDOM = Point(
    "random",
    "any moment of a round, the start of Java and the last count included",
    "a moment uniformly within the seconds that whole rounds take, or within the first 45 of streams that run on",
)
OFFSETS_WRITTEN = Point(
    "offsets_written",
    "a micro-batch is planned, and none of it is done",
    "a new file in checkpoints/<query>/offsets",
    _offsets,
    r"\d+",
)
BETWEEN_TWO_TABLES = Point(
    "between_two_tables",
    "a micro-batch has written one table and not yet the next",
    "a new commit in the log of silver.quarantine, silver.orphans or bronze.<feed>",
    _logs(WRITTEN_BEFORE),
    _COMMITS,
)
COMMITTED_NOT_NOTED = Point(
    "committed_not_noted",
    "a table holds a micro-batch that its query does not know to be done",
    "a new commit in the log of another table of silver, features or alerts, before the checkpoint's",
    _logs(WRITTEN_LAST),
    _COMMITS,
)
DURING_OPTIMIZE = Point(
    "during_optimize",
    "files of a table are being rewritten into larger ones",
    "a new part file in a table's folder while OPTIMIZE and VACUUM run",
    _data,
    r"part-.*\.parquet",
    command="care",
)
POINTS = (RANDOM, OFFSETS_WRITTEN, BETWEEN_TWO_TABLES, COMMITTED_NOT_NOTED, DURING_OPTIMIZE)


def aims(seed: int, points: Sequence[Point] = POINTS, *, is_patient: bool = False) -> Iterator[Aim]:
    """Aims without end, the same for the same seed; all points come up equally often, in an order by chance.

    Patient ones are for streams that drain, and for their points only.
    """
    chance = np.random.default_rng(seed)
    while True:
        for number in chance.permutation(len(points)):
            skip, share, runs_on = int(chance.choice(SKIPS)), float(chance.random()), bool(chance.random() < 0.5)
            yield Aim(points[number], skip, share, runs_on=runs_on and not is_patient, is_patient=is_patient)


def unnoted(root: Path) -> list[str]:
    """The queries of a lake that have begun a micro-batch which they do not know to be done."""
    return [query for query in QUERIES if _latest(root, query, "offsets") > _latest(root, query, "commits")]


class Watcher:
    """Sees names appear in the folders of a point; those that are there when it begins are no moments."""

    def __init__(self, point: Point, root: Path) -> None:
        pattern = re.compile(point.pattern)
        self._folders = [_Folder(place, path, pattern) for place, path in point.places(root)]
        for folder in self._folders:
            folder.new_names()

    def look(self) -> list[Moment]:
        """What has appeared since the last look; where several have, in the order of the point's places."""
        return [Moment(folder.place, name) for folder in self._folders for name in folder.new_names()]


@dataclass
class _Folder:
    place: str
    path: Path
    pattern: re.Pattern[str]
    names: set[str] = field(default_factory=set)
    changed_ns: int = -1
    seen_at: float = 0.0

    def new_names(self) -> list[str]:
        """Names that were not there before. A folder is listed only where its time says that something changed."""
        try:
            changed_ns = os.stat(self.path).st_mtime_ns  # noqa: PTH116 (a thousand times a second)
        except OSError:
            return []
        now = time.monotonic()
        if changed_ns != self.changed_ns:
            self.changed_ns, self.seen_at = changed_ns, now
        elif now - self.seen_at > _TICK_SECONDS:
            return []
        with os.scandir(self.path) as entries:
            found = {entry.name for entry in entries if self.pattern.fullmatch(entry.name)}
        new = sorted(found - self.names)
        self.names |= found
        return new


def _latest(root: Path, query: str, kind: str) -> int:
    folder = root / "checkpoints" / query / kind
    return (
        max((int(file.name) for file in folder.iterdir() if file.name.isdigit()), default=-1) if folder.is_dir() else -1
    )
