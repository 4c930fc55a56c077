"""Whether a figure stays flat: the last quarter of a run held against the second, the first being for warming up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, quantiles

QUARTERS = 4


@dataclass(frozen=True)
class Course:
    """A figure over the quarters of a run, and what it may reach in the last one."""

    name: str
    unit: str
    quarters: tuple[float, ...]
    allowed: float

    @property
    def is_flat(self) -> bool:
        """Whether the last quarter stays within what is allowed."""
        return self.quarters[-1] <= self.allowed


def by_quarter(points: Sequence[tuple[float, float]], began: float, ended: float) -> list[list[float]]:
    """Values of (time, value) points by the quarter of the run that they fall into; others are left out."""
    quarters: list[list[float]] = [[] for _ in range(QUARTERS)]
    for at, value in points:
        if began <= at < ended:
            quarters[int((at - began) / (ended - began) * QUARTERS)].append(value)
    return quarters


def course(name: str, unit: str, quarters: Sequence[Sequence[float]], *, growth: float, slack: float = 0.0) -> Course:
    """The medians of a figure by quarter. The last may be `growth` times the second, plus `slack`."""
    medians = tuple(round(median(values), 3) if values else 0.0 for values in quarters)
    return Course(name, unit, medians, round(medians[1] * growth + slack, 3))


def tail(name: str, unit: str, quarters: Sequence[Sequence[float]], *, growth: float, slack: float = 0.0) -> Course:
    """As `course`, of the 95th percentiles."""
    tails = tuple(round(_percentile_95(values), 3) for values in quarters)
    return Course(name, unit, tails, round(tails[1] * growth + slack, 3))


def _percentile_95(values: Sequence[float]) -> float:
    if len(values) < 2:
        return max(values, default=0.0)
    return quantiles(values, n=20, method="inclusive")[-1]
