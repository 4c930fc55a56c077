"""What the command line shows of the streams: the newest progress of each, what waits, and how fresh each stage is."""

from __future__ import annotations

from typing import Any

from rich.table import Column, Table

from lake.terminal import console


def freshness_line(freshness_s: dict[str, float | None]) -> str:
    """How old the newest line is that each stage knows."""
    return "Newest line known: " + ", ".join(f"{name} {_age(seconds)}" for name, seconds in freshness_s.items())


def show_streams(streams: dict[str, dict[str, Any]]) -> None:
    """The newest progress of each stream, if any has run."""
    if streams:
        console.print(streams_table(streams))


def streams_table(streams: dict[str, dict[str, Any]]) -> Table:
    """One row a query: its newest micro-batch, and what waits."""
    names = ("last batch", "rows", "rows/s", "seconds a batch", "backlog")
    columns = [Column(name, justify="right") for name in names]
    table = Table("query", *columns, title="Streams", title_justify="left", title_style="bold")
    for query, found in streams.items():
        table.add_row(
            query,
            _age(found["last_batch_s_ago"]),
            *(
                "-" if found[name] is None else f"{found[name]:,.{digits}f}"
                for name, digits in (("rows", 0), ("rows_per_s", 1), ("batch_seconds", 1))
            ),
            _backlog(found),
        )
    return table


def _backlog(found: dict[str, Any]) -> str:
    if found["backlog_rows"]:
        return f"{found['backlog_rows']:,} rows"
    if found["backlog_files"]:
        return f"{found['backlog_files']:,} files ({(found['backlog_bytes'] or 0) / 1e6:,.1f} MB)"
    return "-" if found["backlog_rows"] is None and found["backlog_files"] is None else "nothing"


def _age(seconds: float | None) -> str:
    if seconds is None:
        return "none yet"
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"
