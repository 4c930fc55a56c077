"""Files that are whole or absent, and JSON that every program can read."""

from __future__ import annotations

import json
import math
import os
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

_DIGITS = 6


def write_whole(path: Path, content: bytes) -> Path:
    """Write a file under another name in its folder and rename it: a reader sees the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    hidden = path.with_name(f".{path.name}.{os.getpid()}.part")
    hidden.write_bytes(content)
    os.replace(hidden, path)  # noqa: PTH105 - the same call on every system
    return path


def strict_json(value: Any) -> bytes:
    """The value as JSON of RFC 8259: NaN and infinities become null, never bare words."""
    return (json.dumps(plain(value), indent=2, allow_nan=False, ensure_ascii=False) + "\n").encode("utf-8")


def plain(value: Any) -> Any:
    """The same value of plain Python types; floats rounded to 6 significant digits, undefined ones None."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
    return value
