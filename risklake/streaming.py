"""The streams as the command line shows them."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from pyspark.sql import SparkSession

from lake import storage
from lake.feeds import FEEDS
from lake.inbox import SUFFIXES, visible_files
from lake.lease import leases
from lake.progress import Stages
from lake.settings import Settings
from risklake.case_messages import CaseMessages, follow
from risklake.notify import Tell, inconsistency
from risklake.prometheus import Figures
from spark_jobs import alerts, pipeline
from spark_jobs.care import Care, care
from spark_jobs.inventory import keep_inventory
from spark_jobs.reconciliation import Status, close_run
from spark_jobs.stream_metrics import recorded
from spark_jobs.streams import Rank

CONTINUOUS_LINE_SECONDS = 10.0
_UNITS = {
    "bronze": "files",
    "silver": "lines",
    "features": "transactions",
    "alerts": "transactions",
    "user_windows": "transactions",
}


def strangers(settings: Settings) -> list[str]:
    """What lies in the inbox and is read by no stream: folders of no feed, and in others what is no feed file."""
    inbox = settings.local_path("inbox")
    if not inbox.is_dir():
        return []
    folders = [folder for folder in sorted(inbox.iterdir()) if folder.is_dir()]
    found = [folder for folder in folders if folder.name not in FEEDS]
    for folder in folders:
        if folder.name in FEEDS:
            read = set(visible_files(folder))
            found += [
                file for file in sorted(folder.iterdir()) if file not in read and not _is_meant_to_be_hidden(file)
            ]
    # A name that is no UTF-8 could not be printed.
    return [os.fsencode(path.relative_to(settings.lake_root)).decode("utf-8", "replace") for path in found]


def _is_meant_to_be_hidden(file: Path) -> bool:
    """Whether a name says that a file is not to be read (yet). Spark reads none with `_` before it, which few know."""
    return file.name.startswith(".") or (file.name.startswith("_") and not file.name.endswith(SUFFIXES))


def _name_strangers(settings: Settings, stages: Stages) -> None:
    if settings.has_demo_key:
        words = "Personal data is masked with the demo key; set RISKLAKE_MASKING_KEY for data of real people"
        stages.console.print(words, soft_wrap=True)
    known = f"the feeds are {', '.join(FEEDS)}, their files {', '.join(SUFFIXES)}, and no name begins with _"
    for name in strangers(settings):
        stages.console.print(f"{name} is left alone: {known}", highlight=False, markup=False)


def name_inconsistent(status: Status, stages: Stages, tell: Tell) -> None:
    """Print what a count has found not to reconcile, and `tell` it."""
    for feed, counts in status.feeds.items():
        if counts.difference:
            tell(inconsistency(feed, counts.difference, counts.as_dict()))
            stages.console.print(
                f"ALERT: {feed} does not reconcile, by {counts.difference:+,} lines: {counts.as_dict()}",
                highlight=False,
                markup=False,
            )
    for name, features in status.features.items():
        if features.difference:
            tell(inconsistency(f"features.{name}", features.difference, {}))
            stages.console.print(
                f"ALERT: features.{name} does not reconcile, by {features.difference:+,} events", highlight=False
            )


def rows_gone(tended: list[Care]) -> str:
    """What care has deleted because it had outlived its time, in words; empty if nothing."""
    gone = ", ".join(f"{one.table} {one.rows_expired:,}" for one in tended if one.rows_expired)
    return f"; rows that had outlived their time and were deleted: {gone}" if gone else ""


def drain(
    spark: SparkSession,
    settings: Settings,
    stages: Stages,
    stop: threading.Event | None = None,
    figures: Figures | None = None,
    tell: Tell | None = None,
) -> None:
    """Take all that lies in the inbox through every job, each shown as a stage; in the end `tell` of cases."""
    figures = figures or Figures()
    storage.ensure_tables(spark, settings)
    _name_strangers(settings, stages)
    inventory = keep_inventory(spark, settings)
    waiting = {feed: float(inventory.lines(feed)) for feed in FEEDS}
    files = float(sum(len(visible_files(settings.local_path("inbox", feed))) for feed in FEEDS))
    totals = {"bronze": files, "silver": sum(waiting.values())}
    # One commit for all jobs.
    with recorded(spark, settings, figures.streams.observe) as metrics:
        for job in pipeline.JOBS:
            if stop and stop.is_set():
                return
            total = totals.get(job, waiting["transactions"])
            with stages.stage(job, _UNITS[job]) as update:
                pipeline.run(
                    spark,
                    settings,
                    continuous=False,
                    jobs=[job],
                    stop=stop,
                    metrics=metrics,
                    # Spark also counts the rows that a batch reads to see whether there are any.
                    report=lambda progress, update=update, total=total: update(  # type: ignore[misc]
                        min(progress.rows, total), None if progress.done else total
                    ),
                )
    if tell and settings.webhook_url:
        with leases(settings, [alerts.JOB]):
            follow(spark, settings, tell)


def watch(
    spark: SparkSession,
    settings: Settings,
    stages: Stages,
    stop: threading.Event,
    figures: Figures | None = None,
    tell: Tell | None = None,
) -> None:
    """Run all jobs until `stop` is set, with a line every few seconds when something moved."""
    figures = figures or Figures()
    rows: dict[str, int] = {}
    last: tuple[float, str] = (time.monotonic(), "")

    def report(progress: pipeline.Progress) -> None:
        nonlocal last
        rows[progress.job] = progress.rows
        shown = ", ".join(f"{job} {count:,} {_UNITS[job]}" for job, count in rows.items() if job in _UNITS)
        if time.monotonic() - last[0] >= CONTINUOUS_LINE_SECONDS and shown != last[1]:
            last = (time.monotonic(), shown)
            stages.console.print(f"taken so far: {shown}", highlight=False)

    _name_strangers(settings, stages)
    stages.console.print(f"Streaming {settings.path('inbox')}; Ctrl-C stops.", highlight=False)

    def upkeep() -> None:
        # A fault in here stops no stream; the next call, or `risklake care`, does the work.
        try:
            with storage.turns_of(Rank.CARE).turn(Rank.CARE):
                counted = close_run(spark, settings)
            figures.counts.counted(counted)
            name_inconsistent(counted, stages, tell or (lambda message: None))
            tended = care(spark, settings)
            compacted = sum(table.files_after < table.files_before for table in tended)
            words = f"care: {len(tended)} tables looked at, {compacted} compacted{rows_gone(tended)}"
            stages.console.print(words, highlight=False)
        except Exception as error:
            first = (str(error).strip() or type(error).__name__).splitlines()[0]
            stages.console.print(f"care was not finished: {first}", highlight=False, markup=False)

    with recorded(spark, settings, figures.streams.observe) as metrics:
        beside = CaseMessages(tell) if tell and settings.webhook_url else None
        pipeline.run(
            spark, settings, continuous=True, report=report, stop=stop, upkeep=upkeep, metrics=metrics, beside=beside
        )
    stages.console.print("Stopped.")
