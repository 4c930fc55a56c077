"""How deliveries get into the inbox of a lake, a few at a time: whole, or with a defect on purpose in two halves."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.faults.deliveries import Delivery

_LOOK_SECONDS = 0.2


@dataclass
class Landing:
    """The deliveries of one lake and how many of them lie in its inbox."""

    lake: Path
    deliveries: Sequence[Delivery]
    is_in_place: bool = False
    landed: int = 0
    _writers: list[threading.Thread] = field(default_factory=list)

    @property
    def is_done(self) -> bool:
        """Whether all files lie there."""
        return self.landed == len(self.deliveries)

    def land_up_to(self, share: float, *, at_least: int = 0) -> None:
        """Land files until this share of all lies there, and at least so many of them."""
        wanted = min(len(self.deliveries), max(round(share * len(self.deliveries)), at_least))
        for delivery in self.deliveries[self.landed : wanted]:
            if self.is_in_place:
                self._writers.append(_write_in_place(delivery, self.lake))
            else:
                delivery.land(self.lake / "inbox")
        self.landed = max(self.landed, wanted)

    def finish(self) -> None:
        """Wait until files that were begun in place are whole."""
        for writer in self._writers:
            writer.join()


def _write_in_place(delivery: Delivery, lake: Path) -> threading.Thread:
    """Write half a file under its visible name; the other half follows when a reader has come by."""
    target = lake / "inbox" / delivery.feed / delivery.source.name
    target.parent.mkdir(parents=True, exist_ok=True)
    data = delivery.source.read_bytes()
    _write(target, data[: len(data) // 2], delivery)
    seen = _commits(lake)

    def write_the_rest() -> None:
        pause = threading.Event()
        while _commits(lake) == seen:
            pause.wait(_LOOK_SECONDS)
        _write(target, data, delivery)

    writer = threading.Thread(target=write_the_rest, daemon=True)
    writer.start()
    return writer


def _write(target: Path, data: bytes, delivery: Delivery) -> None:
    target.write_bytes(data)
    os.utime(target, ns=(delivery.modified_ns, delivery.modified_ns))


def _commits(lake: Path) -> int:
    log = lake / "checkpoints" / "bronze" / "commits"
    return len(list(log.iterdir())) if log.is_dir() else 0
