"""All streaming jobs in one application, for a laptop: drain the inbox and stop, or run until stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pyspark.errors import StreamingQueryException
from pyspark.sql import SparkSession
from pyspark.sql.streaming import StreamingQuery

from lake import storage
from lake.errors import StreamError
from lake.lease import leases
from lake.settings import Settings
from spark_jobs import alerts, bronze, features, silver


class Job(Protocol):
    """A module of this package with the streams of one layer."""

    JOB: str

    def start(self, spark: SparkSession, settings: Settings, *, continuous: bool) -> list[StreamingQuery]:
        """Start the streams of the layer."""


# In the order of the data.
JOBS: dict[str, Job] = {job.JOB: job for job in (bronze, silver, features, alerts)}

_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Progress:
    """How far a job is: rows taken by its streams since it started, and the seconds that went by."""

    job: str
    rows: int
    seconds: float
    done: bool


Report = Callable[[Progress], None]


def run(
    spark: SparkSession,
    settings: Settings,
    *,
    continuous: bool,
    jobs: Sequence[str] = tuple(JOBS),
    report: Report | None = None,
    stop: threading.Event | None = None,
) -> None:
    """Run jobs of the line. Draining, one job after the other takes what lies before it, and the call returns.

    Continuous, all run until `stop` is set; micro-batches that are under way are finished first. Raises
    `StreamError` if a query fails, `LeaseError` if another program runs one of the jobs on this lake.
    """
    stop = stop or threading.Event()
    report = report or (lambda progress: None)
    with leases(settings, list(jobs)):
        storage.ensure_tables(spark, settings)
        groups = [list(jobs)] if continuous else [[job] for job in jobs]
        for group in groups:
            if not stop.is_set():
                _run_group(spark, settings, group, continuous, report, stop)


def _run_group(
    spark: SparkSession, settings: Settings, group: list[str], continuous: bool, report: Report, stop: threading.Event
) -> None:
    queries: dict[str, list[StreamingQuery]] = {}
    counters: dict[str, _Counter] = {}
    try:
        for job in group:
            queries[job] = JOBS[job].start(spark, settings, continuous=continuous)
            counters[job] = _Counter()
        running = True
        while running and not stop.is_set():
            running = any(query.isActive for job in group for query in queries[job])
            for job in group:
                _raise_failure(queries[job])
                report(counters[job].progress(job, queries[job], done=not running))
            stop.wait(_POLL_SECONDS)
    finally:
        _stop([query for job in queries for query in queries[job]])


class _Counter:
    """Adds up the rows of the micro-batches that a job's queries have reported."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._rows: dict[tuple[str, int], int] = {}

    def progress(self, job: str, queries: list[StreamingQuery], *, done: bool) -> Progress:
        for query in queries:
            recent: Sequence[Any] = query.recentProgress if done else (query.lastProgress,)
            for batch in recent:
                if batch:
                    self._rows[(str(query.id), batch["batchId"])] = batch["numInputRows"]
        return Progress(job, sum(self._rows.values()), time.monotonic() - self._started, done)


def _raise_failure(queries: list[StreamingQuery]) -> None:
    for query in queries:
        failure = query.exception()
        if failure is not None:
            raise StreamError(f"The stream {query.name} stopped: {_cause(failure)}") from failure


def _cause(failure: StreamingQueryException) -> str:
    lines = [line.strip() for line in str(failure).splitlines() if line.strip()]
    causes = [line for line in lines if "Error" in line or "Exception" in line]
    return (causes or lines or ["unknown cause"])[-1]


def _stop(queries: list[StreamingQuery]) -> None:
    for query in queries:
        _finish_batch(query)
        query.stop()


def _finish_batch(query: StreamingQuery, patience_seconds: float = 30) -> None:
    # Stopping in the middle of a micro-batch is safe, but the next start would do it again.
    deadline = time.monotonic() + patience_seconds
    while query.isActive and query.status["isTriggerActive"] and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
