"""Whether so little comes to a query at once that writing code for its expressions takes longer than its rows do."""

from __future__ import annotations

from pathlib import Path

from lake.settings import Settings
from lake.storage import checkpoint
from spark_jobs.lag import UNREADABLE, last_taken
from spark_jobs.table_log import TableLog, Taken

# Compressed; an estimate between what was measured (docs/decisions.md).
MOST_BYTES = 3 * 2**20


def is_small(settings: Settings, query: str, *tables: str, most_bytes: int = MOST_BYTES) -> bool:
    """Whether what a query has not taken of the tables that it reads is little. Where it is not known, it is not."""
    if not settings.is_local:
        return False
    try:
        waiting = sum(_waiting_bytes(settings, query, number, table) for number, table in enumerate(tables))
    except UNREADABLE:
        return False
    return waiting <= most_bytes


def _waiting_bytes(settings: Settings, query: str, number: int, table: str) -> int:
    taken = last_taken(Path(checkpoint(settings, query)), "commits", number) or Taken()
    return sum(file.size_bytes for file in TableLog(Path(settings.table_path(table))).added_after(taken))
