"""Drain an inbox in this process, count where its lines went, and watch the memory of all processes meanwhile."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass

import typer
from pyspark.sql import SparkSession

from benchmarks.processes import resident_mib
from lake.errors import InconsistentError
from lake.feeds import FEEDS
from lake.inbox import visible_files
from lake.progress import Stages
from lake.session import build_session
from lake.settings import Settings
from spark_jobs import pipeline
from spark_jobs.reconciliation import close_run


@dataclass(frozen=True)
class Outcome:
    """Where the lines of an inbox went, how long it took, and the most memory of all processes (MiB)."""

    lines: int
    files: int
    silver: int
    quarantined: int
    duplicates: int
    is_consistent: bool
    seconds: float
    peak_mib: float


def drain(settings: Settings, spark: SparkSession) -> Outcome:
    """Drain the inbox and count. Raises `InconsistentError` if a line stands in no place, or in two."""
    began, peak = time.monotonic(), _Peak()
    pipeline.run(spark, settings, continuous=False, report=lambda progress: peak.look())
    status = close_run(spark, settings, with_parity=True)
    feeds = status.feeds.values()
    outcome = Outcome(
        lines=sum(counts.lines for counts in feeds),
        files=sum(len(visible_files(settings.local_path("inbox", feed))) for feed in FEEDS),
        silver=sum(counts.silver for counts in feeds),
        quarantined=sum(counts.quarantined for counts in feeds),
        duplicates=sum(counts.duplicates for counts in feeds),
        is_consistent=status.is_consistent,
        seconds=round(time.monotonic() - began, 1),
        peak_mib=round(peak.mib, 1),
    )
    if not outcome.is_consistent:
        raise InconsistentError(f"the input does not reconcile: {status.as_dict()['feeds']}")
    return outcome


def drained_and_told(settings: Settings, stages: Stages, name: str, most_mib: float) -> None:
    """Drain by a session of its own and print the outcome as JSON.

    Raises `InconsistentError` as `drain` does; exits with code 1 if it took more than so much memory.
    """
    with stages.stage("drain"):
        spark = build_session(settings, name, log=settings.local_path("logs", "spark.log"))
        outcome = drain(settings, spark)
        spark.stop()
    typer.echo(json.dumps(vars(outcome)))
    if outcome.peak_mib > most_mib:
        typer.echo(f"{name}: took {outcome.peak_mib:,.0f} MiB of memory, more than {most_mib:,.0f}", err=True)
        raise typer.Exit(1)


class _Peak:
    """The most memory that this process and its children had together, in MiB."""

    def __init__(self) -> None:
        self.mib = 0.0
        self._looked = 0.0

    def look(self) -> None:
        if time.monotonic() - self._looked < 1:
            return
        self._looked = time.monotonic()
        self.mib = max(self.mib, resident_mib(os.getpid()))
