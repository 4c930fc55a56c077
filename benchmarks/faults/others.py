"""The other faults: each comes over a lake that is half way, and must end clearly and without a loss."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from benchmarks.faults.bench import Bench
from benchmarks.faults.checkpoint_faults import commit_deleted, offsets_emptied
from benchmarks.faults.deliveries import deliveries
from benchmarks.faults.disk_faults import full_disk, read_only
from benchmarks.faults.findings import Finding
from benchmarks.faults.half_way import LAKE, Fault, HalfWay, is_one_clear_line
from benchmarks.processes import HarnessError

REFUSED = 5
# The modification times of files, one after the other, are moved by so many years.
MOVED_YEARS = (0, 14, -20, 3)
YEAR_NS = 365 * 86_400 * 10**9
_WAIT_SECONDS = 300.0


def second_instance(half_way: HalfWay) -> Finding:
    """A second stream is started while one runs: it is refused, and nothing is harmed."""
    landing = half_way.restore()
    with half_way.programs.started("watch") as first:
        _wait_for_leases(half_way.lake, first.process.pid)
        landing.land_up_to(1.0)
        second = half_way.run(must_end_well=False)
        is_still_there = first.process.poll() is None
        os.kill(first.process.pid, signal.SIGTERM)
        ending = first.ending()
    is_good = second.code == REFUSED and is_one_clear_line(second) and is_still_there and not ending.code
    said = f"exit code {second.code}: {second.last_line}; the first one ended with exit code {ending.code}"
    return half_way.finding("second_instance", said, is_good=is_good)


def care_in_the_middle(half_way: HalfWay) -> Finding:
    """OPTIMIZE and VACUUM of all tables, again and again between runs, and right after a kill."""
    landing = half_way.restore()
    half_way.run("care")
    for share in (0.6, 0.8):
        landing.land_up_to(share)
        with half_way.programs.started("stream", files_per_trigger=1):  # killed where the block ends
            time.sleep(half_way.last.seconds / 2)
        half_way.run("care")
        half_way.run()
        half_way.run("care")
    landing.land_up_to(1.0)
    return half_way.finding("care_in_the_middle", "OPTIMIZE and VACUUM ran five times, twice right after a kill")


def clock_moved(half_way: HalfWay) -> Finding:
    """Files come whose modification times lie years ahead and years behind: none is passed over."""
    folder = half_way.bench.folder / "clock"
    plain = deliveries(folder, files=20, rows=400, seed=7, chaos=False)
    moved = [
        replace(delivery, modified_ns=delivery.modified_ns + MOVED_YEARS[number % len(MOVED_YEARS)] * YEAR_NS)
        for number, delivery in enumerate(plain)
    ]
    bench = Bench(folder, moved)
    try:
        bench.take_reference()
        landing = bench.landing(LAKE)
        for share in (0.4, 0.7, 1.0):
            landing.land_up_to(share)
            ending = bench.programs(LAKE).run("stream", files_per_trigger=4)
        verdict = bench.verdict(LAKE)
    finally:
        bench.close()
    said = f"{len(moved)} files from {min(MOVED_YEARS)} to {max(MOVED_YEARS)} years from now, in three runs"
    return Finding("clock_moved", not ending.code and verdict.is_equal, said, verdict)


def faced(fault: Fault, half_way: HalfWay) -> Finding:
    """Run one fault; a program that failed where it had to end well is a finding too."""
    try:
        return fault(half_way)
    except HarnessError as error:
        half_way.give_up()
        return Finding(fault.__name__, False, str(error))


def _wait_for_leases(lake: Path, pid: int) -> None:
    # A running stream writes its process id into the lease of each job; that of the last one comes last.
    lease = lake / "checkpoints" / ".alerts.lease"
    _wait_until(lambda: lease.is_file() and lease.read_text(encoding="utf-8") == str(pid), "the first stream to begin")


def _wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _WAIT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise HarnessError(f"Waited {_WAIT_SECONDS:.0f} s in vain for {what}")
        time.sleep(0.1)


OTHERS: dict[str, Fault] = {
    fault.__name__: fault
    for fault in (
        full_disk,
        read_only,
        commit_deleted,
        offsets_emptied,
        second_instance,
        care_in_the_middle,
        clock_moved,
    )
}
