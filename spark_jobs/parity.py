"""Feature parity: what the streams wrote, held against a batch recomputation from silver, row by row."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, timedelta

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lake import storage
from lake.catalog import USER_5M
from lake.feeds import TRANSACTIONS
from lake.settings import Settings
from spark_jobs.expired import Expired
from spark_jobs.user_5m import HORIZON_DAYS, INPUTS, user_5m


@dataclass(frozen=True)
class Parity:
    """How many feature rows were compared, and how many differ, are missing, or are one too many."""

    compared: int
    differing: int

    def as_dict(self) -> dict[str, int]:
        """As `risklake status --json` shows it."""
        return asdict(self)


def differences(stored: DataFrame, recomputed: DataFrame) -> DataFrame:
    """Every event id with `is_same`: whether it has one row on each side, alike in every column."""
    columns = USER_5M.column_names
    rows = stored.select(*columns, F.lit("stored").alias("side")).unionByName(
        recomputed.select(*columns, F.lit("recomputed").alias("side"))
    )
    # A full join would need each key once on either side; grouping also finds a row that is there twice.
    content = F.struct(*columns)
    pairs = rows.groupBy("event_id").agg(
        F.count(F.when(F.col("side") == "stored", 1)).alias("stored"),
        F.count(F.when(F.col("side") == "recomputed", 1)).alias("recomputed"),
        F.min(content).alias("least"),
        F.max(content).alias("greatest"),
    )
    is_same = (F.col("stored") == 1) & (F.col("recomputed") == 1) & (F.col("least") == F.col("greatest"))
    return pairs.select("event_id", is_same.alias("is_same"))


def measure(spark: SparkSession, settings: Settings, gone: Expired) -> Parity:
    """Recompute `features.user_5m` from all of silver and compare; near what has expired nothing can be compared."""
    transactions = storage.read(spark, settings, f"silver.{TRANSACTIONS.name}").select(*INPUTS)
    stored, recomputed = storage.read(spark, settings, USER_5M.name), user_5m(transactions)
    first_day = _whole_from(gone)
    if first_day is not None:
        stored, recomputed = (rows.where(F.col("event_date") >= F.lit(first_day)) for rows in (stored, recomputed))
    compared = differences(stored, recomputed)
    counts = compared.agg(F.count("*"), F.count(F.when(~F.col("is_same"), 1))).collect()[0]
    return Parity(compared=counts[0], differing=counts[1])


def _whole_from(gone: Expired) -> date | None:
    """The first day whose features depend on kept events only; None if nothing has expired."""
    # An event lies at most a day after its arrival.
    return None if gone.before is None else gone.before.date() + timedelta(days=HORIZON_DAYS + 2)
