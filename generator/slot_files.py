"""The files of one slot: its payments, what leads to them, the truth about them, and the disputes that will follow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from generator.attacks import SCENARIO_NAMES
from generator.behaviour import behaviour
from generator.chaos import INTACT, KINDS, Deliveries, deliver, spoil
from generator.disputes import Disputes, dispute
from generator.landing import land, text_of
from generator.lines import Script
from generator.payments import DAY_MS, NO_PRODUCT, Integers, Payments
from generator.plan import Slot
from generator.simulation import Simulation
from generator.text import column, words_of

# Numbers of events that are no payments begin here.
ADDED_FROM = 10**10
ADDED_A_SLOT = 10**6
LABELS_HEADER = b"event_id,is_fraud,scenario\n"


@dataclass(frozen=True)
class Lines:
    """Lines of one feed in the order of their arrival (`due_ms`); the last ones, from `late` on, a day late.

    `origin_ms` is the arrival of the line that each is a copy of, or its own; `tag` its kind of chaos, 0 for none.
    """

    feed: str
    text: pa.Array
    due_ms: Integers
    origin_ms: Integers
    tag: Integers
    late: int


@dataclass(frozen=True)
class Content:
    """What happens in one slot: its payments, their numbers, when the line of each arrives, the lines of each feed, and
    the disputes that follow."""

    payments: Payments
    numbers: Integers
    arrival_ms: Integers
    feeds: list[Lines]
    disputes: Disputes
    chaos: dict[str, int]


@dataclass(frozen=True)
class SlotResult:
    """What a slot wrote: lines by feed and file, counts, and its disputes with the payments that they are about."""

    rows: int
    lines: dict[str, dict[str, int]]
    frauds: Integers
    chaos: dict[str, int]
    disputes: Disputes
    disputed: Payments
    numbers: Integers


def content_of(simulation: Simulation, script: Script, slot: Slot, feeds: Sequence[str]) -> Content:
    """All that happens in one slot, as lines."""
    plan, payments = simulation.plan, simulation.payments(slot)
    numbers = int(simulation.first_row[slot.number]) + np.arange(len(payments))
    deliveries = deliver(payments.time_ms, plan.chaos, plan.chance(f"chaos/{slot.number}"))
    lines = list(_lines(simulation, script, slot, payments, numbers, deliveries, feeds))
    disputes = dispute(payments, plan.chance(f"disputes/{slot.number}"))
    return Content(payments, numbers, deliveries.own_ms, lines, disputes, deliveries.counts())


def write_slot(
    simulation: Simulation, script: Script, slot: Slot, out: Path, truth: Path, feeds: Sequence[str]
) -> SlotResult:
    """Make one slot and write its files; those that are there already are left as they are."""
    made = content_of(simulation, script, slot, feeds)
    payments, numbers = made.payments, made.numbers
    land(truth / "labels" / _name(simulation, slot, "labels", late=False).replace(".jsonl", ".csv"),
         [LABELS_HEADER, text_of(script.labels(payments, numbers))])  # fmt: skip
    written: dict[str, dict[str, int]] = {}
    for lines in made.feeds:
        for is_late, text in ((False, lines.text.slice(0, lines.late)), (True, lines.text.slice(lines.late))):
            if len(text):
                name = _name(simulation, slot, lines.feed, late=is_late)
                written.setdefault(lines.feed, {})[name] = len(text)
                land(out / lines.feed / name, [text_of(text)])
    return SlotResult(
        rows=len(payments),
        lines=written,
        frauds=np.bincount(payments.scenario, minlength=len(SCENARIO_NAMES)),
        chaos=made.chaos,
        disputes=made.disputes,
        disputed=payments.take(made.disputes.payment),
        numbers=numbers[made.disputes.payment],
    )


def _lines(
    simulation: Simulation,
    script: Script,
    slot: Slot,
    payments: Payments,
    numbers: Integers,
    deliveries: Deliveries,
    feeds: Sequence[str],
) -> Iterator[Lines]:
    bought = np.flatnonzero(payments.product != NO_PRODUCT)
    if "transactions" in feeds:
        text, on_time = _delivered(script, slot, payments, numbers, deliveries), int((~deliveries.is_late).sum())
        origin_ms = deliveries.own_ms[deliveries.payment]
        yield Lines("transactions", text, deliveries.arrival_ms, origin_ms, deliveries.kind, on_time)
    if "orders" in feeds:
        placed = payments.take(bought)
        text = script.orders(placed, numbers[bought])
        yield Lines("orders", text, placed.time_ms, placed.time_ms, np.zeros(len(text), dtype=np.int64), len(text))
    if "behaviour" in feeds:
        steps = behaviour(simulation.world, payments, simulation.plan.chance(f"behaviour/{slot.number}"))
        text = script.behaviour(steps, numbers)
        yield Lines("behaviour", text, steps.time_ms, steps.time_ms, np.zeros(len(text), dtype=np.int64), len(text))


def _delivered(script: Script, slot: Slot, payments: Payments, numbers: Integers, deliveries: Deliveries) -> pa.Array:
    beyond = deliveries.number - len(payments)
    own = numbers[deliveries.number.clip(max=max(len(payments) - 1, 0))]
    number = np.where(beyond < 0, own, ADDED_FROM + slot.number * ADDED_A_SLOT + beyond)
    text = script.transactions(payments.take(deliveries.payment), number)
    changed = deliveries.kind != INTACT
    lines = text.filter(column(changed)).to_pylist()
    kinds, drifted = deliveries.kind[changed].tolist(), deliveries.is_drifted[changed].tolist()
    spoiled = [
        spoil(line.rstrip("\n"), KINDS[kind], is_drifted=is_drifted) + "\n"
        for line, kind, is_drifted in zip(lines, kinds, drifted, strict=True)
    ]
    return pc.replace_with_mask(text, column(changed), words_of(spoiled)) if spoiled else text


def _name(simulation: Simulation, slot: Slot, feed: str, *, late: bool) -> str:
    day = simulation.plan.day(slot.day + late)
    clock = timedelta(milliseconds=slot.start_ms - slot.day * DAY_MS)
    hours = f"T{str(clock)[:-3].zfill(5).replace(':', '')}" if slot.parts > 1 else ""
    return f"{feed}-{day}{'-late' if late else ''}{hours}.jsonl.gz"
