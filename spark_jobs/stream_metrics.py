"""What the streams do, as rows of `monitoring.streams`: a listener hears of it, the main loop writes it down."""

from __future__ import annotations

import json
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming import StreamingQuery, StreamingQueryListener
from pyspark.sql.streaming.listener import (
    QueryIdleEvent,
    QueryProgressEvent,
    QueryStartedEvent,
    QueryTerminatedEvent,
)

from lake import storage
from lake.catalog import STREAMS
from lake.lease import turn
from lake.settings import Settings
from spark_jobs.backlog import NOTHING_WAITS, Backlog, Backlogs

FLUSH_SECONDS = 30.0
QUIET_SECONDS = 60
MOST_KEPT = 10_000
# How long the end of a run waits for what Spark has still to tell; it comes within milliseconds.
_PATIENCE_SECONDS = 5.0
_POLL_SECONDS = 0.01

Row = dict[str, Any]
Observe = Callable[[Row], None]

_log = logging.getLogger(__name__)


def row_of(progress: Mapping[str, Any], backlog: Backlog | None = None, rested_ms: int = 0) -> Row:
    """The row of `monitoring.streams` for a progress event (Spark's JSON, as a dict).

    For so many milliseconds the stream has rested at the end of the micro-batch (`lake.storage.rests`); Spark takes
    that for work.
    """
    durations = progress.get("durationMs") or {}
    worked = {
        name: max(durations[name] - rested_ms, 0) for name in ("triggerExecution", "addBatch") if name in durations
    }
    rate = progress.get("processedRowsPerSecond")
    if rested_ms and rate and worked.get("triggerExecution"):
        rate *= durations["triggerExecution"] / worked["triggerExecution"]
    state = progress.get("stateOperators") or []
    watermark = (progress.get("eventTime") or {}).get("watermark")
    began = datetime.fromisoformat(progress["timestamp"])
    return _row(
        began + timedelta(milliseconds=durations.get("triggerExecution", 0)),
        backlog or Backlog(),
        query=progress["name"],
        run_id=progress["runId"],
        query_id=progress["id"],
        batch_id=progress["batchId"],
        input_rows=progress.get("numInputRows") or 0,
        input_rows_per_s=progress.get("inputRowsPerSecond"),
        processed_rows_per_s=rate,
        trigger_ms=worked.get("triggerExecution"),
        add_batch_ms=worked.get("addBatch"),
        durations_ms=dict(durations),
        state_rows=sum(operator["numRowsTotal"] for operator in state) if state else None,
        state_bytes=sum(operator["memoryUsedBytes"] for operator in state) if state else None,
        # Before it has seen an event, Spark's watermark stands at 1970.
        watermark=None if watermark is None or watermark.startswith("1970") else datetime.fromisoformat(watermark),
    )


def quiet_row(query: str, run_id: str, query_id: str, at: datetime) -> Row:
    """The row of a query that found nothing to do."""
    return _row(at, NOTHING_WAITS, query=query, run_id=run_id, query_id=query_id, input_rows=0)


def _row(at: datetime, backlog: Backlog, **values: Any) -> Row:
    known = values | {
        "at": at,
        "date": at.astimezone(UTC).date(),
        "backlog_rows": backlog.rows,
        "backlog_files": backlog.files,
        "backlog_bytes": backlog.size_bytes,
    }
    return {name: known.get(name) for name in STREAMS.column_names}


def frame(spark: SparkSession, rows: Sequence[Row]) -> DataFrame:
    """Rows as a frame of one partition."""
    return spark.createDataFrame([tuple(row.values()) for row in rows], STREAMS.schema).coalesce(1)


class StreamMetrics(StreamingQueryListener):
    """Hears what the queries of a run do, and keeps it until it is written.

    Spark calls the `on…` methods from a thread of its own, for every query of the session: they only note down. All
    else is called from the thread that runs the streams. `observe` is given each row as it comes, written or not.
    """

    def __init__(self, settings: Settings, observe: Observe | None = None) -> None:
        self._observe = observe
        self._backlogs = Backlogs(settings)
        self._heard: deque[tuple[str, str, str]] = deque(maxlen=MOST_KEPT)
        self._rows: deque[Row] = deque(maxlen=MOST_KEPT)
        self._queries: dict[str, tuple[str, str]] = {}
        self._running: set[str] = set()
        self._quiet_from: dict[str, datetime] = {}
        self._flushed = time.monotonic()
        self._complained = False

    def onQueryStarted(self, event: QueryStartedEvent) -> None:  # noqa: N802
        """Not needed: `follow` names the queries."""

    def onQueryProgress(self, event: QueryProgressEvent) -> None:  # noqa: N802
        """Note a micro-batch."""
        with suppress(Exception):
            self._heard.append(("progress", str(event.progress.runId), event.progress.json))

    def onQueryIdle(self, event: QueryIdleEvent) -> None:  # noqa: N802
        """Note that nothing waited."""
        with suppress(Exception):
            self._heard.append(("idle", str(event.runId), event.timestamp))

    def onQueryTerminated(self, event: QueryTerminatedEvent) -> None:  # noqa: N802
        """Note the end of a query."""
        with suppress(Exception):
            self._heard.append(("ended", str(event.runId), ""))

    def follow(self, queries: Sequence[StreamingQuery]) -> None:
        """Count these queries from now on, and what was heard of them already; no others are counted."""
        for query in queries:
            run_id = str(query.runId)
            self._queries[run_id] = (query.name, str(query.id))
            self._running.add(run_id)
            self._quiet_from[run_id] = datetime.now(UTC) + timedelta(seconds=QUIET_SECONDS)

    def take(self) -> None:
        """Turn what was heard into rows."""
        while self._heard:
            kind, run_id, text = self._heard.popleft()
            if run_id not in self._queries:
                continue
            try:
                self._take(kind, run_id, text)
            except Exception as error:
                self._complain(error)

    def flush(self, spark: SparkSession, settings: Settings) -> None:
        """Append the rows that are kept, in one commit, if there are any. Never raises: they are kept for next time."""
        self._flushed = time.monotonic()
        if not self._rows:
            return
        try:
            # Jobs that are started as programs of their own all write this one table.
            with turn(settings, STREAMS.name):
                storage.ensure_tables(spark, settings, [STREAMS.name])
                storage.append(frame(spark, self._rows), settings, STREAMS.name)
            self._rows.clear()
        except Exception as error:
            self._complain(error)

    def flush_if_due(self, spark: SparkSession, settings: Settings) -> None:
        """Flush, unless that was done within `FLUSH_SECONDS`."""
        if time.monotonic() - self._flushed >= FLUSH_SECONDS:
            self.flush(spark, settings)

    def settle(self) -> None:
        """Wait for what Spark has still to tell of queries that have ended."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        self.take()
        while self._running and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
            self.take()

    def _take(self, kind: str, run_id: str, text: str) -> None:
        if kind == "ended":
            self._running.discard(run_id)
            return
        if kind == "idle":
            query, query_id = self._queries[run_id]
            row = quiet_row(query, run_id, query_id, datetime.fromisoformat(text))
        else:
            progress = json.loads(text)
            rested = storage.rested_ms(progress["id"], progress["batchId"])
            row = row_of(progress, self._backlogs.after(progress), rested)
        if row["input_rows"]:
            self._quiet_from[run_id] = row["at"] + timedelta(seconds=QUIET_SECONDS)
            self._rows.append(row)
        elif row["at"] >= self._quiet_from[run_id]:
            # By the clock's minutes, so that the quiet rows of all queries go into one commit.
            self._quiet_from[run_id] = row["at"].replace(second=0, microsecond=0) + timedelta(seconds=QUIET_SECONDS)
            self._rows.append(row)
        if self._observe:
            self._observe(row)

    def _complain(self, error: Exception) -> None:
        if not self._complained:
            reason = (str(error).strip().splitlines() or [""])[0] or type(error).__name__
            _log.warning("%s is not written for now: %s. The streams go on", STREAMS.name, reason)
        self._complained = True


@contextmanager
def recorded(spark: SparkSession, settings: Settings, observe: Observe | None = None) -> Iterator[StreamMetrics]:
    """Record what the followed queries do meanwhile; what is not yet written is at the end, also after an error."""
    metrics = StreamMetrics(settings, observe)
    spark.streams.addListener(metrics)
    try:
        yield metrics
    finally:
        with suppress(Exception):
            metrics.settle()
        with suppress(Exception):
            spark.streams.removeListener(metrics)
        metrics.flush(spark, settings)
