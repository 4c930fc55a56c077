"""Features in random orders: `python -m benchmarks.parity --orders 50 --events 20000`.

Each order is a lake of its own. Its payments, orders and disputes come in batches of random sizes, in an order that
chance has disturbed (most lines are hardly late, some come days after), with every kind of dirt. The real stream takes
them; in some orders it is killed on the way (`kill -9`) and started again. Then all features are recomputed from silver
and compared row by row. Exit code 1 if a row differs.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from random import Random
from typing import Annotated

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
_LONGEST_PAUSE_S = 3.0
# Of so many orders, one is left in peace, and in the others the stream is killed once or twice.
_KILLS = (0, 1, 2)


@dataclass(frozen=True)
class Result:
    """What was compared of one order, and how it had come."""

    seed: int
    files: int
    kills: int
    compared: int
    differing: int
    seconds: float


def main(
    orders: Annotated[int, typer.Option(help="Orders, each on a lake of its own", min=1)] = 50,
    events: Annotated[int, typer.Option(help="Payments in each", min=100)] = 20_000,
    seed: Annotated[int, typer.Option(help="Seed of the first; the next ones follow")] = 1,
    folder: Folder = None,
    out: Out = None,
) -> None:
    """Stream payments in random orders, and compare all features with their recomputation."""
    stages, place = Stages(), place_of(folder, "parity")
    results = []
    with stages.stage("orders", "orders", total=orders) as update:
        for number in range(orders):
            results.append(run(place / str(seed + number), events=events, seed=seed + number))
            update(number + 1)
            if not results[-1].differing:
                shutil.rmtree(place / str(seed + number))
    figures = {
        "date": today(),
        "orders": len(results),
        "events": events,
        "kills": sum(one.kills for one in results),
        "compared": sum(one.compared for one in results),
        "differing": sum(one.differing for one in results),
    }
    tell(figures, out, details={"results": [asdict(one) for one in results]})
    if figures["differing"]:
        raise HarnessError(f"features differ from what silver says: the lakes lie in {place}")


def run(place: Path, *, events: int, seed: int) -> Result:
    """Stream one order into a lake of its own, and compare. Raises `HarnessError` if a command fails."""
    random, began, lake = Random(seed), time.monotonic(), place / "lake"  # noqa: S311
    files = list(delivery(place / "made" / "inbox", events=events, seed=seed, random=random))
    kills = random.choice(_KILLS)
    killed_after = set(random.sample(range(1, len(files)), k=min(kills, len(files) - 1)))
    with ExitStack() as stack:
        stream = _streaming(stack, place, lake, 0)
        for number, (feed, lines) in enumerate(files):
            land_lines(lines, lake / "inbox" / feed, f"{feed}-{number:05}.jsonl")
            time.sleep(random.random() * _LONGEST_PAUSE_S)
            if number in killed_after:
                stream.kill()
                stream = _streaming(stack, place, lake, number)
        stop(stream)
    settle(lake, place / "said")
    compared, differing = _parity(lake, place)
    return Result(seed, len(files), len(killed_after), compared, differing, round(time.monotonic() - began, 1))


def delivery(inbox: Path, *, events: int, seed: int, random: Random) -> Iterator[tuple[str, list[str]]]:
    """Generated lines of the feeds in files of random sizes, out of order by chance; gives (feed, lines)."""
    generate(
        inbox,
        rows=events,
        days=random.choice([1, 4, 20]),
        users=random.choice([20, 200, 2000]),
        merchants=50,
        seed=seed,
        end=date(2026, 1, 31),
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


def _streaming(stack: ExitStack, place: Path, lake: Path, number: int) -> Running:
    log = place / "said" / f"stream-{number}.log"
    stream = stack.enter_context(started([*_COMMAND, "stream"], log, {"LAKE_ROOT": str(lake)}))
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
