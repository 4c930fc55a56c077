"""Whether so little comes to a query at once that writing code for its expressions takes longer than its rows do."""

from __future__ import annotations

from lake.settings import Settings
from spark_jobs.lag import UNREADABLE, waiting

# Compressed; an estimate between what was measured (docs/decisions.md).
MOST_BYTES = 3 * 2**20


def is_small(settings: Settings, query: str, *tables: str, most_bytes: int = MOST_BYTES) -> bool:
    """Whether what a query has not taken of the tables that it reads is little. Where it is not known, it is not."""
    if not settings.is_local:
        return False
    try:
        return sum(file.size_bytes for file in waiting(settings, query, tables)) <= most_bytes
    except UNREADABLE:
        return False
