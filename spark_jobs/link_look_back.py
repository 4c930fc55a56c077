"""What the counts of devices and payment methods in a micro-batch depend on: how they were used by anybody."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark_jobs import links
from spark_jobs.kept_history import is_after
from spark_jobs.link_counts import uses_of
from spark_jobs.link_memory import LinkMemory
from spark_jobs.look_back import Batch, LookBack


@dataclass
class LinkLookBack(LookBack[LinkMemory]):
    """The counts of the devices and payment methods of a micro-batch, and those that it changes, as
    `links.changed_links` gives them."""

    KEY = "key"
    INSTANT = "at_us"
    HORIZON = links.HORIZON
    # Of one value each; about a gigabyte.
    MOST = 6_000_000

    def _asked(self, transactions: DataFrame) -> DataFrame:
        return links.uses(transactions)

    def _asked_in_memory(self, transactions: pa.Table) -> pa.Table:
        return uses_of(transactions)

    def _from_silver(self, batch: Batch, new: DataFrame) -> DataFrame:
        return links.changed_links(super()._from_silver(batch, new))

    def _united(self, kept: DataFrame, read: DataFrame) -> DataFrame:
        return links.united(super()._united(kept, read))

    def _count(self, silver: DataFrame, moment: datetime) -> int:
        return _recent(silver, moment).select("feature", "key", "value").distinct().count()

    def _begun(self, silver: DataFrame, moment: datetime) -> LinkMemory:
        return LinkMemory.begun(_recent(silver, moment).toArrow(), moment, silver.sparkSession)

    def _moved(self, memory: LinkMemory, silver: DataFrame, to: datetime) -> LinkMemory:
        return memory.moved(to)


def _recent(silver: DataFrame, moment: datetime) -> DataFrame:
    begin = moment - links.HORIZON
    return links.uses(silver.where((F.col("event_date") >= F.lit(begin.date())) & is_after(begin)))
