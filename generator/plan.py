"""What to generate: the checked arguments of one run, its slots of time, and the streams of chance that follow."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np

from generator.chaos import DEFAULT_CHAOS, checked_chaos
from generator.payments import DAY_MS
from lake.errors import UsageError

# So long ago most chargebacks have been reported.
SETTLED_DAYS = 15
EPOCH = date(1970, 1, 1)
# Rows that a slot holds on a day like any other; what is in memory at a time follows from it.
ROWS_PER_SLOT = 100_000
SLOTS_A_DAY = (1, 2, 3, 4, 6, 8, 12, 24, 48, 96, 288, 1440)


@dataclass(frozen=True)
class Slot:
    """A piece of one day (UTC): the unit that is generated, written and resumed on its own.

    `start_ms` to `end_ms` are milliseconds since the first midnight; `day` and `part` count from 0, and a day has
    `parts` of them.
    """

    number: int
    day: int
    part: int
    parts: int
    start_ms: int
    end_ms: int

    @property
    def length_ms(self) -> int:
        """How long it is."""
        return self.end_ms - self.start_ms


@dataclass(frozen=True)
class Plan:
    """Arguments of one run; make it with `Plan.checked`.

    `rows` payments over `days` days up to and including `end`, by `users` users at `merchants` merchants;
    `chaos` is the share of the payments (0 to 1) by kind. The same plan gives the same lines.
    """

    rows: int
    days: int
    users: int
    merchants: int
    seed: int
    end: date
    chaos: Mapping[str, float]

    @classmethod
    def checked(
        cls,
        *,
        rows: int,
        days: int,
        users: int,
        merchants: int,
        seed: int,
        end: date | None = None,
        chaos: Mapping[str, float] | None = None,
    ) -> Plan:
        """The plan, or `UsageError` naming the wrong value and what would be right."""
        for name, value in (("rows", rows), ("days", days), ("users", users), ("merchants", merchants)):
            if value < 1:
                raise UsageError(f"{name} is {value}, and must be at least 1: give for instance --{name} 100")
        if seed < 0:
            raise UsageError(f"seed is {seed}, and must be at least 0: give for instance --seed 7")
        end = end or today() - timedelta(days=SETTLED_DAYS)
        if end > today():
            raise UsageError(f"end is {end}, in the future: give a day up to {today()} (UTC), or leave it out")
        if days > (end - EPOCH).days:
            raise UsageError(f"days is {days}, which reaches back before {EPOCH}: give fewer, such as --days 21")
        shares = checked_chaos(DEFAULT_CHAOS if chaos is None else chaos)
        return cls(rows, days, users, merchants, seed, end, shares)

    @property
    def start(self) -> date:
        """The first day of payments."""
        return self.end - timedelta(days=self.days - 1)

    @property
    def start_ms(self) -> int:
        """The first midnight (UTC), in milliseconds since 1970."""
        return (self.start - EPOCH).days * DAY_MS

    @property
    def span_ms(self) -> int:
        """Length of the simulated time."""
        return self.days * DAY_MS

    @property
    def run(self) -> str:
        """Six hex digits that tell the events of one run from another's; chaos does not change them."""
        facts = (self.rows, self.days, self.users, self.merchants, self.seed, self.end.isoformat())
        return hashlib.blake2b(repr(facts).encode(), digest_size=3).hexdigest()

    def slots(self, parts: int | None = None) -> list[Slot]:
        """The slots of all days, in the order of time; `parts` a day, or as many as keep them small."""
        a_day = self.rows / self.days
        parts = parts or next((n for n in SLOTS_A_DAY if a_day / n <= ROWS_PER_SLOT), SLOTS_A_DAY[-1])
        length = DAY_MS // parts
        return [
            Slot(day * parts + part, day, part, parts, day * DAY_MS + part * length, day * DAY_MS + (part + 1) * length)
            for day in range(self.days)
            for part in range(parts)
        ]

    def day(self, number: int) -> date:
        """The date of a day by its number, 0 for the first."""
        return self.start + timedelta(days=number)

    def chance(self, subject: str) -> np.random.Generator:
        """The random numbers of one subject, so that a change in one leaves all others as they were."""
        return np.random.default_rng([self.seed, *subject.encode()])

    def as_dict(self) -> dict[str, Any]:
        """The plan as JSON knows it."""
        counts = {"rows": self.rows, "days": self.days, "users": self.users, "merchants": self.merchants}
        return {**counts, "seed": self.seed, "end": self.end.isoformat(), "chaos": dict(self.chaos)}


def today() -> date:
    """Today in UTC; the only place where the generator looks at the clock."""
    return datetime.now(UTC).date()
