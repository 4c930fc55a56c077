"""Writes one plan as an inbox of files, and the truth about it beside the inbox."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from generator import reference
from generator.attacks import SCENARIO_NAMES
from generator.chaos import SPOILERS
from generator.disputes import REASONS, Disputes
from generator.landing import land, make_room, text_of, write_whole
from generator.lines import Script
from generator.payments import DAY_MS, Payments
from generator.plan import Plan, Slot, today
from generator.simulation import Simulation, world_of
from generator.slot_files import SlotResult, write_slot
from lake.errors import UsageError

STREAMS = ("transactions", "orders", "behaviour", "disputes")
FEEDS = (*reference.FEEDS, *STREAMS)
# Below this many payments another process costs more than it brings.
ROWS_WORTH_A_PROCESS = 150_000
Progress = Callable[[int, int], None]
Run = Callable[[str, Iterable[Any]], Iterator[Any]]


@dataclass(frozen=True)
class Manifest:
    """Exact counts of one run.

    `rows` are the genuine payments, each of which stands in the files once intact; `lines` counts by feed and
    file, `frauds` by scenario, `disputes` by reason (only those written), `chaos` by kind. `unreported` are
    disputes that would be reported after today. `arguments` are those of the run.
    """

    rows: int
    lines: Mapping[str, Mapping[str, int]]
    frauds: Mapping[str, int]
    disputes: Mapping[str, int]
    unreported: int
    chaos: Mapping[str, int]
    arguments: Mapping[str, Any]
    complete: bool = True

    def as_dict(self) -> dict[str, Any]:
        """The manifest as JSON knows it."""
        return asdict(self)


def generate(
    out: Path,
    *,
    rows: int,
    days: int,
    users: int,
    merchants: int,
    seed: int,
    end: date | None = None,
    chaos: Mapping[str, float] | None = None,
    feeds: Sequence[str] = FEEDS,
    processes: int | None = None,
    progress: Progress | None = None,
) -> Manifest:
    """Write `rows` payments over `days` days up to `end`, and all that belongs to them, into the inbox folder `out`.

    Each feed gets a folder, with one file a day or, where a day has many payments, several; the truth (`labels/`,
    `manifest.json`) goes to `truth` beside `out`. `end` is by default 15 days before today (UTC), `chaos` a small
    one, `processes` one a core. `progress` is called after each slot with the payments written so far,
    and of how many. The same arguments give the same lines, whatever the processes; on a later day only disputes
    reported since then come in addition. A run that was stopped goes on when it is called again. Raises `UsageError`
    for an argument that cannot work, a folder that cannot be written, or files of another run in it.
    """
    plan = Plan.checked(rows=rows, days=days, users=users, merchants=merchants, seed=seed, end=end, chaos=chaos)
    truth, chosen = out.parent / "truth", checked_feeds(feeds)
    make_room(out, truth, chosen, {**plan.as_dict(), "feeds": chosen}, rows)
    lines: dict[str, dict[str, int]] = {}
    results: list[SlotResult] = []
    with _workers(plan, (out, truth, chosen), _processes(plan, processes)) as run:
        names = [feed for feed in chosen if feed in reference.FEEDS]
        references, slots = run("reference", names), run("slot", plan.slots())
        lines.update(zip(names, references, strict=True))
        for result in slots:
            results.append(result)
            for feed, files in result.lines.items():
                lines.setdefault(feed, {}).update(files)
            if progress:
                progress(sum(r.rows for r in results), rows)
    reported, unreported = _write_disputes(plan, results, out, chosen, lines)
    frauds = sum((result.frauds for result in results), np.zeros(len(SCENARIO_NAMES), dtype=np.int64))
    manifest = Manifest(
        rows=rows,
        lines=lines,
        frauds={name: int(frauds[number]) for number, name in enumerate(SCENARIO_NAMES) if name},
        disputes=reported,
        unreported=unreported,
        chaos={kind: sum(result.chaos[kind] for result in results) for kind in SPOILERS},
        arguments={**plan.as_dict(), "feeds": chosen},
    )
    write_whole(truth / "manifest.json", manifest.as_dict())
    return manifest


def checked_feeds(feeds: Sequence[str]) -> list[str]:
    """The feeds in their own order, each once; `UsageError` for a name that is none."""
    if unknown := sorted(set(feeds) - set(FEEDS)):
        raise UsageError(f"{unknown[0]} is no feed: choose from {', '.join(FEEDS)}")
    return [feed for feed in FEEDS if feed in feeds]


def _processes(plan: Plan, wanted: int | None) -> int:
    if wanted is not None and wanted < 1:
        raise UsageError(f"processes is {wanted}, and must be at least 1: leave it out for one a core")
    return wanted or max(1, min(os.cpu_count() or 1, plan.rows // ROWS_WORTH_A_PROCESS))


class _Worker:
    """Makes slots and reference feeds of one simulation; each process has one."""

    own: _Worker

    def __init__(self, simulation: Simulation, out: Path, truth: Path, feeds: Sequence[str]) -> None:
        self.simulation, self.out, self.truth, self.feeds = simulation, out, truth, feeds
        self.script = Script(simulation.plan, simulation.world)

    def reference(self, feed: str) -> dict[str, int]:
        return reference.write_feed(self.simulation, feed, self.out)

    def slot(self, slot: Slot) -> SlotResult:
        return write_slot(self.simulation, self.script, slot, self.out, self.truth, self.feeds)

    @classmethod
    def start(cls, plan: Plan, *places: Any) -> None:
        cls.own = cls(Simulation.of(plan), *places)

    @classmethod
    def call(cls, work: str, argument: Any) -> Any:
        return getattr(cls.own, work)(argument)


@contextmanager
def _workers(plan: Plan, places: tuple[Any, ...], processes: int) -> Iterator[Run]:
    """Gives a function that makes pieces of work (a method of `_Worker`, and its arguments) and yields the results."""
    if processes == 1:
        worker = _Worker(Simulation.of(plan), *places)
        yield lambda work, arguments: map(getattr(worker, work), arguments)
        return
    with ProcessPoolExecutor(
        processes, mp_context=get_context("spawn"), initializer=_Worker.start, initargs=(plan, *places)
    ) as pool:
        try:
            yield lambda work, arguments: pool.map(partial(_Worker.call, work), arguments)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _write_disputes(
    plan: Plan,
    results: Sequence[SlotResult],
    out: Path,
    feeds: Sequence[str],
    lines: dict[str, dict[str, int]],
) -> tuple[dict[str, int], int]:
    """Write the disputes that are known today, a file a day of report; gives those by reason, and how many are left."""
    reported_ms = np.concatenate([result.disputes.reported_ms for result in results])
    reason = np.concatenate([result.disputes.reason for result in results])
    payments = Payments.together([result.disputed for result in results])
    numbers = np.concatenate([result.numbers for result in results])
    order = np.argsort(reported_ms, kind="stable")
    known = order[: int(np.searchsorted(reported_ms[order], (today() - plan.start).days * DAY_MS))]
    disputes = Disputes(known, reported_ms[known], reason[known])
    if "disputes" in feeds and len(known):
        script = Script(plan, world_of(plan))
        text = script.disputes(disputes, payments.take(known), numbers[known], 0)
        days, first = np.unique(disputes.reported_ms // DAY_MS, return_index=True)
        for day, start, stop in zip(days.tolist(), first, np.append(first, len(known))[1:], strict=True):
            name = f"disputes-{plan.day(day)}.jsonl.gz"
            land(out / "disputes" / name, [text_of(text.slice(start, stop - start))])
            lines.setdefault("disputes", {})[name] = int(stop - start)
    found = np.bincount(disputes.reason, minlength=len(REASONS))
    return {name: int(found[number]) for number, name in enumerate(REASONS)}, len(order) - len(known)
