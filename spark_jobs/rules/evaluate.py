"""A rule set over events and their features: all rules in one pass, each alert with its reason and its values."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, DataType, DecimalType, FractionalType, TimestampType

from lake.catalog import ALERTS
from spark_jobs.rules import watched
from spark_jobs.rules.columns import column
from spark_jobs.rules.rule_set import ACTIVE, APPROVE, BLOCK, FIRES, REVIEW, Rule, RuleSet, Thresholds

MOST_POINTS = 100
OPEN, SHADOWED, WITHDRAWN = "open", "shadow", "withdrawn"


def evaluate(events: DataFrame, rules: RuleSet, feed: str) -> DataFrame:
    """From events of a feed with their features (`watched.schema`) to alerts: one row a rule that fired.

    The rows have all columns of `alerts.alerts` but `updated_at`, which their writer knows.
    """
    evaluated = rules.of(feed)
    if not evaluated:
        return events.sparkSession.createDataFrame([], ALERTS.schema).drop("updated_at")
    fired = F.array_compact(F.array(*(_alert(rule) for rule in evaluated)))
    scored = events.withColumn("fired", fired).withColumn("score", _score(F.col("fired")))
    exploded = scored.select("*", F.explode("fired").alias("alert"))
    return exploded.select(
        "event_id",
        "alert.rule",
        F.lit(feed).alias("watches"),
        "user_id",
        "alert.entity",
        "alert.entity_id",
        "event_time",
        "event_date",
        "alert.severity",
        "alert.typology",
        "alert.state",
        "alert.cool_down_s",
        "alert.weight",
        "score",
        _decision(F.col("score"), rules.thresholds_of(feed)).alias("decision"),
        "alert.reason",
        "alert.fired_on",
        F.lit(rules.version).alias("rule_set"),
        "inputs_arrived_at",
    )


def fires(rule: Rule) -> Column:
    """Whether a rule fires on an event; never null."""
    return F.coalesce(column(rule.condition), F.lit(rule.when_missing == FIRES))


def reason(rule: Rule) -> Column:
    """The reason of a rule in words, with the values of an event in it."""
    types = {field.name: field.dataType for field in watched.schema(rule.watches).fields}
    return F.concat(*(_shown(piece, types[piece]) if is_column else F.lit(piece) for piece, is_column in rule.reason))


def inputs(rule: Rule) -> Column:
    """The values that the condition and the reason of a rule look at, as text by name."""
    values = [part for name in rule.columns for part in (F.lit(name), F.col(name).cast("string"))]
    return F.create_map(*values).cast("map<string, string>")


def _alert(rule: Rule) -> Column:
    entity, entity_id = _entity(rule)
    alert = F.struct(
        F.lit(rule.name).alias("rule"),
        entity.alias("entity"),
        entity_id.alias("entity_id"),
        F.lit(rule.severity).alias("severity"),
        F.lit(rule.typology).alias("typology"),
        F.lit(OPEN if rule.state == ACTIVE else SHADOWED).alias("state"),
        F.lit(int(rule.cool_down.total_seconds())).alias("cool_down_s"),
        F.lit(rule.weight).alias("weight"),
        reason(rule).alias("reason"),
        inputs(rule).alias("fired_on"),
    )
    return F.when(fires(rule), alert)


def _entity(rule: Rule) -> tuple[Column, Column]:
    """What an alert is about; an event that does not say it is about its user."""
    if rule.entity == "user_id":
        return F.lit("user_id"), F.col("user_id")
    is_said = F.col(rule.entity).isNotNull()
    return F.when(is_said, F.lit(rule.entity)).otherwise("user_id"), F.coalesce(rule.entity, "user_id")


def _score(fired: Column) -> Column:
    points = F.aggregate(
        F.filter(fired, lambda alert: alert["state"] == OPEN),
        F.lit(0),
        lambda total, alert: total + alert["weight"],
    )
    return F.least(points, F.lit(MOST_POINTS))


def _decision(score: Column, thresholds: Thresholds) -> Column:
    reviewed = F.when(score >= thresholds.review_at, REVIEW).otherwise(APPROVE)
    return F.when(score >= thresholds.block_at, BLOCK).otherwise(reviewed)


def _shown(name: str, kind: DataType) -> Column:
    """A value as people read it."""
    value = F.col(name)
    if isinstance(kind, DecimalType | FractionalType):
        # Cents, or nothing after a whole number.
        is_whole = F.floor(value) == value
        text = F.when(is_whole, F.format_number(value, 0)).otherwise(F.format_number(value, 2))
    elif isinstance(kind, BooleanType):
        text = F.when(value, "yes").otherwise("no")
        text = F.when(value.isNotNull(), text)
    elif isinstance(kind, TimestampType):
        text = F.date_format(value, "yyyy-MM-dd HH:mm:ss")
    else:
        text = value.cast("string")
    return F.coalesce(text, F.lit("unknown"))
