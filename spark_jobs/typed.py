"""From a line of bronze to typed columns and the faults of the line, personal data as tokens."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lake.feed import Feed
from spark_jobs.parse import parse
from spark_jobs.validate import check, checked_lines, masked_rest, opened
from spark_jobs.verdicts import ARRIVAL_ORDER


def typed(lines: DataFrame, feed: Feed, key: bytes) -> DataFrame:
    """From bronze rows to the feed's typed columns, with `faults` (none for a good line), one row a line.

    Personal data are tokens of the masking key from here on, except in `line`.
    """
    checked = [check(field, feed, key) for field in feed.fields]
    values = checked_lines(opened(parse(lines, feed), feed, key), checked).select(
        *feed.value_names, masked_rest().alias("rest"), "faults", "line", *ARRIVAL_ORDER
    )
    hashed = [part for name in feed.value_names for part in (F.col(name), F.col(name).isNull())]
    # Nulls are skipped by the hash, so each column also says whether it is one.
    content = F.xxhash64(*hashed, F.coalesce("rest", F.lit("")))
    dated = values if feed.event_time is None else values.withColumn("event_date", F.to_date(feed.event_time))
    return dated.withColumn("content_hash", content)
