"""The history of reference feeds: versions of users, merchants and the like, with the time in which each was valid."""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from lake.feed import Feed
from lake.feed_tables import history_table
from spark_jobs.verdicts import ARRIVAL_ORDER


def versions(accepted: DataFrame, history: DataFrame, feed: Feed) -> DataFrame:
    """All versions of the things that accepted rows describe, as rows of the history: theirs and those held already.

    Versions follow each other in the order of arrival; each is valid until the next one arrived. The same rows twice
    give the same versions.
    """
    columns = [
        name for name in history_table(feed).column_names if name not in ("valid_from", "valid_to", "is_current")
    ]
    of_these = history.join(accepted.select(feed.key).distinct(), on=feed.key, how="left_semi")
    new = accepted.select(columns).join(of_these.select(*feed.identity), on=list(feed.identity), how="left_anti")
    in_order = Window.partitionBy(feed.key).orderBy(*ARRIVAL_ORDER)
    following = F.lead("arrived_at").over(in_order)
    return (
        of_these.select(columns)
        .unionByName(new)
        .withColumns({"valid_from": F.col("arrived_at"), "valid_to": following, "is_current": following.isNull()})
    )
