"""The files of a run, read back into tables: lines that chaos spoiled are left out, whatever they hold."""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json

from generator.payments import DAY_MS, Integers
from lake.errors import UsageError

_TEXTS = ("event_id", "user_id", "merchant_id", "currency", "country", "event_time", "channel", "status", "device_id")
PAYMENT = pa.schema([("amount", pa.float64()), *((name, pa.string()) for name in _TEXTS)])
REFERENCE = pa.schema([(name, pa.string()) for name in ("user_id", "merchant_id", "country", "created_date")])
DISPUTE = pa.schema([(name, pa.string()) for name in ("event_id", "reason", "reported_at")])
LABEL = pa.schema([("event_id", pa.string()), ("is_fraud", pa.int8()), ("scenario", pa.string())])
# A cheap look before the real reader: a whole object without control characters, whose amount is a number.
_INTACT = re.compile(rb'^\{[^\x00-\x1f]*"amount":\d[^\x00-\x1f]*\}$', re.MULTILINE)
_USER = re.compile(rb'"user_id":"([^"]*)"')


def rows(files: Iterable[Path], schema: pa.Schema) -> pa.Table:
    """The lines of files without chaos, one after the other. Raises `UsageError` for a file that cannot be read."""
    return together([_read(file, lambda text: _json(text, schema)) for file in files], schema)


def payments(file: Path, users: frozenset[bytes] | None = None) -> pa.Table:
    """The whole lines of a file of payments, in their order; only those of some users where these are given.

    Raises `UsageError` for a file that cannot be read.
    """
    return _read(file, lambda text: parsed(text if users is None else _of_users(text, users)))


def labels(file: Path) -> pa.Table:
    """The truth about the payments of a slot. Raises `UsageError` for a file that cannot be read."""
    options = pyarrow.csv.ConvertOptions(column_types=LABEL)
    return _read(file, lambda text: pyarrow.csv.read_csv(io.BytesIO(text), convert_options=options))


def parsed(text: bytes) -> pa.Table:
    """The payments among lines of text that are whole and of the right types, in their order."""
    lines = _INTACT.findall(text)
    try:
        return _json(b"\n".join(lines), PAYMENT)
    except pa.ArrowInvalid:
        # No line at all, or one that only looks whole: one by one, those that cannot be read are left out.
        return together([table for table in map(_one, lines) if table is not None], PAYMENT)


def together(tables: list[pa.Table], schema: pa.Schema) -> pa.Table:
    """The rows of all tables in one piece; a table of no rows where there is none."""
    return pa.concat_tables([schema.empty_table(), *tables]).combine_chunks()


def positions(column: pa.ChunkedArray, words: pa.ChunkedArray | pa.Array) -> Integers:
    """Where each word of a column stands in a list of words, from 0; -1 where it does not."""
    known = words.combine_chunks() if isinstance(words, pa.ChunkedArray) else words
    return pc.fill_null(pc.index_in(column, value_set=known), -1).to_numpy().astype(np.int64)


def moments(column: pa.ChunkedArray) -> Integers:
    """Times as milliseconds since 1970 (UTC)."""
    return pc.cast(pc.cast(column, pa.timestamp("ms", "UTC")), pa.int64()).to_numpy()


def midnights(column: pa.ChunkedArray) -> Integers:
    """The first moments of days, as milliseconds since 1970 (UTC)."""
    return pc.cast(pc.cast(column, pa.date32()), pa.int32()).to_numpy().astype(np.int64) * DAY_MS


def numbered(column: pa.ChunkedArray) -> Integers:
    """A number for each name, the same in all files; 0 where there is none."""
    import pandas as pd

    names = pc.fill_null(column, "").to_numpy()
    return np.where(names == "", 0, pd.util.hash_array(names).astype(np.int64))


def _of_users(text: bytes, users: frozenset[bytes]) -> bytes:
    # Most lines are left out, so to find the users first costs a fraction of reading them all.
    places = (found.start() for found in _USER.finditer(text) if found[1] in users)
    return b"\n".join(text[text.rfind(b"\n", 0, at) + 1 : text.find(b"\n", at)] for at in places)


def _one(line: bytes) -> pa.Table | None:
    try:
        return _json(line, PAYMENT)
    except pa.ArrowInvalid:
        return None


def _json(text: bytes, schema: pa.Schema) -> pa.Table:
    options = pyarrow.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    return pyarrow.json.read_json(io.BytesIO(text), parse_options=options)


def _read(file: Path, read: Callable[[bytes], pa.Table]) -> pa.Table:
    try:
        return read(gzip.decompress(file.read_bytes()))
    except (OSError, EOFError, zlib.error, pa.ArrowInvalid) as error:
        fix = "generate the run anew into another folder"
        raise UsageError(f"{file} cannot be read back ({str(error).splitlines()[0]}): {fix}") from error
