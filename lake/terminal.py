"""The terminal that results are printed on."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

# What a terminal would obey, and what turns text around, so that it reads other than it is.
_STEERING = (*range(0x20), *range(0x7F, 0xA0))
_TURNING = (*range(0x200E, 0x2010), *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_UNPRINTABLE = {code: "\ufffd" for code in (*_STEERING, *_TURNING) if chr(code) not in "\n\t"}


def printable(text: str) -> str:
    """A text without characters that steer a terminal, such as those that producers put into names of files."""
    return text.translate(_UNPRINTABLE)


class Terminal(Console):
    """A console on which no text from data steers the terminal; colours and bars of its own do."""

    def render_str(self, text: str, **how: Any) -> Text:
        """A text with its markup, as wide as it will be printed."""
        return super().render_str(printable(text), **how)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The parts of what is printed."""
        for part in super().render(renderable, options):
            yield part if part.control else Segment(printable(part.text), part.style)


# Off a terminal (a log, a pipe) nobody can widen the window, and a cut name is no name.
console = Terminal() if sys.stdout.isatty() else Terminal(width=120)
