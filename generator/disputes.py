"""Disputes: which payments are charged back, for what reason, and when that becomes known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from generator.payments import DAY_MS, HONEST, Integers, Payments

REASONS = ("fraud", "not_received")
UNNOTICED_SHARE = 0.01
FRIENDLY_SHARE = 0.02
MEDIAN_DELAY_DAYS = 5.0
DELAY_SPREAD = 0.5


@dataclass(frozen=True)
class Disputes:
    """One row a dispute, the earliest first.

    `payment` is the row of its payment, `reported_ms` the time of its report (milliseconds since the first
    midnight), `reason` a position in `REASONS`.
    """

    payment: Integers
    reported_ms: Integers
    reason: Integers

    def __len__(self) -> int:
        return len(self.payment)

    def until(self, time_ms: int) -> Disputes:
        """Those reported before that time."""
        known = int(np.searchsorted(self.reported_ms, time_ms))
        return Disputes(self.payment[:known], self.reported_ms[:known], self.reason[:known])

    def counts(self) -> dict[str, int]:
        """Disputes by reason."""
        found = np.bincount(self.reason, minlength=len(REASONS))
        return {reason: int(found[number]) for number, reason in enumerate(REASONS)}


def dispute(payments: Payments, rng: np.random.Generator) -> Disputes:
    """The disputes of these payments, reported after a lognormal delay with a median of five days.

    A declined payment costs nobody anything, so only approved ones are disputed. With the frauds that go
    unnoticed, about 3 % of all are never disputed. About 2 % of the disputes are friendly: honest payments,
    said not to have been received.
    """
    is_approved = ~payments.is_declined
    is_noticed = rng.random(len(payments)) >= UNNOTICED_SHARE
    fraud = np.flatnonzero((payments.scenario != HONEST) & is_approved & is_noticed)
    honest = np.flatnonzero((payments.scenario == HONEST) & is_approved)
    friendly = round(len(fraud) * FRIENDLY_SHARE / (1 - FRIENDLY_SHARE))
    payment = np.concatenate([fraud, rng.choice(honest, min(friendly, len(honest)), replace=False)])
    reason = (np.arange(len(payment)) >= len(fraud)).astype(np.int64)
    delay_ms = MEDIAN_DELAY_DAYS * DAY_MS * rng.lognormal(0.0, DELAY_SPREAD, len(payment))
    reported_ms = payments.time_ms[payment] + delay_ms.astype(np.int64)
    order = np.argsort(reported_ms, kind="stable")
    return Disputes(payment[order], reported_ms[order], reason[order])
