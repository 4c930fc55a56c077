"""Payments as columns: what honest life and every attack produce, and what the writer turns into lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
NO_DEVICE = -1
NO_PRODUCT = -1
HONEST, FRAUDULENT = 0, 1

# The cheapest and the dearest thing that the simulated world sells, in US dollars.
LOWEST_USD, HIGHEST_USD = 0.5, 25_000.0


@dataclass(frozen=True)
class Payments:
    """One row a payment; all columns are of the same length.

    `user`, `merchant`, `country` and `product` are positions in the world's tables, `time_ms` milliseconds since
    the first midnight (UTC), `usd` the worth in US dollars, `device` a number or `NO_DEVICE`, `product` one or
    `NO_PRODUCT`, `quantity` its units (0 without one), `scenario` is `HONEST` or the number of an attack (as an attack
    itself returns them: `FRAUDULENT`).
    """

    user: Integers
    merchant: Integers
    usd: Floats
    country: Integers
    time_ms: Integers
    device: Integers
    method: Integers
    is_online: Flags
    is_declined: Flags
    product: Integers
    quantity: Integers
    scenario: Integers

    def __len__(self) -> int:
        return len(self.user)

    def take(self, rows: Integers | Flags) -> Payments:
        """These rows, in this order."""
        return Payments(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    def in_time_order(self) -> Payments:
        """The same payments, the earliest first."""
        return self.take(np.argsort(self.time_ms, kind="stable"))

    @staticmethod
    def together(parts: Sequence[Payments]) -> Payments:
        """The payments of all parts, one part after the other."""
        return Payments(**{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Payments)})


def nothing() -> Payments:
    """No payments at all."""
    whole, real, flag = np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0, dtype=bool)
    return Payments(whole, whole, real, whole, whole, whole, whole, flag, flag, whole, whole, whole)


def within(time_ms: Integers, start_ms: Integers | int, end_ms: Integers | int) -> Integers:
    """Times that run over an end of a span, folded back into it, so that none is lost and none piles up."""
    length = np.asarray(end_ms) - start_ms
    # To and fro between the ends, as often as it takes.
    way = (time_ms - start_ms) % (2 * length)
    return start_ms + np.where(way < length, way, 2 * length - 1 - way)


def priced(usd: Floats) -> Floats:
    """Amounts held within what the world sells."""
    return np.clip(usd, LOWEST_USD, HIGHEST_USD)
