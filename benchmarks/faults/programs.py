"""The commands of the lake as the harness runs them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import Ending, Running, started

# Payments wait for their users, so that the way of the orphans is walked too.
ORPHANS = "transactions=wait"


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
        environment = {
            "LAKE_ROOT": str(self.lake),
            "RISKLAKE_ORPHANS": ORPHANS,
            "RISKLAKE_MAX_FILES_PER_TRIGGER": str(files_per_trigger),
        }
        with started([sys.executable, "-m", *self._words(command)], log, environment) as running:
            yield running

    def run(self, command: str, *, files_per_trigger: int = 1000) -> Ending:
        """Start a command and wait for its end."""
        with self.started(command, files_per_trigger=files_per_trigger) as running:
            return running.ending()

    def _words(self, command: str) -> list[str]:
        if command == "care":
            return ["risklake.cli", "care"]
        program = ["benchmarks.faults.broken_stream", self.broken] if self.broken else ["risklake.cli"]
        return [*program, "stream"] if command == "watch" else [*program, "stream", "--once"]
