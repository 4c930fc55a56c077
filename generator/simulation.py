"""Honest life and attacks together: the payments of one plan, slot by slot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from generator.attacks import planned_attacks
from generator.honest import honest_life
from generator.payments import Integers, Payments
from generator.plan import Plan, Slot
from generator.rhythm import rows_by_slot
from generator.world import World


def world_of(plan: Plan) -> World:
    """The world that a plan plays in."""
    return World.build(users=plan.users, merchants=plan.merchants, days=plan.days, rng=plan.chance("world"))


@dataclass(frozen=True)
class Simulation:
    """What all slots of a plan share: the world, the attacks in time order, and each slot's number of rows.

    `first_row` is the number of the first payment of each slot, so that slots can be made in any order.
    """

    plan: Plan
    world: World
    planned: Payments
    slots: list[Slot]
    rows: Integers
    first_row: Integers
    spills: bool = False

    @classmethod
    def of(cls, plan: Plan, parts: int | None = None) -> Simulation:
        """The simulation of a plan; the same in every process.

        With `parts`, a day is cut into so many slots, all slots have the same number of rows, whatever the hour, and
        what began in one may go on in the next.
        """
        world = world_of(plan)
        slots = plan.slots(parts)
        if parts:
            rows = np.diff(np.arange(len(slots) + 1) * plan.rows // len(slots))
        else:
            rows = rows_by_slot(plan.rows, slots, world.activity_by_country, plan.start.weekday())
        planned = planned_attacks(world, plan.rows, plan.chance("attacks"))
        return cls(plan, world, planned, slots, rows, np.cumsum(rows) - rows, spills=parts is not None)

    def payments(self, slot: Slot) -> Payments:
        """Exactly as many payments as the slot has rows, honest and fraudulent, the earliest first."""
        rows, rng = int(self.rows[slot.number]), self.plan.chance(f"slot/{slot.number}")
        planned = self._planned_in(slot, most=rows // 2)
        end_ms = self.world.span_ms if self.spills else slot.end_ms
        honest = honest_life(self.world, slot, rows - len(planned), rng, self.plan.start.weekday(), end_ms)
        return Payments.together([honest, planned]).in_time_order()

    def _planned_in(self, slot: Slot, most: int) -> Payments:
        first, last = np.searchsorted(self.planned.time_ms, (slot.start_ms, slot.end_ms))
        return self.planned.take(np.arange(first, last)[:most])
