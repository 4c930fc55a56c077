"""Columns of text, built by Arrow, never row by row: numbers, amounts and times."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from generator.payments import DAY_MS, MINUTE_MS, Flags, Floats, Integers
from generator.places import CURRENCIES, MINOR_UNITS, PER_USD

# Odd, so that multiplying by it modulo 2**32 gives each number another one of its own.
_SCRAMBLE = 2_654_435_761

Text: TypeAlias = pa.Array | pa.Scalar | str


def column(values: NDArray[np.generic]) -> pa.Array:
    """Whole numbers or flags as a column of Arrow.

    What `pa.array` does, but that imports pandas to look for its types, which takes a second in each process.
    """
    if values.dtype == np.bool_:
        bits = pa.py_buffer(np.packbits(values.view(np.uint8), bitorder="little"))
        return pa.Array.from_buffers(pa.bool_(), len(values), [None, bits])
    whole = np.ascontiguousarray(values, dtype=np.int64)
    return pa.Array.from_buffers(pa.int64(), len(whole), [None, pa.py_buffer(whole)])


def words_of(words: Iterable[str]) -> pa.Array:
    """Words as a column of Arrow; for the same reason not by `pa.array`."""
    encoded = [word.encode() for word in words]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    return pa.StringArray.from_buffers(len(encoded), pa.py_buffer(ends), pa.py_buffer(b"".join(encoded)))


def same(word: str) -> pa.Scalar:
    """A word that is the same in each row."""
    return words_of([word])[0]


def whole(numbers: Integers) -> pa.Array:
    """Whole numbers as text."""
    return pc.cast(column(numbers), pa.string())


def joined(*pieces: Text) -> pa.Array:
    """The pieces of each row one after the other; a piece that is no column is the same in every row."""
    return pc.binary_join_element_wise(*[same(p) if isinstance(p, str) else p for p in pieces], same(""))


def looked_up(words: Sequence[str], rows: Integers) -> pa.Array:
    """The word of each row from a table of words."""
    return words_of(words).take(column(rows))


def padded(numbers: Integers, width: int) -> pa.Array:
    """Whole numbers, zeros before them up to a width."""
    return pc.utf8_lpad(whole(numbers), width, "0")


def scrambled(numbers: Integers, seed: int) -> pa.Array:
    """Ten digits for each number below 2**32, another for each, that do not tell the number."""
    return padded((numbers * _SCRAMBLE + seed * 97) % 2**32, 10)


def where(flags: Flags, text: pa.Array | pa.Scalar) -> pa.Array:
    """The text where the flag is set, nothing elsewhere."""
    return pc.if_else(column(flags), text, same(""))


def minor_units(usd: Floats, currency: Integers) -> Integers:
    """Amounts in the smallest unit of their currency, at least one."""
    return np.maximum(1, np.rint(usd * PER_USD[currency] * MINOR_UNITS[currency])).astype(np.int64)


def amounts(usd: Floats, currency: Integers) -> pa.Array:
    """Amounts as JSON numbers, exact to the minor unit of their currency."""
    minor = minor_units(usd, currency)
    unit = MINOR_UNITS[currency]
    fraction = _FRACTION_START[currency] + minor % unit
    return joined(whole(minor // unit), _FRACTIONS.take(column(fraction)))


def dates(start_ms: int, time_ms: Integers) -> pa.Array:
    """Days (UTC) as ISO 8601; `start_ms` is the first midnight since 1970."""
    day = (start_ms + time_ms) // DAY_MS
    first = int(day.min()) if len(day) else 0
    last = int(day.max()) if len(day) else 0
    words = np.datetime_as_string(np.arange(first, last + 1).astype("datetime64[D]")).tolist()
    return looked_up(words, day - first)


def times(start_ms: int, time_ms: Integers) -> pa.Array:
    """Times as ISO 8601 in UTC with milliseconds; `start_ms` is the first midnight since 1970."""
    in_day = time_ms % DAY_MS
    return joined(
        dates(start_ms, time_ms),
        "T",
        _MINUTES.take(column(in_day // MINUTE_MS)),
        _SECONDS.take(column(in_day % MINUTE_MS)),
    )


def _fractions() -> tuple[pa.Array, Integers]:
    words: list[str] = []
    start: list[int] = []
    for currency in CURRENCIES:
        start.append(len(words))
        units = 10**currency.decimals
        words += [f".{n:0{currency.decimals}d}" if currency.decimals else "" for n in range(units)]
    return words_of(words), np.array(start)


_FRACTIONS, _FRACTION_START = _fractions()
_MINUTES = words_of(f"{n // 60:02d}:{n % 60:02d}:" for n in range(DAY_MS // MINUTE_MS))
_SECONDS = words_of(f"{n // 1000:02d}.{n % 1000:03d}Z" for n in range(MINUTE_MS))
