"""The streams as the command line shows them."""

from __future__ import annotations

import threading
import time

from pyspark.sql import SparkSession

from lake import storage
from lake.feeds import FEEDS
from lake.inbox import SUFFIXES, is_visible, visible_files
from lake.progress import Stages
from lake.settings import Settings
from spark_jobs import pipeline
from spark_jobs.reconciliation import inbox_lines

CONTINUOUS_LINE_SECONDS = 10.0
_UNITS = {"bronze": "files", "silver": "lines", "features": "transactions", "alerts": "transactions"}


def strangers(settings: Settings) -> list[str]:
    """What lies in the inbox and is read by no stream: folders of no feed, and files of another kind."""
    inbox = settings.local_path("inbox")
    if not inbox.is_dir():
        return []
    folders = [folder for folder in sorted(inbox.iterdir()) if folder.is_dir()]
    found = [folder for folder in folders if folder.name not in FEEDS]
    for folder in folders:
        if folder.name in FEEDS:
            found += [f for f in sorted(folder.iterdir()) if f.name[0] not in "._" and not is_visible(f.name)]
    return [str(path.relative_to(settings.lake_root)) for path in found]


def _name_strangers(settings: Settings, stages: Stages) -> None:
    for name in strangers(settings):
        known = f"the feeds are {', '.join(FEEDS)}, their files {', '.join(SUFFIXES)}"
        stages.console.print(f"{name} is left alone: {known}", highlight=False)


def drain(spark: SparkSession, settings: Settings, stages: Stages, stop: threading.Event | None = None) -> None:
    """Take all that lies in the inbox through every job, each shown as a stage."""
    storage.ensure_tables(spark, settings)
    _name_strangers(settings, stages)
    waiting = {feed: inbox_lines(settings, feed) for feed in FEEDS}
    files = float(sum(len(visible_files(settings.local_path("inbox", feed))) for feed in FEEDS))
    totals = {"bronze": files, "silver": float(sum(waiting.values()))}
    for job in pipeline.JOBS:
        if stop and stop.is_set():
            return
        total = totals.get(job, float(waiting["transactions"]))
        with stages.stage(job, _UNITS[job]) as update:
            pipeline.run(
                spark,
                settings,
                continuous=False,
                jobs=[job],
                stop=stop,
                # Spark also counts the rows that a batch reads to see whether there are any.
                report=lambda progress, update=update, total=total: update(  # type: ignore[misc]
                    min(progress.rows, total), None if progress.done else total
                ),
            )


def watch(spark: SparkSession, settings: Settings, stages: Stages, stop: threading.Event) -> None:
    """Run all jobs until `stop` is set, with a line every few seconds when something moved."""
    rows: dict[str, int] = {}
    last: tuple[float, str] = (time.monotonic(), "")

    def report(progress: pipeline.Progress) -> None:
        nonlocal last
        rows[progress.job] = progress.rows
        shown = ", ".join(f"{job} {count:,} {_UNITS[job]}" for job, count in rows.items())
        if time.monotonic() - last[0] >= CONTINUOUS_LINE_SECONDS and shown != last[1]:
            last = (time.monotonic(), shown)
            stages.console.print(f"taken so far: {shown}", highlight=False)

    _name_strangers(settings, stages)
    stages.console.print(f"Streaming {settings.path('inbox')}; Ctrl-C stops.", highlight=False)
    pipeline.run(spark, settings, continuous=True, report=report, stop=stop)
    stages.console.print("Stopped.")
