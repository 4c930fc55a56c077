"""Hashes of ids, sorted so that those of some ids are found among millions without looking at each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Positions = NDArray[np.int64]


def hashes(ids: Sequence[str | None]) -> Hashes:
    """A hash of eight bytes of each id; two ids may share one."""
    return pd.util.hash_array(np.array(ids, dtype=object), categorize=False)


def order_of(unsorted: Hashes) -> Positions:
    """The positions of hashes in ascending order."""
    return np.argsort(unsorted, kind="stable")


def positions(ascending: Hashes, wanted: Hashes) -> Positions:
    """Where in sorted hashes any that is wanted stands."""
    asked = np.unique(wanted)
    left, right = np.searchsorted(ascending, asked, "left"), np.searchsorted(ascending, asked, "right")
    found = [np.arange(a, b) for a, b in zip(left, right, strict=True) if b > a]
    return np.concatenate(found) if found else np.empty(0, dtype=np.int64)


def are_among(ascending: Hashes, wanted: Hashes) -> NDArray[np.bool_]:
    """Whether each that is wanted stands among sorted hashes."""
    return np.searchsorted(ascending, wanted, "left") < np.searchsorted(ascending, wanted, "right")
