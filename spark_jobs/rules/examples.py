"""The examples that a rule brings with it: events on which it must fire, and others on which it just must not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql.types import BooleanType, DataType, DecimalType, IntegralType, StringType, StructType, TimestampType

from lake.errors import RuleError
from spark_jobs.rules import watched
from spark_jobs.rules.evaluate import fires
from spark_jobs.rules.language import unknown_name
from spark_jobs.rules.rule_set import Example, Rule


@dataclass(frozen=True)
class Tried:
    """An example of a rule, and whether the rule does on it what it should."""

    rule: Rule
    example: Example
    fired: bool

    @property
    def is_right(self) -> bool:
        """Whether the rule fired where it must, or kept quiet where it must."""
        return self.fired == self.example.fires


def checked_values(feed: str, given: dict[str, str]) -> tuple[tuple[str, Any], ...]:
    """The values of an example as their columns hold them. Raises `RuleError` naming the column and the value."""
    types = {field.name: field.dataType for field in watched.schema(feed).fields}
    known = watched.kinds(feed)
    values = []
    for name, text in given.items():
        if name not in known:
            raise RuleError(unknown_name(name, known))
        values.append((name, _value(name, text, types[name])))
    return tuple(values)


def tried(spark: SparkSession, rules: Sequence[Rule]) -> list[Tried]:
    """Every example of some rules, tried; columns that an example does not name are missing there."""
    return [found for feed in watched.FEEDS for found in _of_feed(spark, feed, rules)]


def without(rules: Sequence[Rule]) -> list[str]:
    """The rules that lack an example on which they fire, or one on which they do not."""
    return [rule.name for rule in rules if {example.fires for example in rule.examples} != {True, False}]


def _of_feed(spark: SparkSession, feed: str, rules: Sequence[Rule]) -> list[Tried]:
    cases = [(rule, example) for rule in rules if rule.watches == feed for example in rule.examples]
    if not cases:
        return []
    schema = StructType([field for field in watched.schema(feed).fields if field.name in watched.kinds(feed)])
    for field in schema.fields:
        field.nullable = True
    rows = [tuple(dict(example.values).get(name) for name in schema.names) for _, example in cases]
    of_feed = list(dict.fromkeys(rule for rule, _ in cases))
    columns = {rule.name: f"fires_{number}" for number, rule in enumerate(of_feed)}
    asked = spark.createDataFrame(rows, schema).select(*(fires(rule).alias(columns[rule.name]) for rule in of_feed))
    found = asked.coalesce(1).collect()
    return [Tried(rule, example, row[columns[rule.name]]) for (rule, example), row in zip(cases, found, strict=True)]


def _value(name: str, text: str, kind: DataType) -> Any:
    if text.lower() in ("", "null", "~"):
        return None
    try:
        return _typed(text, kind)
    except (ValueError, InvalidOperation, KeyError) as error:
        raise RuleError(f"{name} is {text!r}, which is no {kind.simpleString()}") from error


def _typed(text: str, kind: DataType) -> Any:
    if isinstance(kind, StringType):
        return text
    if isinstance(kind, BooleanType):
        return {"true": True, "false": False}[text.lower()]
    if isinstance(kind, TimestampType):
        moment = datetime.fromisoformat(text)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if isinstance(kind, DecimalType):
        return Decimal(text)
    return int(text) if isinstance(kind, IntegralType) else float(text)
