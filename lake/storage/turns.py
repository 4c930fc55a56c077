"""Turns: of the micro-batches that are ready in one program, one is worked on at a time, and one beside it.

Where a few cores are busy, streams that work at the same time only slow each other down: an event then waits for all of
them at each stage. In turns, it waits for the others once. What nobody waits for has turns of its own, since one
micro-batch of it can take as long as many of the others.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

# Waiting so long counts as much as one rank.
PATIENCE_SECONDS = 5.0


@dataclass
class Turns:
    """Gives turns to threads: to the one of the highest rank among those that wait, so that what has begun is ended.

    A thread that has waited for long rises in rank, so none waits for ever.
    """

    at_once: int = 1
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _waiting: list[tuple[float, float]] = field(default_factory=list)
    _running: int = 0

    @contextmanager
    def turn(self, rank: int) -> Iterator[None]:
        """Wait for a turn, and have it for as long as the block lasts."""
        me = (float(rank), time.monotonic())
        with self._changed:
            self._waiting.append(me)
            self._changed.wait_for(lambda: self._running < self.at_once and self._next() is me)
            self._waiting.remove(me)
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def _next(self) -> tuple[float, float]:
        now = time.monotonic()
        return max(self._waiting, key=lambda one: one[0] + (now - one[1]) / PATIENCE_SECONDS)


# Of one program: of the line to an alert, and of all that is done beside it.
_LINE, _BESIDE = Turns(), Turns()


def turns_of(rank: int) -> Turns:
    """The turns that streams of a rank take: those of a negative one have their own."""
    return _BESIDE if rank < 0 else _LINE
