"""Starts the real commands as processes of their own, and kills them with all that they have started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from lake.errors import LakehouseError

ROOT = Path(__file__).resolve().parents[2]
# Payments wait for their users, so that the way of the orphans is walked too.
ORPHANS = "transactions=wait"
LONGEST_SECONDS = 1800.0
_GONE_SECONDS = 30.0


class HarnessError(LakehouseError):
    """The harness cannot go on: a program did not end, or did what it never should."""


@dataclass(frozen=True)
class Ending:
    """How a program ended by itself: exit code, seconds, and what it said."""

    code: int
    seconds: float
    said: str

    @property
    def last_line(self) -> str:
        """The last line that it printed."""
        return (self.said.strip().splitlines() or [""])[-1].strip()


@dataclass
class Running:
    """A program that was started, with the file that takes what it prints."""

    process: subprocess.Popen[bytes]
    log: Path
    began: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """How long it has been running."""
        return time.monotonic() - self.began

    def kill(self) -> None:
        """SIGKILL to the whole process group; returns when nothing of it runs any more."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        deadline = time.monotonic() + _GONE_SECONDS
        while any(_of_group(self.process.pid)):
            if time.monotonic() > deadline:
                raise HarnessError(f"Processes of group {self.process.pid} survived SIGKILL: look at them with ps")
            time.sleep(0.01)

    def ending(self) -> Ending:
        """Wait for its own end. Raises `HarnessError` if it does not come."""
        try:
            code = self.process.wait(LONGEST_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise HarnessError(f"A program ran for {LONGEST_SECONDS:.0f} s without an end: see {self.log}") from error
        return Ending(code, self.seconds, self.log.read_text(encoding="utf-8", errors="replace"))


@dataclass(frozen=True)
class Programs:
    """The commands on one lake. `broken` names a defect that the stream is given on purpose."""

    lake: Path
    logs: Path
    broken: str | None = None

    @contextmanager
    def started(self, command: str, *, files_per_trigger: int = 1000) -> Iterator[Running]:
        """`stream` (drains, then ends), `watch` (streams until stopped), or `care` (OPTIMIZE and VACUUM of all tables).

        What still runs at the end of the block is killed.
        """
        self.logs.mkdir(parents=True, exist_ok=True)
        log = self.logs / f"{len(list(self.logs.iterdir())):04}-{command}.log"
        environment = os.environ | {
            "LAKE_ROOT": str(self.lake),
            "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))),
            "RISKLAKE_ORPHANS": ORPHANS,
            "RISKLAKE_MAX_FILES_PER_TRIGGER": str(files_per_trigger),
            "COLUMNS": "200",
        }
        with log.open("wb") as output:
            running = Running(
                subprocess.Popen(
                    [sys.executable, "-m", *self._words(command)],
                    cwd=ROOT,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                ),
                log,
            )
        try:
            yield running
        finally:
            if running.process.poll() is None:
                running.kill()

    def run(self, command: str, *, files_per_trigger: int = 1000) -> Ending:
        """Start a command and wait for its end."""
        with self.started(command, files_per_trigger=files_per_trigger) as running:
            return running.ending()

    def _words(self, command: str) -> list[str]:
        if command == "care":
            return ["risklake.cli", "care"]
        program = ["benchmarks.faults.broken_stream", self.broken] if self.broken else ["risklake.cli"]
        return [*program, "stream"] if command == "watch" else [*program, "stream", "--once"]


def _of_group(group: int) -> Iterator[int]:
    for process in psutil.process_iter(["pid", "status"]):
        try:
            if os.getpgid(process.pid) == group and process.info["status"] != psutil.STATUS_ZOMBIE:
                yield process.pid
        except (ProcessLookupError, PermissionError):
            continue
