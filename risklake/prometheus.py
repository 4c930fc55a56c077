"""What the streams do, as figures that Prometheus fetches from `/metrics`."""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from lake.errors import MachineError
from lake.settings import Settings
from risklake.prometheus_counts import CountFigures

_PREFIX = "risklake_stream_"
_COUNTERS = {
    "input_rows": "Rows taken since the start, as Spark counts them: files for bronze",
    "batches": "Micro-batches since the start",
}
_GAUGES = {
    "last_batch_seconds": "Seconds of the last micro-batch",
    "last_progress_timestamp_seconds": "When a micro-batch last ended, or the query last said that nothing waits",
    "backlog_files": "Files that waited then; missing where that is not known",
    "backlog_bytes": "Bytes of those files; missing where that is not known",
    "state_rows": "Rows in the state store; missing for a query without state",
    "watermark_timestamp_seconds": "Watermark of event time; missing for a query without one",
}


class StreamFigures(Collector):
    """The newest figures of each query; given rows by one thread, asked by others."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queries: dict[str, dict[str, float | None]] = {}

    def observe(self, row: dict[str, Any]) -> None:
        """Take in a row as `monitoring.streams` holds them."""
        with self._lock:
            figures = self._queries.setdefault(row["query"], dict.fromkeys((*_COUNTERS, *_GAUGES)))
            figures["input_rows"] = (figures["input_rows"] or 0) + row["input_rows"]
            figures["batches"] = (figures["batches"] or 0) + (row["batch_id"] is not None)
            figures["last_progress_timestamp_seconds"] = row["at"].timestamp()
            figures["backlog_files"], figures["backlog_bytes"] = row["backlog_files"], row["backlog_bytes"]
            if row["batch_id"] is not None:
                figures["last_batch_seconds"] = (row["trigger_ms"] or 0) / 1000
                figures["state_rows"] = row["state_rows"]
                figures["watermark_timestamp_seconds"] = row["watermark"].timestamp() if row["watermark"] else None

    def collect(self) -> Iterator[Metric]:
        """All figures, labelled by query."""
        with self._lock:
            queries = {query: dict(figures) for query, figures in self._queries.items()}
        for name, meaning in (_COUNTERS | _GAUGES).items():
            kind = CounterMetricFamily if name in _COUNTERS else GaugeMetricFamily
            family = kind(_PREFIX + name, meaning, labels=["query"])
            for query, figures in queries.items():
                value = figures[name]
                if value is not None:
                    family.add_metric([query], value)
            yield family


@dataclass(frozen=True)
class Figures:
    """All that is served: what the streams do, and what was counted last."""

    streams: StreamFigures = field(default_factory=StreamFigures)
    counts: CountFigures = field(default_factory=CountFigures)


@contextmanager
def served_figures(settings: Settings) -> Iterator[Figures]:
    """Serve figures on the port of the settings meanwhile; with port 0 nothing is served.

    Raises `MachineError` where the port cannot be had.
    """
    figures = Figures()
    if not settings.metrics_port:
        yield figures
        return
    registry = CollectorRegistry(auto_describe=False)
    for collector in (figures.streams, figures.counts):
        registry.register(collector)
    host, port = settings.metrics_host, settings.metrics_port
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        reason = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be had ({error.strerror or error})"
        raise MachineError(
            f"Port {port} on {host}, where metrics_port and metrics_host say to serve /metrics, {reason}. "
            "Set RISKLAKE_METRICS_PORT to another port, or to 0 to serve none"
        ) from error
    try:
        yield figures
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
