"""What a stream that runs on keeps in memory of what people have in common (`spark_jobs/links.py`).

That is, at a *moment*, when each value was last used before it (whatever came before that counts no more at any later
instant), and every use since.
"""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import SparkSession
from pyspark.sql.types import BooleanType, StringType, StructField, StructType, TimestampType

from lake.transaction_features import LINK_FEATURES
from spark_jobs.instants import instant_us
from spark_jobs.keyed_rows import KeyedRows
from spark_jobs.link_counts import USES, changed_counts
from spark_jobs.links import HORIZON, KEYS, changed_column
from spark_jobs.look_back import Around
from spark_jobs.time_ranges import ranges_of_us

# What `links.changed_links` gives.
_CHANGED = StructType(
    [
        StructField("event_id", StringType()),
        StructField("event_time", TimestampType()),
        StructField("is_new", BooleanType()),
        *(StructField(one.name, one.type) for one in LINK_FEATURES),
        *(StructField(changed_column(key), BooleanType()) for key in KEYS),
    ]
)

_KEY = "key"
_OF_VALUE = ("feature", _KEY, "value")


class LinkMemory:
    """The latest use of each value at a moment, and every use since.

    Uses are given as Arrow tables (`USES`), as `links.uses` makes them.
    """

    def __init__(self, moment: datetime, latest: pa.Table, since: pa.Table, spark: SparkSession) -> None:
        """`latest` are the last uses of the horizon before the moment, `since` all after it."""
        self.moment = moment
        self._spark = spark
        self._latest, self._since = KeyedRows(_KEY, USES), KeyedRows(_KEY, USES)
        self._latest.add(latest)
        self._since.add(since)

    @classmethod
    def begun(cls, recent: pa.Table, moment: datetime, spark: SparkSession) -> LinkMemory:
        """From the uses of the horizon before a moment, and all after it."""
        is_after = pc.greater(recent["at_us"], instant_us(moment))
        return cls(moment, _latest(recent.filter(pc.invert(is_after)), moment), recent.filter(is_after), spark)

    def moved(self, to: datetime) -> LinkMemory:
        """The same at a later moment."""
        known = pa.concat_tables([self._latest.rows(), self._since.rows()])
        return LinkMemory.begun(known, to, self._spark)

    @property
    def size(self) -> int:
        """How many values were known at the moment."""
        return len(self._latest)

    def note(self, new: pa.Table) -> None:
        """Take in uses that have come."""
        self._since.add(new)

    def not_enough_for(self, new: pa.Table) -> pa.Array:
        """The keys, each once, of which a new use does not lie after the moment."""
        return pc.unique(new.filter(pc.less_equal(new["at_us"], instant_us(self.moment)))[_KEY])

    def around(self, new: pa.Table) -> Around:
        """What `links.changed_links` says of new uses of keys of which enough is kept."""
        keys = pc.unique(new[_KEY])
        before = pa.concat_tables([self._latest.of(keys), _without_ids(self._since.of(keys), self.moment)])
        found = pa.Table.from_pandas(changed_counts(before, new.cast(USES)), preserve_index=False)
        others = found.filter(pc.invert(found["is_new"]))
        rows = self._spark.createDataFrame(found.select(_CHANGED.names).combine_chunks(), _CHANGED)
        return Around(rows, ranges_of_us(others["event_time"].cast(pa.int64())))


def _latest(uses: pa.Table, moment: datetime) -> pa.Table:
    """The last use of each value, if it can still count after the moment; that of no value counts never."""
    begin = instant_us(moment - HORIZON)
    able = uses.filter(pc.and_(pc.is_valid(uses["value"]), pc.greater(uses["at_us"], begin)))
    last = able.group_by(list(_OF_VALUE)).aggregate([("at_us", "max")]).rename_columns({"at_us_max": "at_us"})
    return last.append_column("event_id", pa.nulls(last.num_rows, pa.string())).select(USES.names)


def _without_ids(uses: pa.Table, moment: datetime) -> pa.Table:
    """The same; those up to the moment, which came late, as uses whose own count is not known from here."""
    is_after = pc.greater(uses["at_us"], instant_us(moment))
    ids = pc.if_else(is_after, uses["event_id"], pa.scalar(None, pa.string()))
    return uses.set_column(uses.column_names.index("event_id"), "event_id", ids)
