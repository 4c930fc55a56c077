"""When each user was last seen at each merchant and on each device, one row a user."""

from __future__ import annotations

from datetime import datetime
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lake.transaction_features import HORIZON

# Column of a transaction to the column of arrays that is kept of its user, and to what `user_5m` takes: when the user
# was last seen at this merchant, or on this device.
KEYS = {"merchant_id": "seen_merchants", "device_id": "seen_devices"}
LAST = {"merchant_id": "merchant_seen_at", "device_id": "device_seen_at"}
TYPE = "array<struct<id: string, at: timestamp>>"


def of_all(transactions: DataFrame, moment: datetime) -> DataFrame:
    """From transactions up to a moment to one row a user, with arrays of (id, at)."""
    return _gathered(_visits(transactions), moment)


def moved(seen: DataFrame, fresh: DataFrame, moment: datetime) -> DataFrame:
    """The same at a later moment, from what has come since; only rows of users who did something are made anew."""
    users = fresh.select("user_id").distinct()
    old = seen.join(users, on="user_id", how="left_semi")
    known = [
        old.select("user_id", F.lit(key).alias("key"), F.inline(column).alias("id", "at"))
        for key, column in KEYS.items()
    ]
    visits = reduce(DataFrame.unionByName, [*known, _visits(fresh)])
    # Every payment is one at a merchant.
    is_current = F.exists("seen_merchants", lambda one: one["at"] >= moment - HORIZON)
    others = seen.join(users, on="user_id", how="left_anti").where(is_current)
    return others.unionByName(_gathered(visits, moment))


def nothing() -> dict[str, Column]:
    """The columns of `LAST`, for transactions of which all earlier ones are there."""
    return {column: F.lit(None).cast("timestamp") for column in LAST.values()}


def last_seen(known: pa.Table, rows: pa.Table) -> pa.Table:
    """Add the columns of `LAST` to transactions; `known` are the rows of their users."""
    for key, arrays in KEYS.items():
        visits = known[arrays].combine_chunks()
        users = known["user_id"].combine_chunks().take(pc.list_parent_indices(visits))
        ids, at = pc.struct_field(visits.flatten(), "id"), pc.struct_field(visits.flatten(), "at")
        found = pc.index_in(_pair(rows["user_id"], rows[key]), value_set=_pair(users, ids))
        rows = rows.append_column(LAST[key], at.take(found))
    return rows


def _pair(users: pa.Array, ids: pa.Array) -> pa.Array:
    """One text for each pair, so that no two pairs have the same; null where one of both is."""
    lengths = pc.cast(pc.binary_length(users), pa.string())
    return pc.binary_join_element_wise(lengths, users, ids, ":")


def _visits(transactions: DataFrame) -> DataFrame:
    parts = [
        transactions.where(F.col(key).isNotNull()).select(
            "user_id", F.lit(key).alias("key"), F.col(key).alias("id"), F.col("event_time").alias("at")
        )
        for key in KEYS
    ]
    return reduce(DataFrame.unionByName, parts)


def _gathered(visits: DataFrame, moment: datetime) -> DataFrame:
    latest = visits.groupBy("user_id", "key", "id").agg(F.max("at").alias("at")).where(F.col("at") >= moment - HORIZON)
    one = F.struct("id", "at")
    return latest.groupBy("user_id").agg(
        *(F.collect_list(F.when(F.col("key") == key, one)).cast(TYPE).alias(column) for key, column in KEYS.items())
    )
