"""A rule set over events and their features: all rules in one pass, each alert with its reason and its values."""

from __future__ import annotations

from functools import cache, lru_cache

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, DataType, DecimalType, FractionalType, TimestampType

from lake.catalog import ALERTS
from spark_jobs.rules import watched
from spark_jobs.rules.columns import column
from spark_jobs.rules.held import allowed, is_listed, snoozed
from spark_jobs.rules.lists import ALLOW_LIST, BLOCK_LIST, Snooze, ValueList
from spark_jobs.rules.rule_set import (
    ACTIVE,
    APPROVE,
    BLOCK,
    ENTITIES,
    FIRES,
    REVIEW,
    Rule,
    RuleSet,
    Thresholds,
)

MOST_POINTS = 100
OPEN, SHADOWED, WITHDRAWN = "open", "shadow", "withdrawn"


def evaluate(events: DataFrame, rules: RuleSet, feed: str) -> DataFrame:
    """From events of a feed with their features (`watched.schema`) to alerts: one row a rule or block list that fired.

    The rows have all columns of `alerts.alerts` but `updated_at`, which their writer knows. Those that an allow list
    or a snooze holds back are among them.
    """
    alerts = [_alert(rule, rules.snoozes_of(feed, rule.name)) for rule in rules.of(feed)]
    blocking = rules.lists_of(feed, BLOCK_LIST)
    alerts += [_alert_of_list(one, feed, rules.snoozes_of(feed, one.name)) for one in blocking]
    if not alerts:
        return events.sparkSession.createDataFrame([], ALERTS.schema).drop("updated_at")
    # Once for each event, not in each rule.
    held = F.coalesce(allowed(rules.lists_of(feed, ALLOW_LIST)), snoozed(rules.snoozes_of(feed)))
    fired = F.array_compact(F.array(*alerts))
    scored = events.withColumn("held", held).withColumn("fired", fired).withColumn("score", _score())
    exploded = scored.select("*", F.explode("fired").alias("alert"))
    return exploded.select(*_told(feed, rules.version, rules.thresholds_of(feed)))


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


def reason_of_list(one: ValueList) -> Column:
    """The reason of an alert that a block list raises, with the value that is on it."""
    said = f" is on the block list {one.name}: {one.reason}"
    return F.concat(F.lit(f"{one.column} "), F.col(one.column), F.lit(said))


def inputs_of_list(one: ValueList) -> Column:
    """The value that a list looks at, by its name."""
    return F.create_map(F.lit(one.column), F.col(one.column)).cast("map<string, string>")


# A column is built in the JVM step by step, thousands for all rules: once for each rule, not for each micro-batch.
@lru_cache(maxsize=1024)
def _alert(rule: Rule, snoozes: tuple[Snooze, ...]) -> Column:
    held = F.coalesce("held", snoozed(snoozes)) if snoozes else F.col("held")
    more = {
        # A rule on trial raises nothing, whatever holds it back.
        "state": F.coalesce(held["state"], F.lit(OPEN)) if rule.state == ACTIVE else F.lit(SHADOWED),
        "reason": reason(rule),
        "fired_on": inputs(rule),
        "held_by": held["by"],
    }
    return F.when(fires(rule), _struct(rule, rule.entity, more))


# What a list says outright is held back by no other list, and only by a snooze that names it.
@lru_cache(maxsize=1024)
def _alert_of_list(one: ValueList, feed: str, snoozes: tuple[Snooze, ...]) -> Column:
    held = snoozed(snoozes)
    more = {
        "state": F.coalesce(held["state"], F.lit(OPEN)),
        "reason": reason_of_list(one),
        "fired_on": inputs_of_list(one),
        "held_by": held["by"],
    }
    entity = one.column if one.column in ENTITIES[feed] else "user_id"
    return F.when(is_listed(one), _struct(one, entity, more))


def _struct(raised_by: Rule | ValueList, about: str, more: dict[str, Column]) -> Column:
    entity, entity_id = _entity(about)
    return F.struct(
        F.lit(raised_by.name).alias("rule"),
        entity.alias("entity"),
        entity_id.alias("entity_id"),
        F.lit(raised_by.severity).alias("severity"),
        F.lit(raised_by.typology).alias("typology"),
        F.lit(int(raised_by.cool_down.total_seconds())).alias("cool_down_s"),
        F.lit(raised_by.weight).alias("weight"),
        *(column.alias(name) for name, column in more.items()),
    )


def _entity(about: str) -> tuple[Column, Column]:
    """What an alert is about; an event that does not say it is about its user."""
    if about == "user_id":
        return F.lit("user_id"), F.col("user_id")
    is_said = F.col(about).isNotNull()
    return F.when(is_said, F.lit(about)).otherwise("user_id"), F.coalesce(about, "user_id")


@cache
def _score() -> Column:
    points = F.aggregate(
        F.filter("fired", lambda alert: alert["state"] == OPEN),
        F.lit(0),
        lambda total, alert: total + alert["weight"],
    )
    return F.least(points, F.lit(MOST_POINTS))


@cache
def _decision(thresholds: Thresholds) -> Column:
    score = F.col("score")
    reviewed = F.when(score >= thresholds.review_at, REVIEW).otherwise(APPROVE)
    return F.when(score >= thresholds.block_at, BLOCK).otherwise(reviewed)


@lru_cache(maxsize=64)
def _told(feed: str, version: str, thresholds: Thresholds) -> tuple[Column, ...]:
    """What is said of each alert, from the event, its score and the `alert`."""
    return (
        F.col("event_id"),
        F.col("alert.rule"),
        F.lit(feed).alias("watches"),
        F.col("user_id"),
        F.col("alert.entity"),
        F.col("alert.entity_id"),
        F.col("event_time"),
        F.col("event_date"),
        F.col("alert.severity"),
        F.col("alert.typology"),
        F.col("alert.state"),
        F.col("alert.cool_down_s"),
        F.col("alert.weight"),
        F.col("score"),
        _decision(thresholds).alias("decision"),
        F.col("alert.reason"),
        F.col("alert.fired_on"),
        F.col("alert.held_by"),
        F.lit(version).alias("rule_set"),
        F.col("inputs_arrived_at"),
    )


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
