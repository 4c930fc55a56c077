"""Faults of the disk under a lake: it is full, or a folder may not be written."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.faults.findings import Finding
from benchmarks.faults.half_way import HalfWay, is_one_clear_line

DISK_MEGABYTES = 400
# Bytes that are left on the disk when the stream starts: for hardly anything, and for its first tables.
ROOM = (16_384, 1_000_000)
_BLOCK, _PAGE = 1 << 20, 1 << 12


class CannotMountError(Exception):
    """The machine does not let us mount anything."""


def full_disk(half_way: HalfWay) -> Finding:
    """The disk fills up; after room is made, the stream goes on as if nothing had been."""
    name, ends = "full_disk", []
    half_way.keep()
    half_way.lake.mkdir()
    try:
        with mounted(half_way.lake, "-t", "tmpfs", "-o", f"size={DISK_MEGABYTES}m", "tmpfs"):
            half_way.restore().land_up_to(1.0)
            for room in ROOM:
                ballast = half_way.lake / ".ballast"
                fill(ballast, room)
                ends.append(half_way.run(must_end_well=False))
                ballast.unlink()
            half_way.run()
            aside = half_way.bench.folder / f"{name}-lake"
            subprocess.run(["cp", "-a", str(half_way.lake), str(aside)], check=True)
    except CannotMountError as error:
        half_way.give_up()
        return Finding(name, True, str(error), is_skipped=True)
    half_way.lake.rmdir()
    aside.rename(half_way.lake)
    said = "; ".join(f"exit code {end.code}: {end.last_line}" for end in ends)
    return half_way.finding(name, said, is_good=all(map(is_one_clear_line, ends)))


def read_only(half_way: HalfWay) -> Finding:
    """The folder of silver may not be written; once it may, the stream goes on."""
    name = "read_only"
    half_way.restore().land_up_to(1.0)
    silver = half_way.lake / "silver"
    try:
        with mounted(silver, "--bind", str(silver)):
            subprocess.run(["mount", "-o", "remount,ro,bind", str(silver)], check=True)
            end = half_way.run(must_end_well=False)
    except CannotMountError as error:
        half_way.give_up()
        return Finding(name, True, str(error), is_skipped=True)
    return half_way.finding(name, f"exit code {end.code}: {end.last_line}", is_good=is_one_clear_line(end))


@contextmanager
def mounted(target: Path, *words: str) -> Iterator[None]:
    """Mount something on a folder for a while. Raises `CannotMountError` where that is not allowed."""
    done = subprocess.run(["mount", *words, str(target)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotMountError(f"nothing can be mounted here ({done.stderr.strip()})")
    try:
        yield
    finally:
        subprocess.run(["umount", str(target)], check=True)


def fill(ballast: Path, room: int) -> None:
    """Write a file until only so many bytes are left on its disk."""
    with ballast.open("wb", buffering=0) as file:
        for size in (_BLOCK, _PAGE):
            with suppress(OSError):
                while True:
                    file.write(bytes(size))
        file.truncate(file.tell() - room)
