"""Features in random orders: `python -m benchmarks.parity --orders 50 --events 20000`.

The payments, orders and disputes of an order come in batches of random sizes, as chance has disturbed them (most lines
are hardly late, some come days after), with every kind of dirt. The real stream takes them; in some orders it is killed
on the way (`kill -9`) and started again. A lake takes some orders one after the other, each of days of its own or of
those of the one before, with the same users. Then all its features are recomputed from silver and compared row by row.
Exit code 1 if a row differs.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Annotated, Any

import typer

from benchmarks.figures import Folder, Out, place_of, tell, today
from benchmarks.processes import HarnessError, Running, as_command, started
from benchmarks.soak.run import settle, stop, wait_until_streaming
from generator.chaos import SPOILERS
from generator.write import generate
from lake.inbox import land_lines, open_file, visible_files
from lake.progress import Stages

_FEEDS = ("transactions", "orders", "disputes")
_CHAOS_SHARE = 0.01
_COMMAND = [sys.executable, "-m", "risklake.cli"]
# How late a line comes, as a share of all lines: mostly a little, some much.
_LATENESS = (*[0.0005] * 12, *[0.01] * 4, 0.1, 0.5)
_SMALLEST, _LARGEST = 20, 4000
_LONGEST_PAUSE_S = 2.0
# The last day of the first order of a lake, how much later that of the next one may be, and the latest of all.
_FIRST_END, _DAYS_LATER, _LAST_END = date(2026, 1, 31), (0, 7, 25), date(2026, 10, 31)
# Of so many orders, one is left in peace, and in the others the stream is killed once or twice.
_KILLS = (0, 1, 2)


@dataclass(frozen=True)
class Result:
    """What was compared of a lake, and how its orders had come."""

    seed: int
    orders: int
    files: int
    kills: int
    compared: int
    differing: int
    seconds: float


def main(
    orders: Annotated[int, typer.Option(help="Orders in all", min=1)] = 50,
    events: Annotated[int, typer.Option(help="Payments in each", min=100)] = 20_000,
    of_lake: Annotated[int, typer.Option(help="Orders that a lake takes, one after the other", min=1)] = 10,
    seed: Annotated[int, typer.Option(help="Seed of the first; the next ones follow")] = 1,
    folder: Folder = None,
    out: Out = None,
) -> None:
    """Stream payments in random orders, and compare all features with their recomputation."""
    stages, place = Stages(), place_of(folder, "parity")
    results: list[Result] = []
    try:
        with stages.stage("orders", "orders", total=orders) as update:
            for first in range(seed, seed + orders, of_lake):
                seeds = range(first, min(first + of_lake, seed + orders))
                results.append(
                    run(place / str(first), events=events, seeds=seeds, done=lambda last: update(last - seed + 1))
                )
                if not results[-1].differing:
                    shutil.rmtree(place / str(first))
    finally:
        # Also where a later lake came to no end.
        tell(_figures(results, events), out, details={"results": [asdict(one) for one in results]})
    if any(one.differing for one in results):
        raise HarnessError(f"features differ from what silver says: the lakes lie in {place}")


def _figures(results: Sequence[Result], events: int) -> dict[str, Any]:
    return {
        "date": today(),
        "orders": sum(one.orders for one in results),
        "lakes": len(results),
        "events": events,
        "kills": sum(one.kills for one in results),
        "compared": sum(one.compared for one in results),
        "differing": sum(one.differing for one in results),
    }


def run(place: Path, *, events: int, seeds: range, done: Callable[[int], None] = lambda seed: None) -> Result:
    """Stream the orders of some seeds into a lake of their own, and compare. Raises `HarnessError` if a command fails.

    `done` is told the seed of each order that has been streamed.
    """
    random, began, lake = Random(seeds[0]), time.monotonic(), place / "lake"  # noqa: S311
    files, kills, end = 0, 0, _FIRST_END
    with ExitStack() as stack:
        streaming = _Streaming(stack, place, lake)
        for seed in seeds:
            made = place / "made" / str(seed)
            delivered = list(delivery(made / "inbox", events=events, seed=seed, random=random, end=end))
            killed_after = _kills(random, len(delivered))
            for number, (feed, lines) in enumerate(delivered):
                land_lines(lines, lake / "inbox" / feed, f"{feed}-{seed}-{number:05}.jsonl")
                time.sleep(random.random() * _LONGEST_PAUSE_S)
                streaming.require_running()
                if number in killed_after:
                    streaming.kill()
            files, kills = files + len(delivered), kills + len(killed_after)
            end = min(end + timedelta(days=random.choice(_DAYS_LATER)), _LAST_END)
            shutil.rmtree(made)
            done(seed)
        stop(streaming.program)
    settle(lake, place / "said")
    compared, differing = _parity(lake, place)
    return Result(seeds[0], len(seeds), files, kills, compared, differing, round(time.monotonic() - began, 1))


def _kills(random: Random, files: int) -> set[int]:
    """After which files of an order the stream is killed."""
    return set(random.sample(range(1, files), k=min(random.choice(_KILLS), files - 1)))


def delivery(
    inbox: Path, *, events: int, seed: int, random: Random, end: date = _FIRST_END
) -> Iterator[tuple[str, list[str]]]:
    """Generated lines of the feeds in files of random sizes, out of order by chance; gives (feed, lines)."""
    generate(
        inbox,
        rows=events,
        days=random.choice([1, 4, 20]),
        users=random.choice([20, 200, 2000]),
        merchants=50,
        seed=seed,
        end=end,
        chaos=dict.fromkeys(SPOILERS, _CHAOS_SHARE),
        feeds=_FEEDS,
        processes=1,
    )
    pieces = [
        (at, feed, lines) for feed in _FEEDS for at, lines in cut(disturbed(_lines(inbox / feed), random), random)
    ]
    for _, feed, lines in sorted(pieces, key=lambda piece: piece[:2]):
        yield feed, lines


def disturbed(lines: list[str], random: Random) -> list[str]:
    """The lines in another order: each is late by chance, by up to a share of all."""
    place = [n + random.random() * random.choice(_LATENESS) * len(lines) for n in range(len(lines))]
    return [lines[n] for n in sorted(range(len(lines)), key=place.__getitem__)]


def cut(lines: list[str], random: Random) -> Iterator[tuple[float, list[str]]]:
    """Pieces of random sizes, small ones as often as large ones, each with the share of all that lies before it."""
    done = 0
    while done < len(lines):
        size = round(_SMALLEST * (_LARGEST / _SMALLEST) ** random.random())
        yield done / len(lines), lines[done : done + size]
        done += size


def _lines(folder: Path) -> list[str]:
    found: list[str] = []
    for file in visible_files(folder):
        with open_file(file) as read:
            found += read.read().decode("utf-8", "replace").split("\n")[:-1]
    return found


class _Streaming:
    """The stream of a lake, started; after a kill, another one."""

    def __init__(self, stack: ExitStack, place: Path, lake: Path) -> None:
        self._stack, self._place, self._lake, self._starts = stack, place, lake, 0
        self.program = self._start()

    def require_running(self) -> None:
        """Raise `HarnessError` if it has ended by itself: nothing would be killed or streamed from then on."""
        if self.program.process.poll() is not None:
            raise HarnessError(f"The stream ended: {self.program.ending().last_line}")

    def kill(self) -> None:
        self.program.kill()
        self.program = self._start()

    def _start(self) -> Running:
        log = self._place / "said" / f"stream-{self._starts}.log"
        self._starts += 1
        stream = self._stack.enter_context(started([*_COMMAND, "stream"], log, {"LAKE_ROOT": str(self._lake)}))
        wait_until_streaming(stream)
        return stream


def _parity(lake: Path, place: Path) -> tuple[int, int]:
    """Rows that were compared, and those that differ, over all tables of features."""
    log = place / "said" / "parity.log"
    with started([*_COMMAND, "features", "parity", "--json"], log, {"LAKE_ROOT": str(lake)}) as program:
        said = program.ending().said
    try:
        found = json.loads(said[said.index("{") : said.rindex("}") + 1])
        return sum(one["compared"] for one in found.values()), sum(one["differing"] for one in found.values())
    except (ValueError, KeyError) as error:
        raise HarnessError(f"`risklake features parity` gave no figures: see {log}") from error


if __name__ == "__main__":
    as_command(main, "parity")
