"""Rests: a stream that has written its micro-batch goes on when there is a reason to, and notes it as done then.

Spark looks for more as soon as a micro-batch is noted, and again at each trigger, and each time Delta lists all of the
log of a table: with an hour of micro-batches in it, and six streams that looked ten times a second, that took a core.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from pyspark.sql import DataFrame

Asked = Callable[[], bool]
Write = Callable[[DataFrame, int], None]

_LOOK_SECONDS = 0.05
_KEPT = 16


@dataclass
class Rest:
    """The rest of one stream: until `has_reason` to go on, `longest_s` at most, or until it `is_ended` for good.

    `ms` says of the last micro-batches how long the rest behind each was, in milliseconds.
    """

    has_reason: Asked
    longest_s: float
    is_on: bool = False
    is_ended: threading.Event = field(default_factory=threading.Event)
    ms: dict[int, int] = field(default_factory=dict)

    def after(self, write: Write) -> Write:
        """The same, with a rest behind it."""

        def write_and_rest(batch: DataFrame, batch_id: int) -> None:
            write(batch, batch_id)
            self.is_on, began = True, time.monotonic()
            while not self.is_ended.is_set() and not self.has_reason() and time.monotonic() - began < self.longest_s:
                self.is_ended.wait(_LOOK_SECONDS)
            self.is_on, self.ms[batch_id] = False, round((time.monotonic() - began) * 1000)
            self.ms.pop(batch_id - _KEPT, None)

        return write_and_rest
