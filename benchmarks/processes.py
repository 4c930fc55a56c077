"""Starts the real commands as processes of their own, and kills them with all that they have started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import typer

from lake.errors import LakehouseError

ROOT = Path(__file__).resolve().parents[1]
LONGEST_SECONDS = 1800.0
_GONE_SECONDS = 30.0


def as_command(main: Callable[..., None], name: str) -> None:
    """Run a function as a command: one line and an exit code for an error that its user can do something about."""
    try:
        typer.run(main)
    except LakehouseError as error:
        typer.echo(f"{name}: {error}", err=True)
        sys.exit(error.exit_code)


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

    def mib(self) -> float:
        """Memory (resident) of the program and all that it has started, in MiB."""
        return resident_mib(self.process.pid)


@contextmanager
def started(words: Sequence[str], log: Path, environment: Mapping[str, str]) -> Iterator[Running]:
    """Run a program in a process group of its own; what still runs at the end of the block is killed."""
    log.parent.mkdir(parents=True, exist_ok=True)
    known = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))),
        "COLUMNS": "200",
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            words,
            cwd=ROOT,
            env={**known, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    running = Running(process, log)
    try:
        yield running
    finally:
        if process.poll() is None:
            running.kill()


def resident_mib(pid: int) -> float:
    """Memory (resident) of a process and its children, in MiB; of those that end meanwhile, none."""
    total = 0
    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return 0.0
    for process in family:
        try:
            total += process.memory_info().rss
        except psutil.Error:
            continue
    return total / 2**20


def _of_group(group: int) -> Iterator[int]:
    for process in psutil.process_iter(["pid", "status"]):
        try:
            if os.getpgid(process.pid) == group and process.info["status"] != psutil.STATUS_ZOMBIE:
                yield process.pid
        except (ProcessLookupError, PermissionError):
            continue
