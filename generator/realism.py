"""How real a run looks: figures of the files that it wrote, beside what is wanted and what public sets have."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from generator.public_sets import PUBLIC_SETS

MOST = 1_000_000
# The least and the most that is wanted; None for no bound.
Range = tuple[float | None, float | None]


@dataclass(frozen=True)
class Spec:
    """What a figure means, its unit (`share` from 0 to 1, `precision` likewise, `times`, `USD`, `days`, `slope` or
    `count`), and the range that is wanted of it, if any is."""

    meaning: str
    unit: str
    wanted: Range | None = None


SPECS: Mapping[str, Spec] = {
    "fraud_share": Spec("payments that are frauds", "share", (0.002, 0.009)),
    "frauds_among_honest_amounts": Spec("frauds of an amount common among honest ones", "share", (0.5, None)),
    "amount_and_hour_logistic": Spec("frauds told by amount and hour: logistic model", "precision", (None, 0.3)),
    "amount_and_hour_boosted": Spec("frauds told by amount and hour: boosted trees", "precision", (None, 0.3)),
    "hour_ratio": Spec("busiest hour to quietest, on users' clocks", "times", (5.0, 9.0)),
    "weekday_ratio": Spec("busiest weekday to quietest, likewise", "times", (1.1, None)),
    "variance_between_users": Spec("variance of honest log amounts between users", "share", (0.4, 0.6)),
    "merchant_slope": Spec("merchants' popularity: slope in one country", "slope", (-1.5, -0.7)),
    "median_amount": Spec("median amount in US dollars", "USD"),
    "mean_to_median": Spec("mean amount to median", "times"),
    "tail_to_median": Spec("honest amounts: 99.9 % quantile to median", "times"),
    "online_share": Spec("payments online", "share"),
    "abroad_share": Spec("payments in another country than home", "share"),
    "na_share": Spec("payments in Namibia, whose code is NA", "share"),
    "currencies": Spec("currencies", "count"),
    "new_user_share": Spec("users who joined within the span", "share"),
    "new_device_share": Spec("payments by device: from one not seen before", "share"),
    "scenarios": Spec("scenarios of fraud", "count"),
    "scenario_drift": Spec("mix of scenarios: change, first to last third", "share"),
    "dispute_delay_median": Spec("delay of disputes, median", "days", (7.0, 10.0)),
    "dispute_delay_p99": Spec("delay of disputes, 99 % quantile", "days"),
    "undisputed_fraud_share": Spec("approved frauds that nobody disputes", "share"),
    "friendly_share": Spec("disputed as fraud though honest", "share", (0.01, 0.05)),
}


@dataclass(frozen=True)
class Figure:
    """One figure of a run, as `SPECS` describes it.

    `value` is None where the run does not tell; `note` says why, or what it rests on. `public` has the same figure of
    each public set, None where it is not documented, `detail` the numbers that it was made from: by label, in series.
    """

    name: str
    meaning: str
    value: float | None
    unit: str
    wanted: Range | None
    public: Mapping[str, float | None]
    note: str = ""
    detail: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def is_within(self) -> bool | None:
        """Whether the value lies in the wanted range; None where nothing is wanted or known."""
        if self.wanted is None or self.value is None:
            return None
        low, high = self.wanted
        return (low is None or low <= self.value) and (high is None or self.value <= high)

    @property
    def wanted_text(self) -> str:
        """The wanted range for people; empty without one."""
        bounds = [bound for bound in self.wanted or () if bound is not None]
        if not self.wanted or not bounds:
            return ""
        size, unit = (100, " %") if self.unit == "share" else (1, "")
        word = "over " if self.wanted[1] is None else "under " if self.wanted[0] is None else ""
        return word + " to ".join(f"{bound * size:g}" for bound in bounds) + unit

    def as_dict(self) -> dict[str, Any]:
        """The figure as JSON knows it."""
        words = {"meaning": self.meaning, "value": self.value, "unit": self.unit, "wanted": self.wanted}
        return {**words, "is_within": self.is_within, "public": self.public, "note": self.note, "detail": self.detail}


@dataclass(frozen=True)
class Realism:
    """The figures of one run: its arguments, how many payments were measured, how many of them are frauds, and of how
    many in all."""

    arguments: Mapping[str, Any]
    measured: int
    frauds: int
    rows: int
    figures: tuple[Figure, ...]

    @property
    def is_within(self) -> bool:
        """Whether no figure is known to lie outside its wanted range."""
        return not self.outside

    @property
    def outside(self) -> list[Figure]:
        """The figures that lie outside their wanted ranges."""
        return [figure for figure in self.figures if figure.is_within is False]

    def __getitem__(self, name: str) -> Figure:
        """A figure by its name."""
        return next(figure for figure in self.figures if figure.name == name)

    def as_dict(self) -> dict[str, Any]:
        """All that was measured, as JSON knows it; figures by their names."""
        sets = {s.name: {"title": s.title, "payments": s.payments, "source": s.source} for s in PUBLIC_SETS}
        counts = {"measured": self.measured, "frauds": self.frauds, "rows": self.rows, "is_within": self.is_within}
        figures = {figure.name: figure.as_dict() for figure in self.figures}
        return {"arguments": dict(self.arguments), **counts, "figures": figures, "public_sets": sets}


def measure(out: Path, truth: Path, *, most: int = MOST, progress: Callable[[int, int], None] | None = None) -> Realism:
    """Measure the finished run whose inbox is `out`, on its files alone.

    Of more than `most` payments only those of every second, third … user are measured, so memory is bounded. `progress`
    is called after each slot with how many payments have been looked at, and of how many. Raises `UsageError` where
    there is no finished run, or where its files are gone or cannot be read.
    """
    from generator.realism_figures import figures
    from generator.realism_rows import read_run

    reading = read_run(out, truth, most=most, progress=progress)
    found = {measured.name: measured for measured in figures(reading)}
    return Realism(
        arguments=reading.arguments,
        measured=len(reading.payments),
        frauds=int(reading.payments.is_fraud.sum()),
        rows=int(reading.arguments["rows"]),
        figures=tuple(
            Figure(
                name=name,
                meaning=spec.meaning,
                value=found[name].value if math.isfinite(found[name].value) else None,
                unit=spec.unit,
                wanted=spec.wanted,
                public={public.name: public.figure(name) for public in PUBLIC_SETS},
                note=found[name].note,
                detail=found[name].detail,
            )
            for name, spec in SPECS.items()
        ),
    )


def shown(value: float | None, unit: str) -> str:
    """A value of a figure for people."""
    if value is None:
        return "–"
    if unit == "share":
        return f"{100 * value:.3g} %" if abs(value) < 0.1 else f"{100 * value:.1f} %"
    places = {"count": 0, "precision": 3, "days": 1}.get(unit, 2)
    return f"{value:,.{places}f}"
