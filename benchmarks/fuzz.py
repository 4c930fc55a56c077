"""Feed the lake damaged lines and damaged files, and see each of them counted in its place.

Lines of every feed are made by the generator and damaged at random: bytes flipped, cut, doubled; values swapped for
others that nobody expects; then whole files. Every line must end in silver, quarantine or the duplicates, no stream may
stop, and memory must stay within bounds: `python -m benchmarks.fuzz --lines 24000 --files 500`.
"""

from __future__ import annotations

import gzip
import json
import random
import shutil
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.drain import drained_and_told
from benchmarks.figures import place_of
from benchmarks.processes import as_command
from generator.write import generate
from lake.feeds import FEEDS
from lake.inbox import land_blocks, open_file, visible_files
from lake.progress import Stages
from lake.settings import Settings, load_settings

ODD_VALUES: tuple[Any, ...] = (
    None, True, "", " ", 0, -1, 1e308, 1e-308, 10**40, 0.1 + 0.2, "NaN", "Infinity", "null", "12,50", "1.250", "(5)",
    "Rp 1.250.000", "$", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "2026-02-30T10:00:00Z", "31/12/2026", [], {},
    [[]], {"a": {"b": [1]}}, "\u0000", "\ud83d\ude00", "\u202e", "x" * 5000, "'; drop table silver.users; --",
    "<script>alert(1)</script>", "../../etc/passwd", "a@b.example", "4111 1111 1111 1111", "+62 812 3456 789",
)  # fmt: skip


def damaged_line(line: bytes, chance: random.Random) -> bytes:
    """A line with one to three damages; it holds no newline."""
    for _ in range(chance.randint(1, 3)):
        line = chance.choice(_DAMAGES)(line, chance)
    return line.replace(b"\n", b" ")


def damaged_file(content: bytes, chance: random.Random) -> bytes:
    """The bytes of a file, cut, with bytes flipped, or with a piece of it repeated."""
    if not content:
        return content
    at = chance.randrange(len(content))
    return chance.choice(
        (
            content[:at],
            content[:at] + bytes([chance.randrange(256)]) + content[at + 1 :],
            content[:at] + content[at // 2 : at] + content[at:],
            content + content[:at],
            b"",
        )
    )


def write_inbox(settings: Settings, *, lines: int, files: int, seed: int) -> None:
    """Fill the inbox of a lake with damaged lines in damaged files; a third of the lines is left whole."""
    chance = random.Random(seed)  # noqa: S311
    whole = _whole_lines(lines, seed)
    share = -(-lines // files)
    for number in range(files):
        feed = chance.choice(sorted(whole))
        chosen = [chance.choice(whole[feed]) for _ in range(share)]
        made = [line if chance.random() < 1 / 3 else damaged_line(line, chance) for line in chosen]
        name = f"{number:04d}." + chance.choice(
            ("jsonl", "json", "jsonl.gz", "csv" if FEEDS[feed].is_reference else "jsonl")
        )
        content = b"\n".join(made)
        packed = gzip.compress(content, 1, mtime=0) if name.endswith(".gz") else content
        # The lines are asked for by number: half of the files are damaged further, the others hold all of theirs.
        land = damaged_file(packed, chance) if number % 2 else packed
        _land_bytes(land, settings.local_path("inbox", feed) / name)


def main(
    lines: Annotated[int, typer.Option(help="Lines to damage, before files are damaged", min=1)] = 20_000,
    files: Annotated[int, typer.Option(help="Files that they are written to", min=1)] = 500,
    seed: Annotated[int, typer.Option(help="Seed of all damage")] = 7,
    most_mib: Annotated[float, typer.Option(help="Most memory of all processes together, in MiB")] = 6144,
    folder: Annotated[Path | None, typer.Option(help="Where to work; a temporary folder by default")] = None,
) -> None:
    """Drain damaged input, and print where it went. Exit code 7 if a line is missing, 1 if it took too much memory."""

    stages, place = Stages(), place_of(folder, "fuzz")
    settings = load_settings({"lake_root": str(place / "lake")})
    with stages.stage("input"):
        write_inbox(settings, lines=lines, files=files, seed=seed)
    drained_and_told(settings, stages, "fuzz", most_mib)
    if folder is None:
        shutil.rmtree(place)


def _whole_lines(lines: int, seed: int) -> dict[str, list[bytes]]:
    with tempfile.TemporaryDirectory() as made:
        out = Path(made) / "inbox"
        generate(
            out,
            rows=max(200, lines // 8),
            days=5,
            users=40,
            merchants=20,
            seed=seed,
            end=date(2026, 1, 31),
            feeds=tuple(FEEDS),
            chaos={},
        )
        return {feed: [line for file in visible_files(out / feed) for line in _lines(file)] for feed in FEEDS}


def _lines(file: Path) -> list[bytes]:
    with open_file(file) as content:
        return content.read().splitlines()


def _land_bytes(content: bytes, target: Path) -> None:
    # As it is, also under a name that ends in .gz: it may be no gzip any more.
    hidden = target.with_name(f".{target.name}.part")
    land_blocks([content], hidden)
    hidden.rename(target)


def _flip(line: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(line) + 1)
    return line[:at] + bytes([chance.randrange(256)]) + line[at + 1 :]


def _cut(line: bytes, chance: random.Random) -> bytes:
    first, last = sorted(chance.randrange(len(line) + 1) for _ in range(2))
    return line[:first] + line[last:]


def _repeat(line: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(line) + 1)
    return line[:at] + line[: chance.randrange(len(line) + 1)] + line[at:]


def _odd_value(line: bytes, chance: random.Random) -> bytes:
    try:
        fields = json.loads(line)
    except (ValueError, UnicodeDecodeError, RecursionError):
        return line
    if not isinstance(fields, dict) or not fields:
        return line
    fields[chance.choice(sorted(fields))] = chance.choice(ODD_VALUES)
    return json.dumps(fields, ensure_ascii=chance.random() < 0.5).encode("utf-8", errors="surrogatepass")


def _renamed(line: bytes, chance: random.Random) -> bytes:
    return line.replace(b'"', b"'", chance.randint(1, 4))


_DAMAGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (_flip, _cut, _repeat, _odd_value, _odd_value, _renamed)


if __name__ == "__main__":
    as_command(main, "fuzz")
