"""Rows in memory: all with one of some keys are found, and no other."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_jobs import keyed_rows
from spark_jobs.keyed_rows import KeyedRows

SCHEMA = pa.schema([("key", pa.string()), ("value", pa.int64())])
KEYS = st.sampled_from([None, "", "a", "b", "ä", "'; drop", *(f"k{n}" for n in range(9))])


def table(keys: list[str | None], first: int = 0) -> pa.Table:
    return pa.table([keys, range(first, first + len(keys))], schema=SCHEMA)


@given(batches=st.lists(st.lists(KEYS, max_size=6), max_size=9), asked=st.lists(KEYS, max_size=5, unique=True))
def test_all_rows_of_the_keys_are_found_and_no_others_however_they_came(
    batches: list[list[str | None]], asked: list[str | None]
) -> None:
    rows, given_rows = KeyedRows("key", SCHEMA), list[tuple[str | None, int]]()
    for keys in batches:
        piece = table(keys, len(given_rows))
        rows.add(piece)
        given_rows += zip(keys, piece["value"].to_pylist(), strict=True)
    found = rows.of(pa.array(asked, pa.string()))
    assert sorted(found["value"].to_pylist()) == [n for key, n in given_rows if key in set(asked) - {None}]
    assert sorted(rows.rows()["value"].to_pylist()) == list(range(len(given_rows)))
    assert len(rows) == len(given_rows)


def test_keys_that_share_a_hash_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyed_rows, "hashes", lambda ids: np.zeros(len(ids), dtype=np.uint64))
    rows = KeyedRows("key", SCHEMA)
    rows.add(table(["a", "b", "a"]))
    assert rows.of(pa.array(["a"]))["value"].to_pylist() == [0, 2]


def test_rows_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="schema"):
        KeyedRows("key", SCHEMA).add(pa.table({"key": ["a"]}))
