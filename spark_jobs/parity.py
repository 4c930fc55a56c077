"""Feature parity: what the streams wrote, held against a batch recomputation from silver, row by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lake import storage
from lake.lease import turn
from lake.monitoring_tables import FEATURE_PARITY
from lake.settings import Settings
from spark_jobs.expired import Expired
from spark_jobs.feature_tables import FeatureTable, feature_tables
from spark_jobs.lag import is_behind


@dataclass(frozen=True)
class Parity:
    """How many feature rows were compared, and how many differ, are missing, or are one too many."""

    compared: int
    differing: int

    def as_dict(self) -> dict[str, int]:
        """As `risklake status --json` shows it."""
        return asdict(self)


def differences(
    stored: DataFrame, recomputed: DataFrame, columns: Sequence[str], keys: Sequence[str] = ("event_id",)
) -> DataFrame:
    """Every key with `is_same`: whether it has one row on each side, alike in every one of these columns."""
    rows = stored.select(*columns, F.lit("stored").alias("side")).unionByName(
        recomputed.select(*columns, F.lit("recomputed").alias("side"))
    )
    # A full join would need each key once on either side; grouping also finds a row that is there twice.
    content = F.struct(*columns)
    pairs = rows.groupBy(*keys).agg(
        F.count(F.when(F.col("side") == "stored", 1)).alias("stored"),
        F.count(F.when(F.col("side") == "recomputed", 1)).alias("recomputed"),
        F.min(content).alias("least"),
        F.max(content).alias("greatest"),
    )
    is_same = (F.col("stored") == 1) & (F.col("recomputed") == 1) & (F.col("least") == F.col("greatest"))
    return pairs.select(*keys, is_same.alias("is_same"))


def compared(spark: SparkSession, settings: Settings, gone: Expired, found: FeatureTable) -> DataFrame:
    """The differences between a table of features and its recomputation from all of silver.

    Near what has expired nothing can be compared.
    """
    stored = storage.read(spark, settings, found.table.name)
    recomputed = found.recompute(*(storage.read(spark, settings, name) for name in found.sources))
    first_day = _whole_from(gone, found)
    if first_day is not None:
        stored, recomputed = (rows.where(F.col("event_date") >= F.lit(first_day)) for rows in (stored, recomputed))
    return differences(stored, recomputed, found.table.content, found.table.keys)


def measure(spark: SparkSession, settings: Settings, gone: Expired) -> dict[str, Parity]:
    """Recompute each table of features from silver, and compare.

    One whose stream looks seldom is mostly behind; it is compared when it is not.
    """
    measured: dict[str, Parity] = {}
    for found in feature_tables(spark, settings):
        if not found.is_by_event and is_behind(settings, found.query, found.sources):
            continue
        counts = compared(spark, settings, gone, found).agg(F.count("*"), F.count_if(~F.col("is_same"))).collect()[0]
        measured[found.name] = Parity(compared=counts[0], differing=counts[1])
    return measured


def keep(spark: SparkSession, settings: Settings, measured: dict[str, Parity]) -> None:
    """Keep the result of a comparison in `monitoring.feature_parity`. Programs write it in turn."""
    if not measured:
        return
    now = datetime.now(UTC)
    rows = [(name, now, parity.compared, parity.differing) for name, parity in measured.items()]
    with turn(settings, FEATURE_PARITY.name):
        storage.ensure_tables(spark, settings, [FEATURE_PARITY.name])
        storage.append(spark.createDataFrame(rows, FEATURE_PARITY.schema), settings, FEATURE_PARITY.name)


def _whole_from(gone: Expired, found: FeatureTable) -> date | None:
    """The first day whose features depend on kept events only; None if nothing has expired."""
    # An event lies at most a day after its arrival.
    return None if gone.before is None else gone.before.date() + found.horizon + timedelta(days=2)
