"""Dirt on purpose: late, repeated, altered and unreadable lines, counted, beside each genuine line intact.

Each kind is one function that spoils a copy of a line, except `late`, which delivers the line itself a day
later. Copies come after the line they are made of. The kinds of `MALFORMED` stand for events of their own
and carry event ids that belong to no payment.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np

from generator.payments import DAY_MS, HOUR_MS, Integers
from lake.errors import UsageError

DEMO_DIRT: Mapping[str, float] = {"late": 0.01, "duplicate": 0.003, "altered": 0.0005, "corrupt": 0.0005}
INTACT = 0


def _duplicate(line: str) -> str:
    return line


def _altered(line: str) -> str:
    payment = json.loads(line)
    return _as_line({**payment, "amount": payment["amount"] * 2})


def _corrupt(line: str) -> str:
    return line[: len(line) // 2]


def _wrong_type(line: str) -> str:
    payment = json.loads(line)
    return _as_line({**payment, "amount": f"{payment['amount']:.2f}".replace(".", ",")})


def _no_zone(line: str) -> str:
    payment = json.loads(line)
    return _as_line({**payment, "event_time": payment["event_time"].removesuffix("Z")})


def _far_future(line: str) -> str:
    payment = json.loads(line)
    return _as_line({**payment, "event_time": "9999" + payment["event_time"][4:]})


def _as_line(payment: Mapping[str, Any]) -> str:
    return json.dumps(payment, separators=(",", ":"))


# What each kind does to the text of a line; `late` changes only the day on which it is written.
SPOILERS: Mapping[str, Callable[[str], str]] = {
    "late": _duplicate,
    "duplicate": _duplicate,
    "altered": _altered,
    "corrupt": _corrupt,
    "wrong_type": _wrong_type,
    "no_zone": _no_zone,
    "far_future": _far_future,
}
KINDS = ("intact", *SPOILERS)
MALFORMED = ("wrong_type", "no_zone", "far_future")


@dataclass(frozen=True)
class Deliveries:
    """One row a line to write, in the order of writing.

    `payment` is the row of the payment it is made of, `kind` a position in `KINDS`, `time_ms` when the line
    arrives (milliseconds since the first midnight; its day is its file), `number` the event's: the
    payment's row, or for `MALFORMED` lines one that no payment has.
    """

    payment: Integers
    kind: Integers
    time_ms: Integers
    number: Integers

    def counts(self) -> dict[str, int]:
        """Lines of each kind of dirt."""
        found = np.bincount(self.kind, minlength=len(KINDS))
        return {kind: int(found[KINDS.index(kind)]) for kind in SPOILERS}


def deliver(event_ms: Integers, dirt: Mapping[str, float], rng: np.random.Generator) -> Deliveries:
    """Which line arrives when: each payment at its event time, and the dirt by its shares of the payments.

    `event_ms` are the event times, ascending. `round(share x payments)` lines are made of each kind.
    """
    count = len(event_ms)
    arrival_ms, kind = event_ms.copy(), np.full(count, INTACT)
    late = _pick(count, dirt.get("late", 0.0), rng)
    arrival_ms[late] += DAY_MS
    kind[late] = KINDS.index("late")
    payments, kinds, times, numbers = [np.arange(count)], [kind], [arrival_ms], [np.arange(count)]
    for name in (name for name in SPOILERS if name != "late" and name in dirt):
        copied = _pick(count, dirt[name], rng)
        payments.append(copied)
        kinds.append(np.full(len(copied), KINDS.index(name)))
        times.append(arrival_ms[copied] + rng.integers(1000, 2 * HOUR_MS, len(copied)))
        fresh = sum(map(len, payments[:-1])) + np.arange(len(copied))
        numbers.append(fresh if name in MALFORMED else copied)
    order = np.argsort(np.concatenate(times), kind="stable")
    return Deliveries(*(np.concatenate(column)[order] for column in (payments, kinds, times, numbers)))


def checked_dirt(dirt: Mapping[str, float]) -> dict[str, float]:
    """The shares by kind, or `UsageError` for an unknown kind or a share outside 0 to 1."""
    for kind, share in dirt.items():
        if kind not in SPOILERS:
            raise UsageError(f"{kind} is no kind of dirt: choose from {', '.join(SPOILERS)}")
        if not isfinite(share) or not 0 <= share <= 1:
            raise UsageError(f"the share of {kind} dirt is {share}, and must be from 0 to 1: give for instance 0.01")
    return {kind: float(dirt[kind]) for kind in SPOILERS if kind in dirt}


def parse_dirt(text: str) -> dict[str, float]:
    """Shares by kind from text such as `late=0.01,duplicate=0.003`; empty text is no dirt at all."""
    shares = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        kind, _, share = part.partition("=")
        try:
            shares[kind.strip()] = float(share)
        except ValueError as error:
            fix = "write kind=share, such as late=0.01,duplicate=0.003"
            raise UsageError(f"dirt says {part!r}, which is no share: {fix}") from error
    return checked_dirt(shares)


def _pick(count: int, share: float, rng: np.random.Generator) -> Integers:
    return rng.choice(count, round(share * count), replace=False)
