"""Progress of long work: a bar with rate and remaining time on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from lake.terminal import Terminal

PLAIN_LINE_SECONDS = 10.0
# Before this share is done, a remaining time would be a guess.
LEAST_SHARE_FOR_REMAINING = 0.1

# Called with how much is done, and with the total once it is known.
Update = Callable[..., None]


@dataclass
class Stages:
    """The stages of one run and how long each took. Write to stderr, so that stdout stays for results."""

    console: Console = field(default_factory=lambda: Terminal(stderr=True))
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str, unit: str = "rows", total: float | None = None) -> Iterator[Update]:
        """Time one stage and show its progress; gives a function to report it with."""
        started = time.monotonic()
        done = _Done(total)
        if self.console.is_terminal:
            with _bar(self.console) as bar:
                task = bar.add_task(name, total=total, unit=unit, rate="")
                yield partial(_advance, bar, task, done, started)
        else:
            self.console.print(f"{name} …", highlight=False)
            yield partial(self._plain, f"{name}: ", unit, done, started, [started])
        took = time.monotonic() - started
        self.seconds[name] = round(self.seconds.get(name, 0.0) + took, 1)
        self.console.print(f"{name}: {_summary(done, unit, took)}", highlight=False)

    def _plain(
        self,
        prefix: str,
        unit: str,
        done: _Done,
        started: float,
        last: list[float],
        amount: float,
        total: float | None = None,
    ) -> None:
        now = time.monotonic()
        done.take(amount, total, now - started)
        if now - last[0] < PLAIN_LINE_SECONDS:
            return
        last[0] = now
        self.console.print(f"{prefix}{_so_far(done, unit, now - started)}", highlight=False)


@dataclass
class _Done:
    """How much of something is done, and since when it goes on: a stage may be prepared for long."""

    total: float | None
    amount: float = 0.0
    first: tuple[float, float] | None = None  # seconds since the stage began, and how much was done by then

    def take(self, amount: float, total: float | None, elapsed: float) -> None:
        self.amount = amount
        self.total = total if total is not None else self.total
        if self.first is None and amount:
            self.first = (elapsed, amount)

    def seconds_left(self, elapsed: float) -> float | None:
        if not self.total or self.amount < LEAST_SHARE_FOR_REMAINING * self.total:
            return None
        began, before = self.first or (0.0, 0.0)
        if self.amount <= before:
            began, before = 0.0, 0.0
        return (self.total - self.amount) * (elapsed - began) / (self.amount - before)


def _bar(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description:<10}"),
        BarColumn(bar_width=30),
        TextColumn("{task.completed:,.0f} {task.fields[unit]} {task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )


def _advance(
    bar: Progress, task: TaskID, done: _Done, started: float, amount: float, total: float | None = None
) -> None:
    elapsed = time.monotonic() - started
    done.take(amount, total, elapsed)
    rate = f"({_per_second(amount / elapsed)})" if elapsed > 0.5 and amount else ""
    bar.update(task, completed=amount, total=done.total, rate=rate)


def _so_far(done: _Done, unit: str, elapsed: float) -> str:
    share = f" of {done.total:,.0f}" if done.total else ""
    text = f"{done.amount:,.0f}{share} {unit} after {elapsed:.0f} s"
    left = done.seconds_left(elapsed)
    return text if left is None else f"{text}, about {left:,.0f} s left"


def _summary(done: _Done, unit: str, took: float) -> str:
    if not done.amount:
        return f"{took:.1f} s"
    return f"{done.amount:,.0f} {unit} in {took:.1f} s ({_per_second(done.amount / max(took, 0.001))})"


def _per_second(rate: float) -> str:
    return f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s"
