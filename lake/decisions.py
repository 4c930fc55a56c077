"""What analysts decided: the one place that says of which events a decision is."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from lake import storage
from lake.catalog import DISPOSITIONS
from lake.settings import Settings


def decisions(spark: SparkSession, settings: Settings) -> DataFrame | None:
    """The rows of `alerts.dispositions`; None where nobody has decided anything.

    Raises `SchemaError` for a table of an earlier version.
    """
    if not storage.exists(spark, settings, DISPOSITIONS.name):
        return None
    storage.require_columns(spark, settings, DISPOSITIONS.name)
    return storage.read(spark, settings, DISPOSITIONS.name)


def is_about(feed: Column, watches: Column | str = "watches") -> Column:
    """Whether a decision (by its `watches`) is about an event of a feed: an order may have the id of a payment.

    Of which feed an event was is not known of decisions of earlier versions; they count for each.
    """
    decided_of = F.col(watches) if isinstance(watches, str) else watches
    return F.coalesce(decided_of == feed, F.lit(True))
