"""How long an alert takes: from the file with its payment visible in the inbox to the commit that holds it.

`python -m benchmarks.latency --rate 1000 --minutes 10` runs the real commands side by side, as the soak does, and then
looks up each alert's payment and its file. Java compiles what it runs in the first minutes, which are not counted.
Exit code 1 if the goals are missed.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import quantiles
from typing import Annotated, Any
from urllib.parse import unquote

import pyarrow.parquet as pq
import typer
from rich.table import Table

from benchmarks.figures import Folder, Out, place_of, tell, today
from benchmarks.processes import HarnessError, as_command
from benchmarks.soak.flatness import Course, by_quarter, course
from benchmarks.soak.run import Observed, settle, soak
from lake.progress import Stages
from lake.terminal import console

MEDIAN_GOAL_S, TAIL_GOAL_S = 4.0, 8.0
_SHOWN = (50, 90, 95, 99)
# Each user pays about once an hour, so that alerts are the exception.
_USERS_AT_ONE = 4000


def main(
    rate: Annotated[float, typer.Option(help="Payments a second", min=1)] = 1000,
    minutes: Annotated[float, typer.Option(help="How long", min=0.1)] = 10,
    warm_up: Annotated[float, typer.Option(help="Minutes before, at the same rate, that are not counted", min=0)] = 2,
    folder: Folder = None,
    out: Out = None,
) -> None:
    """Measure the time from a visible file to its committed alerts."""
    stages, place = Stages(), place_of(folder, "latency")
    lake, logs, seconds = place / "lake", place / "said", (warm_up + minutes) * 60
    with stages.stage("latency", "s", total=seconds) as update:
        observed = soak(
            lake,
            logs,
            rate=rate,
            seconds=seconds,
            upkeep_minutes=10,
            every=5,
            report=lambda done, seen: update(done),
            feeds="transactions",
            users_at_one=_USERS_AT_ONE,
        )
    with stages.stage("settle"):
        settle(lake, logs)
    observed = replace(observed, began=observed.began + warm_up * 60)
    waited = [took for at, took in alert_seconds(lake) if observed.began <= at < observed.ended]
    if len(waited) < 2:
        raise HarnessError(f"No alerts were raised meanwhile: see {place}")
    found = percentiles(waited)
    backlog = _backlog(observed)
    _show(found, len(waited), observed, backlog)
    is_good = found[50] < MEDIAN_GOAL_S and found[99] < TAIL_GOAL_S and backlog.is_flat
    figures = {
        "date": today(),
        "rate": rate,
        "minutes": minutes,
        "warm_up_minutes": warm_up,
        "alerts": len(waited),
        "seconds": {f"p{share}": round(took, 2) for share, took in found.items()},
        "most_seconds": round(max(waited), 2),
        "backlog_files": backlog.quarters,
        "is_good": is_good,
    }
    tell(figures, out)
    if folder is None:
        shutil.rmtree(place)
    raise typer.Exit(not is_good)


def alert_seconds(lake: Path) -> Iterator[tuple[float, float]]:
    """For each alert of a lake that was appended: when (seconds since 1970), and seconds since its file was visible."""
    file_of = {
        row["event_id"]: row["source_file"] for row in rows_of(lake, "silver.transactions", "event_id", "source_file")
    }
    visible = {
        row["source_file"]: row["file_modified_at"].timestamp()
        for row in rows_of(lake, "bronze.transactions", "source_file", "file_modified_at")
    }
    for at, data in appended_files(lake / "alerts" / "alerts"):
        for event_id in pq.read_table(data, columns=["event_id"])["event_id"].to_pylist():
            yield at, at - visible[file_of[event_id]]


def appended_files(table: Path) -> Iterator[tuple[float, Path]]:
    """The data files that commits of a local Delta table have appended, with the time when each commit was there."""
    for commit in sorted((table / "_delta_log").glob("*.json")):
        actions = [json.loads(line) for line in commit.read_text(encoding="utf-8").split("\n") if line]
        operations = {action["commitInfo"]["operation"] for action in actions if "commitInfo" in action}
        if operations == {"WRITE"}:
            for file in (table / unquote(action["add"]["path"]) for action in actions if "add" in action):
                # Compaction and VACUUM may have taken it away; that is long after its alerts.
                if file.is_file():
                    yield commit.stat().st_mtime, file


def percentiles(waited: list[float]) -> dict[int, float]:
    """The shown percentiles of some seconds."""
    cuts = quantiles(waited, n=100, method="inclusive")
    return {share: cuts[share - 1] for share in _SHOWN}


def rows_of(lake: Path, table: str, *columns: str) -> Iterator[dict[str, Any]]:
    """Columns of all rows that lie in the data files of a table, those that were replaced since included."""
    for file in lake.joinpath(*table.split(".")).rglob("*.parquet"):
        if "_delta_log" not in file.parts and "_change_data" not in file.parts:
            for batch in pq.ParquetFile(file).iter_batches(columns=list(columns)):
                yield from batch.to_pylist()


def _backlog(observed: Observed) -> Course:
    points = [(seen.at, seen.backlog_files) for seen in observed.samples]
    quarters = by_quarter(points, observed.began, observed.ended)
    return course("files that wait", "files", quarters, growth=1.25, slack=10)


def _show(found: dict[int, float], alerts: int, observed: Observed, backlog: Course) -> None:
    table = Table("", *(f"p{share}" for share in found), title=f"Seconds until {alerts:,} alerts", title_justify="left")
    table.add_row("file visible to alert committed", *(f"{took:.1f}" for took in found.values()))
    for name, commits in observed.commits.items():
        counted = [one.oldest_s for one in commits if one.at >= observed.began]
        table.add_row(
            f"oldest line to commit of {name}",
            *(f"{took:.1f}" for took in percentiles(counted).values()),
        )
    console.print(table)
    console.print(
        f"Files that wait, by quarter: {', '.join(f'{value:.0f}' for value in backlog.quarters)}", highlight=False
    )


if __name__ == "__main__":
    as_command(main, "latency")
