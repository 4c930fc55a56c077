"""All streaming jobs in one application, for a laptop: drain the inbox and stop, or run until stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql.streaming import StreamingQuery

from lake import storage
from lake.lease import leases
from lake.masking_key import require_same_key
from lake.settings import Settings
from spark_jobs import alerts, bronze, features, silver, user_windows
from spark_jobs.stream_metrics import StreamMetrics, recorded
from spark_jobs.streams import Job, Stream, stream_error

# In the order of the data, with what no alert waits for at the end.
JOBS: dict[str, Job] = {job.JOB: job for job in (bronze, silver, features, alerts, user_windows)}

_POLL_SECONDS = 0.1
# Asking a query how far it is costs a piece of its work, so beside running streams it is done less often.
_LIVE_POLL_SECONDS = 0.5
# How often a running line looks for feeds whose first line has come.
_LOOK_SECONDS = 1.0


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
    upkeep: Callable[[], None] | None = None,
    metrics: StreamMetrics | None = None,
    beside: Job | None = None,
) -> None:
    """Run jobs of the line. Draining, one job after the other takes what lies before it, and the call returns.

    Continuous, all run until `stop` is set; micro-batches that are under way are finished first, and `upkeep` is
    called every `upkeep_minutes` of the settings beside them. A job that follows the line may run `beside` it. What the
    streams do is recorded in `monitoring.streams`;
    a caller of several runs gives its own `metrics` and has it recorded once. Raises
    `StreamError` if a query fails, `LeaseError` if another program runs one of the jobs on this lake.
    """
    stop = stop or threading.Event()
    report = report or (lambda progress: None)
    offered = {job: JOBS[job] for job in jobs}
    with leases(settings, list(jobs)):
        _prepare(spark, settings)
        with nullcontext(metrics) if metrics else recorded(spark, settings) as recording:
            if continuous:
                with _called_every(spark, settings.upkeep_minutes * 60, upkeep, stop):
                    if beside:
                        offered[beside.JOB] = beside
                    _run_until_stopped(spark, settings, offered, report, stop, recording)
            else:
                for job in jobs:
                    _drain(spark, settings, job, report, stop, recording)


def drain_holding_leases(spark: SparkSession, settings: Settings) -> None:
    """Take what lies before every job; for a caller that holds the leases of all jobs, and goes on to hold them.

    Raises as `run` does.
    """
    _prepare(spark, settings)
    with recorded(spark, settings) as recording:
        for job in JOBS:
            _drain(spark, settings, job, lambda progress: None, threading.Event(), recording)


def _prepare(spark: SparkSession, settings: Settings) -> None:
    require_same_key(settings)
    storage.ensure_tables(spark, settings)


def _drain(
    spark: SparkSession, settings: Settings, job: str, report: Report, stop: threading.Event, metrics: StreamMetrics
) -> None:
    running = _Running(job, metrics)
    offered = sorted(JOBS[job].streams(spark, settings), key=lambda stream: stream.rank)
    try:
        for _, streams in groupby(offered, key=lambda stream: stream.rank):
            if stop.is_set():
                break
            running.start(streams, continuous=False)
            while running.is_active() and not stop.is_set():
                report(running.progress(done=False))
                stop.wait(_POLL_SECONDS)
            running.raise_failure()
            metrics.take()
        report(running.progress(done=True))
    finally:
        running.stop()


def _run_until_stopped(
    spark: SparkSession,
    settings: Settings,
    jobs: Mapping[str, Job],
    report: Report,
    stop: threading.Event,
    metrics: StreamMetrics,
) -> None:
    all_running = [_Running(job, metrics) for job in jobs]
    looked = -_LOOK_SECONDS
    try:
        while not stop.is_set():
            if time.monotonic() - looked >= _LOOK_SECONDS:
                # A feed's stream starts with the feed's first line.
                for running in all_running:
                    running.start(jobs[running.job].streams(spark, settings), continuous=True)
                looked = time.monotonic()
            for running in all_running:
                running.raise_failure()
                report(running.progress(done=False))
            metrics.take()
            metrics.flush_if_due(spark, settings)
            stop.wait(_LIVE_POLL_SECONDS)
    finally:
        storage.end_rest(query for running in all_running for query in running.queries.values())
        for running in all_running:
            running.stop()


@contextmanager
def _called_every(
    spark: SparkSession, seconds: float, upkeep: Callable[[], None] | None, stop: threading.Event
) -> Iterator[None]:
    def call() -> None:
        with storage.in_pool(spark, storage.BESIDE):
            while upkeep and not stop.wait(seconds):
                upkeep()

    thread = threading.Thread(target=call, name="upkeep", daemon=True)
    if upkeep and seconds:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        if thread.is_alive():
            thread.join()


@dataclass
class _Running:
    """The queries of a job that have been started, and the rows of their micro-batches."""

    job: str
    metrics: StreamMetrics
    queries: dict[str, StreamingQuery] = field(default_factory=dict)
    _rows: dict[tuple[str, int], int] = field(default_factory=dict)
    _started: float = field(default_factory=time.monotonic)

    def start(self, streams: Iterable[Stream], *, continuous: bool) -> None:
        """Start those that were not started yet."""
        for stream in streams:
            if stream.name not in self.queries:
                self.queries[stream.name] = stream.start(continuous)
                self.metrics.follow([self.queries[stream.name]])

    def is_active(self) -> bool:
        return any(query.isActive for query in self.queries.values())

    def progress(self, *, done: bool) -> Progress:
        for query in self.queries.values():
            recent: Sequence[Any] = query.recentProgress if done else (query.lastProgress,)
            for batch in recent:
                if batch:
                    self._rows[(str(query.id), batch["batchId"])] = batch["numInputRows"]
        return Progress(self.job, sum(self._rows.values()), time.monotonic() - self._started, done)

    def raise_failure(self) -> None:
        for query in self.queries.values():
            failure = query.exception()
            if failure is not None:
                raise stream_error(query.name or "", failure) from failure

    def stop(self) -> None:
        for query in self.queries.values():
            _finish_batch(query)
            query.stop()


def _finish_batch(query: StreamingQuery, patience_seconds: float = 30) -> None:
    # Stopping in the middle of a micro-batch is safe, but the next start would do it again.
    deadline = time.monotonic() + patience_seconds
    while query.isActive and query.status["isTriggerActive"] and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
