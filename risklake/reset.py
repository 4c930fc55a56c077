"""Drops a layer: its tables, the layers above that were built on it, and their checkpoints."""

from __future__ import annotations

import shutil
from pathlib import Path

import ml
from lake.catalog import DISPOSITIONS, FILES, RETENTION, UNKNOWN_FIELDS
from lake.errors import UsageError
from lake.lease import leases
from lake.settings import Settings
from spark_jobs import user_windows
from spark_jobs.archive import ARCHIVE

# Each is made by the job of its name. What the streams did (`monitoring`) stays known when their data is dropped.
REBUILT = ("bronze", "silver", "features", "alerts", "marts")
LOWEST = REBUILT[0]
# Whoever writes one of them.
JOBS = (*REBUILT, user_windows.JOB, ml.LEASE)
# What was counted in the inbox, and what has expired since, is counted anew with the files that are there; unknown
# fields are counted by silver.
_COUNTED_WITH = {"bronze": (FILES.name, RETENTION.name), "silver": (UNKNOWN_FIELDS.name,)}

# No job makes anew what people have said.
_KEPT = (DISPOSITIONS.name,)


def affected(settings: Settings, layer: str) -> list[Path]:
    """The folders that go, checkpoints first. Raises `UsageError` for a layer that does not exist."""
    if layer not in REBUILT:
        raise UsageError(f"There is no layer {layer!r} that can be rebuilt. Those are {', '.join(REBUILT)}")
    layers = REBUILT[REBUILT.index(layer) :]
    checkpoints = settings.local_path("checkpoints")
    folders = [
        folder for name in layers for folder in (sorted(checkpoints.glob(f"{name}*")) if checkpoints.is_dir() else [])
    ]
    # A kill in between leaves tables without checkpoints, which the next start refuses by name; the other way round
    # it would go on from an old offset, and lines would be missing.
    counted = [settings.local_path(*name.split(".")) for layer in layers for name in _COUNTED_WITH.get(layer, ())]
    tables = [folder for layer in layers for folder in _folders_of(settings, layer)]
    return folders + [folder for folder in (*counted, *tables) if folder.is_dir()]


def _folders_of(settings: Settings, layer: str) -> list[Path]:
    """The folder of a layer; where something in it stays, those of its other tables."""
    folder = settings.local_path(layer)
    kept = [settings.local_path(*name.split(".")) for name in _KEPT]
    if not any(one.parent == folder and one.is_dir() for one in kept):
        return [folder]
    return [table for table in sorted(folder.iterdir()) if table not in kept]


def drop(settings: Settings, folders: list[Path]) -> None:
    """Delete the folders, while nothing else writes the lake; with bronze, files of the archive are read again.

    Raises `UsageError`, before anything is done, where a file of the archive has the name of one in the inbox.
    """
    with leases(settings, list(JOBS)):
        if settings.local_path(LOWEST) in folders:
            _unarchive(settings)
        for folder in folders:
            shutil.rmtree(folder)


def _unarchive(settings: Settings) -> None:
    """Move each file of the archive back to the inbox; none if one would take the place of another."""
    moves = [
        (file, settings.local_path("inbox", file.parent.parent.name) / file.name)
        for file in sorted(settings.local_path(ARCHIVE).glob("*/*/*"))
    ]
    for file, target in moves:
        if target.exists():
            raise UsageError(
                f"{target.parent.name}/{target.name} lies in the inbox and, of {file.parent.name}, in the archive: "
                "give one of them another name, so that both are read again"
            )
    for file, target in moves:
        target.parent.mkdir(parents=True, exist_ok=True)
        file.rename(target)
