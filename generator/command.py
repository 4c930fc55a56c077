"""The command that fills an inbox: `risklake generate`, and `python -m generator`, which is the same."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lake.errors import UsageError
from lake.settings import load_settings

if TYPE_CHECKING:
    from generator.write import Manifest

EXAMPLES = """Examples:

risklake generate --rows 5000

risklake generate --days 30 --users 20000 --seed 7 --out my-lake/inbox

risklake generate --events 22000000 --users 200000 --merchants 10000 --days 60

risklake generate --rows 2000 --end 2026-01-31 --chaos "late=0.02,duplicate=0.01,orphan_user=0.001"

risklake generate --rate 100

risklake generate --inject card_testing --user u000123 --at now

risklake generate --describe
"""
ROWS, DAYS = 20_000, 21


def generate(
    rows: Annotated[int | None, typer.Option("--rows", "--events", help="Payments to make (20,000)")] = None,
    days: Annotated[int | None, typer.Option(help="Days that they spread over (21)")] = None,
    users: Annotated[int, typer.Option(help="Users who pay")] = 400,
    merchants: Annotated[int, typer.Option(help="Merchants who are paid")] = 200,
    seed: Annotated[int | None, typer.Option(help="Same seed and arguments, same lines; default from settings")] = None,
    end: Annotated[str, typer.Option(help="Last day, YYYY-MM-DD; by default 15 days before today")] = "",
    out: Annotated[Path | None, typer.Option(help="Inbox folder; by default that of the lake")] = None,
    chaos: Annotated[
        str | None, typer.Option(help="Share of the payments by kind, as late=0.02,duplicate=0.01; '' for none")
    ] = None,
    feeds: Annotated[str, typer.Option(help="Only these feeds, as transactions,disputes; by default all")] = "",
    processes: Annotated[int | None, typer.Option(help="Processes to work in; by default one a core")] = None,
    rate: Annotated[
        float | None, typer.Option(help="Live instead: so many payments a second by the clock, until stopped")
    ] = None,
    attack: Annotated[
        str, typer.Option("--inject", help="Write one attack instead, such as card_testing, that ends --at a moment")
    ] = "",
    user: Annotated[str, typer.Option(help="The victim of --inject")] = "",
    at: Annotated[str, typer.Option(help="When the attack of --inject ends: now, or 2026-01-31T10:15:00Z")] = "now",
    describe: Annotated[
        bool, typer.Option("--describe", help="Measure the run that lies there instead of making one")
    ] = False,
    lake: Annotated[Path | None, typer.Option("--lake", help="Folder of the lake; default LAKE_ROOT, or data/")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was written for a program")] = False,
) -> None:
    """Fill an inbox with payments, the frauds among them, and all that belongs to them.

    A run that was stopped goes on when it is called again with the same arguments.
    """
    from generator import write

    settings = load_settings({"lake_root": str(lake) if lake else None, "seed": seed})
    request = Request(
        folder=out or settings.local_path("inbox"),
        rows=rows,
        days=days,
        end=parse_day(end),
        chaos=chaos,
        feeds=write.checked_feeds([name.strip() for name in feeds.split(",") if name.strip()] or write.FEEDS),
        world={"users": users, "merchants": merchants, "seed": settings.seed},
    )
    asked = [
        name for name, given in (("--rate", rate is not None), ("--inject", attack), ("--describe", describe)) if given
    ]
    if len(asked) > 1:
        raise UsageError(f"{' and '.join(asked)} are different things to do: call one, and then the other")
    if (user or at != "now") and not attack:
        raise UsageError("--user and --at belong to --inject: name an attack too, such as --inject card_testing")
    if describe:
        from generator.realism_command import describe_run

        describe_run(request.folder, as_json)
    elif attack:
        _inject(request, attack, user, at, as_json)
    elif rate is not None:
        _live(request, rate, as_json)
    else:
        _bulk(request, processes, as_json)


@dataclass(frozen=True)
class Request:
    """What was asked for, whichever way it is made."""

    folder: Path
    rows: int | None
    days: int | None
    end: date | None
    chaos: str | None
    feeds: list[str]
    world: dict[str, int]

    def shares(self) -> dict[str, float] | None:
        """The chaos that was asked for; None where nothing was said."""
        from generator.chaos import parse_chaos

        return None if self.chaos is None else parse_chaos(self.chaos)

    def refuse_days(self, why: str) -> None:
        """Say that days make no sense here."""
        if self.days is not None or self.end is not None:
            raise UsageError(f"--days and --end have no meaning {why}: leave them out")


def _bulk(request: Request, processes: int | None, as_json: bool) -> None:
    from generator import write
    from lake.progress import Stages

    with Stages().stage("generate", "payments") as update:
        manifest = write.generate(
            request.folder,
            rows=ROWS if request.rows is None else request.rows,
            days=DAYS if request.days is None else request.days,
            end=request.end,
            chaos=request.shares(),
            feeds=request.feeds,
            processes=processes,
            progress=update,
            **request.world,
        )
    typer.echo(json.dumps(manifest.as_dict()) if as_json else summary(manifest, request.folder))


def _live(request: Request, rate: float, as_json: bool) -> None:
    from generator.live import LiveRun, clock_ms, run_live
    from lake.progress import Stages
    from lake.stopping import stopped_by_signals

    request.refuse_days("with --rate, which goes by the clock")
    run = LiveRun(
        request.folder, rate=rate, chaos=request.shares(), feeds=request.feeds, now_ms=clock_ms(), **request.world
    )
    with stopped_by_signals() as stop, Stages().stage("generate", "payments", total=request.rows) as update:
        written = run_live(run, stop, most=request.rows, progress=update)
    found = ", ".join(f"{count:,} {feed}" for feed, count in written.lines.items())
    frauds = ", ".join(f"{count:,} {name}" for name, count in written.frauds.items()) or "none"
    said = f"{written.rows:,} payments. Lines under {request.folder}: {found}. Frauds: {frauds}. Truth: {run.truth}."
    typer.echo(json.dumps(written.as_dict()) if as_json else said)


def _inject(request: Request, attack: str, user: str, at: str, as_json: bool) -> None:
    from generator.inject import inject, parse_moment
    from generator.write import STREAMS

    request.refuse_days("with --inject; say when it ends by --at")
    feeds = [feed for feed in request.feeds if feed in STREAMS]
    made = inject(request.folder, scenario=attack, user=user, at=parse_moment(at), feeds=feeds, **request.world)
    said = (
        f"{made.scenario}: {made.payments} payments, {made.frauds} of them frauds, from {made.first:%Y-%m-%d %H:%M:%S} "
        f"to {made.last:%Y-%m-%d %H:%M:%S} (UTC), in {made.files[0]}. "
        "Once a stream has read it, look for the alerts of"
        f" {made.user} in alerts.alerts, as with `risklake sql`."
    )
    typer.echo(json.dumps(made.as_dict()) if as_json else said)


def parse_day(text: str) -> date | None:
    """A day from `YYYY-MM-DD`; None for empty text."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").date() if text else None
    except ValueError as error:
        raise UsageError(f"end is {text!r}, which is no day: write YYYY-MM-DD, such as 2026-01-31") from error


def summary(manifest: Manifest, folder: Path) -> str:
    """One paragraph about what was written."""
    frauds, disputes = sum(manifest.frauds.values()), sum(manifest.disputes.values())
    scenarios = ", ".join(f"{count:,} {name}" for name, count in manifest.frauds.items() if count)
    chaos = ", ".join(f"{count:,} {kind}" for kind, count in manifest.chaos.items() if count) or "none"
    lines = ", ".join(f"{sum(files.values()):,} {feed}" for feed, files in manifest.lines.items())
    return (
        f"{manifest.rows:,} payments, {frauds:,} of them frauds ({frauds / manifest.rows:.2%}: {scenarios}), and "
        f"{disputes:,} disputes reported by today. Lines under {folder}: {lines}. Chaos: {chaos}. "
        f"The truth is in {folder.parent / 'truth'}."
    )
