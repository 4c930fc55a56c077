"""The verdict: are two lakes equal in what they hold, table by table, whatever the order and the times of arrival?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import reduce
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, MapType, StructType

from lake import storage
from lake.catalog import ALERTS, ORPHANS, TABLES
from lake.settings import Settings
from lake.table import Table
from spark_jobs.reconciliation import Status, measure_status

# What differs between two lakes that took the same files at other times.
_OF_ARRIVAL = ("arrived_at", "arrival_date", "inputs_arrived_at", "updated_at", "valid_from", "valid_to")
# What a line that still waits was waiting for when it came; some of that may have come since.
_LEFT_OUT = {ORPHANS.name: ("missing",)}
COMPARED = tuple(name for name in TABLES if not name.startswith("monitoring."))
_EXAMPLES = 3


@dataclass(frozen=True)
class Content:
    """What a table holds: its rows, and the sum of their hashes, which no order of rows changes."""

    rows: int = 0
    hashes: int = 0


@dataclass(frozen=True)
class Difference:
    """A table that differs: rows (a doubled one counts) that only one lake has, with the keys of some."""

    table: str
    only_reference: int
    only_killed: int
    examples: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """Rows by table in the reference, the tables that differ, and whether both lakes reconcile in themselves."""

    rows: dict[str, int]
    differences: list[Difference]
    unsound: list[str]

    @property
    def is_equal(self) -> bool:
        """Nothing lost, nothing doubled, nothing misrouted."""
        return not self.differences and not self.unsound

    def as_dict(self) -> dict[str, Any]:
        """As it stands in the JSON of a run."""
        return {"equal": self.is_equal, **asdict(self)}


def judge(spark: SparkSession, reference: Settings, killed: Settings) -> Verdict:
    """Compare all tables of two lakes, and let each reconcile itself."""
    expected, found = contents(spark, reference), contents(spark, killed)
    apart = [difference(spark, reference, killed, name) for name in differing(expected, found)]
    unsound = []
    for name, settings in (("reference", reference), ("killed", killed)):
        unsound += [f"{name}: {said}" for said in complaints(measure_status(spark, settings))]
    return Verdict({name: content.rows for name, content in expected.items()}, apart, unsound)


def differing(expected: Mapping[str, Content], found: Mapping[str, Content]) -> list[str]:
    """Names of the tables that are not alike; one that is not there is alike to one without rows."""
    names = dict.fromkeys((*expected, *found))
    return [name for name in names if expected.get(name, Content()) != found.get(name, Content())]


def complaints(status: Status) -> list[str]:
    """What is wrong in a lake by its own count."""
    found = [
        f"{name} misses {counts.difference} lines, {counts.pending} are pending"
        for name, counts in status.feeds.items()
        if not counts.is_consistent
    ]
    if not status.parity:
        found.append("no feature was compared with its batch")
    for name, parity in status.parity.items():
        if parity.differing:
            found.append(f"{parity.differing} rows of features.{name} differ from their batch")
    if not status.is_consistent and not found:
        found.append("features and accepted transactions are not equally many")
    return found


def contents(spark: SparkSession, settings: Settings) -> dict[str, Content]:
    """The content of every compared table that a lake has."""
    names = [name for name in COMPARED if storage.exists(spark, settings, name)]
    counted = [
        _rows(spark, settings, name).agg(
            F.lit(name).alias("name"),
            F.count("*").alias("rows"),
            # A sum of longs would overflow, and a hash takes all their bits.
            F.coalesce(F.sum(F.col("row_hash").cast("decimal(38, 0)")), F.lit(0)).alias("hashes"),
        )
        for name in names
    ]
    found = {row["name"]: row for row in reduce(DataFrame.union, counted).collect()} if counted else {}
    return {name: Content(found[name]["rows"], int(found[name]["hashes"])) for name in names}


def difference(spark: SparkSession, reference: Settings, killed: Settings, name: str) -> Difference:
    """How many rows of a table only one of the two lakes has."""
    sides = [_rows(spark, lake, name) if storage.exists(spark, lake, name) else None for lake in (reference, killed)]
    some = next(side for side in sides if side is not None)
    one, other = (some.limit(0) if side is None else side for side in sides)
    only_one, only_other = one.exceptAll(other).localCheckpoint(), other.exceptAll(one).localCheckpoint()
    shown = {"only_reference": only_one, "only_killed": only_other}
    return Difference(
        name,
        only_one.count(),
        only_other.count(),
        {side: [str(row["row_key"]) for row in rows.limit(_EXAMPLES).collect()] for side, rows in shown.items()},
    )


def _rows(spark: SparkSession, settings: Settings, name: str) -> DataFrame:
    """One row (its key as text, the hash of what is compared) a row of a table."""
    table = TABLES[name]
    rows = storage.read(spark, settings, name)
    if table == ALERTS:
        # An alert that came and went leaves a trace only where a micro-batch ended between.
        rows = rows.where("state = 'open'")
    return rows.select(F.concat_ws(" ", *table.keys).alias("row_key"), row_hash(table).alias("row_hash"))


def row_hash(table: Table) -> Column:
    """A hash of all compared columns of a row."""
    left_out = (*_OF_ARRIVAL, *_LEFT_OUT.get(table.name, ()))
    parts = [(_hashable(c.name, c.type), F.col(c.name).isNull()) for c in table.columns if c.name not in left_out]
    # Nulls are skipped by the hash, so each column also says whether it is one.
    return F.xxhash64(*(part for pair in parts for part in pair))


def _hashable(name: str, kind: DataType) -> Column:
    return F.to_json(name) if isinstance(kind, (ArrayType, MapType, StructType)) else F.col(name)
