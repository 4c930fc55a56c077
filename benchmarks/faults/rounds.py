"""Rounds: land a few files, start a program, kill it at a point; in the end one run drains what is left."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from benchmarks.faults.landing import Landing
from benchmarks.faults.points import BY_THE_CLOCK, RANDOM, Aim, Moment, Watcher, unnoted
from benchmarks.faults.programs import Programs
from benchmarks.processes import LONGEST_SECONDS, Ending, HarnessError, Running

# Looking four times as often took a quarter of a core from the programs (two lakes, by the time that the harness used).
_LOOK_SECONDS = 0.002
# `risklake` ends so where its own count finds lines lost or doubled; the harness then goes on to its verdict.
INCONSISTENT = 7


@dataclass(frozen=True)
class Strike:
    """One kill: at which point and place, after how many seconds, and the queries that were amid a micro-batch."""

    point: str
    place: str
    seconds: float
    amid: list[str]

    def __str__(self) -> str:
        amid = f", amid a micro-batch of {', '.join(self.amid)}" if self.amid else ""
        return f"{self.point} ({self.place}) after {self.seconds:.1f} s{amid}"


@dataclass
class Record:
    """What the rounds did: the kills, the rounds that ended before their point, and what programs complained of.

    `whole_seconds` is the least that a command took which nobody disturbed. `failure` says why the rounds came to no
    end, if they did not: what the lake holds then proves nothing.
    """

    strikes: list[Strike] = field(default_factory=list)
    unharmed: int = 0
    complaints: list[str] = field(default_factory=list)
    failure: str = ""
    whole_seconds: dict[str, float] = field(default_factory=dict)

    def note_whole(self, command: str, seconds: float) -> None:
        """Take in how long a command ran that nobody disturbed."""
        self.whole_seconds[command] = min(seconds, self.whole_seconds.get(command, seconds))

    def note(self, ending: Ending) -> None:
        """Take in a program that ended by itself. Raises `HarnessError` where it failed for an unknown reason."""
        said = f"exit code {ending.code}: {ending.last_line}"
        if ending.code == INCONSISTENT:
            self.complaints.append(said)
        elif ending.code:
            raise HarnessError(f"A program failed with {said}")

    def by_point(self) -> dict[str, dict[str, int]]:
        """Kills by point and place."""
        counted = Counter((strike.point, strike.place) for strike in self.strikes)
        points = sorted({strike.point for strike in self.strikes})
        return {p: {place: n for (point, place), n in sorted(counted.items()) if point == p} for p in points}


def kill_rounds(
    programs: Programs,
    landing: Landing,
    aims: Iterator[Aim],
    kills: int,
    record: Record,
    *,
    seed: int,
    until: float = math.inf,
    report: Callable[[Strike | None, int], None] = lambda strike, done: None,
) -> None:
    """Kill so many times while files land in proportion, then drain; what happens goes into `record`.

    Fewer kills come about only where all files are taken before, or where the monotonic clock passes `until`: then
    the files that are left land too, and the verdict holds as ever. `report` is told of each round.
    """
    chance = np.random.default_rng(seed)
    is_drained = True
    while len(record.strikes) < kills and not (is_drained and landing.is_done) and time.monotonic() < until:
        done = len(record.strikes)
        landing.land_up_to((done + 1) / kills, at_least=landing.landed + is_drained)
        aim, files = next(aims), int(chance.integers(1, 3))
        strike = one_round(programs, aim, record, files_per_trigger=files)
        is_drained = is_drained if aim.point.command == "care" else strike is None
        report(strike, len(record.strikes))
    landing.land_up_to(1.0)
    record.note(programs.run("stream", files_per_trigger=2))
    if landing.is_in_place:
        landing.finish()
        record.note(programs.run("stream", files_per_trigger=2))


def one_round(programs: Programs, aim: Aim, record: Record, *, files_per_trigger: int) -> Strike | None:
    """Start the program of a point and kill it there; None, and noted as unharmed, if it ended before."""
    watcher = Watcher(aim.point, programs.lake)
    with programs.started(aim.command, files_per_trigger=files_per_trigger) as running:
        moment = _wait_for(running, aim, watcher, aim.latest(record.whole_seconds.get(aim.command)))
        if moment is None:
            ending = running.ending()
        else:
            seconds = running.seconds
            running.kill()
    if moment is None:
        record.unharmed += 1
        record.note_whole(aim.command, ending.seconds)
        record.note(ending)
        return None
    name = RANDOM.name if moment.place == BY_THE_CLOCK else aim.point.name
    strike = Strike(name, moment.place, round(seconds, 2), unnoted(programs.lake))
    record.strikes.append(strike)
    return strike


def _wait_for(running: Running, aim: Aim, watcher: Watcher, latest: float) -> Moment | None:
    passed = 0
    while running.process.poll() is None:
        if running.seconds > LONGEST_SECONDS:
            raise HarnessError(f"A round took more than {LONGEST_SECONDS:.0f} s: see {running.log}")
        if running.seconds >= latest:
            return Moment(BY_THE_CLOCK, "")
        for moment in watcher.look():
            if aim.takes(moment, passed):
                return moment
            passed += 1
        time.sleep(_LOOK_SECONDS)
    return None
