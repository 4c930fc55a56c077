"""The command that fills an inbox: `risklake generate`, and `python -m generator`, which is the same."""

from __future__ import annotations

import json
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

risklake generate --days 30 --users 20000 --seed 7 --out /tmp/lake/inbox

risklake generate --events 22000000 --users 200000 --merchants 10000 --days 60

risklake generate --rows 2000 --end 2026-01-31 --chaos "late=0.02,duplicate=0.01,orphan_user=0.001"
"""


def generate(
    rows: Annotated[int, typer.Option("--rows", "--events", help="Payments to make")] = 20_000,
    days: Annotated[int, typer.Option(help="Days that they spread over")] = 21,
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
    lake: Annotated[Path | None, typer.Option("--lake", help="Folder of the lake; default LAKE_ROOT, or data/")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest for a program")] = False,
) -> None:
    """Fill an inbox with payments, the frauds among them, and all that belongs to them.

    A run that was stopped goes on when it is called again with the same arguments.
    """
    from generator import write
    from generator.chaos import parse_chaos
    from lake.progress import Stages

    settings = load_settings({"lake_root": str(lake) if lake else None, "seed": seed})
    folder = out or settings.local_path("inbox")
    last_day = parse_day(end)
    shares = None if chaos is None else parse_chaos(chaos)
    chosen = [name.strip() for name in feeds.split(",") if name.strip()] or write.FEEDS
    stages = Stages()
    with stages.stage("generate", "payments") as update:
        manifest = write.generate(
            folder,
            rows=rows,
            days=days,
            users=users,
            merchants=merchants,
            seed=settings.seed,
            end=last_day,
            chaos=shares,
            feeds=chosen,
            processes=processes,
            progress=update,
        )
    typer.echo(json.dumps(manifest.as_dict()) if as_json else summary(manifest, folder))


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
