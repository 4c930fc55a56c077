"""How fast the generator writes, and how much memory it takes, beside a plain loop of `json.dumps`.

Each size is one run of `python -m generator` as a user would start it, start-up included; memory is the sum over all
its processes, sampled. The goal of 150,000 payments a second is held against the runs that write transactions only
(with all feeds a small run is mostly its 1,200,000 lines of reference data), that of 1.5 GB against all. The baseline
draws the same fields with NumPy and writes them line by line, uncompressed, with none of the world behind them.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import psutil
import typer

SAMPLE_SECONDS = 0.1
BASELINE_ROWS = 1_000_000
WORLD = ["--users", "200000", "--merchants", "10000", "--days", "60", "--end", "2026-01-31", "--seed", "7"]
GOAL_RATE, GOAL_BYTES = 150_000, 1.5e9
TRANSACTIONS_ONLY = "transactions only"


@dataclass(frozen=True)
class Run:
    """One measured run: `rate` in payments a second, `peak_bytes` resident memory of all its processes together."""

    name: str
    rows: int
    seconds: float
    rate: float
    peak_bytes: int
    written_bytes: int


def main(
    events: Annotated[list[int] | None, typer.Option(help="Payments of a run; may be given several times")] = None,
    folder: Annotated[Path | None, typer.Option(help="Where to write; a temporary folder by default")] = None,
) -> None:
    """Time the generator at several sizes, and the plain loop. Exit code 1 when a goal is missed."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        baseline = _baseline(Path(place))
        _say(baseline, baseline)
        runs = []
        for rows in events or [1_000_000, 22_000_000]:
            for name, feeds in ((TRANSACTIONS_ONLY, "transactions"), ("all feeds", "")):
                runs.append(_generator(Path(place), rows, name, feeds))
                _say(runs[-1], baseline)
    typer.echo(json.dumps([asdict(run) for run in (baseline, *runs)]))
    slow = [run for run in runs if run.name == TRANSACTIONS_ONLY and run.rate < GOAL_RATE]
    missed = slow + [run for run in runs if run.peak_bytes > GOAL_BYTES]
    for run in missed:
        typer.echo(f"Missed: {run.name}, {run.rows:,} payments", err=True)
    raise typer.Exit(bool(missed))


def _generator(place: Path, rows: int, name: str, feeds: str) -> Run:
    out = place / f"{rows}-{feeds or 'all'}" / "inbox"
    command = [sys.executable, "-m", "generator", "--events", str(rows), *WORLD, "--out", str(out), "--feeds", feeds]
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = _peak_bytes(process)
    seconds = time.monotonic() - began
    if process.returncode:
        raise typer.BadParameter(f"{' '.join(command)} ended with {process.returncode}")
    files = [file for file in out.parent.rglob("*") if file.is_file()]
    run = Run(name, rows, round(seconds, 1), rows / seconds, peak, sum(file.stat().st_size for file in files))
    for file in files:
        file.unlink()
    return run


def _peak_bytes(process: subprocess.Popen[bytes]) -> int:
    watched, peak = psutil.Process(process.pid), 0
    while process.poll() is None:
        try:
            family = [watched, *watched.children(recursive=True)]
            peak = max(peak, sum(_bytes(one) for one in family))
        except psutil.NoSuchProcess:
            break
        time.sleep(SAMPLE_SECONDS)
    process.wait()
    return peak


def _bytes(process: psutil.Process) -> int:
    # What processes share (libraries) counts once a process: the sum errs on the high side.
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def _baseline(place: Path) -> Run:
    began, rng, rows = time.monotonic(), np.random.default_rng(7), BASELINE_ROWS
    user, merchant = rng.integers(0, 200_000, rows), rng.integers(0, 10_000, rows)
    amount, second = rng.lognormal(3.0, 1.0, rows).round(2), np.sort(rng.integers(0, 60 * 86_400, rows))
    moment = np.datetime_as_string(np.datetime64("2025-12-03", "s") + second)
    target = place / "baseline.jsonl"
    with target.open("w") as file:
        for row in range(rows):
            payment = {
                "event_id": f"e-{row:09d}",
                "user_id": f"u{user[row]:06d}",
                "merchant_id": f"m{merchant[row]:05d}",
                "amount": float(amount[row]),
                "currency": "EUR",
                "country": "DE",
                "event_time": f"{moment[row]}.000Z",
                "payment_method_id": f"p{user[row]:010d}",
                "channel": "online",
                "status": "approved",
            }
            file.write(json.dumps(payment) + "\n")
    seconds = time.monotonic() - began
    peak = int(psutil.Process().memory_info().rss)
    run = Run("json.dumps loop", rows, round(seconds, 1), rows / seconds, peak, target.stat().st_size)
    target.unlink()
    return run


def _say(run: Run, baseline: Run) -> None:
    typer.echo(
        f"{run.name}, {run.rows:,} payments: {run.seconds:.1f} s, {run.rate:,.0f}/s "
        f"({run.rate / baseline.rate:.1f} x the loop), peak {run.peak_bytes / 1e9:.2f} GB, "
        f"{run.written_bytes / 1e6:,.0f} MB written"
    )


if __name__ == "__main__":
    typer.run(main)
