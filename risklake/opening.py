"""What the verbs of the command line share: their common options, the settings, and a session."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lake.errors import UsageError
from lake.settings import Settings, load_settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Lake = Annotated[Path | None, typer.Option("--lake", help="Folder of the lake; default LAKE_ROOT, or data/")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program")]


def settings_of(lake: Path | None, **flags: Any) -> Settings:
    """The settings, with what was given on the command line; None means not given."""
    return load_settings({"lake_root": str(lake) if lake else None, **flags})


def require_writable(page: Path | None) -> None:
    """Raise `UsageError` now if a page cannot be written there, before anything slow is begun."""
    if page is None:
        return
    was_there = page.exists()
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
        with page.open("a"):
            pass
    except OSError as error:
        reason = "its folder is a file" if isinstance(error, FileExistsError) else error.strerror
        raise UsageError(f"The page {page} cannot be written ({reason}): name another file") from error
    if not was_there:
        page.unlink()


def session_for(settings: Settings, verb: str) -> SparkSession:
    """A session whose Java process logs into the lake's `logs/spark.log`."""
    from lake.session import build_session

    log = settings.local_path("logs", "spark.log") if settings.is_local else None
    return build_session(settings, f"risklake {verb}", log=log)
