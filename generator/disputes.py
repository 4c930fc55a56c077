"""Disputes: which payments are charged back, for what reason, and when a bank hears of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from generator.payments import DAY_MS, HONEST, Flags, Integers, Payments

REASONS = ("fraud", "not_received", "not_as_described", "duplicate_charge")
FRAUD = 0
# Frauds that nobody ever notices, and honest payments among the disputes: label noise both ways.
UNNOTICED_SHARE = 0.04
FRIENDLY_SHARE = 0.02
REFUND_SHARE = 0.0004
MEDIAN_DELAY_DAYS = 8.0
DELAY_SPREAD = 0.75
LONGEST_DELAY_DAYS = 90.0


@dataclass(frozen=True)
class Disputes:
    """One row a dispute.

    `payment` is the row of its payment, `reported_ms` the time of its report (milliseconds since the first
    midnight), `reason` a position in `REASONS`.
    """

    payment: Integers
    reported_ms: Integers
    reason: Integers

    def __len__(self) -> int:
        return len(self.payment)

    def take(self, rows: Integers | Flags) -> Disputes:
        """These rows, in this order."""
        return Disputes(self.payment[rows], self.reported_ms[rows], self.reason[rows])


def dispute(payments: Payments, rng: np.random.Generator) -> Disputes:
    """The disputes of these payments, reported after a lognormal delay: median eight days, at most ninety.

    A declined payment costs nobody anything, so only approved ones are disputed. About 4 % of the frauds are never
    noticed. About 2 % of what is disputed as a fraud is an honest payment (friendly fraud), and 4 in 10,000 honest
    payments are disputed as not received, not as described, or charged twice.
    """
    is_fraud = payments.scenario != HONEST
    chance = rng.random(len(payments))
    delay_ms = MEDIAN_DELAY_DAYS * DAY_MS * rng.lognormal(0.0, DELAY_SPREAD, len(payments))
    friendly_share = is_fraud.mean() * FRIENDLY_SHARE if len(payments) else 0.0
    noticed = is_fraud & (chance >= UNNOTICED_SHARE)
    friendly = ~is_fraud & (chance < friendly_share)
    refund = ~is_fraud & ~friendly & (chance < friendly_share + REFUND_SHARE)
    payment = np.flatnonzero((noticed | friendly | refund) & ~payments.is_declined)
    other = rng.integers(1, len(REASONS), len(payments))
    reason = np.where(refund, other, FRAUD)[payment]
    delay_ms = delay_ms[payment].clip(DAY_MS / 24, LONGEST_DELAY_DAYS * DAY_MS)
    return Disputes(payment, payments.time_ms[payment] + delay_ms.astype(np.int64), reason)
