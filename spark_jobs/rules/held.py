"""Lists and snoozes as Spark columns: which values are on a list, and what holds an alert back.

Values go into the plan as literals, never as SQL.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from functools import lru_cache

from pyspark.sql import Column
from pyspark.sql import functions as F

from spark_jobs.rules.lists import Snooze, Validity, ValueList

# What is held back: kept, and raised nowhere.
HELD = ALLOWED, SNOOZED = ("allowed", "snoozed")

# About so many values of a list share a bucket. No value holds what keeps values and buckets apart.
_IN_A_BUCKET = 8
_BETWEEN_VALUES, _BETWEEN_BUCKETS = "\x1f", "\x1e"


# Built in the JVM step by step: once for each set of lists, not for each micro-batch.
@lru_cache(maxsize=64)
def allowed(lists: tuple[ValueList, ...]) -> Column:
    """The first of some allow lists that an event is on, as `state` and `by` (in words); null if it is on none."""
    return _first((is_listed(one), ALLOWED, one.held_by) for one in lists)


@lru_cache(maxsize=1024)
def snoozed(snoozes: tuple[Snooze, ...]) -> Column:
    """The first of some snoozes that are on an event, as `state` and `by` (in words); null if none is."""
    named: dict[str, set[str]] = {}
    for one in snoozes:
        column, value = one.on[0]
        named.setdefault(column, set()).add(value)
    # One look tells nearly all events that none of many snoozes is theirs.
    is_named = F.lit(False)
    for column, values in named.items():
        is_named |= _is_among(F.col(column), frozenset(values))
    return F.when(is_named, _first((_is_snoozed(one), SNOOZED, one.held_by) for one in snoozes))


def is_listed(one: ValueList) -> Column:
    """Whether an event is on a list while that is in force; null where the event lacks the value."""
    return _is_among(F.col(one.column), one.values) & _is_within(one.validity)


def _is_snoozed(one: Snooze) -> Column:
    holds = F.lit(True)
    for column, value in one.on:
        holds &= F.col(column) == F.lit(value)
    return holds & _is_within(one.validity)


def _is_within(validity: Validity) -> Column:
    within, at = F.lit(True), F.col("event_time")
    if validity.since is not None:
        within &= at >= F.lit(validity.since)
    if validity.until is not None:
        within &= at < F.lit(validity.until)
    return within


def _is_among(value: Column, values: frozenset[str]) -> Column:
    """Whether a text is one of many: a hash table in one literal, which `isin` would be only after 10,000 of them."""
    count = max(1, len(values) // _IN_A_BUCKET)
    buckets: list[list[str]] = [[] for _ in range(count)]
    for one in sorted(values):
        buckets[zlib.crc32(one.encode()) % count].append(one)
    table = F.split(F.lit(_BETWEEN_BUCKETS.join(map(_BETWEEN_VALUES.join, buckets))), _BETWEEN_BUCKETS)
    bucket = F.get(table, (F.crc32(value.cast("binary")) % count).cast("int"))
    # An empty bucket splits into one empty text.
    return F.array_contains(F.split(bucket, _BETWEEN_VALUES), value) & (value != "")


def _first(cases: Iterable[tuple[Column, str, str]]) -> Column:
    nothing = F.lit(None).cast("struct<state:string,by:string>")
    found = (F.when(holds, F.struct(F.lit(state).alias("state"), F.lit(by).alias("by"))) for holds, state, by in cases)
    return F.coalesce(*found, nothing)
