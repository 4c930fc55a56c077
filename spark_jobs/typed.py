"""From a line of bronze to typed columns and the faults of the line, personal data as tokens."""

from __future__ import annotations

from functools import cache

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lake.feed import Feed
from spark_jobs.parse import parse
from spark_jobs.validate import masked_rest, steps
from spark_jobs.verdicts import ARRIVAL_ORDER


def typed(lines: DataFrame, feed: Feed, key: bytes) -> DataFrame:
    """From bronze rows to the feed's typed columns, with `faults` (none for a good line), one row a line.

    Personal data are tokens of the masking key from here on, except in `line`.
    """
    rows = parse(lines, feed)
    added, kept, content_hash = _expressions(feed, key)
    for step in added:
        rows = rows.withColumns(step)
    values = rows.select(*kept)
    dated = values if feed.event_time is None else values.withColumn("event_date", F.to_date(feed.event_time))
    return dated.withColumn("content_hash", content_hash)


@cache
def _expressions(feed: Feed, key: bytes) -> tuple[list[dict[str, Column]], list[Column | str], Column]:
    """The columns that lines of a feed get in turn, those that are kept, and the hash of the content.

    Built once a program: it takes longer than their analysis, and release of orphans asks for them again and again.
    """
    kept: list[Column | str] = [*feed.value_names, masked_rest().alias("rest"), "faults", "line", *ARRIVAL_ORDER]
    return steps(feed, key), kept, _content_hash(feed)


def _content_hash(feed: Feed) -> Column:
    """Tells what lines hold apart.

    Nulls are skipped by the hash, so each value comes with its name; and a field that is declared later, and that a
    line does not have, leaves the hash of the line as it was.
    """
    values = {name: F.col(name) for name in (*feed.value_names, "rest")}
    for field in feed.fields:
        # What a field is filled with is nothing that the line holds.
        if field.default is not None:
            values[field.name] = F.nullif(F.col(field.name), F.lit(field.default))
        if field.falls_back_on:
            values[field.name] = F.nullif(F.col(field.name), F.col(field.falls_back_on))
    named = [(F.when(value.isNotNull(), name), value) for name, value in values.items()]
    return F.xxhash64(*(part for pair in named for part in pair))
