"""What is caught: the truth beside the alerts and the scores, attack by attack.

The only reader of the truth: no job, mart or model sees it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import reduce
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructField, StructType

from generator.lines import ORDER_ID, PAYMENT_ID
from lake import storage
from lake.catalog import ALERTS, SCORES
from lake.errors import UsageError
from lake.feed_tables import silver_table
from lake.feeds import FEEDS, ORDERS, TRANSACTIONS
from lake.settings import Settings
from risklake.labelled import label_columns
from spark_jobs.rules.evaluate import OPEN
from spark_jobs.rules.watched import JUDGED

# The model may raise as many alerts as this share of the transactions that it scored.
ALERT_SHARE = 0.01
HONEST = ""
_LABELS = ("event_id", "is_fraud", "scenario")


@dataclass(frozen=True)
class Caught:
    """Of one scenario (or of honest events, where `scenario` is empty): how many transactions (or orders) silver holds,
    how many of them each rule alerts on, and any; how many the model scored, and how many it would alert on."""

    scenario: str
    transactions: int
    by_rule: dict[str, int]
    by_any_rule: int
    scored: int
    by_model: int

    def most_by(self, number: int) -> list[str]:
        """The rules that alert on most of them, at most so many, the one with the most first."""
        caught = sorted((rule for rule, count in self.by_rule.items() if count), key=lambda rule: -self.by_rule[rule])
        return caught[:number]


@dataclass(frozen=True)
class Detection:
    """What is caught of each scenario, honest events last.

    `missing` are labelled events that silver does not hold; `model_version` is the newest that scored, if any;
    `watches` is the feed of the events: transactions, or orders (which no model scores).
    """

    scenarios: list[Caught]
    rules: list[str]
    missing: int
    model_version: str | None
    watches: str = TRANSACTIONS.name

    def precision(self, rule: str) -> float | None:
        """The share of frauds among the transactions that a rule alerts on; None where it alerts on none."""
        alerted = sum(row.by_rule[rule] for row in self.scenarios)
        frauds = sum(row.by_rule[rule] for row in self.scenarios if row.scenario != HONEST)
        return frauds / alerted if alerted else None

    @property
    def model_precision(self) -> float | None:
        """The share of frauds among the transactions that the model would alert on; None where there are none."""
        alerted = sum(row.by_model for row in self.scenarios)
        return sum(row.by_model for row in self.scenarios if row.scenario != HONEST) / alerted if alerted else None

    @property
    def base_rate(self) -> float:
        """The share of frauds among all labelled transactions."""
        everything = sum(row.transactions for row in self.scenarios)
        frauds = sum(row.transactions for row in self.scenarios if row.scenario != HONEST)
        return frauds / everything if everything else 0.0

    def as_dict(self) -> dict[str, Any]:
        """The figures as JSON knows them; honest payments stand under `honest`."""
        return {
            "watches": self.watches,
            "base_rate": self.base_rate,
            "missing": self.missing,
            "alert_share_of_model": ALERT_SHARE,
            "model_version": self.model_version,
            "model_precision": self.model_precision,
            "precision": {rule: self.precision(rule) for rule in self.rules},
            "scenarios": {row.scenario or "honest": asdict(row) for row in self.scenarios},
        }


def measure_detection(
    spark: SparkSession, settings: Settings, labels: Path | None = None, watches: str = TRANSACTIONS.name
) -> Detection:
    """Hold the alerts and scores of a lake against the truth, on transactions or on orders.

    `labels` is a file or folder of CSV (`event_id,is_fraud,scenario`), by default what the generator wrote beside the
    inbox: of an order that is the truth of its payment. An alert counts while it is open. Raises `UsageError` where
    there is no truth, or no alerts yet, and for another feed, and `InputError` for a file that is no label file.
    """
    if watches not in JUDGED:
        raise UsageError(f"Nothing is known of the truth of {watches!r}; it is of {' or '.join(JUDGED)}")
    feed = FEEDS[watches]
    files = _label_files(settings, labels)
    tables = set(storage.tables_on_disk(spark, settings))
    silver = silver_table(feed).name
    if absent := sorted({silver, ALERTS.name} - tables):
        raise UsageError(f"The lake {settings.lake_root} has no {absent[0]}. Run `risklake stream --once`")
    known = storage.read(spark, settings, silver).select(F.col(feed.key).alias("event_id"))
    truth = _truth(_labels(spark, files))
    if watches == ORDERS.name and labels is None:
        # Not every payment has an order.
        truth = _of_orders(truth).join(known, "event_id", "left_semi")
    alerts = storage.read(spark, settings, ALERTS.name)
    alerts = alerts.where((F.col("state") == OPEN) & (F.col("watches") == watches)).select("event_id", "rule")
    rules = sorted(row["rule"] for row in alerts.select("rule").distinct().collect())
    has_scores = SCORES.name in tables and watches == TRANSACTIONS.name
    scores = storage.read(spark, settings, SCORES.name) if has_scores else None
    version = _newest(scores) if scores is not None else None
    scored = _scored(scores, version) if scores is not None and version else None
    counts = tally(truth, known, alerts, scored, rules)
    rows = {row["scenario"]: row for row in counts.collect()}
    return Detection(
        scenarios=[_caught(rows[name], rules) for name in sorted(rows, key=lambda name: (name == HONEST, name))],
        rules=rules,
        missing=sum(row["labelled"] - row["transactions"] for row in rows.values()),
        model_version=version,
        watches=watches,
    )


def truth_of(spark: SparkSession, settings: Settings) -> DataFrame | None:
    """What the generator wrote beside the inbox: `event_id`, `scenario` (empty for an honest one); None if nothing."""
    if not settings.is_local or not settings.local_path("truth", "labels").is_dir():
        return None
    return _truth(_labels(spark, _label_files(settings, None)))


def tally(
    truth: DataFrame, known: DataFrame, alerts: DataFrame, scored: DataFrame | None, rules: list[str]
) -> DataFrame:
    """One row a scenario: how many events are labelled, known to silver, alerted on by each rule, scored, picked."""
    fired = alerts.groupBy("event_id").agg(F.collect_set("rule").alias("fired"))
    seen = known.withColumn("is_known", F.lit(True))
    joined = truth.join(seen, "event_id", "left").join(fired, "event_id", "left")
    if scored is not None:
        joined = joined.join(scored, "event_id", "left")
    else:
        joined = joined.withColumn("is_picked", F.lit(None).cast("boolean"))
    is_known = F.col("is_known").isNotNull()
    return joined.groupBy("scenario").agg(
        F.count("*").alias("labelled"),
        F.count_if(is_known).alias("transactions"),
        *(F.count_if(is_known & F.array_contains("fired", rule)).alias(f"rule_{n}") for n, rule in enumerate(rules)),
        F.count_if(is_known & F.col("fired").isNotNull()).alias("by_any_rule"),
        F.count_if(is_known & F.col("is_picked").isNotNull()).alias("scored"),
        F.count_if(is_known & F.col("is_picked")).alias("by_model"),
    )


def _labels(spark: SparkSession, files: list[Path]) -> DataFrame:
    """The columns of label files by their names: Spark takes columns of CSV by their places."""
    by_header: dict[tuple[str, ...], list[Path]] = {}
    for file in files:
        by_header.setdefault(tuple(label_columns(file)), []).append(file)
    return reduce(DataFrame.unionByName, (_of_header(spark, names, found) for names, found in by_header.items()))


def _of_header(spark: SparkSession, names: tuple[str, ...], files: list[Path]) -> DataFrame:
    schema = [StructField(name if name in _LABELS else f"_{place}", StringType()) for place, name in enumerate(names)]
    rows = storage.read_csv(spark, files, StructType(schema))
    return rows.select(*(F.col(name) if name in names else F.lit(None).cast("string").alias(name) for name in _LABELS))


def _truth(labels: DataFrame) -> DataFrame:
    is_fraud = F.lower("is_fraud").isin("1", "true", "yes")
    named = F.coalesce(F.nullif(F.trim("scenario"), F.lit("")), F.lit("unnamed"))
    return labels.select("event_id", F.when(is_fraud, named).otherwise(HONEST).alias("scenario")).dropDuplicates(
        ["event_id"]
    )


def _of_orders(truth: DataFrame) -> DataFrame:
    """The truth of generated payments as that of their orders, which have the same numbers."""
    number = F.substring("event_id", len(PAYMENT_ID) + 1, F.length("event_id"))
    is_payment = F.startswith("event_id", F.lit(PAYMENT_ID))
    return truth.where(is_payment).withColumn("event_id", F.concat(F.lit(ORDER_ID), number))


def _newest(scores: DataFrame) -> str | None:
    # Versions end in their as-of date.
    newest = scores.agg(F.max_by("model_version", F.substring("model_version", -10, 10)).alias("version")).collect()
    version: str | None = newest[0]["version"]
    return version


def _scored(scores: DataFrame, version: str) -> DataFrame:
    own = scores.where(F.col("model_version") == version)
    # Of equal scores not all may fit in: ids say which do, the same ones each time.
    place = F.row_number().over(Window.orderBy(F.desc("score"), "event_id", "event_time"))
    most = F.count("*").over(Window.partitionBy()) * ALERT_SHARE
    return own.select("event_id", (place <= most).alias("is_picked"))


def _caught(row: Any, rules: list[str]) -> Caught:
    return Caught(
        scenario=row["scenario"],
        transactions=row["transactions"],
        by_rule={rule: row[f"rule_{number}"] for number, rule in enumerate(rules)},
        by_any_rule=row["by_any_rule"],
        scored=row["scored"],
        by_model=row["by_model"],
    )


def _label_files(settings: Settings, labels: Path | None) -> list[Path]:
    place = labels or settings.local_path("truth", "labels")
    files = sorted(f for f in place.glob("*.csv*") if f.name[0] != ".") if place.is_dir() else [place]
    if not files or not files[0].is_file():
        raise UsageError(
            f"There is no truth at {place}. Generated payments bring it along; for others name it: "
            "`risklake detection --labels DIR/labels.csv.gz` (columns event_id, is_fraud, scenario)"
        )
    return files
