"""Behaviour: the funnel at the web shop that leads to a payment, and the visits that lead to none."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from generator.attacks import SCENARIO_NAMES
from generator.payments import NO_PRODUCT, Integers, Payments
from generator.world import DEVICES_EACH, World

KINDS = ("login", "view", "add_to_cart", "checkout", "pay")
LOGIN, VIEW, ADD_TO_CART, CHECKOUT, PAY = range(5)
LOGIN_SHARE = 0.4
MOST_VIEWS = 4
# The steps of a visit are numbered from a multiple of this on.
VISIT_STEPS = 20
# Visits without a purchase, for each one with.
BROWSING = 1.5
_PROGRAMS = [SCENARIO_NAMES.index(name) for name in ("bot_repeats", "scripted_sequence")]


@dataclass(frozen=True)
class Behaviour:
    """One row a step of a visit, in order of time.

    `payment` is the row of the payment that the visit leads to (or that it happens beside), `step` counts the steps
    of all visits of that row, `kind` is a position in `KINDS`.
    """

    payment: Integers
    step: Integers
    user: Integers
    kind: Integers
    time_ms: Integers
    product: Integers
    device: Integers

    def __len__(self) -> int:
        return len(self.payment)


def behaviour(world: World, payments: Payments, rng: np.random.Generator) -> Behaviour:
    """The visits around purchases at the shop: a funnel before each, and others that end sooner.

    Programs (`bot_repeats`, `scripted_sequence`) go straight to the checkout.
    """
    bought = np.flatnonzero(payments.product != NO_PRODUCT)
    visits = [_funnel(world, payments, bought, rng)]
    browsed = bought[rng.random(len(bought)) < BROWSING - 1]
    visits += [_browsing(world, payments, rows, rng, number) for number, rows in ((1, bought), (2, browsed))]
    columns = {f.name: np.concatenate([getattr(visit, f.name) for visit in visits]) for f in fields(Behaviour)}
    columns["time_ms"] = np.maximum(columns["time_ms"], 0)
    order = np.argsort(columns["time_ms"], kind="stable")
    return Behaviour(**{name: column[order] for name, column in columns.items()})


def _funnel(world: World, payments: Payments, bought: Integers, rng: np.random.Generator) -> Behaviour:
    is_program = np.isin(payments.scenario[bought], _PROGRAMS)
    views = np.where(is_program, 0, rng.integers(1, MOST_VIEWS + 1, len(bought)))
    has_login = ~is_program & (rng.random(len(bought)) < LOGIN_SHARE)
    size = has_login + views + np.where(is_program, 2, 3)
    row = np.repeat(np.arange(len(bought)), size)
    left = np.repeat(np.cumsum(size), size) - np.arange(len(row))  # steps still to come, this one included
    turn = size[row] - left
    kind = np.select([left == 1, left == 2, left == 3], [PAY, CHECKOUT, ADD_TO_CART], VIEW)
    kind = np.where((turn == 0) & has_login[row], LOGIN, kind)
    # Backwards from the payment; a person takes about a quarter of a minute a step.
    pause_ms = np.where(is_program[row], 300, 2000 + 15_000 * rng.exponential(1.0, len(row))).astype(np.int64)
    return Behaviour(
        payment=bought[row],
        step=turn,
        user=payments.user[bought][row],
        kind=kind,
        time_ms=payments.time_ms[bought][row] - (left - 1) * pause_ms,
        product=payments.product[bought][row],
        device=payments.device[bought][row],
    )


def _browsing(world: World, payments: Payments, rows: Integers, rng: np.random.Generator, number: int) -> Behaviour:
    steps = np.cumsum(world.products.popularity)
    size = rng.integers(1, MOST_VIEWS + 1, len(rows))
    row = np.repeat(np.arange(len(rows)), size)
    turn = np.arange(len(row)) - np.repeat(np.cumsum(size) - size, size)
    begun_ms = payments.time_ms[rows] - rng.integers(60_000, 6 * 3_600_000, len(rows))
    kind = np.where((turn == 3) & (rng.random(len(row)) < 0.5), ADD_TO_CART, VIEW)
    return Behaviour(
        payment=rows[row],
        step=VISIT_STEPS * number + turn,
        user=payments.user[rows][row],
        kind=kind,
        time_ms=begun_ms[row] + turn * 21_000,
        product=np.searchsorted(steps[:-1], rng.random(len(row))),
        device=payments.user[rows][row] * DEVICES_EACH,
    )
