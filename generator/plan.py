"""What to generate: the checked arguments of one run, and the streams of chance that follow from them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from typing import Any

import numpy as np

from generator.dirt import DEMO_DIRT, checked_dirt
from lake.errors import UsageError

# So long ago nearly all chargebacks have been reported.
SETTLED_DAYS = 15
EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Plan:
    """Arguments of one run; make it with `Plan.checked`.

    `rows` genuine payments over `days` days up to and including `end`, by `users` users at `merchants`
    merchants; `dirt` is the share of the payments (0 to 1) by kind. The same plan gives the same bytes.
    """

    rows: int
    days: int
    users: int
    merchants: int
    seed: int
    end: date
    dirt: Mapping[str, float]

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
        dirt: Mapping[str, float] | None = None,
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
        shares = checked_dirt(DEMO_DIRT if dirt is None else dirt)
        return cls(rows, days, users, merchants, seed, end, MappingProxyType(shares))

    @property
    def start(self) -> date:
        """The first day of payments."""
        return self.end - timedelta(days=self.days - 1)

    @property
    def run(self) -> str:
        """Six hex digits that tell the events of one run from another's; dirt does not change them."""
        facts = (self.rows, self.days, self.users, self.merchants, self.seed, self.end.isoformat())
        return hashlib.blake2b(repr(facts).encode(), digest_size=3).hexdigest()

    def day(self, number: int) -> date:
        """The date of a day by its number, 0 for the first."""
        return self.start + timedelta(days=number)

    def chance(self, subject: str) -> np.random.Generator:
        """The random numbers of one subject, so that a change in one leaves all others as they were."""
        return np.random.default_rng([self.seed, *subject.encode()])

    def as_dict(self) -> dict[str, Any]:
        """The plan as JSON knows it."""
        counts = {"rows": self.rows, "days": self.days, "users": self.users, "merchants": self.merchants}
        return {**counts, "seed": self.seed, "end": self.end.isoformat(), "dirt": dict(self.dirt)}


def today() -> date:
    """Today in UTC; the only place where the generator looks at the clock."""
    return datetime.now(UTC).date()
