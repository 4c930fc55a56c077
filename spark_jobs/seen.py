"""When each user was last seen at each merchant and on each device, in memory."""

from __future__ import annotations

from datetime import datetime
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lake.transaction_features import HORIZON
from spark_jobs.instants import instant_us
from spark_jobs.keyed_rows import KeyedRows

# Column of a transaction to what `user_5m` takes: when the user was last seen at this merchant, or on this device.
LAST = {"merchant_id": "merchant_seen_at", "device_id": "device_seen_at"}
# A visit: where (`key` is one of `LAST`), and when.
VISITS = pa.schema(
    [("user_id", pa.string()), ("key", pa.string()), ("id", pa.string()), ("at", pa.timestamp("us", tz="UTC"))]
)

_OF_ONE = ["user_id", "key", "id"]
# Visits that come again are left to lie, until they are many.
_MOST_DOUBLE = 200_000


class Seen:
    """The last visits of all users. A visit that is no longer the last is passed over, and some time taken out."""

    def __init__(self, visits: pa.Table) -> None:
        """`visits` are rows of `VISITS`, each place of a user once."""
        self._visits, self._different = _keyed(visits), visits.num_rows

    def note(self, transactions: pa.Table, moment: datetime) -> None:
        """Take in transactions (columns of `user_5m`) up to a moment."""
        for key in LAST:
            some = transactions.filter(pc.is_valid(transactions[key]))
            columns = [some["user_id"], pa.array([key] * some.num_rows, pa.string()), some[key], some["event_time"]]
            self._visits.add(pa.table(columns, names=VISITS.names).cast(VISITS))
        if len(self._visits) > 2 * self._different + _MOST_DOUBLE:
            visits = _last(_within_horizon(self._visits.rows(), moment))
            self._visits, self._different = _keyed(visits), visits.num_rows

    def last_seen(self, users: pa.Array, rows: pa.Table) -> pa.Table:
        """Add the columns of `LAST` to transactions of some users."""
        known = _last(self._visits.of(users))
        for key, column in LAST.items():
            visits = known.filter(pc.equal(known["key"], key))
            there = _pair(visits["user_id"], visits["id"]).combine_chunks()
            found = pc.index_in(_pair(rows["user_id"], rows[key]), value_set=there)
            rows = rows.append_column(column, visits["at"].take(found))
        return rows

    def __len__(self) -> int:
        return len(self._visits)


def of_all(transactions: DataFrame) -> Seen:
    """From transactions up to a moment, of the horizon before it."""
    parts = [
        transactions.where(F.col(key).isNotNull()).select(
            "user_id", F.lit(key).alias("key"), F.col(key).alias("id"), F.col("event_time").alias("at")
        )
        for key in LAST
    ]
    visits = reduce(DataFrame.unionByName, parts).groupBy(*_OF_ONE).agg(F.max("at").alias("at"))
    return Seen(visits.toArrow().cast(VISITS))


def nothing() -> dict[str, Column]:
    """The columns of `LAST`, for transactions of which all earlier ones are there."""
    return {column: F.lit(None).cast("timestamp") for column in LAST.values()}


def _keyed(visits: pa.Table) -> KeyedRows:
    keyed = KeyedRows("user_id", VISITS)
    keyed.add(visits)
    return keyed


def _last(visits: pa.Table) -> pa.Table:
    return visits.group_by(_OF_ONE).aggregate([("at", "max")]).rename_columns({"at_max": "at"}).select(VISITS.names)


def _within_horizon(visits: pa.Table, moment: datetime) -> pa.Table:
    return visits.filter(pc.greater_equal(visits["at"].cast(pa.int64()), instant_us(moment - HORIZON)))


def _pair(users: pa.ChunkedArray, ids: pa.ChunkedArray) -> pa.ChunkedArray:
    """One text for each pair, so that no two pairs have the same; null where one of both is."""
    lengths = pc.cast(pc.binary_length(users), pa.string())
    return pc.binary_join_element_wise(lengths, users, ids, ":")
