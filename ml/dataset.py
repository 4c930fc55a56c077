"""Point-in-time frames: what the tables of the lake say of the train and the test days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import pandas as pd
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from lake import storage
from lake.decisions import decisions, is_about
from lake.errors import TrainingError
from lake.feature_tables import EVENT
from lake.feeds import TRANSACTIONS
from lake.settings import Settings
from ml.features import FROM_TRANSACTIONS, FROM_USER_5M
from ml.labels import BY_ANALYST, FRAUD_PREFIX
from ml.windows import LakeDays, Windows

TABLES_READ = ("silver.transactions", "silver.disputes", "features.user_5m")
_AS_THEY_ARE = ("event_time", "currency")
_LABELS_AND_IDS = ("event_id", "user_id", "reported_at", "reason")


@dataclass(frozen=True)
class Dataset:
    """What one training needs; times are UTC without zone.

    `train` and `test` have one row a transaction, ordered by time: `event_id`, `FROM_TRANSACTIONS`, `FROM_USER_5M`,
    `day`, `reported_at` (first fraud dispute, NaT for none); `test` also `user_id` and `reason`. `known_at` is when
    a user's first fraud since `train_from` was reported, indexed by user. `without_features` counts transactions
    that were left out because they had no feature row.
    """

    train: pd.DataFrame
    test: pd.DataFrame
    known_at: pd.Series
    without_features: int


def lake_days(spark: SparkSession, settings: Settings) -> LakeDays:
    """First and last day of the lake. Raises `TrainingError` where there are no tables or no transactions."""
    missing = set(TABLES_READ) - set(storage.tables_on_disk(spark, settings))
    if missing:
        raise TrainingError(
            f"The lake {settings.lake_root} has no {', '.join(sorted(missing))}. "
            "Fill it first: `risklake stream --once`"
        )
    days = storage.read(spark, settings, "silver.transactions").agg(F.min("event_date"), F.max("event_date"))
    reported = storage.read(spark, settings, "silver.disputes").agg(F.max("event_date"))
    (first, last), (last_reported,) = days.collect()[0], reported.collect()[0]
    if first is None:
        raise TrainingError(
            f"The lake {settings.lake_root} holds no transactions. Drop files into its inbox and run "
            "`risklake stream --once`"
        )
    return LakeDays(first, last, last_reported)


def load(spark: SparkSession, settings: Settings, windows: Windows) -> Dataset:
    """Read the frames of these windows. Raises `TrainingError` where train or test days hold no transactions."""
    transactions = storage.read(spark, settings, "silver.transactions")
    features = storage.read(spark, settings, "features.user_5m")
    labels = fraud_labels(storage.read(spark, settings, "silver.disputes"), windows.train_from)
    decided = decisions(spark, settings)
    if decided is not None:
        labels = with_dispositions(labels, decided, TRANSACTIONS.name)
    learnt = _events(transactions, features, labels, windows.train_from, windows.train_to).drop("user_id", "reason")
    judged = _events(transactions, features, labels, windows.test_from, windows.test_to)
    train, train_without = _with_features(_to_pandas(learnt), "train", windows.train_from, windows.train_to)
    test, test_without = _with_features(_to_pandas(judged), "test", windows.test_from, windows.test_to)
    known = _to_pandas(users_known(transactions, labels, windows.train_from, windows.test_to))
    return Dataset(train, test, known.set_index("user_id")["known_at"], train_without + test_without)


def fraud_labels(disputes: DataFrame, since: date) -> DataFrame:
    """Fraud disputes: `event_id`, `reported_at`, `reason`. Grain: one row a dispute.

    Only disputes reported from `since` on are read: a chargeback does not come before its payment.
    """
    is_fraud = F.lower(F.trim("reason")).startswith(FRAUD_PREFIX)
    of_days = disputes.where((F.col("event_date") >= F.lit(since)) & is_fraud)
    return of_days.select("event_id", "reported_at", "reason")


def with_dispositions(labels: DataFrame, dispositions: DataFrame, feed: str) -> DataFrame:
    """Add what analysts found out of events of a feed: one whose latest disposition is fraud has been one since they
    last began to say so. One who says it again tells nothing new.

    A bank's dispute says the same, whatever an analyst said; the earlier of the two is when it was known.
    """
    is_fraud = F.col("label") == FRAUD_PREFIX
    cleared_at = F.max(F.when(~is_fraud, F.col("decided_at"))).over(Window.partitionBy("event_id"))
    since_then = (
        dispositions.where(is_about(F.lit(feed)))
        .withColumn("cleared_at", cleared_at)
        .where(is_fraud & (F.col("cleared_at").isNull() | (F.col("decided_at") > F.col("cleared_at"))))
    )
    found = since_then.groupBy("event_id").agg(F.min("decided_at").alias("reported_at"))
    return labels.unionByName(found.withColumn("reason", F.lit(BY_ANALYST)))


def with_first_report(payments: DataFrame, labels: DataFrame) -> DataFrame:
    """Payments with `reported_at` and `reason` of their first label, null where there is none.

    A report that is dated before a payment is none of it: an id may come again, long apart (`duplicate_horizon_days`).
    """
    in_order = F.sort_array(F.collect_list(F.struct("reported_at", "reason"))).alias("reports")
    first = F.get(F.filter("reports", lambda one: one["reported_at"] >= F.col("event_time")), F.lit(0))
    labelled = payments.join(labels.groupBy("event_id").agg(in_order), on="event_id", how="left")
    told = {name: F.col(f"first.{name}") for name in ("reported_at", "reason")}
    return labelled.withColumn("first", first).withColumns(told).drop("reports", "first")


def users_known(transactions: DataFrame, labels: DataFrame, first: date, last: date) -> DataFrame:
    """When each user was first reported as defrauded: `user_id`, `known_at`. Grain: one row such a user."""
    payments = transactions.where(_between(first, last)).select(*EVENT, "user_id")
    disputed = with_first_report(payments, labels).where("reported_at is not null")
    return disputed.groupBy("user_id").agg(F.min("reported_at").alias("known_at"))


def _events(transactions: DataFrame, features: DataFrame, labels: DataFrame, first: date, last: date) -> DataFrame:
    payments = transactions.where(_between(first, last)).select("event_id", "user_id", *FROM_TRANSACTIONS)
    windows = features.where(_between(first, last)).select(*EVENT, *FROM_USER_5M)
    return with_first_report(payments.join(windows, on=list(EVENT), how="left"), labels).select(
        *_LABELS_AND_IDS, *(_as_read(name) for name in (*FROM_TRANSACTIONS, *FROM_USER_5M))
    )


def _as_read(name: str) -> Column:
    # Decimals would become Python objects in pandas; a double keeps 15 digits of an amount.
    return F.col(name) if name in _AS_THEY_ARE else F.col(name).cast("double").alias(name)


def _between(first: date, last: date) -> Column:
    return F.col("event_date").between(F.lit(first), F.lit(last))


def _to_pandas(rows: DataFrame) -> pd.DataFrame:
    frame = rows.toArrow().to_pandas()
    for name in frame.select_dtypes("datetimetz"):
        frame[name] = frame[name].dt.tz_convert("UTC").dt.tz_localize(None)
    return frame


def _with_features(events: pd.DataFrame, what: str, first: date, last: date) -> tuple[pd.DataFrame, int]:
    has_features = events["txn_count_5m"].notna()
    # Spark gives rows in any order; in this one the same lake gives the same model and the same figures.
    kept = events[has_features].sort_values(["event_time", "event_id"], ignore_index=True)
    if kept.empty:
        raise TrainingError(
            f"No transaction with features lies in the {what} days {first} to {last} ({len(events)} without). "
            "Run `risklake stream --once`, or name another last test day (--as-of)"
        )
    return kept.assign(day=kept["event_time"].dt.normalize()), int((~has_features).sum())
