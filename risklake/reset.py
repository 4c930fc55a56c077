"""Drops a layer: its tables, the layers above that were built on it, and their checkpoints."""

from __future__ import annotations

import shutil
from pathlib import Path

from lake.errors import UsageError
from lake.lease import leases
from lake.settings import Settings

# Each makes the layer of its name. What the streams did (`monitoring`) stays known when their data is dropped.
JOBS = ("bronze", "silver", "features", "alerts", "marts")


def affected(settings: Settings, layer: str) -> list[Path]:
    """The folders that go, checkpoints first. Raises `UsageError` for a layer that does not exist."""
    if layer not in JOBS:
        raise UsageError(f"There is no layer {layer!r} that can be rebuilt. Those are {', '.join(JOBS)}")
    layers = JOBS[JOBS.index(layer) :]
    checkpoints = settings.local_path("checkpoints")
    folders = [
        folder for name in layers for folder in (sorted(checkpoints.glob(f"{name}*")) if checkpoints.is_dir() else [])
    ]
    # A kill in between leaves tables without checkpoints, which the next start refuses by name; the other way round
    # it would go on from an old offset, and lines would be missing.
    return folders + [settings.local_path(name) for name in layers if settings.local_path(name).is_dir()]


def drop(settings: Settings, folders: list[Path]) -> None:
    """Delete the folders, while nothing else writes the lake."""
    with leases(settings, list(JOBS)):
        for folder in folders:
            shutil.rmtree(folder)
