"""Files in an inbox: whole or not there, written once, and never over those of another run."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa

from lake.errors import MachineError, UsageError
from lake.inbox import land_blocks

# Measured: about 62 bytes a payment, packed, in all feeds and the truth together; the rest is room to work in.
BYTES_A_ROW = 100
SPARE_BYTES = 200_000_000


def land(target: Path, blocks: Iterable[bytes | memoryview]) -> None:
    """Write a file, whole or not at all; one that is there already is left as it is.

    Raises `MachineError` where it cannot be written.
    """
    if target.exists():
        return
    try:
        land_blocks(blocks, target)
    except OSError as error:
        fix = "make room, or see that the folder may be written, and call again"
        raise MachineError(f"{target} cannot be written ({error.strerror}): {fix}") from error


def stamp(moment: datetime) -> str:
    """A moment (UTC) to the millisecond, as it stands in the names of files."""
    return moment.strftime("%Y%m%dT%H%M%S%f")[:-3]


def text_of(lines: pa.Array) -> memoryview:
    """The text of a column of lines, one after the other, without copying it."""
    if not len(lines):
        return memoryview(b"")
    bounds = np.frombuffer(lines.buffers()[1], dtype=np.int32)
    first, last = bounds[lines.offset], bounds[lines.offset + len(lines)]
    return memoryview(lines.buffers()[2])[int(first) : int(last)]


def make_room(out: Path, truth: Path, feeds: Sequence[str], arguments: dict[str, Any], rows: int) -> None:
    """Make the folders of a run, and note whose they are.

    Raises `UsageError` for a folder that cannot be written or holds another run, `MachineError` for a full disk.
    """
    known = read_manifest(truth).get("arguments")
    taken = [folder for folder in (*(out / feed for feed in feeds), truth / "labels") if is_filled(folder)]
    if known != arguments and known is not None and taken:
        fix = "give another --out or LAKE_ROOT, or remove that lake first"
        raise UsageError(f"{taken[0]} holds files of another run: {fix}")
    make_folders(out, truth, feeds, rows)
    if not (truth / "manifest.json").exists():
        write_whole(truth / "manifest.json", {"arguments": arguments, "complete": False})


def make_folders(out: Path, truth: Path, feeds: Sequence[str], rows: int) -> None:
    """Make the folders of feeds and of the truth, with room for so many payments; raises as `make_room` does."""
    try:
        for folder in (*(out / feed for feed in feeds), truth / "labels"):
            folder.mkdir(parents=True, exist_ok=True)
            probe = folder / f".probe.{os.getpid()}"
            probe.touch()
            probe.unlink()
            for left_over in folder.glob(".*.part"):
                if not psutil.pid_exists(int(left_over.name.split(".")[-2])):
                    left_over.unlink(missing_ok=True)
    except OSError as error:
        fix = "give --out a folder that you may write"
        raise UsageError(f"{out} cannot be written ({error.strerror}): {fix}") from error
    needed, free = rows * BYTES_A_ROW + SPARE_BYTES, shutil.disk_usage(out).free
    if free < needed:
        raise MachineError(
            f"{out} has {free / 1e9:.1f} GB free, and {rows:,} payments take up to {needed / 1e9:.1f} GB: "
            "make room, or give --out on another disk, or fewer --rows"
        )


def is_filled(folder: Path) -> bool:
    """Whether a folder holds files that readers see."""
    return folder.is_dir() and any(file.name[0] != "." for file in folder.iterdir())


def read_manifest(truth: Path) -> dict[str, Any]:
    """The manifest in a folder of the truth; empty if there is none that can be read."""
    try:
        found = json.loads((truth / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_whole(target: Path, content: dict[str, Any]) -> None:
    """Replace a file of JSON, whole or not at all."""
    land_blocks([json.dumps(content, indent=2).encode() + b"\n"], target)
