"""How a table is declared: one value that readers, writers, tests and the data dictionary all take from."""

from __future__ import annotations

from dataclasses import dataclass, field

from pyspark.sql.types import DataType, DateType, StructField, StructType, TimestampType

# Files hold what came together, so times tell them apart, and amounts or counts do not.
_INDEXED = (DateType, TimestampType)


@dataclass(frozen=True)
class Column:
    """One column: its name, Spark type and meaning (units and ranges belong in the comment)."""

    name: str
    type: DataType
    comment: str
    nullable: bool = True


@dataclass(frozen=True)
class Table:
    """One Delta table of the lake.

    `name` is `<layer>.<table>`; the data lies in `<lake root>/<layer>/<table>`. `grain` says what one row is,
    `keys` the columns that are unique together. `retention_days` is how long rows are kept, None for ever; rows of a
    table that `expires` go with the lines of event feeds that they were made of.
    `change_feed` turns Delta's change data feed on, for tables whose corrections another stream follows. A table
    `is_on_demand` where it is made with its first row instead of with the lake. Its `bookkeeping` columns tell of the
    writing of a row, not of what the row says. One that `changes_often` only marks rows that change as gone in their
    files (deletion vectors), and writes them anew elsewhere; care rewrites such files.
    """

    name: str
    meaning: str
    grain: str
    keys: tuple[str, ...]
    columns: tuple[Column, ...]
    partition_by: tuple[str, ...] = ()
    retention_days: int | None = None
    expires: bool = False
    change_feed: bool = False
    written_by: str = ""
    is_on_demand: bool = False
    changes_often: bool = False
    bookkeeping: tuple[str, ...] = ()
    properties: tuple[tuple[str, str], ...] = field(default=())

    @property
    def layer(self) -> str:
        """The part before the dot: bronze, silver, features, alerts."""
        return self.name.split(".")[0]

    @property
    def short_name(self) -> str:
        """The part after the dot."""
        return self.name.split(".")[1]

    @property
    def schema(self) -> StructType:
        """The Spark schema, with each column's comment."""
        return StructType([StructField(c.name, c.type, c.nullable, {"comment": c.comment}) for c in self.columns])

    @property
    def column_names(self) -> list[str]:
        """The columns in their declared order."""
        return [c.name for c in self.columns]

    @property
    def content(self) -> list[str]:
        """The columns that say something, in their declared order."""
        return [name for name in self.column_names if name not in self.bookkeeping]

    @property
    def delta_properties(self) -> dict[str, str]:
        """Delta table properties that the declaration implies."""
        # Statistics stand in the log in the clear, and of text they only help to skip files by their source: so none
        # of lines, of users or of what they wrote.
        kept = [c for c in self.columns if isinstance(c.type, _INDEXED) or c.name == "source_file"]
        indexed = [c.name for c in kept if c.name not in self.partition_by]
        wanted = {"delta.dataSkippingStatsColumns": ",".join(indexed)} | dict(self.properties)
        if self.change_feed:
            wanted["delta.enableChangeDataFeed"] = "true"
        if self.changes_often:
            wanted["delta.enableDeletionVectors"] = "true"
        return wanted
