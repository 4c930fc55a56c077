"""Chaos on purpose: late, displaced, repeated, altered, drifted and unreadable lines, each kind counted exactly.

Some kinds change how or when a genuine line arrives (`CHANGED`), some add a copy after it (`COPIED`), and some add an
event of their own, under an event id that belongs to no payment (`ADDED`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np

from generator.payments import DAY_MS, HOUR_MS, MINUTE_MS, Integers
from lake.errors import UsageError

DEFAULT_CHAOS: Mapping[str, float] = {"late": 0.01, "duplicate": 0.003, "altered": 0.0005, "truncated": 0.0005}
INTACT = 0


def _as_it_is(line: str) -> str:
    return line


def _drifted(line: str) -> str:
    return _as_line({**json.loads(line), "schema_version": 2, "loyalty": {"tier": "gold", "points": 120}})


def _altered(line: str) -> str:
    payment = json.loads(line)
    return _as_line({**payment, "amount": payment["amount"] * 2})


def _corrupt(line: str) -> str:
    middle = len(line) // 2
    return f"{line[:middle]}\x00\ufffd\x1b{line[middle + 3 :]}"


def _truncated(line: str) -> str:
    return line[: len(line) // 2]


def _wrong_type(line: str) -> str:
    payment = json.loads(line)
    return _as_line({**payment, "amount": f"{payment['amount']:.2f}".replace(".", ",")})


def _wrong_currency(line: str) -> str:
    return _as_line({**json.loads(line), "currency": "EURO"})


def _no_zone(line: str) -> str:
    payment = json.loads(line)
    return _as_line({**payment, "event_time": payment["event_time"].removesuffix("Z")})


def _far_future(line: str) -> str:
    payment = json.loads(line)
    return _as_line({**payment, "event_time": "9999" + payment["event_time"][4:]})


def _orphan_user(line: str) -> str:
    payment = json.loads(line)
    return _as_line({**payment, "user_id": "unknown-" + payment["user_id"]})


def _orphan_merchant(line: str) -> str:
    payment = json.loads(line)
    return _as_line({**payment, "merchant_id": "unknown-" + payment["merchant_id"]})


def _as_line(payment: Mapping[str, Any]) -> str:
    return json.dumps(payment, separators=(",", ":"))


# What each kind does to the text of a line; some change only when it is written, and drift stays with the copies.
SPOILERS: Mapping[str, Callable[[str], str]] = {
    "late": _as_it_is,
    "out_of_order": _as_it_is,
    "drifted": _as_it_is,
    "duplicate": _as_it_is,
    "altered": _altered,
    "corrupt": _corrupt,
    "truncated": _truncated,
    "wrong_type": _wrong_type,
    "wrong_currency": _wrong_currency,
    "no_zone": _no_zone,
    "far_future": _far_future,
    "orphan_user": _orphan_user,
    "orphan_merchant": _orphan_merchant,
}
KINDS = ("intact", *SPOILERS)
CHANGED = ("late", "out_of_order", "drifted")
COPIED = ("duplicate", "altered", "corrupt", "truncated")
ADDED = ("wrong_type", "wrong_currency", "no_zone", "far_future", "orphan_user", "orphan_merchant")


@dataclass(frozen=True)
class Deliveries:
    """One row a line to write, in the order of writing; it arrives at `arrival_ms`.

    `payment` is the row of the payment it is made of, `kind` a position in `KINDS`, `is_late` whether the line is
    written a day later, `is_drifted` whether it has fields of a schema to come, `number` the event's within its slot:
    the payment's row, or for `ADDED` lines one beyond. `own_ms` has one row a payment: when its genuine line arrives.
    """

    arrival_ms: Integers
    payment: Integers
    kind: Integers
    is_late: np.ndarray
    is_drifted: np.ndarray
    number: Integers
    own_ms: Integers

    def counts(self) -> dict[str, int]:
        """Lines of each kind of chaos."""
        found = np.bincount(self.kind, minlength=len(KINDS))
        return {kind: int(found[KINDS.index(kind)]) for kind in SPOILERS}


def deliver(event_ms: Integers, chaos: Mapping[str, float], rng: np.random.Generator) -> Deliveries:
    """In which order the lines of a slot arrive: each payment at its event time, and the chaos by its shares.

    `event_ms` are the event times, ascending. A share of 0.01 makes one line of each hundred payments, on average
    over the slots exactly. A line that is displaced comes up to half an hour late; a late one the next day.
    """
    count = len(event_ms)
    arrival_ms, kind = event_ms.copy(), np.full(count, INTACT)
    changed = _pick(count, [chaos.get(name, 0.0) for name in CHANGED], rng)
    for name, rows in zip(CHANGED, changed, strict=True):
        kind[rows] = KINDS.index(name)
    displaced = changed[CHANGED.index("out_of_order")]
    arrival_ms[displaced] += rng.integers(MINUTE_MS, HOUR_MS // 2, len(displaced))
    late, drifted = kind == KINDS.index("late"), kind == KINDS.index("drifted")
    payments, kinds, times, numbers = [np.arange(count)], [kind], [arrival_ms], [np.arange(count)]
    are_late, are_drifted = [late], [drifted]
    beyond = count
    for name in (name for name in (*COPIED, *ADDED) if chaos.get(name)):
        copied = _pick(count, [chaos[name]], rng)[0]
        payments.append(copied)
        kinds.append(np.full(len(copied), KINDS.index(name)))
        times.append(arrival_ms[copied] + rng.integers(1000, 2 * HOUR_MS, len(copied)))
        # A copy comes after its line: with a late one it is late too.
        are_late.append(late[copied])
        are_drifted.append(drifted[copied] & (name in COPIED))
        numbers.append(beyond + np.arange(len(copied)) if name in ADDED else copied)
        beyond += len(copied) if name in ADDED else 0
    arrivals = [time_ms + DAY_MS * is_late for time_ms, is_late in zip(times, are_late, strict=True)]
    order = np.lexsort((np.concatenate(times), np.concatenate(are_late)))
    arrival, payment, made_as, is_late, is_drifted, number = (
        np.concatenate(column)[order] for column in (arrivals, payments, kinds, are_late, are_drifted, numbers)
    )
    return Deliveries(arrival, payment, made_as, is_late, is_drifted, number, own_ms=arrivals[0])


def spoil(line: str, kind: str, *, is_drifted: bool) -> str:
    """The text of a line of one kind of chaos; what was drifted is so in its copies too."""
    return SPOILERS[kind](_drifted(line) if is_drifted else line)


def checked_chaos(chaos: Mapping[str, float]) -> dict[str, float]:
    """The shares by kind, or `UsageError` for an unknown kind or a share outside 0 to 1."""
    for kind, share in chaos.items():
        if kind not in SPOILERS:
            raise UsageError(f"{kind} is no kind of chaos: choose from {', '.join(SPOILERS)}")
        if not isfinite(share) or not 0 <= share <= 1:
            raise UsageError(f"the share of {kind} is {share}, and must be from 0 to 1: give for instance 0.01")
    changed = sum(chaos.get(kind, 0.0) for kind in CHANGED)
    if changed > 1:
        raise UsageError(f"{', '.join(CHANGED)} together are {changed:g}, and can be 1 at most: give smaller shares")
    return {kind: float(chaos[kind]) for kind in SPOILERS if kind in chaos}


def parse_chaos(text: str) -> dict[str, float]:
    """Shares by kind from text such as `late=0.01,duplicate=0.003`; empty text is no chaos at all."""
    shares = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        kind, _, share = part.partition("=")
        try:
            shares[kind.strip()] = float(share)
        except ValueError as error:
            fix = "write kind=share, such as late=0.01,duplicate=0.003"
            raise UsageError(f"chaos says {part!r}, which is no share: {fix}") from error
    return checked_chaos(shares)


def _pick(count: int, shares: list[float], rng: np.random.Generator) -> list[Integers]:
    """Rows for each share, none twice; what a share leaves over of a whole row decides chance."""
    sizes = [int(share * count + rng.random()) for share in shares]
    chosen = rng.choice(count, min(sum(sizes), count), replace=False)
    return np.split(chosen, np.cumsum(sizes)[:-1])
