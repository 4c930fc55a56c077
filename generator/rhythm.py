"""When people pay: the hours of their own clock and the days of the week, and how many payments fall into each slot."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from generator.payments import DAY_MS, HOUR_MS, Floats, Integers
from generator.places import COUNTRIES
from generator.plan import Slot

# How busy each hour is on the user's own clock, from midnight on, and each weekday, from Monday on.
HOURS = np.array([28, 19, 15, 14, 14, 18, 30, 50, 68, 78, 85, 95, 108, 106, 92, 86, 90, 102, 110, 108, 98, 80, 60, 42])
WEEKDAYS = np.array([0.92, 0.93, 0.96, 1.0, 1.2, 1.25, 0.85])
_OFFSET_H = np.array([country.utc_offset_h for country in COUNTRIES])


def busyness(hours: Integers, first_weekday: int) -> Floats:
    """How busy each hour of the span (from its first midnight, UTC) is in each country: shape (hours, countries)."""
    local = hours[:, None] + _OFFSET_H
    return HOURS[local % 24] * WEEKDAYS[(first_weekday + local // 24) % 7]


def rows_by_slot(rows: int, slots: Sequence[Slot], activity: Floats, first_weekday: int) -> Integers:
    """How many of all rows fall into each slot, exactly `rows` together; `activity` is each country's share."""
    weight = np.array([_weight(slot, activity, first_weekday) for slot in slots])
    wanted = rows * weight / weight.sum()
    counts = np.floor(wanted).astype(np.int64)
    # The rest goes to the largest remainders, so that rounding neither loses nor adds one.
    order = np.argsort(counts - wanted, kind="stable")
    counts[order[: rows - counts.sum()]] += 1
    return counts


def hours_of(slot: Slot) -> Integers:
    """The hours of the span that a slot touches."""
    return np.arange(slot.start_ms // HOUR_MS, -(-slot.end_ms // HOUR_MS))


def local_times(
    count: int, offset_ms: Integers, start_ms: int, end_ms: int, rng: np.random.Generator, hours: Floats = HOURS
) -> Integers:
    """Times (UTC) between two moments that follow the hours of each one's own clock."""
    day = rng.integers(0, max(1, (end_ms - start_ms) // DAY_MS), count)
    hour = rng.choice(24, size=count, p=hours / hours.sum())
    local = day * DAY_MS + hour * HOUR_MS + rng.integers(0, HOUR_MS, count)
    return start_ms + (local - offset_ms) % (end_ms - start_ms)


def _weight(slot: Slot, activity: Floats, first_weekday: int) -> float:
    hours = hours_of(slot)
    share = min(1.0, slot.length_ms / HOUR_MS)
    return float((busyness(hours, first_weekday) @ activity).sum() * share)
