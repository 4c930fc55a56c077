"""Instants and lengths of time as whole microseconds, as windows count them."""

from __future__ import annotations

from datetime import datetime, timedelta

SECOND_US = 1_000_000


def instant_us(moment: datetime) -> int:
    """An instant in microseconds since 1970 (UTC)."""
    return int(moment.timestamp()) * SECOND_US + moment.microsecond


def length_us(span: timedelta | None) -> int:
    """A length of time in microseconds; that of none is 0."""
    return (span or timedelta()) // timedelta(microseconds=1)
