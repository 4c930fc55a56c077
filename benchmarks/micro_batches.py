"""What micro-batches cost beside their rows: `python -m benchmarks.micro_batches --files 24`.

A running stream gets one small file of payments after the other, each when the one before has been judged by the rules.
So every stage works on the rows of one file, and how long it takes is mostly what a micro-batch costs however few they
are. A median of five or ten is as good as the machine is quiet: compare two versions in turns.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from pathlib import Path
from statistics import mean, median
from typing import Annotated, Any

import typer
from rich.table import Table

from benchmarks.faults.checkpoint_faults import newest
from benchmarks.faults.points import unnoted
from benchmarks.figures import Folder, Out, place_of, tell, today
from benchmarks.latency import rows_of
from benchmarks.processes import HarnessError, Running, as_command, started
from benchmarks.soak.run import stop, wait_until_streaming
from generator.live import LiveRun
from lake.progress import Stages
from lake.settings import Settings
from lake.terminal import console
from spark_jobs.streams import SELDOM

# In the order of the flow; a file has been judged when the last of them has noted it.
STAGES = ("bronze", "silver_transactions", "features_user_5m", "alerts_alerts")
_LONGEST_SECONDS = 300.0
_POLL_SECONDS = 0.05
# So long until cases have looked once more.
_CASES_LOOK_SECONDS = SELDOM * Settings().trigger_seconds + 0.5


def main(
    files: Annotated[int, typer.Option(help="Files, one after the other", min=2)] = 24,
    warm: Annotated[int, typer.Option(help="Of these, the first that are not counted", min=1)] = 10,
    rows: Annotated[int, typer.Option(help="Payments in a file", min=1)] = 2500,
    users: Annotated[int, typer.Option(help="Users who pay", min=1)] = 1_000_000,
    folder: Folder = None,
    out: Out = None,
) -> None:
    """Measure the seconds of a micro-batch of each stage on small files."""
    if warm >= files:
        raise typer.BadParameter(f"{warm} of {files} files leaves none to count: give more --files, or a lower --warm")
    stages, place = Stages(), place_of(folder, "micro-batches")
    lake, command = place / "lake", [sys.executable, "-m", "risklake.cli", "stream"]
    judged = []
    with started(
        command, place / "said" / "stream.log", {"LAKE_ROOT": str(lake), "RISKLAKE_WINDOWS_SECONDS": "0"}
    ) as stream:
        wait_until_streaming(stream)
        now_ms = int(time.time() * 1000)
        world: dict[str, Any] = {"users": users, "merchants": 5000, "seed": 7, "chaos": None, "feeds": ["transactions"]}
        payments = LiveRun(lake / "inbox", rate=rows, now_ms=now_ms, **world)
        with stages.stage("micro-batches", "files", total=files) as update:
            for number in range(1, files + 1):
                before = numbers(lake)
                began = time.monotonic()
                payments.step(now_ms + 1000 * number)
                _wait_until_judged(lake, before, stream)
                judged.append(time.monotonic() - began)
                _wait_until_quiet(lake)
                if number == warm:
                    counted_from = numbers(lake)
                update(number)
        stop(stream)
    found = seconds_by_query(lake, counted_from)
    _show(found, judged[warm:])
    figures = {
        "date": today(),
        "rows": rows,
        "files": files - warm,
        "judged_after_s": round(median(judged[warm:]), 2),
        "seconds": {query: round(mean(seconds), 2) for query, seconds in found.items()},
    }
    tell(figures, out)


def numbers(lake: Path) -> dict[str, int]:
    """The number of the latest micro-batch that each stage has noted; -1 before the first."""
    found = {query: newest(lake, query, "commits") for query in STAGES}
    return {query: int(file.name) if file else -1 for query, file in found.items()}


def seconds_by_query(lake: Path, counted_from: dict[str, int]) -> dict[str, list[float]]:
    """The seconds of each query's micro-batches after a number, their waiting for a turn included.

    From `monitoring.streams`; of queries that are no stage, all of them.
    """
    found: dict[str, list[float]] = defaultdict(list)
    for row in rows_of(lake, "monitoring.streams", "query", "batch_id", "input_rows", "add_batch_ms"):
        if _counts(row) and row["batch_id"] > counted_from.get(row["query"], -1):
            found[row["query"]].append(row["add_batch_ms"] / 1000)
    return dict(found)


def _counts(row: dict[str, Any]) -> bool:
    return bool(row["input_rows"]) and row["batch_id"] is not None and row["add_batch_ms"] is not None


def _wait_until_judged(lake: Path, before: dict[str, int], stream: Running) -> None:
    deadline = time.monotonic() + _LONGEST_SECONDS
    while any(number <= before[query] for query, number in numbers(lake).items()):
        if stream.process.poll() is not None or time.monotonic() > deadline:
            raise HarnessError(f"A file was not judged within {_LONGEST_SECONDS:.0f} s: see {stream.log}")
        time.sleep(_POLL_SECONDS)


def _wait_until_quiet(lake: Path) -> None:
    # Cases follow when they look for alerts the next time; the next file would wait for their turn.
    time.sleep(_CASES_LOOK_SECONDS)
    while unnoted(lake):
        time.sleep(_POLL_SECONDS)


def _show(found: dict[str, list[float]], judged: list[float]) -> None:
    table = Table("query", "micro-batches", "median s", "mean s", title="Work of a micro-batch", title_justify="left")
    for query, seconds in sorted(found.items()):
        table.add_row(query, str(len(seconds)), f"{median(seconds):.2f}", f"{mean(seconds):.2f}")
    console.print(table)
    console.print(f"A file was judged {median(judged):.1f} s after it was there (median)", highlight=False)


if __name__ == "__main__":
    as_command(main, "micro_batches")
