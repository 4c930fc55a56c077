"""Faults of checkpoints: files that a power cut or a careless hand takes away or empties."""

from __future__ import annotations

from pathlib import Path

from benchmarks.faults.findings import Finding
from benchmarks.faults.half_way import HalfWay, is_one_clear_line
from benchmarks.faults.points import QUERIES


def commit_deleted(half_way: HalfWay) -> Finding:
    """The newest checkpoint commit of every query is gone: each does its last micro-batch again."""
    landing = half_way.restore()
    gone = [query for query in QUERIES if _lose(newest(half_way.lake, query, "commits"))]
    landing.land_up_to(1.0)
    return half_way.finding("commit_deleted", f"the newest commit of {', '.join(gone)} was deleted")


def offsets_emptied(half_way: HalfWay) -> Finding:
    """The newest offsets of a query have no byte: it must say so instead of starting anew; put back, it goes on."""
    landing = half_way.restore()
    landing.land_up_to(1.0)
    said, is_good = [], True
    for query in ("bronze", "silver_transactions", "features_user_5m"):
        file = newest(half_way.lake, query, "offsets")
        if file is None:
            continue
        data = file.read_bytes()
        file.write_bytes(b"")
        end = half_way.run(must_end_well=False)
        file.write_bytes(data)
        said.append(f"{query}: exit code {end.code}: {end.last_line}")
        is_good = is_good and is_one_clear_line(end)
    return half_way.finding("offsets_emptied", "; ".join(said), is_good=is_good)


def newest(lake: Path, query: str, kind: str) -> Path | None:
    """The file of a query's latest micro-batch: its `offsets`, or its `commits`."""
    folder = lake / "checkpoints" / query / kind
    files = [file for file in folder.iterdir() if file.name.isdigit()] if folder.is_dir() else []
    return max(files, key=lambda file: int(file.name), default=None)


def _lose(file: Path | None) -> bool:
    if file is None:
        return False
    for gone in (file, file.with_name(f".{file.name}.crc")):
        gone.unlink(missing_ok=True)
    return True
