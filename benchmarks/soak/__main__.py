"""Hold a stream under steady load: `python -m benchmarks.soak --rate 500 --minutes 120`.

The real commands run side by side: `risklake generate --rate` and `risklake stream`, with its own upkeep. At the end
the stream is stopped, what is left is taken, and every line must stand in its place. Exit code 1 if a figure grows.
"""

from __future__ import annotations

import csv
import shutil
from dataclasses import asdict, fields
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from benchmarks.figures import Folder, Out, place_of, tell, today
from benchmarks.processes import as_command
from benchmarks.soak.flatness import QUARTERS, Course, by_quarter, course, tail
from benchmarks.soak.rules import write_rules
from benchmarks.soak.run import USERS_AT_A_PAYMENT_A_SECOND, Observed, settle, soak
from benchmarks.soak.samples import Sample
from lake.progress import Stages
from lake.terminal import console

# What a figure may grow by between the second and the last quarter.
_GROWTH = 1.25


def main(
    rate: Annotated[float, typer.Option(help="Payments a second", min=1)] = 500,
    minutes: Annotated[float, typer.Option(help="How long", min=0.5)] = 120,
    upkeep_minutes: Annotated[int, typer.Option(help="Minutes between care of tables", min=1)] = 10,
    users: Annotated[int, typer.Option(help="Users for each payment a second", min=1)] = USERS_AT_A_PAYMENT_A_SECOND,
    every: Annotated[float, typer.Option(help="Seconds between two looks", min=1)] = 10,
    folder: Folder = None,
    out: Out = None,
) -> None:
    """Stream under steady load, and see whether memory, state, files and latency stay flat."""
    stages, place = Stages(), place_of(folder, "soak")
    lake, logs, seconds = place / "lake", place / "said", minutes * 60
    with stages.stage("soak", "s", total=seconds) as update:

        def report(done: float, seen: Sample) -> None:
            update(done)
            _say(stages, done, seen)

        observed = soak(
            lake,
            logs,
            rate=rate,
            seconds=seconds,
            upkeep_minutes=upkeep_minutes,
            every=every,
            report=report,
            users_at_one=users,
            rules=write_rules(place / "rules"),
        )
    with stages.stage("settle"):
        settle(lake, logs)
    courses = judged(observed)
    _show(courses)
    _keep(observed, place / "samples.csv")
    figures = _figures(observed, courses, rate, minutes)
    tell(figures, out)
    is_flat = all(found.is_flat for found in courses)
    if is_flat and folder is None:
        shutil.rmtree(place)
    else:
        stages.console.print(f"The lake, the samples and what the programs said lie in {place}", highlight=False)
    raise typer.Exit(not is_flat)


def judged(observed: Observed) -> list[Course]:
    """The course of each figure. What grows with the lake by design (commits in the log) is shown, and not judged."""

    def quarters(name: str) -> list[list[float]]:
        points = [(seen.at, float(getattr(seen, name))) for seen in observed.samples]
        return by_quarter(points, observed.began, observed.ended)

    found = [
        course("memory", "MiB", quarters("memory_mib"), growth=1.15),
        course("state", "rows", quarters("state_rows"), growth=_GROWTH),
        course("files that wait", "files", quarters("backlog_files"), growth=_GROWTH, slack=30),
        course("files in the inbox", "files", quarters("inbox_files"), growth=_GROWTH, slack=100),
    ]
    for name, commits in observed.commits.items():
        ages = by_quarter([(commit.at, commit.oldest_s) for commit in commits], observed.began, observed.ended)
        found.append(course(f"latency of {name}", "s", ages, growth=_GROWTH, slack=1))
        found.append(tail(f"latency of {name}, 95 %", "s", ages, growth=_GROWTH, slack=2))
    return found


def _say(stages: Stages, done: float, seen: Sample) -> None:
    if not stages.console.is_terminal:
        stages.console.print(
            f"  {done:>6.0f} s: {seen.memory_mib:,.0f} MiB, {seen.backlog_files:.0f} files wait, "
            f"{seen.table_files:,} table files, {seen.log_files:,} log files",
            highlight=False,
        )


def _show(courses: list[Course]) -> None:
    quarters = [f"quarter {number}" for number in range(1, QUARTERS + 1)]
    table = Table("figure", *quarters, "allowed", "", title="Medians by quarter", title_justify="left")
    for found in courses:
        mark = "[green]flat" if found.is_flat else "[bold red]grows"
        shown = [f"{value:,.1f}" for value in (*found.quarters, found.allowed)]
        table.add_row(f"{found.name} ({found.unit})", *shown, mark)
    console.print(table)


def _keep(observed: Observed, file: Path) -> None:
    with file.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, [item.name for item in fields(Sample)])
        writer.writeheader()
        writer.writerows(asdict(seen) for seen in observed.samples)


def _figures(observed: Observed, courses: list[Course], rate: float, minutes: float) -> dict[str, object]:
    last = observed.samples[-1]
    return {
        "date": today(),
        "rate": rate,
        "minutes": minutes,
        "payments_in_features": sum(commit.rows for commit in observed.commits["features.user_5m"]),
        "table_files": last.table_files,
        "log_files": last.log_files,
        "checkpoint_files": last.checkpoint_files,
        "lake_mib": last.lake_mib,
        "courses": {found.name: {"quarters": found.quarters, "is_flat": found.is_flat} for found in courses},
    }


if __name__ == "__main__":
    as_command(main, "soak")
