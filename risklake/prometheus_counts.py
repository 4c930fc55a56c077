"""Where the lines of a lake stand, as figures that Prometheus fetches: those of the last count."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from spark_jobs.reconciliation import Status

_PREFIX = "risklake_"
# Values by those of the labels.
_Values = dict[tuple[str, ...], float]


class CountFigures(Collector):
    """The figures of the last count (`close_run`); given by one thread, asked by others. Before it there are none."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._status: Status | None = None

    def counted(self, status: Status) -> None:
        """Take in a count."""
        with self._lock:
            self._status = status

    def collect(self) -> Iterator[Metric]:
        """All figures of the last count."""
        with self._lock:
            status = self._status
        if status is not None:
            yield from _of_lake(status)
            yield from _of_feeds(status)
            yield from _of_tables(status)


def _of_lake(status: Status) -> Iterator[Metric]:
    yield _gauge("counted_timestamp_seconds", "When the lines were last counted", status.counted_at.timestamp())
    meaning = "1 if no line and no row of features was lost or doubled; what is on its way is not lost"
    yield _gauge("consistent", meaning, float(not status.has_difference))


def _of_feeds(status: Status) -> Iterator[Metric]:
    counts = {feed: found.as_dict() for feed, found in status.feeds.items()}
    meaning = "Lines by what they were counted as; `lines` are all that have come in"
    lines: _Values = {(feed, name): of[name] for feed, of in counts.items() for name in of if name != "difference"}
    yield _labelled("lines", meaning, lines, ("feed", "counted_as"))
    differences: _Values = {(feed,): of["difference"] for feed, of in counts.items()}
    meaning = "Lines that stand nowhere; negative: more than once"
    yield _labelled("lines_difference", meaning, differences, ("feed",))


def _of_tables(status: Status) -> Iterator[Metric]:
    differences: _Values = {(f"features.{name}",): found.difference for name, found in status.features.items()}
    meaning = "Accepted events without a row of features; negative: rows too many"
    yield _labelled("features_difference", meaning, differences, ("table",))
    alerts: _Values = {(rule,): count for rule, count in status.alerts.items()}
    yield _labelled("open_alerts", "Open alerts by rule", alerts, ("rule",))
    reasons: _Values = {(code,): count for code, count in status.quarantine.items()}
    meaning = "Lines in quarantine by reason; one of two reasons counts for each"
    yield _labelled("quarantined_lines", meaning, reasons, ("reason",))


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(_PREFIX + name, meaning, value=value)


def _labelled(name: str, meaning: str, values: _Values, labels: tuple[str, ...]) -> Metric:
    family = GaugeMetricFamily(_PREFIX + name, meaning, labels=labels)
    for labelled, value in values.items():
        family.add_metric(labelled, value)
    return family
