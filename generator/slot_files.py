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

# Numbers of events that are no payments begin here.
ADDED_FROM = 10**10
ADDED_A_SLOT = 10**6


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


def write_slot(
    simulation: Simulation, script: Script, slot: Slot, out: Path, truth: Path, feeds: Sequence[str]
) -> SlotResult:
    """Make one slot and write its files; those that are there already are left as they are."""
    plan, payments = simulation.plan, simulation.payments(slot)
    numbers = int(simulation.first_row[slot.number]) + np.arange(len(payments))
    deliveries = deliver(payments.time_ms, plan.chaos, plan.chance(f"chaos/{slot.number}"))
    lines: dict[str, dict[str, int]] = {}
    for feed, suffix, text in _files(simulation, script, slot, payments, numbers, deliveries, feeds):
        if len(text):
            name = _name(simulation, slot, feed, late=suffix)
            lines.setdefault(feed, {})[name] = len(text)
            land(out / feed / name, [text_of(text)])
    header = b"event_id,is_fraud,scenario\n"
    land(truth / "labels" / _name(simulation, slot, "labels", late=False).replace(".jsonl", ".csv"),
         [header, text_of(script.labels(payments, numbers))])  # fmt: skip
    disputes = dispute(payments, plan.chance(f"disputes/{slot.number}"))
    return SlotResult(
        rows=len(payments),
        lines=lines,
        frauds=np.bincount(payments.scenario, minlength=len(SCENARIO_NAMES)),
        chaos=deliveries.counts(),
        disputes=disputes,
        disputed=payments.take(disputes.payment),
        numbers=numbers[disputes.payment],
    )


def _files(
    simulation: Simulation,
    script: Script,
    slot: Slot,
    payments: Payments,
    numbers: Integers,
    deliveries: Deliveries,
    feeds: Sequence[str],
) -> Iterator[tuple[str, bool, pa.Array]]:
    """Feed, whether the file comes a day late, and the lines."""
    bought = np.flatnonzero(payments.product != NO_PRODUCT)
    if "transactions" in feeds:
        text = _delivered(script, slot, payments, numbers, deliveries)
        on_time = int((~deliveries.is_late).sum())
        yield "transactions", False, text.slice(0, on_time)
        yield "transactions", True, text.slice(on_time)
    if "orders" in feeds:
        yield "orders", False, script.orders(payments.take(bought), numbers[bought])
    if "behaviour" in feeds:
        steps = behaviour(simulation.world, payments, simulation.plan.chance(f"behaviour/{slot.number}"))
        yield "behaviour", False, script.behaviour(steps, numbers)


def _delivered(script: Script, slot: Slot, payments: Payments, numbers: Integers, deliveries: Deliveries) -> pa.Array:
    beyond = deliveries.number - len(payments)
    own = numbers[deliveries.number.clip(max=max(len(payments) - 1, 0))]
    number = np.where(beyond < 0, own, ADDED_FROM + slot.number * ADDED_A_SLOT + beyond)
    text = script.transactions(payments.take(deliveries.payment), number)
    changed = deliveries.kind != INTACT
    lines = text.filter(pa.array(changed)).to_pylist()
    kinds, drifted = deliveries.kind[changed].tolist(), deliveries.is_drifted[changed].tolist()
    spoiled = [
        spoil(line.rstrip("\n"), KINDS[kind], is_drifted=is_drifted) + "\n"
        for line, kind, is_drifted in zip(lines, kinds, drifted, strict=True)
    ]
    return pc.replace_with_mask(text, pa.array(changed), pa.array(spoiled, pa.string())) if spoiled else text


def _name(simulation: Simulation, slot: Slot, feed: str, *, late: bool) -> str:
    day = simulation.plan.day(slot.day + late)
    clock = timedelta(milliseconds=slot.start_ms - slot.day * DAY_MS)
    hours = f"T{str(clock)[:-3].zfill(5).replace(':', '')}" if slot.parts > 1 else ""
    return f"{feed}-{day}{'-late' if late else ''}{hours}.jsonl.gz"
