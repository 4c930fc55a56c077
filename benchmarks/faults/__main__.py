"""Kill the streams again and again, and hold what they wrote against a run that nobody disturbed.

A reference lake takes all files in one run; another takes the same files a few at a time, while its program is killed
(SIGKILL, the whole process group) at points that are chosen by a seeded chance. Then both must hold the same rows.
"""

from __future__ import annotations

import json
import math
import shutil
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.faults.bench import Bench
from benchmarks.faults.broken_stream import DEFECTS
from benchmarks.faults.deliveries import deliveries
from benchmarks.faults.findings import Finding
from benchmarks.faults.half_way import HalfWay
from benchmarks.faults.others import OTHERS, faced
from benchmarks.faults.plan import Plan
from benchmarks.faults.report import show_finding, show_kills, show_verdict
from benchmarks.faults.rounds import Record, Strike
from benchmarks.faults.verdict import Verdict
from benchmarks.figures import Folder, Out, today
from benchmarks.processes import HarnessError, as_command
from lake.errors import UsageError
from lake.progress import Stages

PROVING_KILLS = 3


def main(
    kills: Annotated[int, typer.Option(help="How often to kill", min=1)] = 200,
    minutes: Annotated[float, typer.Option(help="Kill no more after so many minutes, and judge", min=0)] = 0,
    lakes: Annotated[int, typer.Option(help="Share the kills among so many lakes side by side", min=1)] = 1,
    files: Annotated[int, typer.Option(help="About how many files are delivered", min=20)] = 60,
    rows: Annotated[int, typer.Option(help="Payments in them", min=100)] = 2400,
    seed: Annotated[int, typer.Option(help="Seed of the payments, the points and their order")] = 7,
    broken: Annotated[str, typer.Option("--break", help=f"Break the program: {', '.join(DEFECTS)}")] = "",
    prove: Annotated[bool, typer.Option("--prove", help="Break it in each way; each must be seen")] = False,
    others: Annotated[bool, typer.Option("--others", help="Run all other faults instead")] = False,
    other: Annotated[list[str] | None, typer.Option(help=f"Run one of them: {', '.join(OTHERS)}")] = None,
    folder: Folder = None,
    out: Out = None,
) -> None:
    """Prove that nothing is lost, doubled or misrouted. Exit code 1 if anything is."""
    for name, known in [(broken, ["", *DEFECTS]), *((name, list(OTHERS)) for name in other or [])]:
        if name not in known:
            raise typer.BadParameter(f"{name!r} is none of {', '.join(filter(None, known))}")
    began, stages, place = time.monotonic(), Stages(), _place(folder)
    with stages.stage("reference"):
        bench = Bench(place, deliveries(place, files=files, rows=rows, seed=seed))
        bench.take_reference()
    figures: dict[str, Any] = {"deliveries": len(bench.deliveries), "payments": rows, "seed": seed}
    try:
        if others or other:
            is_good = _others(bench, other or list(OTHERS), stages, figures)
        elif prove:
            is_good = _prove(bench, seed, stages, figures)
        else:
            until = time.monotonic() + (minutes * 60 or math.inf)
            is_good = _kill(bench, Plan("killed", kills, seed, lakes, broken or None, until), stages, figures)
    finally:
        bench.close()
    figures |= {"seconds": round(time.monotonic() - began, 1), "date": today()}
    if out:
        out.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    if is_good and folder is None:
        shutil.rmtree(place)
    else:
        stages.console.print(f"The lakes and what the programs said lie in {place}", highlight=False)
    raise typer.Exit(not is_good)


def _kill(bench: Bench, plan: Plan, stages: Stages, figures: dict[str, Any]) -> bool:
    """Rounds of kills on one lake or several side by side, and the verdict on each.

    Raises `HarnessError` where one came to no end: a defect is not seen by that.
    """
    began = time.monotonic()
    with stages.stage(plan.name, "kills", total=plan.kills) as update:

        def report(lake: str, strike: Strike | None, done: int) -> None:
            said = f"{lake} {done:>4}  {strike or 'the round ended before its point'}"
            stages.console.print(f"  {said}", highlight=False)
            update(done)

        records = plan.carry_out(bench, report)
    is_good = True
    for lake, record in records.items():
        with stages.stage(f"verdict on {lake}"):
            verdict = bench.verdict(lake)
        show_kills(record)
        show_verdict(verdict, record.complaints)
        figures[lake] = _figures(record, verdict, time.monotonic() - began)
        is_good = is_good and verdict.is_equal and not record.complaints
    if failures := [f"{lake}: {record.failure}" for lake, record in records.items() if record.failure]:
        raise HarnessError("; ".join(failures))
    return is_good


def _prove(bench: Bench, seed: int, stages: Stages, figures: dict[str, Any]) -> bool:
    """Whether the harness sees every defect that is made on purpose."""
    missed = [
        defect
        for defect in DEFECTS
        if _kill(bench, Plan(f"broken-{defect}", PROVING_KILLS, seed, broken=defect), stages, figures)
    ]
    for defect in DEFECTS:
        said = "[bold red]not seen: the harness is blind to it" if defect in missed else "[green]seen, as it must be"
        stages.console.print(f"{defect}: {said}", highlight=False)
    return not missed


def _others(bench: Bench, names: list[str], stages: Stages, figures: dict[str, Any]) -> bool:
    findings: list[Finding] = []
    half_way = HalfWay(bench)
    for name in names:
        with stages.stage(name):
            findings.append(faced(OTHERS[name], half_way))
        show_finding(findings[-1])
        figures[name] = findings[-1].as_dict()
    return all(finding.is_good for finding in findings)


def _figures(record: Record, verdict: Verdict, seconds: float) -> dict[str, Any]:
    return {
        "kills": len(record.strikes),
        "kills_by_point": record.by_point(),
        "kills_amid_a_micro_batch": sum(bool(strike.amid) for strike in record.strikes),
        "rounds_that_ended_before": record.unharmed,
        "complaints": record.complaints,
        "verdict": verdict.as_dict(),
        "seconds": round(seconds, 1),
    }


def _place(folder: Path | None) -> Path:
    if folder is None:
        return Path(tempfile.mkdtemp(prefix="faults-"))
    if folder.is_dir() and any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty: name a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()


if __name__ == "__main__":
    as_command(main, "faults")
