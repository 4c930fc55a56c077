"""The dates of a training."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.errors import TrainingError
from ml.windows import LakeDays, choose_as_of, require_days, windows

LENGTHS = {"train_days": 21, "delay_days": 7, "test_days": 10}


def test_delay_days_lie_whole_between_train_and_test() -> None:
    found = windows(date(2025, 10, 15), **LENGTHS)
    assert (found.train_from, found.train_to) == (date(2025, 9, 8), date(2025, 9, 28))
    assert (found.test_from, found.test_to) == (date(2025, 10, 6), date(2025, 10, 15))
    assert found.moment == datetime(2025, 10, 6, tzinfo=UTC)


@given(
    as_of=st.dates(date(2000, 1, 1), date(2100, 1, 1)),
    train=st.integers(1, 400),
    delay=st.integers(0, 90),
    test=st.integers(1, 90),
)
def test_any_windows_have_the_lengths_that_were_asked_for(as_of: date, train: int, delay: int, test: int) -> None:
    found = windows(as_of, train_days=train, delay_days=delay, test_days=test)
    assert found.as_of == as_of
    assert (found.train_to - found.train_from).days + 1 == train
    assert found.delay_days == delay
    assert (found.test_to - found.test_from).days + 1 == test


@given(held=st.integers(1, 120), reported=st.none() | st.integers(-5, 200), delay=st.integers(0, 30))
def test_the_chosen_day_is_in_the_lake_and_later_ones_are_never_needed(
    held: int, reported: int | None, delay: int
) -> None:
    first = date(2025, 1, 1)
    last = first + timedelta(days=held - 1)
    days = LakeDays(first, last, None if reported is None else first + timedelta(days=reported))
    lengths = {"train_days": 7, "delay_days": delay, "test_days": 7}
    chosen = choose_as_of(days, **lengths)
    assert chosen <= last
    if held >= 14 + delay:
        require_days(windows(chosen, **lengths), days)


@pytest.mark.parametrize(
    ("last_reported", "expected"),
    [
        (date(2025, 10, 22), date(2025, 10, 15)),
        (date(2025, 10, 20), date(2025, 10, 13)),
        (None, date(2025, 10, 15)),
        # Too early for enough days before it: the first day that has them.
        (date(2025, 9, 30), date(2025, 10, 8)),
    ],
)
def test_without_a_date_the_last_day_with_mature_labels_is_taken(last_reported: date | None, expected: date) -> None:
    assert choose_as_of(LakeDays(date(2025, 9, 1), date(2025, 10, 15), last_reported), **LENGTHS) == expected


@pytest.mark.parametrize("as_of", [date(2025, 10, 7), date(2025, 10, 16)])
def test_too_few_days_name_what_is_held_and_what_is_needed(as_of: date) -> None:
    wanted = windows(as_of, **LENGTHS)
    with pytest.raises(TrainingError) as error:
        require_days(wanted, LakeDays(date(2025, 9, 1), date(2025, 10, 15), None))
    for named in ("2025-09-01", "2025-10-15", str(wanted.train_from), str(as_of), "45 days", "needs 38"):
        assert named in str(error.value)
