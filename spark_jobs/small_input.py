"""Whether so little comes to a query at once that writing code for its expressions takes longer than its rows do."""

from __future__ import annotations

from pathlib import Path

from lake.settings import Settings
from lake.storage import checkpoint
from spark_jobs.lag import UNREADABLE, last_taken
from spark_jobs.table_log import TableLog, Taken

# Compressed; an estimate between what was measured (docs/decisions.md).
MOST_BYTES = 3 * 2**20


def is_small(settings: Settings, query: str, table: str, most_bytes: int = MOST_BYTES) -> bool:
    """Whether the rows of a table that a query has not taken are few. Where that is not known, they are not."""
    if not settings.is_local:
        return False
    try:
        taken = last_taken(Path(checkpoint(settings, query)), "commits") or Taken()
        waiting = TableLog(Path(settings.table_path(table))).added_after(taken)
    except UNREADABLE:
        return False
    return sum(file.size_bytes for file in waiting) <= most_bytes
