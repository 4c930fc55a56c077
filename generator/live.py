"""Life as the clock goes: lines arrive when things happen, so many payments a second, until stopped."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from generator import reference
from generator.attacks import SCENARIO_NAMES
from generator.chaos import INTACT, KINDS
from generator.disputes import REASONS
from generator.landing import is_filled, land, make_folders, stamp, text_of, write_whole
from generator.lines import Script
from generator.payments import Flags, Integers
from generator.plan import Plan
from generator.simulation import Simulation
from generator.slot_files import LABELS_HEADER, Content, content_of
from generator.text import column
from lake.errors import UsageError

DAY_S = 86_400
# Slots of a minute, or of five seconds where a minute has too many payments to be made in one piece.
MINUTES, MOMENTS = 1440, 17_280
MOST_ROWS_A_SLOT = 60_000
LEAD_MS = 5_000
TICK_SECONDS = 1.0

Clock = Callable[[], int]


def clock_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class Outbox:
    """Lines that wait until they are due, each with a number that says what it is."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Integers, pa.Array, Integers]] = []

    def __len__(self) -> int:
        return sum(len(text) for _, text, _ in self._waiting)

    def put(self, due_ms: Integers, text: pa.Array, tag: Integers, wanted: Flags) -> None:
        """Keep the lines that are wanted until they are due."""
        order = np.argsort(due_ms, kind="stable")
        order = order[wanted[order]]
        self._waiting.append((due_ms[order], text.take(column(order)), tag[order]))

    def take(self, until_ms: int) -> tuple[list[pa.Array], Integers]:
        """Text and numbers of the lines that are due by `until_ms`; they wait no longer."""
        texts, tags, left = [], [np.zeros(0, dtype=np.int64)], []
        for due_ms, text, tag in self._waiting:
            ripe = int(np.searchsorted(due_ms, until_ms, side="right"))
            if ripe:
                texts.append(text.slice(0, ripe))
                tags.append(tag[:ripe])
            if ripe < len(text):
                left.append(_rest(due_ms, text, tag, ripe))
        self._waiting = left
        return texts, np.concatenate(tags)


def _rest(due_ms: Integers, text: pa.Array, tag: Integers, ripe: int) -> tuple[Integers, pa.Array, Integers]:
    """What is left of lines when the first are taken. A slice would keep all of them in memory, for the last one."""
    left = np.arange(ripe, len(text))
    few = 2 * len(left) < len(due_ms.base if due_ms.base is not None else due_ms)
    if not few:
        return due_ms[ripe:], text.slice(ripe), tag[ripe:]
    return due_ms[left], text.take(column(left)), tag[left]


@dataclass
class Written:
    """Exact counts of what a live run has written so far: lines by feed, chaos by kind, frauds by scenario, disputes
    by reason; `rows` are the payments that have arrived."""

    rows: int = 0
    lines: Counter[str] = field(default_factory=Counter)
    chaos: Counter[str] = field(default_factory=Counter)
    frauds: Counter[str] = field(default_factory=Counter)
    disputes: Counter[str] = field(default_factory=Counter)

    def as_dict(self) -> dict[str, Any]:
        """The counts as JSON knows them."""
        parts = {name: dict(getattr(self, name)) for name in ("lines", "chaos", "frauds", "disputes")}
        return {"rows": self.rows, **parts}


class LiveRun:
    """One live run; `step` brings it up to a moment. The same arguments at the same time of day give the same lines."""

    def __init__(
        self,
        out: Path,
        *,
        rate: float,
        users: int,
        merchants: int,
        seed: int,
        chaos: Mapping[str, float] | None,
        feeds: Sequence[str],
        now_ms: int,
    ) -> None:
        if not isfinite(rate) or rate <= 0:
            raise UsageError(f"rate is {rate}, and must be above 0: give payments a second, such as --rate 100")
        self.out, self.truth, self.feeds, self.rate = out, out.parent / "truth", list(feeds), rate
        self._world: dict[str, Any] = {"users": users, "merchants": merchants, "seed": seed, "chaos": chaos}
        self._began_ms = now_ms
        self._boxes = {feed: Outbox() for feed in self.feeds if feed not in reference.FEEDS}
        self._truth = Outbox()
        self._new_day(now_ms)
        make_folders(out, self.truth, self.feeds, round(rate * 3600))
        self.written = Written()
        self._write_reference()

    def step(self, now_ms: int) -> None:
        """Write all lines that are due by now, a file a feed.

        The truth about them is written before them, so that a kill leaves no line without it.
        """
        self._prepare(now_ms)
        at = stamp(datetime.fromtimestamp(now_ms / 1000, UTC))
        self._write_labels(now_ms, at)
        names: dict[str, Sequence[str]] = {"transactions": KINDS, "disputes": REASONS}
        for feed, box in self._boxes.items():
            texts, tags = box.take(now_ms)
            if texts:
                land(self.out / feed / f"{feed}-live-{at}.jsonl", map(text_of, texts))
                self._count(feed, tags, names.get(feed, ()))

    def finish(self, now_ms: int) -> Written:
        """Write the counts of what was written."""
        at = stamp(datetime.fromtimestamp(now_ms / 1000, UTC))
        write_whole(self.truth / f"live-{at}.json", {**self.written.as_dict(), "rate": self.rate, **self._world})
        return self.written

    def _new_day(self, now_ms: int) -> None:
        day = datetime.fromtimestamp(now_ms / 1000, UTC).date()
        plan = Plan.checked(rows=max(1, round(self.rate * DAY_S)), days=1, end=day, **self._world)
        parts = MINUTES if plan.rows / MINUTES <= MOST_ROWS_A_SLOT else MOMENTS
        self.simulation = Simulation.of(plan, parts)
        self._script = Script(plan, self.simulation.world)
        start_ms = now_ms - plan.start_ms
        self._next = next(n for n, slot in enumerate(self.simulation.slots) if slot.end_ms > start_ms)

    def _prepare(self, now_ms: int) -> None:
        while True:
            plan, slots = self.simulation.plan, self.simulation.slots
            if self._next == len(slots):
                if now_ms < plan.start_ms + plan.span_ms:
                    return
                self._new_day(now_ms)
            elif plan.start_ms + slots[self._next].start_ms > now_ms + LEAD_MS:
                return
            else:
                made = content_of(self.simulation, self._script, slots[self._next], self.feeds)
                self._next += 1
                self._keep(made, plan.start_ms)

    def _keep(self, made: Content, start_ms: int) -> None:
        for lines in made.feeds:
            # What came before the start is not made up for, and neither are its copies.
            wanted = start_ms + lines.origin_ms >= self._began_ms
            self._boxes[lines.feed].put(start_ms + lines.due_ms, lines.text, lines.tag, wanted)
        payments, numbers, disputes = made.payments, made.numbers, made.disputes
        labels = self._script.labels(payments, numbers)
        arrival_ms = start_ms + made.arrival_ms
        self._truth.put(arrival_ms, labels, payments.scenario, arrival_ms >= self._began_ms)
        if "disputes" in self._boxes and len(disputes):
            about, known = payments.take(disputes.payment), numbers[disputes.payment]
            text = self._script.disputes(disputes, about, known, int(numbers[0]))
            wanted = arrival_ms[disputes.payment] >= self._began_ms
            self._boxes["disputes"].put(start_ms + disputes.reported_ms, text, disputes.reason, wanted)

    def _count(self, feed: str, tags: Integers, names: Sequence[str]) -> None:
        self.written.lines[feed] += len(tags)
        found = Counter({names[tag]: count for tag, count in _counted(tags) if names})
        if feed == "disputes":
            self.written.disputes.update(found)
        elif feed == "transactions":
            self.written.rows += found.pop(KINDS[INTACT], 0)
            self.written.rows += found["late"] + found["out_of_order"] + found["drifted"]
            self.written.chaos.update(found)

    def _write_labels(self, now_ms: int, at: str) -> None:
        texts, scenarios = self._truth.take(now_ms)
        if texts:
            target = self.truth / "labels" / f"labels-live-{at}.csv.gz"
            land(target, [LABELS_HEADER, *map(text_of, texts)])
            frauds = {SCENARIO_NAMES[tag]: count for tag, count in _counted(scenarios) if SCENARIO_NAMES[tag]}
            self.written.frauds.update(frauds)

    def _write_reference(self) -> None:
        for feed in (feed for feed in self.feeds if feed in reference.FEEDS):
            if not is_filled(self.out / feed):
                self.written.lines.update({feed: sum(reference.write_feed(self.simulation, feed, self.out).values())})


def run_live(
    run: LiveRun,
    stop: threading.Event,
    *,
    most: int | None = None,
    progress: Callable[[int], None] | None = None,
    clock: Clock = clock_ms,
) -> Written:
    """Step a run once a second until `stop` is set, or `most` payments have arrived."""
    while not stop.is_set() and (most is None or run.written.rows < most):
        run.step(clock())
        if progress:
            progress(run.written.rows)
        stop.wait(TICK_SECONDS - time.time() % TICK_SECONDS)
    return run.finish(clock())


def _counted(numbers: Integers) -> list[tuple[int, int]]:
    found, counts = np.unique(numbers, return_counts=True)
    return list(zip(found.tolist(), counts.tolist(), strict=True))
