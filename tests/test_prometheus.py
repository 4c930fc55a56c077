from __future__ import annotations

import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lake.catalog import STREAMS
from lake.errors import MachineError
from lake.settings import Settings
from risklake import cli
from risklake.prometheus import served_figures
from spark_jobs.lag import Lag
from spark_jobs.reconciliation import FeatureCounts, FeedCounts, Status
from spark_jobs.stream_metrics import quiet_row

AT = datetime(2026, 1, 5, 10, tzinfo=UTC)


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def batch(query: str = "q", **fields: Any) -> dict[str, Any]:
    base = {"query": query, "batch_id": 1, "at": AT, "input_rows": 10, "trigger_ms": 1500}
    return dict.fromkeys(STREAMS.column_names) | base | fields


def fetch(port: int) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines if not line.startswith("#")}


def test_metrics_has_the_figures_of_each_query(settings: Settings, port: int) -> None:
    with served_figures(replace(settings, metrics_port=port)) as figures:
        assert fetch(port) == {}
        figures.streams.observe(batch("bronze_transactions", backlog_files=3, backlog_bytes=4096))
        figures.streams.observe(batch("tiles", state_rows=7, watermark=AT - timedelta(seconds=30)))
        figures.streams.observe(
            batch("tiles", input_rows=5, trigger_ms=250, at=AT + timedelta(seconds=2), state_rows=8)
        )
        found = fetch(port)
    begun = AT.timestamp()
    assert found == {
        'risklake_stream_input_rows_total{query="bronze_transactions"}': 10,
        'risklake_stream_batches_total{query="bronze_transactions"}': 1,
        'risklake_stream_last_batch_seconds{query="bronze_transactions"}': 1.5,
        'risklake_stream_last_progress_timestamp_seconds{query="bronze_transactions"}': begun,
        'risklake_stream_backlog_files{query="bronze_transactions"}': 3,
        'risklake_stream_backlog_bytes{query="bronze_transactions"}': 4096,
        'risklake_stream_input_rows_total{query="tiles"}': 15,
        'risklake_stream_batches_total{query="tiles"}': 2,
        'risklake_stream_last_batch_seconds{query="tiles"}': 0.25,
        'risklake_stream_last_progress_timestamp_seconds{query="tiles"}': begun + 2,
        'risklake_stream_state_rows{query="tiles"}': 8,
    }


def test_a_query_with_nothing_to_do_is_alive_has_no_backlog_and_keeps_its_last_batch(
    settings: Settings, port: int
) -> None:
    with served_figures(replace(settings, metrics_port=port)) as figures:
        figures.streams.observe(batch(backlog_files=3, backlog_bytes=4096, watermark=AT))
        figures.streams.observe(quiet_row("q", "r1", "i1", AT + timedelta(minutes=5)))
        found = {name.removeprefix("risklake_stream_").split("{")[0]: value for name, value in fetch(port).items()}
    assert found == {
        "input_rows_total": 10, "batches_total": 1, "last_batch_seconds": 1.5, "backlog_files": 0, "backlog_bytes": 0,
        "last_progress_timestamp_seconds": AT.timestamp() + 300, "watermark_timestamp_seconds": AT.timestamp(),
    }  # fmt: skip


def status_of(transactions: FeedCounts) -> Status:
    return Status(
        feeds={"transactions": transactions},
        features={"user_5m": FeatureCounts(events=7, rows=6, lag=Lag(behind=1))},
        parity={},
        alerts={"velocity_5m": 2},
        quarantine={"missing_field": 2},
        counted_at=AT,
    )


def test_metrics_has_where_lines_stood_at_the_last_count(settings: Settings, port: int) -> None:
    with served_figures(replace(settings, metrics_port=port)) as figures:
        figures.counts.counted(status_of(FeedCounts(0, 0, 0, 0, 0)))
        figures.counts.counted(status_of(FeedCounts(12, 11, 7, 2, 1, waiting=1, orphans=3, pending=1)))
        found = fetch(port)
    lines = {"lines": 12, "bronze": 11, "silver": 7, "quarantined": 2, "duplicates": 1, "waiting": 1, "orphans": 3}
    assert found == {
        "risklake_counted_timestamp_seconds": AT.timestamp(),
        "risklake_consistent": 1,
        'risklake_lines{counted_as="on_their_way",feed="transactions"}': 1,
        **{f'risklake_lines{{counted_as="{name}",feed="transactions"}}': count for name, count in lines.items()},
        'risklake_lines_difference{feed="transactions"}': 0,
        'risklake_features_difference{table="features.user_5m"}': 0,
        'risklake_open_alerts{rule="velocity_5m"}': 2,
        'risklake_quarantined_lines{reason="missing_field"}': 2,
    }


def test_metrics_says_that_a_line_is_lost(settings: Settings, port: int) -> None:
    with served_figures(replace(settings, metrics_port=port)) as figures:
        figures.counts.counted(status_of(FeedCounts(12, 11, 7, 2, 1, waiting=1)))
        found = fetch(port)
    assert found["risklake_consistent"] == 0
    assert found['risklake_lines_difference{feed="transactions"}'] == 1


def test_the_server_stops_with_the_run_and_its_port_can_be_had_again(settings: Settings, port: int) -> None:
    served = replace(settings, metrics_port=port)
    with pytest.raises(RuntimeError), served_figures(served):
        raise RuntimeError("the run failed")
    with pytest.raises(urllib.error.URLError):
        fetch(port)
    with served_figures(served):
        assert fetch(port) == {}


def test_without_a_port_nothing_is_served(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("risklake.prometheus.start_http_server", lambda *_: pytest.fail("served"))
    with served_figures(settings) as figures:
        figures.streams.observe(batch())
    assert len(list(figures.streams.collect())) == 8


def test_a_port_in_use_is_named_with_the_way_out(settings: Settings, taken_port: int) -> None:
    with (
        pytest.raises(MachineError, match=rf"Port {taken_port} on 127.0.0.1.*is in use.*RISKLAKE_METRICS_PORT"),
        served_figures(replace(settings, metrics_port=taken_port)),
    ):
        pass


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_an_address_that_is_not_of_this_machine_is_named(settings: Settings, port: int, host: str) -> None:
    with (
        pytest.raises(MachineError, match=rf"Port {port} on {host}.*cannot be had"),
        served_figures(replace(settings, metrics_port=port, metrics_host=host)),
    ):
        pass


def test_a_port_in_use_ends_the_command_before_spark_starts(
    settings: Settings, taken_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "settings_of", lambda *_: replace(settings, metrics_port=taken_port))
    monkeypatch.setattr(cli, "session_for", lambda *_: pytest.fail("Spark was started"))
    with pytest.raises(MachineError, match="is in use"):
        cli.stream(once=True)
