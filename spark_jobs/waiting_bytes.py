"""How much waits for a query, by which its stream chooses how to work (`lake.storage.stream_batches`)."""

from __future__ import annotations

from math import inf

from lake.settings import Settings
from spark_jobs.lag import UNREADABLE, waiting


def waiting_bytes(settings: Settings, query: str, *tables: str, times: int = 1) -> float:
    """Compressed bytes of the tables that a query reads and has not taken; infinite where that is not known.

    `times` says how many rows the query makes or looks at for each that it takes.
    """
    if not settings.is_local:
        return inf
    try:
        return times * sum(file.size_bytes for file in waiting(settings, query, tables))
    except UNREADABLE:
        return inf
