"""How a benchmark tells its figures: a line of JSON on the screen, and a file for whoever wants to keep them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

Out = Annotated[Path | None, typer.Option(help="JSON file for the figures")]
Folder = Annotated[Path | None, typer.Option(help="Where to work; a temporary folder by default")]


def today() -> str:
    """The date (UTC) that stands beside figures."""
    return datetime.now(UTC).date().isoformat()


def tell(figures: Mapping[str, Any], out: Path | None, *, details: Mapping[str, Any] | None = None) -> None:
    """Print figures as JSON, and write them to a file if one is given; `details` stand in the file only."""
    typer.echo(json.dumps(figures))
    if out:
        out.write_text(json.dumps({**figures, **(details or {})}, indent=2) + "\n", encoding="utf-8")
