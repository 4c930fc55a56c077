"""A lake that has taken some of the deliveries, restored for one fault after the other; the rest comes with the fault.

A lake stays at its place: the checkpoint of bronze knows the files of the inbox by their whole addresses.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.faults.bench import Bench
from benchmarks.faults.findings import Finding
from benchmarks.faults.landing import Landing
from benchmarks.faults.programs import Programs
from benchmarks.processes import Ending, HarnessError

LAKE = "lake"
# Of all files, so many are there when the fault comes: most users are not.
SHARE_BEFORE = 0.45


@dataclass
class HalfWay:
    """The lake that the faults come over, and what its runs said."""

    bench: Bench
    endings: list[Ending] = field(default_factory=list)

    @property
    def lake(self) -> Path:
        """The root of the lake."""
        return self.bench.folder / LAKE

    @property
    def programs(self) -> Programs:
        """The commands on it."""
        return self.bench.programs(LAKE)

    @property
    def last(self) -> Ending:
        """The run that ended last."""
        return self.endings[-1]

    def keep(self) -> Path:
        """Take some of the deliveries, once, and put that lake aside; gives where it lies."""
        kept = self.bench.folder / "half-way"
        if not kept.is_dir():
            self.bench.landing(LAKE).land_up_to(SHARE_BEFORE)
            self.run()
            shutil.move(self.lake, kept)
        return kept

    def restore(self) -> Landing:
        """Put the lake back as it was half way; gives what is still to be delivered."""
        shutil.copytree(self.keep(), self.lake, dirs_exist_ok=True)
        landing = self.bench.landing(LAKE)
        landing.landed = round(SHARE_BEFORE * len(landing.deliveries))
        return landing

    def run(self, command: str = "stream", *, must_end_well: bool = True) -> Ending:
        """Run a command on it. Raises `HarnessError` where it had to end well and did not."""
        self.endings.append(self.programs.run(command, files_per_trigger=4))
        if must_end_well and self.last.code:
            raise HarnessError(f"`{command}` ended with exit code {self.last.code}: {self.last.last_line}")
        return self.last

    def finding(self, name: str, said: str, *, is_good: bool = True) -> Finding:
        """Drain, put the lake aside, and hold it against the reference."""
        ending = self.run(must_end_well=False)
        if ending.code:
            said += f"; the last run ended with exit code {ending.code}: {ending.last_line}"
        after = f"after-{name}"
        shutil.move(self.lake, self.bench.folder / after)
        verdict = self.bench.verdict(after)
        return Finding(name, is_good and not ending.code and verdict.is_equal, said, verdict)

    def give_up(self) -> None:
        """Remove the lake."""
        shutil.rmtree(self.lake, ignore_errors=True)


Fault = Callable[[HalfWay], Finding]


def is_one_clear_line(ending: Ending) -> bool:
    """Whether a program ended with an exit code that says so, and one line of its own instead of a stack trace."""
    own = [line for line in ending.said.splitlines() if line.startswith("risklake: ")]
    return ending.code != 0 and len(own) == 1 and "Traceback" not in ending.said
