"""The terminal that results are printed on."""

from __future__ import annotations

import sys

from rich.console import Console

# Off a terminal (a log, a pipe) nobody can widen the window, and a cut name is no name.
console = Console() if sys.stdout.isatty() else Console(width=120)
