"""Alerts: rules over each transaction and its features, each alert with its reason and the values that fired it."""

from __future__ import annotations

from collections.abc import Callable

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql.streaming import StreamingQuery
from pyspark.sql.types import StructType
from pyspark.sql.utils import AnalysisException

from lake import storage
from lake.catalog import ALERTS, TABLES, USER_5M
from lake.errors import RuleError
from lake.feeds import TRANSACTIONS
from lake.settings import Settings
from lake.storage import Transaction
from spark_jobs.rules_file import Rule, load_rules
from spark_jobs.small_input import is_interpreted
from spark_jobs.streams import Stream
from spark_jobs.time_ranges import TimeRanges, ranges_and_any

JOB = "alerts"
QUERY = "alerts_alerts"
SOURCE = f"silver.{TRANSACTIONS.name}"

# Fields of the transaction that rules may use beside the features.
_FIELDS = [name for name in TRANSACTIONS.field_names if name not in USER_5M.column_names]
WATCHED_COLUMNS = [*_FIELDS, *USER_5M.column_names]


def evaluate(watched: DataFrame, rules: list[Rule]) -> DataFrame:
    """From transactions with their features (`WATCHED_COLUMNS`) to open alerts: one row a rule that fired.

    All rules are evaluated in one pass; each gives a struct or null.
    """
    if not rules:
        return watched.sparkSession.createDataFrame([], ALERTS.schema)
    fired = F.array_compact(F.array(*(_fired(rule) for rule in rules)))
    exploded = watched.select("*", F.explode(fired).alias("alert"))
    return exploded.select(
        "event_id",
        "alert.rule",
        "user_id",
        "event_time",
        "event_date",
        "alert.severity",
        F.lit("open").alias("state"),
        "alert.reason",
        "alert.fired_on",
        "inputs_arrived_at",
    )


def require_valid(spark: SparkSession, rules: list[Rule]) -> None:
    """Raise `RuleError` for a condition that Spark refuses, or a placeholder that is no column."""
    fields = {f.name: f for table in (TABLES[SOURCE], USER_5M) for f in table.schema.fields}
    empty = spark.createDataFrame([], StructType([fields[name] for name in WATCHED_COLUMNS]))
    for rule in rules:
        for name in rule.placeholders:
            if name not in WATCHED_COLUMNS:
                raise RuleError(
                    f"Rule {rule.name}: the reason names {{{name}}}, which is no column. "
                    f"Known: {', '.join(WATCHED_COLUMNS)}"
                )
        try:
            kind = empty.select(F.expr(rule.condition).alias("fires")).schema["fires"].dataType.simpleString()
        except AnalysisException as error:
            first = str(error).strip().splitlines()[0]
            raise RuleError(f"Rule {rule.name}: the condition `{rule.condition}` is refused: {first}") from error
        if kind != "boolean":
            raise RuleError(f"Rule {rule.name}: the condition gives {kind}, not true or false")


def withdrawn(standing: DataFrame, changed: DataFrame, fired: DataFrame) -> DataFrame:
    """The standing alerts of changed events whose rule no longer fires, as withdrawn by the line that changed them."""
    of_now = standing.where("state = 'open'").drop("inputs_arrived_at")
    of_changed = of_now.join(changed.select("event_id", "inputs_arrived_at"), on="event_id", how="inner")
    gone = of_changed.join(fired.select("event_id", "rule"), on=["event_id", "rule"], how="left_anti")
    return gone.withColumn("state", F.lit("withdrawn")).select(ALERTS.column_names)


def streams(spark: SparkSession, settings: Settings) -> list[Stream]:
    """The alert stream, on the configured rule set."""

    def start(continuous: bool) -> StreamingQuery:
        rules = load_rules(settings)
        require_valid(spark, rules)
        storage.require_matching_checkpoint(spark, settings, QUERY, [ALERTS.name])
        changes = storage.read_stream(spark, settings, USER_5M.name)
        write = _batch_writer(settings, rules)
        interpreted = is_interpreted(settings, QUERY, USER_5M.name, continuous=continuous)
        return storage.stream_batches(
            changes, settings, write, query=QUERY, continuous=continuous, interpreted=interpreted
        )

    return [Stream(QUERY, start)]


def _fired(rule: Rule) -> Column:
    values = [(F.lit(name), F.col(name).cast("string")) for name in rule.columns(WATCHED_COLUMNS)]
    shown = {name: F.coalesce(F.col(name).cast("string"), F.lit("unknown")) for name in rule.placeholders}
    pieces = _pieces(rule.reason)
    text = F.concat(*(shown[piece] if is_name else F.lit(piece) for piece, is_name in pieces))
    alert = F.struct(
        F.lit(rule.name).alias("rule"),
        F.lit(rule.severity).alias("severity"),
        text.alias("reason"),
        F.create_map(*(part for pair in values for part in pair)).cast("map<string, string>").alias("fired_on"),
    )
    return F.when(F.expr(rule.condition), alert)


def _pieces(text: str) -> list[tuple[str, bool]]:
    """Split a reason into (text, is a placeholder), in order."""
    parts = [(part, False) for part in text.split("{")]
    pieces: list[tuple[str, bool]] = [parts[0]]
    for part, _ in parts[1:]:
        name, _, after = part.partition("}")
        pieces += [(name, True), (after, False)]
    return [piece for piece in pieces if piece[0]]


def _batch_writer(settings: Settings, rules: list[Rule]) -> Callable[[DataFrame, int], None]:
    def write(batch: DataFrame, batch_id: int) -> None:
        spark = batch.sparkSession
        latest = _latest(batch).persist()
        ranges, has_changed = ranges_and_any(latest, ~F.col("is_insert"))
        if ranges:
            silver = storage.read(spark, settings, SOURCE).where(ranges.condition())
            fields = silver.select("event_id", *_FIELDS_BESIDE_KEY)
            fired = evaluate(latest.join(fields, on="event_id", how="inner"), rules).persist()
            transaction = Transaction(storage.query_id(spark, settings, QUERY), batch_id)
            new, changed = latest.where("is_insert"), latest.where("not is_insert")
            storage.append(_of(fired, new), settings, ALERTS.name, transaction)
            if has_changed:
                _correct(fired, changed, settings, ranges)
            fired.unpersist()
        latest.unpersist()

    return write


_FIELDS_BESIDE_KEY = [name for name in _FIELDS if name != "event_id"]


def _latest(changes: DataFrame) -> DataFrame:
    """The newest feature row of each event in a micro-batch of changes, and whether all of them are insertions."""
    rows = changes.where("_change_type in ('insert', 'update_postimage')")
    of_one = Window.partitionBy("event_id")
    newest = F.row_number().over(of_one.orderBy(F.desc("_commit_version"))) == 1
    only_inserted = F.min(F.col("_change_type") == "insert").over(of_one)
    return rows.select(*USER_5M.column_names, newest.alias("is_newest"), only_inserted.alias("is_insert")).where(
        "is_newest"
    )


def _of(alerts: DataFrame, events: DataFrame) -> DataFrame:
    return alerts.join(events.select("event_id"), on="event_id", how="left_semi")


def _correct(fired: DataFrame, changed: DataFrame, settings: Settings, ranges: TimeRanges) -> None:
    standing = storage.read(changed.sparkSession, settings, ALERTS.name).where(ranges.condition())
    now = _of(fired, changed)
    rows = now.unionByName(withdrawn(standing, changed, now))
    storage.merge_changes(rows, settings, ALERTS.name, within=ranges.condition("old"), insert=True)


if __name__ == "__main__":
    from spark_jobs.run import main

    main(JOB)
