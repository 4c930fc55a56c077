"""Charts as numbers that a page draws: bars, stacked bars and a curve, in a frame with ticks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 640, 390
LEFT, RIGHT, TOP, BOTTOM = 88, 630, 14, 330
# Readable on white and on black.
GREY, RED = "#8a8f98", "#e0483e"
COLOURS = (
    "#3b82f6", "#e0483e", "#0d9f6e", "#d08700", "#8b5cf6", "#ec4899", "#14b8a6", "#8a8f98", "#84cc16", "#a16207",
)  # fmt: skip

Series = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Bar:
    """A rectangle; `tip` is told to whoever points at it."""

    x: float
    y: float
    width: float
    height: float
    colour: str
    tip: str


@dataclass(frozen=True)
class Chart:
    """What is drawn in a frame of `WIDTH` by `HEIGHT`: ticks are places and their labels, `points` those of a curve
    with their tips, `guide` the ends of a straight line for comparison."""

    title: str
    caption: str
    across: str
    up: str
    x_ticks: Sequence[tuple[float, str]]
    y_ticks: Sequence[tuple[float, str]]
    bars: Sequence[Bar] = ()
    points: Sequence[tuple[float, float, str]] = ()
    guide: Sequence[tuple[float, float]] = ()
    legend: Sequence[tuple[str, str]] = ()
    opacity: float = 1.0


def bar_chart(
    series: Series,
    *,
    title: str,
    caption: str,
    across: str,
    up: str,
    colours: Sequence[str],
    shown: Callable[[float], str],
    is_tick: Callable[[str], bool] = lambda label: True,
    are_stacked: bool = False,
) -> Chart:
    """Bars of each label, those of several series stacked or one before the other; ticks where `is_tick` says so."""
    labels = list(next(iter(series.values())))
    sums = [sum(values[label] for values in series.values()) for label in labels]
    highest = max(sums if are_stacked else [max(values.values()) for values in series.values()])
    step, scale = (RIGHT - LEFT) / len(labels), (BOTTOM - TOP) / (highest or 1)
    gap = 0.0 if len(series) > 1 and not are_stacked else 0.16 * step
    below = dict.fromkeys(labels, 0.0)
    bars = []
    for (name, values), colour in zip(series.items(), colours, strict=False):
        for number, label in enumerate(labels):
            top = below[label] + values[label]
            tip = f"{label}{f', {name}' if len(series) > 1 else ''}: {shown(values[label])}"
            height = values[label] * scale
            bars.append(Bar(LEFT + number * step + gap / 2, BOTTOM - top * scale, step - gap, height, colour, tip))
            below[label] = top if are_stacked else 0.0
    # In a histogram a label is the lower end of its class, elsewhere it names the bar.
    shift = 0.0 if gap == 0 else step / 2
    x_ticks = [(LEFT + number * step + shift, label) for number, label in enumerate(labels) if is_tick(label)]
    y_ticks = [(BOTTOM - value * scale, shown(value)) for value in _round_values(highest)]
    legend = list(zip(series, colours, strict=False)) if len(series) > 1 else []
    opacity = 1.0 if are_stacked or len(series) == 1 else 0.6
    return Chart(title, caption, across, up, x_ticks, y_ticks, bars=bars, legend=legend, opacity=opacity)


def log_log_chart(
    counts: Mapping[int, float], slope: float, *, title: str, caption: str, across: str, up: str
) -> Chart:
    """A curve over ranks from 1, both axes logarithmic, with a straight line of a slope through its middle."""
    wide, high = math.log10(max(2, *counts)), math.log10(max(2.0, *counts.values()))

    def place(rank: float, count: float) -> tuple[float, float]:
        x = LEFT + 8 + math.log10(rank) / wide * (RIGHT - LEFT - 16)
        return x, BOTTOM - math.log10(max(1.0, count)) / high * (BOTTOM - TOP)

    ranks = list(counts)
    level = sum(math.log10(counts[rank]) - slope * math.log10(rank) for rank in ranks) / len(ranks)
    ends = [rank for rank in (1.0, 10**wide) if level + slope * math.log10(rank) > 0]
    return Chart(
        title,
        caption,
        across,
        up,
        x_ticks=[(place(tick, 1)[0], f"{tick:,}") for tick in _powers(10**wide)],
        y_ticks=[(place(1, tick)[1], f"{tick:,}") for tick in _powers(10**high)],
        points=[(*place(rank, counts[rank]), f"rank {rank:,}: {counts[rank]:,.0f} payments") for rank in ranks],
        guide=[place(rank, 10 ** (level + slope * math.log10(rank))) for rank in ends],
    )


def _powers(highest: float) -> Iterable[int]:
    return [10**power for power in range(1 + int(math.log10(highest) + 1e-9))]


def _round_values(highest: float) -> list[float]:
    """Three to six round values from 0 up to the highest."""
    if highest <= 0:
        return [0.0]
    size = 10 ** math.floor(math.log10(highest / 2))
    step = next(size * factor for factor in (1, 2, 5, 10) if highest / (size * factor) < 6)
    return [number * step for number in range(int(highest / step + 1e-9) + 1)]
