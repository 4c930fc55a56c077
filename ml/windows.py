"""The dates of a training: which days are learnt from, which are waited for, and which the model is judged on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from lake.errors import TrainingError


@dataclass(frozen=True)
class Windows:
    """Days of one training; UTC dates, both ends included.

    Between `train_to` and `test_from` lie `delay_days` whole days, in which the chargebacks of the train days arrive
    ("Reproducible Machine Learning for Credit Card Fraud Detection", chapter 5: prequential validation with a delay).
    """

    train_from: date
    train_to: date
    test_from: date
    test_to: date

    @property
    def as_of(self) -> date:
        """The last test day; a training is named by it."""
        return self.test_to

    @property
    def moment(self) -> datetime:
        """When training happens: the first instant of the test. What is reported from then on is unknown to it."""
        return datetime(self.test_from.year, self.test_from.month, self.test_from.day, tzinfo=UTC)

    @property
    def delay_days(self) -> int:
        """Whole days between the last train day and the first test day, at least 0."""
        return (self.test_from - self.train_to).days - 1


@dataclass(frozen=True)
class LakeDays:
    """First and last UTC date of the transactions in the lake, and of the last dispute (None where there is none)."""

    first: date
    last: date
    last_reported: date | None


def windows(as_of: date, *, train_days: int, delay_days: int, test_days: int) -> Windows:
    """The days of a training whose last test day is `as_of`; lengths are in days, train and test at least 1."""
    test_from = as_of - timedelta(days=test_days - 1)
    train_to = test_from - timedelta(days=delay_days + 1)
    return Windows(train_to - timedelta(days=train_days - 1), train_to, test_from, as_of)


def last_mature_day(days: LakeDays, delay_days: int) -> date:
    """The last day with transactions whose chargebacks have had `delay_days` to arrive.

    How far the chargebacks have come is read off the latest of them; without any, nothing limits the day.
    """
    if days.last_reported is None:
        return days.last
    return min(days.last, days.last_reported - timedelta(days=delay_days))


def choose_as_of(days: LakeDays, *, train_days: int, delay_days: int, test_days: int) -> date:
    """The last test day where none is asked for: the last mature one.

    Where the lake is too short for it but long enough for a later day, it is the first day that has enough before it.
    """
    enough = days.first + timedelta(days=train_days + delay_days + test_days - 1)
    return max(last_mature_day(days, delay_days), min(enough, days.last))


def require_days(wanted: Windows, days: LakeDays) -> None:
    """Raises `TrainingError` where the lake does not reach over the windows; says what it holds and what is needed."""
    if days.first <= wanted.train_from and wanted.test_to <= days.last:
        return
    needed = (wanted.test_to - wanted.train_from).days + 1
    held = (days.last - days.first).days + 1
    raise TrainingError(
        f"The lake holds transactions of {held} days, {days.first} to {days.last}, but a training as of "
        f"{wanted.as_of} needs {needed}: {wanted.train_from} to {wanted.test_to}. "
        "Take in more days, name another last test day (--as-of), or ask for fewer train, delay or test days"
    )
