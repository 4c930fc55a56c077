"""Honest life and attacks together: the payments of one plan."""

from __future__ import annotations

import numpy as np

from generator.attacks import FRAUD_SHARE, attacks
from generator.honest import honest_life
from generator.payments import Payments
from generator.plan import Plan
from generator.world import World


def build_world(plan: Plan) -> World:
    """The users, merchants and trips of a plan."""
    return World.build(users=plan.users, merchants=plan.merchants, days=plan.days, rng=plan.chance("world"))


def simulate(plan: Plan, world: World) -> Payments:
    """Exactly `plan.rows` payments, honest and fraudulent, the earliest first."""
    honest = honest_life(world, plan.rows, plan.chance("honest"), plan.start.weekday())
    # Frauds take the place of the last honest payments, which the attacks therefore do not see.
    reserve = min(plan.rows // 2, round(2 * FRAUD_SHARE * plan.rows) + 40)
    frauds = attacks(world, honest.take(np.arange(plan.rows - reserve)), plan.rows, plan.chance("attacks"))
    kept = honest.take(np.arange(plan.rows - len(frauds)))
    return Payments.together([kept, frauds]).in_time_order()
