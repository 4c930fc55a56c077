"""What is kept of the past at a moment, so small that it fits in memory, and how it moves on with the moment.

For transactions after the moment M, up to M + `SPAN`, it gives the same features as all of silver. A window
`(t - W, t]` holds everything in `(M - W + SPAN, M]`, whatever t is: of that, for each group (user, currency, online or
not) only the sums are kept (`user_5m.LONG_SUMS`). Transactions are kept as they are

- in `(M - W, M - W + SPAN]`: they leave the window between M and M + `SPAN`;
- within the short windows;
- of earlier ones the latest of a group, on which its sums stand.

The first time this is made of silver by Spark. A move adds and takes away in memory, and reads of silver only what
begins to leave a window.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from lake.transaction_features import HORIZON
from spark_jobs.instants import instant_us
from spark_jobs.user_5m import LONG_SUMS, LONGEST_WHOLE, ONLINE, is_online, weighted

# For so long after the moment what is kept is enough.
SPAN = timedelta(minutes=20)
IS_LATEST = "is_latest"

Span = tuple[datetime, datetime]
_Truths = NDArray[np.bool_]
_GROUP = ("user_id", "currency", "is_online")
# Of any number of amounts.
_MONEY = pa.decimal128(38, 4)


@dataclass(frozen=True)
class Kept:
    """What is kept at a moment.

    `rows` are transactions (columns `user_5m.INPUTS`, with what each by itself adds to the sums), of which those that
    are the latest of a group say so (`IS_LATEST`); `sums` has one row a group, with the sums that stand on it.
    """

    rows: pa.Table
    sums: pa.Table


def of_all(transactions: DataFrame, moment: datetime) -> Kept:
    """From transactions (columns `INPUTS`), of which those after the moment do not matter."""
    before = weighted(transactions.where(is_after(moment - HORIZON) & ~is_after(moment)))
    before = before.withColumn("is_online", is_online())
    newest_first = Window.partitionBy(*_GROUP).orderBy(F.desc("event_time"), F.desc("event_id"))
    ranked = before.withColumn(IS_LATEST, F.row_number().over(newest_first) == 1)
    is_kept = F.col(IS_LATEST) | of_spans(_kept_spans(moment))
    sums = before.groupBy(*_GROUP).agg(
        *(F.sum(F.when(is_after(moment - w + SPAN), F.col(name))).alias(name) for name, w in LONG_SUMS.items())
    )
    return Kept(ranked.where(is_kept).drop("is_online").toArrow(), _as_sums(sums.toArrow()))


def moved(kept: Kept, since: pa.Table, aside: pa.Table, moment: datetime, to: datetime) -> Kept:
    """From what is kept at a moment to what is kept at a later one.

    `since` are the transactions that have come since the moment, also those that came late; `aside` those of silver in
    `aside_spans(moment, to)`, each with what it adds to the sums.
    """
    held = kept.rows.drop_columns([IS_LATEST])
    come, aside = since.filter(_is_up_to(since, to)).cast(held.schema), aside.cast(held.schema)
    parts = [
        kept.sums,
        _parts(come, {name: (moment - w + SPAN, to) for name, w in LONG_SUMS.items()}),
        _parts(aside, {name: (moment - w + SPAN, to - w + SPAN) for name, w in LONG_SUMS.items()}, sign=-1),
    ]
    known = pa.concat_tables([held, come])
    known = known.filter(_mask(~_is_in(known, aside_spans(moment, to)) & _is_in(known, [(to - HORIZON, to)])))
    rows = pa.concat_tables([known, aside])
    is_latest = _latest(rows)
    rows = rows.append_column(IS_LATEST, pa.array(is_latest))
    left = rows.filter(_mask(is_latest | _is_in(rows, _kept_spans(to))))
    return Kept(left, _standing(_added(parts), left))


def with_sums(kept: Kept, moment: datetime) -> pa.Table:
    """The transactions that are kept, with what each adds to the sums from the moment on, as `user_5m` takes them."""
    rows, is_latest = kept.rows, kept.rows[IS_LATEST]
    group = pc.index_in(_names(rows), value_set=_names(kept.sums).combine_chunks())
    for name, window in LONG_SUMS.items():
        kind = rows.schema.field(name).type
        nothing = pa.scalar(0, kind)
        is_leaving = _mask(_is_in(rows, [(moment - window, moment - window + SPAN)]))
        own = pc.if_else(is_leaving, rows[name], nothing)
        standing = pc.if_else(is_latest, pc.fill_null(kept.sums[name].take(group).cast(kind), nothing), nothing)
        rows = rows.set_column(rows.column_names.index(name), name, pc.add(own, standing).cast(kind))
    return rows.drop_columns([IS_LATEST])


def aside_spans(moment: datetime, to: datetime) -> list[Span]:
    """The spans of event time (after the begin, up to the end) that a move must read: what leaves the sums."""
    return [(moment - w + SPAN, to - w + SPAN) for w in _WINDOWS]


def of_spans(spans: Iterable[Span]) -> Column:
    """Whether a transaction lies in one of some spans; with literal bounds, also on its date, so files are skipped."""
    return reduce(
        Column.__or__,
        (
            F.col("event_date").between(F.lit(begin.date()), F.lit(end.date())) & is_after(begin) & ~is_after(end)
            for begin, end in spans
        ),
    )


def is_after(moment: datetime) -> Column:
    """Whether a transaction happened after a moment."""
    return F.col("event_time") > F.lit(moment)


_WINDOWS = sorted(set(LONG_SUMS.values()))


def _kept_spans(moment: datetime) -> list[Span]:
    """Where transactions are kept as they are."""
    return [(moment - LONGEST_WHOLE, moment), *((moment - w, moment - w + SPAN) for w in _WINDOWS)]


def _is_in(rows: pa.Table, spans: Iterable[Span]) -> _Truths:
    at = _at_us(rows)
    return reduce(np.logical_or, ((at > instant_us(begin)) & (at <= instant_us(end)) for begin, end in spans))


def _is_up_to(rows: pa.Table, moment: datetime) -> pa.Array:
    return _mask(_at_us(rows) <= instant_us(moment))


def _at_us(rows: pa.Table) -> NDArray[np.int64]:
    return rows["event_time"].cast(pa.int64()).to_numpy()


def _mask(truths: _Truths) -> pa.Array:
    return pa.array(truths, pa.bool_())


def _is_online(rows: pa.Table) -> pa.ChunkedArray:
    return pc.fill_null(pc.equal(rows["channel"], ONLINE), fill_value=False)


def _parts(rows: pa.Table, spans: dict[str, Span], sign: int = 1) -> pa.Table:
    """What transactions add to (or take from) each sum, as rows of `Kept.sums`; those outside its span nothing."""
    found = {"user_id": rows["user_id"], "currency": rows["currency"], "is_online": _is_online(rows)}
    for name, span in spans.items():
        values = rows[name] if sign > 0 else pc.negate(rows[name])
        found[name] = pc.if_else(_mask(_is_in(rows, [span])), values, pa.scalar(0, values.type))
    return _as_sums(pa.table(found))


def _added(parts: Iterable[pa.Table]) -> pa.Table:
    total = pa.concat_tables(parts).group_by(list(_GROUP)).aggregate([(name, "sum") for name in LONG_SUMS])
    return _as_sums(total.rename_columns({f"{name}_sum": name for name in LONG_SUMS}))


def _as_sums(found: pa.Table) -> pa.Table:
    columns = [found[name].cast(_SUMS.field(name).type) for name in _GROUP]
    for name in LONG_SUMS:
        kind = _SUMS.field(name).type
        columns.append(pc.fill_null(found[name].cast(kind), pa.scalar(0, kind)))
    return pa.table(columns, schema=_SUMS)


_SUMS = pa.schema(
    [
        ("user_id", pa.string()),
        ("currency", pa.string()),
        ("is_online", pa.bool_()),
        *((name, _MONEY if "amount" in name else pa.int64()) for name in LONG_SUMS),
    ]
)


def _standing(sums: pa.Table, rows: pa.Table) -> pa.Table:
    """The sums of groups that have a row; all that the others have summed up is over."""
    latest = rows.filter(rows[IS_LATEST])
    return sums.filter(pc.is_in(_names(sums), value_set=_names(latest).combine_chunks()))


def _names(rows: pa.Table) -> pa.ChunkedArray:
    """One text for each group, so that no two groups have the same: a currency has three letters."""
    online = rows["is_online"] if "is_online" in rows.column_names else _is_online(rows)
    return pc.binary_join_element_wise(rows["currency"], pc.if_else(online, "1", "0"), rows["user_id"], "")


def _latest(rows: pa.Table) -> _Truths:
    """Which transactions are the latest of their group, by (event time, event id)."""
    group = _names(rows).combine_chunks().dictionary_encode().indices.to_numpy()
    at = _at_us(rows)
    order = np.lexsort((at, group))
    group, at = group[order], at[order]
    is_last = np.ones(len(order), dtype=np.bool_)
    is_last[:-1] = group[1:] != group[:-1]
    found = order[is_last]
    is_latest = np.zeros(len(order), dtype=np.bool_)
    is_latest[found] = True
    is_same = np.zeros(len(order), dtype=np.bool_)  # as the one after it, but for the id
    is_same[:-1] = (group[1:] == group[:-1]) & (at[1:] == at[:-1])
    for last in np.flatnonzero(is_last[1:] & is_same[:-1]) + 1:
        first = last
        while first > 0 and is_same[first - 1]:
            first -= 1
        tied = order[first : last + 1]
        is_latest[tied] = False
        is_latest[max(tied, key=lambda row: rows["event_id"][int(row)].as_py())] = True
    return is_latest
