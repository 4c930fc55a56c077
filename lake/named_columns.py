"""Columns by their names, each made once a program: each is a call into Java, and a micro-batch names hundreds."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from pyspark.sql import Column
from pyspark.sql import functions as F

named = cache(F.col)


def all_named(names: Iterable[str]) -> list[Column]:
    """The columns of these names, in their order."""
    return [named(name) for name in names]
