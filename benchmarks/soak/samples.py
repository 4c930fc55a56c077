"""What a running stream weighs: its memory, its files, what it keeps in state and what waits before it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

from benchmarks.processes import Running

_PREFIX = "risklake_stream_"


@dataclass(frozen=True)
class Sample:
    """One look at a running stream. Memory is resident, of the program and its workers; files are counted by kind."""

    at: float
    memory_mib: float
    table_files: int
    log_files: int
    checkpoint_files: int
    inbox_files: int
    lake_mib: float
    backlog_files: float
    state_rows: float
    taken_files: float


def sample(stream: Running, lake: Path, port: int) -> Sample:
    """Look at a stream, its lake, and what it serves on /metrics; what is not served yet counts as nothing."""
    counted = {"tables": 0, "log": 0, "checkpoints": 0, "inbox": 0}
    size = 0
    for kind, file in _files(lake):
        counted[kind] += 1
        size += file.st_size
    figures = _figures(port)
    return Sample(
        at=time.time(),
        memory_mib=round(stream.mib(), 1),
        table_files=counted["tables"],
        log_files=counted["log"],
        checkpoint_files=counted["checkpoints"],
        inbox_files=counted["inbox"],
        lake_mib=round(size / 2**20, 1),
        backlog_files=sum(figures.get("backlog_files", {}).values()),
        state_rows=sum(figures.get("state_rows", {}).values()),
        taken_files=figures.get("input_rows_total", {}).get("bronze", 0.0),
    )


def _files(lake: Path) -> Iterator[tuple[str, os.stat_result]]:
    for folder, _, names in os.walk(lake):
        parts = Path(folder).relative_to(lake).parts
        top = parts[0] if parts else ""
        if top in ("archive", "logs", "truth"):
            continue
        kind = top if top in ("inbox", "checkpoints") else "log" if "_delta_log" in parts else "tables"
        for name in names:
            try:
                yield kind, Path(folder, name).stat()
            except OSError:
                continue  # it went meanwhile


def _figures(port: int) -> dict[str, dict[str, float]]:
    try:
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            text = answer.read().decode("utf-8")
    except (URLError, TimeoutError, ConnectionError):
        return {}
    found: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(text):
        for one in family.samples:
            found.setdefault(one.name.removeprefix(_PREFIX), {})[one.labels.get("query", "")] = one.value
    return found
