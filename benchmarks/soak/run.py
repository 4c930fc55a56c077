"""A run of the soak: the generator on one side, the stream on the other, and a look at both now and then."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.processes import HarnessError, Running, started
from benchmarks.soak.commits import STAGES, Commit, CommitLog
from benchmarks.soak.samples import Sample, sample

_STARTED_SECONDS = 180.0
_WARM_SECONDS = 600.0
# Each pays four times an hour; of more, it would take long until all are known.
USERS_AT_A_PAYMENT_A_SECOND = 1000

# Called with seconds done, and the newest sample.
Report = Callable[[float, Sample], None]


@dataclass
class Observed:
    """What was seen of a run between its first payments and its end (seconds since 1970)."""

    began: float = 0.0
    ended: float = 0.0
    samples: list[Sample] = field(default_factory=list)
    commits: dict[str, list[Commit]] = field(default_factory=lambda: {name: [] for name in STAGES})


def soak(
    lake: Path,
    logs: Path,
    *,
    rate: float,
    seconds: float,
    upkeep_minutes: int,
    every: float,
    report: Report,
    feeds: str = "",
    users_at_one: int = USERS_AT_A_PAYMENT_A_SECOND,
    rules: Path | None = None,
) -> Observed:
    """Stream generated payments for so many seconds, then stop both programs as a user would.

    With them come all other `feeds`, or only those that are named (with commas). There are `users_at_one` users for
    each payment a second. `rules` is a file or folder of rules; None means the shipped ones. Raises `HarnessError` if
    one of the programs ends before its time, or otherwise than it should.
    """
    port = _free_port()
    environment = {
        "LAKE_ROOT": str(lake),
        "RISKLAKE_FINISHED_FILES": "archive",
        "RISKLAKE_UPKEEP_MINUTES": str(upkeep_minutes),
        "RISKLAKE_METRICS_PORT": str(port),
    } | ({"RISKLAKE_RULES_FILE": str(rules)} if rules else {})
    command = [sys.executable, "-m", "risklake.cli"]
    observed = Observed()
    with started([*command, "stream"], logs / "stream.log", environment) as stream:
        wait_until_streaming(stream)
        live = [*command, "generate", "--rate", str(rate), "--users", str(round(rate * users_at_one))]
        live += ["--feeds", feeds] if feeds else []
        with started(live, logs / "generate.log", environment) as generator:
            _wait_until_warm(stream, lake)
            observed.began = time.time()
            _watch(observed, stream, generator, lake, port, seconds, every, report)
            observed.ended = time.time()
            stop(generator)
        stop(stream)
    return observed


def settle(lake: Path, logs: Path) -> str:
    """Take what is left, and reconcile. Gives what was printed; raises `HarnessError` if a line is missing."""
    words = [sys.executable, "-m", "risklake.cli", "stream", "--once"]
    with started(words, logs / "settle.log", {"LAKE_ROOT": str(lake)}) as last:
        ending = last.ending()
    if ending.code:
        raise HarnessError(f"The closing run ended with exit code {ending.code}: {ending.last_line}")
    return ending.said


def _watch(
    observed: Observed,
    stream: Running,
    generator: Running,
    lake: Path,
    port: int,
    seconds: float,
    every: float,
    report: Report,
) -> None:
    logs = {name: CommitLog(lake.joinpath(*name.split(".")), arrival) for name, arrival in STAGES.items()}
    while (done := time.time() - observed.began) < seconds:
        time.sleep(min(every, seconds - done))
        for program in (stream, generator):
            if program.process.poll() is not None:
                raise HarnessError(f"A program ended after {done:.0f} s: {program.ending().last_line}")
        observed.samples.append(sample(stream, lake, port))
        for name, log in logs.items():
            observed.commits[name] += log.new()
        report(time.time() - observed.began, observed.samples[-1])


def wait_until_streaming(stream: Running) -> None:
    """Wait until the streams have started. Raises `HarnessError` if they do not."""
    while "Streaming" not in stream.log.read_text(encoding="utf-8"):
        if stream.process.poll() is not None or stream.seconds > _STARTED_SECONDS:
            raise HarnessError(f"The stream did not start: see {stream.log}")
        time.sleep(0.2)


def _wait_until_warm(stream: Running, lake: Path) -> None:
    # The first micro-batches plan and compile everything; what came meanwhile is taken in the next ones.
    logs = {name: CommitLog(lake.joinpath(*name.split(".")), arrival) for name, arrival in STAGES.items()}
    while logs:
        logs = {name: log for name, log in logs.items() if not log.new()}
        if stream.process.poll() is not None or stream.seconds > _WARM_SECONDS:
            raise HarnessError(f"No payment came through to {', '.join(logs)}: see {stream.log}")
        time.sleep(1)


def stop(program: Running) -> None:
    """Stop a program as a user would. Raises `HarnessError` if it does not end well."""
    os.kill(program.process.pid, signal.SIGTERM)
    ending = program.ending()
    if ending.code:
        raise HarnessError(f"A program that was stopped ended with exit code {ending.code}: {ending.last_line}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
