"""ISO codes that a field may hold, from the Unicode CLDR as Babel ships it."""

from __future__ import annotations

from functools import cache

from babel import Locale
from babel.numbers import list_currencies

# CLDR has these two-letter codes for groupings and tests; they are no countries.
_NOT_COUNTRIES = {"EU", "EZ", "QO", "UN", "XA", "XB", "ZZ"}


@cache
def countries() -> tuple[str, ...]:
    """ISO 3166-1 alpha-2 codes (and XK), sorted."""
    territories = [str(code) for code in Locale("en").territories]
    return tuple(sorted(c for c in territories if len(c) == 2 and c.isalpha() and c not in _NOT_COUNTRIES))


@cache
def currencies() -> tuple[str, ...]:
    """ISO 4217 codes, sorted; former currencies included, so that old payments can be loaded."""
    return tuple(sorted(list_currencies()))
