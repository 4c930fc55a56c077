"""What is kept of the past at a moment, so small that it fits in memory, and how it moves on with the moment.

All of it are transactions, each with what it adds to the sums over long windows (`user_5m.LONG_SUMS`). For transactions
after the moment M, up to M + `SPAN`, they give the same features as all of silver:

- a window `(t - W, t]` holds everything in `(M - W + SPAN, M]`, whatever t is: that is summed up, and stands on the
  latest transaction of its group (user, currency, online or not);
- what lies in `(M - W, M - W + SPAN]` leaves the window between M and M + `SPAN`: those transactions stay as they are;
- of earlier ones only the latest of a group is asked for, and all within the short windows.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from lake.transaction_features import HORIZON
from spark_jobs.user_5m import LONG_SUMS, LONGEST_WHOLE, is_online, weighted

# For so long after the moment what is kept is enough.
SPAN = timedelta(minutes=20)

_GROUP = ("user_id", "currency", "is_online")


def of_all(transactions: DataFrame, moment: datetime) -> DataFrame:
    """From transactions (columns `INPUTS`) to what is kept at a moment, and all that came after it."""
    rows = weighted(transactions.where(is_after(moment - HORIZON)))
    before = rows.where(~is_after(moment))
    parts = before.select(
        *_group(), *(_if(is_after(moment - w + SPAN), name).alias(name) for name, w in LONG_SUMS.items())
    )
    return _kept(before, _sums(parts), moment).unionByName(rows.where(is_after(moment)))


def moved(kept: DataFrame, aside: DataFrame, moment: datetime, to: datetime) -> DataFrame:
    """From what is kept at a moment, and all that came after it, to what is kept at a later one.

    `kept` holds each transaction that has come since as it is, also those that came late. `aside` are the transactions
    (columns `INPUTS`) of `aside_spans(moment, to)`.
    """
    left = weighted(aside)
    come = kept.where(~is_after(to)).select(
        *_group(), *(_if(is_after(moment - w + SPAN), name).alias(name) for name, w in LONG_SUMS.items())
    )
    gone = left.select(
        *_group(),
        *((-_if(is_between(moment - w + SPAN, to - w + SPAN), name)).alias(name) for name, w in LONG_SUMS.items()),
    )
    is_aside = _any(is_between(to - w, to - w + SPAN) for _, w in LONG_SUMS.items())
    before = kept.where(is_after(to - HORIZON) & ~is_after(to) & ~is_aside).unionByName(left.where(is_aside))
    return _kept(before, _sums(come.unionByName(gone)), to).unionByName(kept.where(is_after(to)))


def aside_spans(moment: datetime, to: datetime) -> list[tuple[datetime, datetime]]:
    """The spans of event time (after the begin, up to the end) that a move must read: what leaves the sums, and what
    will leave the windows soon after."""
    windows = sorted({w for _, w in LONG_SUMS.items()})
    return [(min(moment - w + SPAN, to - w), to - w + SPAN) for w in windows]


def of_spans(spans: Iterable[tuple[datetime, datetime]]) -> Column:
    """Whether a transaction lies in one of some spans; with literal bounds, also on its date, so files are skipped."""
    return _any(
        F.col("event_date").between(F.lit(begin.date()), F.lit(end.date())) & is_between(begin, end)
        for begin, end in spans
    )


def is_after(moment: datetime) -> Column:
    """Whether a transaction happened after a moment."""
    return F.col("event_time") > F.lit(moment)


def is_between(begin: datetime, end: datetime) -> Column:
    """Whether a transaction happened after one moment, and at the latest at another."""
    return is_after(begin) & ~is_after(end)


def _kept(before: DataFrame, sums: DataFrame, moment: datetime) -> DataFrame:
    """Of the transactions up to a moment those that are kept, with what each adds to the sums from then on."""
    newest_first = Window.partitionBy(*_GROUP).orderBy(F.desc("event_time"), F.desc("event_id"))
    ranked = before.withColumn("is_online", is_online())
    ranked = ranked.withColumn("is_latest", F.row_number().over(newest_first) == 1)
    is_leaving = {name: is_between(moment - w, moment - w + SPAN) for name, w in LONG_SUMS.items()}
    is_kept = F.col("is_latest") | is_after(moment - LONGEST_WHOLE) | _any(is_leaving.values())
    joined = ranked.where(is_kept).join(sums, on=list(_GROUP), how="left")
    added = {
        name: _if(is_leaving[name], name) + _if(F.col("is_latest"), f"sum_{name}") for name, _ in LONG_SUMS.items()
    }
    return joined.withColumns({name: value.cast(before.schema[name].dataType) for name, value in added.items()}).select(
        before.columns
    )


def _sums(parts: DataFrame) -> DataFrame:
    return parts.groupBy(*_GROUP).agg(*(F.sum(name).alias(f"sum_{name}") for name, _ in LONG_SUMS.items()))


def _group() -> list[Column]:
    return [F.col("user_id"), F.col("currency"), is_online().alias("is_online")]


def _if(condition: Column, name: str) -> Column:
    return F.coalesce(F.when(condition, F.col(name)), F.lit(0))


def _any(conditions: Iterable[Column]) -> Column:
    return reduce(Column.__or__, conditions)
