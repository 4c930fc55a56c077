"""What the features of users in a micro-batch depend on: their own transactions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lake.transaction_features import HORIZON
from spark_jobs import kept_history, seen
from spark_jobs.kept_history import is_after
from spark_jobs.look_back import Batch, LookBack
from spark_jobs.user_5m import is_online, weighted
from spark_jobs.user_memory import UserMemory


@dataclass
class UserLookBack(LookBack[UserMemory]):
    """The transactions that those of a micro-batch depend on, and those which depend on them, as `user_5m` takes them.

    What is kept is what is known of each user (`spark_jobs/user_memory.py`).
    """

    KEY = "user_id"
    INSTANT = "event_time"
    HORIZON = HORIZON
    # Of users, currencies and ways of paying; about a gigabyte.
    MOST = 3_000_000

    def _asked(self, transactions: DataFrame) -> DataFrame:
        return weighted(transactions)

    def _asked_in_memory(self, transactions: pa.Table) -> pa.Table:
        return transactions

    def _from_silver(self, batch: Batch, new: DataFrame) -> DataFrame:
        return super()._from_silver(batch, new).withColumns(seen.nothing())

    def _count(self, silver: DataFrame, moment: datetime) -> int:
        return _recent(silver, moment).select("user_id", "currency", is_online()).distinct().count()

    def _begun(self, silver: DataFrame, moment: datetime) -> UserMemory:
        return UserMemory.begun(_recent(silver, moment), moment)

    def _moved(self, memory: UserMemory, silver: DataFrame, to: datetime) -> UserMemory:
        return memory.moved(silver.where(kept_history.of_spans(kept_history.aside_spans(memory.moment, to))), to)


def _recent(silver: DataFrame, moment: datetime) -> DataFrame:
    begin = moment - HORIZON
    return silver.where((F.col("event_date") >= F.lit(begin.date())) & is_after(begin))
