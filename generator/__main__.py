"""`python -m generator`: fill an inbox with labelled payments."""

from __future__ import annotations

import time
from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import typer

from generator.dirt import DEMO_DIRT, SPOILERS, parse_dirt
from generator.write import Manifest, generate
from lake.errors import LakehouseError, UsageError
from lake.settings import load_settings

_EXAMPLES = """Examples:

python -m generator --rows 5000

python -m generator --rows 1000000 --users 20000 --merchants 2000 --days 60 --out /tmp/lake/inbox

python -m generator --rows 2000 --seed 8 --end 2026-01-31 --dirt "late=0.02,wrong_type=0.001"
"""
_DEMO_DIRT = ",".join(f"{kind}={share}" for kind, share in DEMO_DIRT.items())


def fill(
    rows: Annotated[int, typer.Option(help="Genuine payments to make")] = 20_000,
    days: Annotated[int, typer.Option(help="Days that they spread over")] = 21,
    users: Annotated[int, typer.Option(help="Users who pay")] = 400,
    merchants: Annotated[int, typer.Option(help="Merchants who are paid")] = 200,
    seed: Annotated[int, typer.Option(help="Same seed and arguments, same bytes")] = 7,
    end: Annotated[str, typer.Option(help="Last day, YYYY-MM-DD; by default 15 days before today")] = "",
    out: Annotated[str, typer.Option(help="Inbox folder; by default that of the lake")] = "",
    dirt: Annotated[str, typer.Option(help=f"Share of dirt by kind: {', '.join(SPOILERS)}")] = _DEMO_DIRT,
) -> None:
    """Fill an inbox with payments, the frauds among them and the disputes that report them."""
    started = time.monotonic()
    try:
        folder = Path(out) if out else load_settings().local_path("inbox")
        manifest = generate(
            folder,
            rows=rows,
            days=days,
            users=users,
            merchants=merchants,
            seed=seed,
            end=parse_day(end),
            dirt=parse_dirt(dirt),
        )
    except LakehouseError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(error.exit_code) from error
    typer.echo(summary(manifest, folder, time.monotonic() - started))


def parse_day(text: str) -> date | None:
    """A day from `YYYY-MM-DD`; None for empty text."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").date() if text else None
    except ValueError as error:
        raise UsageError(f"end is {text!r}, which is no day: write YYYY-MM-DD, such as 2026-01-31") from error


def summary(manifest: Manifest, folder: Path, seconds: float) -> str:
    """One paragraph about what was written."""
    frauds, disputes = sum(manifest.frauds.values()), sum(manifest.disputes.values())
    scenarios = ", ".join(f"{count} {name}" for name, count in manifest.frauds.items())
    dirt = ", ".join(f"{count} {kind}" for kind, count in manifest.dirt.items() if count) or "none"
    files = sum(len(files) for files in manifest.lines.values())
    return (
        f"{manifest.rows} payments, {frauds} of them frauds ({scenarios}; {frauds / manifest.rows:.2%}), "
        f"and {disputes} disputes in {files} files under {folder}. Dirt: {dirt}. The truth is in "
        f"{folder.parent / 'truth'}. {manifest.rows / max(seconds, 1e-3):,.0f} payments a second."
    )


def main() -> None:
    """Run the command."""
    app = typer.Typer(add_completion=False)
    app.command(epilog=_EXAMPLES)(fill)
    app()


if __name__ == "__main__":
    main()
