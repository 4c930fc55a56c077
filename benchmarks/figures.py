"""Where a benchmark works, and how it tells its figures: as JSON on the screen, and in a file if one is named."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

Out = Annotated[Path | None, typer.Option(help="JSON file for the figures")]
Folder = Annotated[Path | None, typer.Option(help="Where to work; a temporary folder by default")]


def place_of(folder: Path | None, benchmark: str) -> Path:
    """Where a benchmark works: in the folder that is given, or in a temporary one of its own."""
    return (folder or Path(tempfile.mkdtemp(prefix=f"{benchmark}-"))).resolve()


def today() -> str:
    """The date (UTC) that stands beside figures."""
    return datetime.now(UTC).date().isoformat()


def tell(figures: Mapping[str, Any], out: Path | None, *, details: Mapping[str, Any] | None = None) -> None:
    """Print figures as JSON, and write them to a file if one is given; `details` stand in the file only."""
    typer.echo(json.dumps(figures))
    if out:
        out.write_text(json.dumps({**figures, **(details or {})}, indent=2) + "\n", encoding="utf-8")
