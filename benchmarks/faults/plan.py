"""How many kills come over which lakes: one lake, or several side by side, each killed by a chance of its own."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from threading import Lock

from benchmarks.faults.bench import Bench
from benchmarks.faults.points import BETWEEN_TWO_TABLES, POINTS, aims
from benchmarks.faults.rounds import Record, Strike, kill_rounds
from benchmarks.processes import HarnessError

# Told of each round: its lake, its kill if there was one, and the kills of all lakes so far.
Report = Callable[[str, Strike | None, int], None]


@dataclass(frozen=True)
class Plan:
    """Kills of one run: `kills` of them, shared among `lakes`, none begun after `until` (of the monotonic clock).

    `broken` names a defect that the programs are given on purpose.
    """

    name: str
    kills: int
    seed: int
    lakes: int = 1
    broken: str | None = None
    until: float = math.inf

    @property
    def shares(self) -> dict[str, int]:
        """Kills by the name of the lake."""
        if self.lakes == 1:
            return {self.name: self.kills}
        each, more = divmod(self.kills, self.lakes)
        return {f"{self.name}-{number + 1}": each + (number < more) for number in range(self.lakes)}

    def carry_out(self, bench: Bench, report: Report) -> dict[str, Record]:
        """Kill and drain; gives what happened to each lake."""
        lock, done = Lock(), 0

        def told(lake: str, strike: Strike | None, _: int) -> None:
            nonlocal done
            with lock:
                done += strike is not None
                report(lake, strike, done)

        with ThreadPoolExecutor(self.lakes) as pool:
            running = {
                lake: pool.submit(self._kill, bench, lake, kills, self.seed + number, partial(told, lake))
                for number, (lake, kills) in enumerate(self.shares.items())
            }
            return {lake: one.result() for lake, one in running.items()}

    def _kill(
        self, bench: Bench, lake: str, kills: int, seed: int, report: Callable[[Strike | None, int], None]
    ) -> Record:
        # A defect of the writes shows only where one is done again, and versions are merged in any case.
        points = (BETWEEN_TWO_TABLES,) if self.broken else POINTS
        record = Record()
        try:
            kill_rounds(
                bench.programs(lake, broken=self.broken),
                bench.landing(lake, is_in_place=self.broken == "in_place"),
                aims(seed, points, is_patient=self.broken is not None),
                kills,
                record,
                seed=seed,
                until=self.until,
                report=report,
            )
        except HarnessError as error:
            # The other lakes are judged all the same.
            record.failure = str(error)
        return record
