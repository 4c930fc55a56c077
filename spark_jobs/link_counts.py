"""The counts of `spark_jobs/links.py` from uses that are in memory, without a query: it costs more than few rows do.

What is counted is declared once; how, stands here for a running stream and there for Spark, by the same running sum.
Tests hold both against plain Python, and `risklake features parity` one against the other.
"""

from __future__ import annotations

from functools import reduce
from operator import or_

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lake.feature_tables import EVENT
from lake.transaction_features import LINK_FEATURES
from spark_jobs.instants import length_us
from spark_jobs.links import KEYS, changed_column

# As `links.uses` makes them.
USES = pa.schema(
    [
        ("event_id", pa.string()),
        ("at_us", pa.int64()),
        ("feature", pa.string()),
        ("key", pa.string()),
        ("value", pa.string()),
    ]
)

_Numbers = NDArray[np.int64]
_LENGTHS_US = {one.name: length_us(one.window) for one in LINK_FEATURES}
_NO_VALUE = -1


def uses_of(transactions: pa.Table) -> pa.Table:
    """What `links.uses` makes of transactions, of such in memory (columns of `silver.transactions`)."""
    uses = [USES.empty_table()]
    for one in LINK_FEATURES:
        some = transactions.filter(pc.is_valid(transactions[one.key]))
        feature = pa.array([one.name] * some.num_rows, pa.string())
        columns = [some["event_id"], some["event_time"].cast(pa.int64()), feature, some[one.key], some[one.of]]
        uses.append(pa.table(columns, schema=USES))
    return pa.concat_tables(uses)


def changed_counts(before: pa.Table, new: pa.Table) -> pd.DataFrame:
    """What `links.changed_links` says of new uses and those before them (`USES`), one row a transaction."""
    together = pa.concat_tables([before, new])
    is_new = np.arange(len(together)) >= len(before)
    link, value, at_us, length_us = _as_numbers(together)
    counts = running_counts(link, value, at_us, length_us)
    old = ~is_new
    counts_before = counts.copy()
    counts_before[old] = running_counts(link[old], value[old], at_us[old], length_us[old])
    found = pd.DataFrame(
        {
            "event_id": together["event_id"].to_pandas(),
            "feature": together["feature"].to_pandas(),
            "event_time": pd.to_datetime(at_us, unit="us", utc=True).as_unit("us"),
            "is_new": is_new,
            "count": counts,
            "is_changed": counts != counts_before,
        }
    )
    return _by_transaction(found[found["event_id"].notna()])


def running_counts(link: _Numbers, value: _Numbers, at_us: _Numbers, length_us: _Numbers) -> _Numbers:
    """For each use, how many values of its link count at its instant; `_NO_VALUE` is none."""
    order = np.lexsort((at_us, value, link))
    this, following = order[:-1], order[1:]
    is_used_again = (link[this] == link[following]) & (value[this] == value[following])
    until = at_us + length_us
    until[this] = np.where(is_used_again, np.minimum(until[this], at_us[following]), until[this])
    counts = value != _NO_VALUE
    steps = np.repeat([1, -1, 0], [counts.sum(), counts.sum(), len(link)])
    moments = np.concatenate([at_us[counts], until[counts], at_us])
    links = np.concatenate([link[counts], link[counts], link])
    # What asks comes after what adds and takes at the same instant. All steps of a link come to 0.
    order = np.lexsort((steps == 0, moments, links))
    totals = np.empty_like(steps)
    totals[order] = np.cumsum(steps[order])
    return totals[-len(link) :] if len(link) else totals


def _as_numbers(uses: pa.Table) -> tuple[_Numbers, _Numbers, _Numbers, _Numbers]:
    """The link, value, instant and length of the window of each use."""
    feature, key = _codes(uses["feature"]), _codes(uses["key"])
    lengths = np.array([_LENGTHS_US[name] for name in uses["feature"].to_pylist()], dtype=np.int64)
    link = feature * (key.max(initial=0) + 1) + key
    return link, _codes(uses["value"]), uses["at_us"].to_numpy(), lengths


def _codes(column: pa.ChunkedArray) -> _Numbers:
    codes = column.combine_chunks().dictionary_encode().indices
    return pc.fill_null(codes, _NO_VALUE).to_numpy(zero_copy_only=False).astype(np.int64)


def _by_transaction(found: pd.DataFrame) -> pd.DataFrame:
    rows = found.groupby(list(EVENT), sort=False).agg(is_new=("is_new", "first"))
    for one in LINK_FEATURES:
        of_one = found[found["feature"] == one.name].set_index(list(EVENT))
        rows[one.name] = of_one["count"].astype("Int32")
        rows[f"is_changed_{one.name}"] = of_one["is_changed"].reindex(rows.index, fill_value=False)
    for key, features in KEYS.items():
        rows[changed_column(key)] = reduce(or_, [rows.pop(f"is_changed_{one.name}") for one in features])
    is_changed = reduce(or_, [rows[changed_column(key)] for key in KEYS])
    return rows[rows["is_new"] | is_changed].reset_index()
