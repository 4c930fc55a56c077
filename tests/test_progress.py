"""Progress of long work, as it is told where there is no terminal."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from lake import progress
from lake.progress import Stages


class Clock:
    """A clock that is set by hand."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the module under test."""
    found = Clock()
    monkeypatch.setattr(progress, "time", found)
    return found


def said(clock: Clock, moments: list[tuple[float, float]], total: float) -> list[str]:
    """What a stage says at some moments, of which each is seconds and how much is done."""
    stages = Stages(Console(file=StringIO(), width=200))
    with stages.stage("soak", "s", total=total) as update:
        for clock.now, amount in moments:
            update(amount)
    assert isinstance(stages.console.file, StringIO)
    return [line for line in stages.console.file.getvalue().splitlines() if "left" in line]


def test_the_time_left_does_not_count_what_went_by_before_the_work_began(clock: Clock) -> None:
    moments = [(100.0, 0.0), (110.0, 10.0), (130.0, 30.0)]
    assert said(clock, moments, total=100)[-1] == "soak: 30 of 100 s after 130 s, about 70 s left"


def test_work_that_is_told_of_once_is_measured_from_the_begin(clock: Clock) -> None:
    assert said(clock, [(20.0, 50.0)], total=100) == ["soak: 50 of 100 s after 20 s, about 20 s left"]


def test_no_time_left_is_guessed_from_little(clock: Clock) -> None:
    assert said(clock, [(20.0, 1.0), (40.0, 5.0)], total=100) == []
