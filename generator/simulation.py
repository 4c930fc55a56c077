"""Honest life and attacks together: the payments of one plan, slot by slot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from generator.attacks import FRAUD_SHARE, impossible_travel, planned_attacks, share_of
from generator.honest import honest_life
from generator.payments import Integers, Payments
from generator.plan import Plan, Slot
from generator.rhythm import rows_by_slot
from generator.world import World


@dataclass(frozen=True)
class Simulation:
    """What all slots of a plan share: the world, the planned frauds in time order, and each slot's number of rows.

    `first_row` is the number of the first payment of each slot, so that slots can be made in any order.
    """

    plan: Plan
    world: World
    planned: Payments
    slots: list[Slot]
    rows: Integers
    first_row: Integers

    @classmethod
    def of(cls, plan: Plan) -> Simulation:
        """The simulation of a plan; the same in every process."""
        world = World.build(users=plan.users, merchants=plan.merchants, days=plan.days, rng=plan.chance("world"))
        slots = plan.slots()
        rows = rows_by_slot(plan.rows, slots, world.activity_by_country, plan.start.weekday())
        planned = planned_attacks(world, plan.rows, plan.chance("attacks"))
        return cls(plan, world, planned, slots, rows, np.cumsum(rows) - rows)

    def payments(self, slot: Slot) -> Payments:
        """Exactly as many payments as the slot has rows, honest and fraudulent, the earliest first."""
        rows, rng = int(self.rows[slot.number]), self.plan.chance(f"slot/{slot.number}")
        frauds = self._planned_in(slot, most=rows // 2)
        honest = honest_life(self.world, slot, rows - len(frauds), rng, self.plan.start.weekday())
        # Frauds that follow an honest payment take the place of the last ones, which they do not follow.
        wanted = share_of("impossible_travel", slot.start_ms) * FRAUD_SHARE * rows
        aim = min(int(wanted + rng.random()), len(honest) // 2)
        followed = honest.take(np.arange(len(honest) - aim))
        travel = impossible_travel(self.world, followed, slot, rng, aim)
        kept = honest.take(np.arange(len(honest) - len(travel)))
        return Payments.together([kept, frauds, travel]).in_time_order()

    def _planned_in(self, slot: Slot, most: int) -> Payments:
        first, last = np.searchsorted(self.planned.time_ms, (slot.start_ms, slot.end_ms))
        return self.planned.take(np.arange(first, last)[:most])
