"""`risklake status --watch`: how the streams are doing, again and again."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from pyspark.sql import SparkSession
from rich.console import Group
from rich.live import Live

from lake import storage
from lake.settings import Settings
from lake.terminal import console
from risklake.show_streams import freshness_line, streams_table
from spark_jobs.stream_status import freshness, latest_progress


def watch_streams(spark: SparkSession, settings: Settings, seconds: int, stop: threading.Event) -> None:
    """Show the streams and the freshness in place until `stop` is set; off a terminal, below each other."""
    storage.ensure_tables(spark, settings)
    views = _views(spark, settings, seconds, stop)
    if not console.is_terminal:
        for view in views:
            console.print(view)
        return
    with Live(console=console, auto_refresh=False) as live:
        for view in views:
            live.update(view, refresh=True)


def _views(spark: SparkSession, settings: Settings, seconds: int, stop: threading.Event) -> Iterator[Group]:
    while not stop.is_set():
        streams = latest_progress(spark, settings)
        yield Group(streams_table(streams), freshness_line(freshness(spark, settings)), "Ctrl-C stops.")
        stop.wait(seconds)
