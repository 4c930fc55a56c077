"""From a record of CSV to the line of JSON that says the same."""

from __future__ import annotations

import csv
import json
import re
from functools import lru_cache

import pyarrow as pa

from spark_jobs.line_splitting import separator_of


def csv_object(header: str, record: str) -> str | None:
    """The record as a JSON object: each value a text, or null where it is empty and not in quotes.

    None where that cannot be said for certain: the record has more or fewer values than the header has names, the
    header has an empty or repeated name, or quotes are not closed, or followed by something else.
    """
    names, separator = _names(header)
    values = _values(record, separator)
    if names is None or values is None or len(names) != len(values):
        return None
    return json.dumps(dict(zip(names, values, strict=True)), ensure_ascii=False, separators=(",", ":"))


def csv_objects(headers: pa.Array, records: pa.Array) -> pa.Array:
    """`csv_object` for an Arrow UDF; a null, and bytes that are no UTF-8, give null."""
    return pa.array(map(_object, _bytes(headers), _bytes(records)), pa.string())


def _bytes(texts: pa.Array) -> list[bytes | None]:
    return texts.cast(pa.large_binary()).to_pylist()


def _object(header: bytes | None, record: bytes | None) -> str | None:
    if header is None or record is None:
        return None
    try:
        return csv_object(header.decode("utf-8"), record.decode("utf-8"))
    except UnicodeDecodeError:
        return None


@lru_cache(maxsize=64)
def _names(header: str) -> tuple[list[str] | None, str]:
    separator = separator_of(header.encode("utf-8")).decode("ascii")
    names = _values(header.removeprefix("\ufeff"), separator)
    if not names or None in names or "" in names or len(set(names)) < len(names):
        return None, separator
    return [str(name) for name in names], separator


def _values(record: str, separator: str) -> list[str | None] | None:
    try:
        [values] = csv.reader([record], delimiter=separator, strict=True)
    except (csv.Error, ValueError):
        return None
    if '""' not in record:
        return [value or None for value in values]
    # Python tells an empty value in quotes from one without only since 3.12.
    pattern = rf'("[^"]*(?:""[^"]*)*"|[^{separator}]*)(?:{separator}|\Z)'
    written = re.findall(pattern, record.rstrip("\r\n"))
    return [value if value or text else None for value, text in zip(values, written, strict=False)]
