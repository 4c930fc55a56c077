"""The real commands in processes of their own, as a user runs them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from lake import storage
from lake.settings import Settings
from spark_jobs import pipeline
from spark_jobs.reconciliation import measure_status
from tests import planted
from tests.receiver import Receiver, receiver

__all__ = ["receiver"]  # a fixture

pytestmark = pytest.mark.end_to_end

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent


def environment(settings: Settings, **more: str) -> dict[str, str]:
    # Wherever the machine stands, all is UTC.
    own = {"LAKE_ROOT": settings.lake_root, "PATH": f"{BIN}:{os.environ['PATH']}", "TZ": "Asia/Jakarta"}
    return os.environ | own | more


def start(settings: Settings, *command: str, cwd: Path = ROOT, **more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(BIN / command[0]), *command[1:]],
        cwd=cwd,
        env=environment(settings, **more),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def run(settings: Settings, *command: str, cwd: Path = ROOT, **more: str) -> str:
    process = start(settings, *command, cwd=cwd, **more)
    output, _ = process.communicate(timeout=400)
    assert process.returncode == 0, output
    return output


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def metrics(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        return str(answer.read().decode())


def wait_for(condition: Callable[[], bool], seconds: float = 240) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.2)
    return False


def test_stream_dbt_and_sql_work_at_once_and_a_second_stream_is_refused(
    spark: SparkSession,
    settings: Settings,
    land: Callable[..., Path],
    transaction: Callable[..., str],
    receiver: Receiver,
) -> None:
    land([transaction(f"e{n}", user_id=f"u{n % 3}") for n in range(30)], "first.jsonl")
    land(planted.PAYMENTS, "planted.jsonl")
    # Of other cases, which are older, nobody is told.
    now = datetime.now(UTC).isoformat()
    land([transaction(f"now{n}", user_id="today", event_time=now) for n in range(3)], "now.jsonl")
    first = 33 + len(planted.ACCEPTED_PAYMENTS)
    last = first + 5
    port = free_port()
    set_up = {"RISKLAKE_UPKEEP_MINUTES": "1", "RISKLAKE_METRICS_PORT": str(port)}
    stream = start(settings, "risklake", "stream", RISKLAKE_WEBHOOK_URL=receiver.address, **set_up)
    try:
        assert wait_for(lambda: storage.read(spark, settings, "features.user_5m").count() == first)
        dbt = start(settings, "dbt", "build", "--quiet", "--target-path", str(settings.local_path("dbt-target")),
                    "--log-path", str(settings.local_path("dbt-logs")), cwd=ROOT / "dbt")  # fmt: skip
        query = start(settings, "risklake", "sql", "select count(*) as n from silver.transactions", "--json")
        land([transaction(f"late{n}") for n in range(5)], "second.jsonl")
        second = start(settings, "risklake", "stream", "--once")
        outputs = {p: p.communicate(timeout=300)[0] for p in (dbt, query, second)}
        assert dbt.returncode == 0, outputs[dbt]
        assert query.returncode == 0, outputs[query]
        assert json.loads(outputs[query].strip().splitlines()[-1])["n"] in (first, last)
        assert second.returncode == 5, outputs[second]
        assert "is already running" in outputs[second].strip().splitlines()[-1]
        assert stream.poll() is None
        assert wait_for(lambda: storage.read(spark, settings, "features.user_5m").count() == last)
        # The stream looks after its tables meanwhile, and serves what it has counted.
        assert wait_for(lambda: "risklake_consistent 1.0" in metrics(port))
        assert wait_for(lambda: len(receiver.received) > 0)
    finally:
        os.kill(stream.pid, signal.SIGTERM)
        output, _ = stream.communicate(timeout=60)
    assert stream.returncode == 0, output
    assert "Stopped." in output
    assert "care: " in output
    assert [(one["kind"], one["title"].split(":")[0]) for one in receiver.received] == [
        ("alert", "user_id today"), ("run", "stream finished"),
    ]  # fmt: skip
    status = json.loads(run(settings, "risklake", "status", "--json"))
    assert status["consistent"] is True
    assert status["feeds"]["transactions"] == {
        "lines": 38 + len(planted.PAYMENTS), "bronze": 38 + len(planted.PAYMENTS), "silver": last,
        "quarantined": len(planted.REFUSED_PAYMENTS), "duplicates": len(planted.REPEATED_PAYMENTS), "waiting": 0,
        "orphans": 0, "on_their_way": 0, "difference": 0,
    }  # fmt: skip
    assert status["parity"]["user_5m"] == {"compared": last, "differing": 0}
    # Windows are looked for seldom; the last payments may have come after that.
    assert status["parity"].get("user_windows", {"differing": 0})["differing"] == 0
    assert storage.read(spark, settings, "marts.fct_transactions").count() in (first, last)
    # What programs of their own print and log tells no person either.
    assert settings.local_path("logs", "spark.log").is_file()
    assert planted.traces_under(settings.local_path(), but=planted.RAW) == {}
    assert [planted.traces_in(said) for said in (output, *outputs.values())] == [[], [], [], []]


def test_jobs_run_by_themselves_with_spark_submit(
    spark: SparkSession, settings: Settings, land: Callable[..., Path], transaction: Callable[..., str]
) -> None:
    land([transaction(f"e{n}") for n in range(4)])
    # A job that reads files and one that reads a table; the two between start alike.
    for job, between in (("bronze", ("silver", "features")), ("alerts", ())):
        output = run(settings, "spark-submit", "--properties-file", "conf/spark-defaults.conf",
                     f"spark_jobs/{job}.py", "--once")  # fmt: skip
        assert f"{job}:" in output
        pipeline.run(spark, settings, continuous=False, jobs=between)
    status = measure_status(spark, settings)
    assert status.is_consistent
    assert status.features["user_5m"].rows == 4
    # All four payments lie at one instant, so each sees all of them.
    assert status.alerts == {"velocity_5m": 4}


def test_a_wrong_setting_or_a_missing_folder_gives_one_line_and_no_stack_trace(settings: Settings) -> None:
    for command, code, words in (
        (["risklake", "config"], 2, "trigger_seconds must be a whole number"),
        (["risklake", "demo", "--input", "nowhere"], 2, "trigger_seconds must be a whole number"),
    ):
        process = start(settings, *command, RISKLAKE_TRIGGER_SECONDS="soon")
        output, _ = process.communicate(timeout=60)
        assert process.returncode == code
        assert words in output
        assert "Traceback" not in output
    for command, code, words in (
        (["risklake", "demo", "--input", "nowhere"], 2, "The input folder nowhere does not exist"),
        (["risklake", "status"], 2, "There is no lake at"),
        (["risklake", "report"], 2, "There is no report"),
        (["risklake", "reset", "--layer", "gold"], 2, "There is no layer 'gold'"),
        (["risklake", "reset", "--layer", "bronze"], 2, "say --yes to drop it"),
        (["risklake", "train", "--as-of", "tomorrow"], 2, "'tomorrow' is no date"),
    ):
        process = start(settings, *command)
        output, _ = process.communicate(timeout=60)
        assert process.returncode == code, output
        assert words in output
        assert len(output.strip().splitlines()) == 1, output
