"""The inbox: how files get in whole, and how many lines lie there."""

from __future__ import annotations

import gzip
import os
import shutil
import zlib
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, BinaryIO

SUFFIXES = (".json", ".jsonl", ".json.gz", ".jsonl.gz")
_BLOCK = 1 << 20
GZIP_LEVEL = 1


def visible_files(folder: Path) -> list[Path]:
    """Files of one feed that the stream will read, in the order of their names."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_file() and is_visible(path.name))


def is_visible(name: str) -> bool:
    """Whether the stream reads a file of this name."""
    return name.endswith(SUFFIXES) and not name.startswith((".", "_"))


def land_copy(source: Path, folder: Path, name: str | None = None) -> Path:
    """Copy a file into an inbox folder; it becomes visible whole, or not at all."""
    target = folder / (name or source.name)
    with source.open("rb") as read, _hidden(target).open("wb") as write:
        shutil.copyfileobj(read, write, _BLOCK)
    return _show(target)


def land_lines(lines: Iterable[str], folder: Path, name: str) -> Path:
    """Write lines (without newlines) as one inbox file, gzip'd where `name` ends in `.gz`."""
    return land_blocks((line.encode("utf-8") + b"\n" for line in lines), folder / name)


def land_blocks(blocks: Iterable[bytes | memoryview], target: Path) -> Path:
    """Write blocks of bytes as one file, gzip'd where its name ends in `.gz`; the same blocks give the same bytes.

    It becomes visible whole, in the place of one that was there, or not at all.
    """
    hidden = _hidden(target)
    try:
        with hidden.open("wb") as raw, _packed(raw) if target.suffix == ".gz" else nullcontext(raw) as write:
            for block in blocks:
                write.write(block)
        return _show(target)
    finally:
        hidden.unlink(missing_ok=True)


def count_lines(path: Path) -> int:
    """Lines of one file as bronze must hold them, counted apart from Spark.

    A last line without newline counts. A file that is empty, or cannot be read (on), counts as one more: the entry
    that says so.
    """
    lines, last = 0, b""
    try:
        for block in _blocks(path):
            lines += block.count(b"\n")
            last = block[-1:]
    except (OSError, EOFError, zlib.error):
        return lines + (last not in (b"", b"\n")) + 1
    if not last:
        return 1
    return lines + (last != b"\n")


def _blocks(path: Path) -> Iterator[bytes]:
    with open_file(path) as read:
        # read1 hands over what could be unpacked before a damaged place; read would drop it.
        while block := read.read1(_BLOCK):
            yield block


def open_file(path: Path) -> Any:
    """A file as bytes, unpacked where its name ends in `.gz`."""
    return _opened(path, "rb", zipped=path.name.endswith(".gz"))


def _opened(path: Path, mode: str, *, zipped: bool) -> Any:
    return gzip.open(path, mode) if zipped else path.open(mode)


def _packed(raw: BinaryIO) -> gzip.GzipFile:
    # Without a name and a time inside.
    return gzip.GzipFile("", "wb", GZIP_LEVEL, raw, mtime=0)


def _hidden(target: Path) -> Path:
    # Spark ignores names that begin with a dot, so a half-written file is never read.
    target.parent.mkdir(parents=True, exist_ok=True)
    return target.with_name(f".{target.name}.{os.getpid()}.part")


def _show(target: Path) -> Path:
    _hidden(target).rename(target)
    return target
