"""Why an event was or was not flagged: all that the lake knows of it, from its raw line to its row in the marts."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from functools import reduce
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from lake import dispute_features, order_features, storage, transaction_features
from lake.catalog import ALERTS, CASES, PROCESSED_ORDERS, QUARANTINE, SCORES
from lake.decisions import decisions, is_about
from lake.feature import in_words
from lake.feature_tables import EVENT
from lake.feed_tables import accepted_table, silver_table
from lake.feeds import FEEDS, ORDERS, TRANSACTIONS
from lake.settings import Settings
from risklake.explain_lines import (
    asked_for,
    days_of,
    event_of,
    fate_of,
    feed_of,
    is_accepted,
    lines_of,
    marked,
    with_text,
)
from risklake.explain_rules import judged
from risklake.facts import Facts, facts_of, facts_where
from risklake.quarantine import LineId
from spark_jobs.rules.files import load_rules
from spark_jobs.rules.watched import WATCHED, Watched

MART = "marts.fct_transactions"
MOST_EVENTS = 200
# Looks at the lake that go on beside the one at hand: each is planning for the most part, which takes one processor.
_SIDE_BY_SIDE = 2

_FEATURES = {
    "transactions": transaction_features.FEATURES,
    "orders": order_features.FEATURES,
    "disputes": dispute_features.FEATURES,
}
_SHOWN_OF_EVENTS = ("event_time", "event_id", "amount", "amount_numeric", "currency", "country", "merchant_id",
                    "product_id", "quantity", "user_id", "device_id", "channel", "status")  # fmt: skip


@dataclass(frozen=True)
class Explanation:
    """All about one event, in plain values; what is not there is None or empty. Times are UTC.

    `lines`: each line with its file, position, fate and text; `event`: the row of silver; `features`: each with value,
    unit and meaning; `windows`: for each key and length the events inside; `rules`: each rule and block list with its
    inputs, whether it fires now, and what holds its alert back; `score` and `decision`: of the rules in force;
    `models`: scores, and what they consist of; `mart`: the row of a transaction in the marts; `order`: what the rules
    made of an order.
    """

    asked: str
    feed: str
    lines: list[Facts]
    event: Facts | None = None
    features: list[Facts] = field(default_factory=list)
    windows: list[Facts] = field(default_factory=list)
    rules: list[Facts] = field(default_factory=list)
    score: int = 0
    decision: str = ""
    alerts: list[Facts] = field(default_factory=list)
    cases: list[Facts] = field(default_factory=list)
    dispositions: list[Facts] = field(default_factory=list)
    models: list[Facts] = field(default_factory=list)
    mart: Facts | None = None
    order: Facts | None = None


def explain(spark: SparkSession, settings: Settings, asked: str, *, raw: bool = False) -> Explanation:
    """Explain an event by its id, or a line by `feed/file:number`; lines are shown masked unless `raw`.

    Of several events of one id, long apart, it is that of the line, or else the latest; `lines` name the others.

    Raises `UsageError` for what stands nowhere, `SchemaError` for a lake of an earlier version.
    """
    if storage.exists(spark, settings, QUARANTINE.name):
        storage.require_columns(spark, settings, QUARANTINE.name)
    line = None
    if "/" in asked and asked.partition("/")[0] in FEEDS:
        line = LineId.parse(asked)
        key = event_of(spark, settings, line)
        if key is None:
            return Explanation(asked, line.feed, with_text(spark, settings, [fate_of(spark, settings, line)], raw))
        feed, event_id = FEEDS[line.feed], key
        days = days_of(spark, settings, feed, event_id)
    else:
        (feed, days), event_id = feed_of(spark, settings, asked), asked
    with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        told = pool.submit(lambda: with_text(spark, settings, lines_of(spark, settings, feed, event_id, days), raw))
        accepted = facts_where(spark, settings, accepted_table(feed).name, is_accepted(feed, event_id, days))
        row = asked_for(accepted, feed, line)
        if row is None or feed.name not in WATCHED:
            return Explanation(asked, feed.name, marked(told.result(), feed, row), row)
        event = _Event(spark, settings, WATCHED[feed.name], event_id, row)
        return _of_accepted(event, asked, told, pool)


@dataclass(frozen=True)
class _Event:
    """An accepted event of a feed that rules watch, and where to look for what was made of it."""

    spark: SparkSession
    settings: Settings
    watched: Watched
    event_id: str
    row: Facts

    @property
    def is_it(self) -> Column:
        """The condition on tables that know the date of the event."""
        return (F.col("event_date") == F.lit(self.row["event_date"]).cast("date")) & (
            F.col("event_id") == self.event_id
        )

    def rows(self, name: str, condition: Column | None = None) -> list[Facts]:
        return facts_where(self.spark, self.settings, name, self.is_it if condition is None else condition)

    def decisions(self) -> list[Facts]:
        """What analysts have decided about it."""
        decided = decisions(self.spark, self.settings)
        if decided is None:
            return []
        is_it = (F.col("event_id") == self.event_id) & is_about(F.lit(self.watched.name))
        return facts_of(decided.where(is_it))

    def events(self) -> DataFrame:
        """All events of the feed with the names that features use, and with what only their features know."""
        events = self.watched.named(storage.read(self.spark, self.settings, silver_table(self.watched.feed).name))
        features = storage.read(self.spark, self.settings, self.watched.features.name)
        keys = dict.fromkeys(name for one in _FEATURES[self.watched.name] for name in _names(one.key))
        known = [name for name in keys if name not in events.columns]
        return events.join(features.select(*EVENT, *known), on=list(EVENT), how="inner") if known else events


def _of_accepted(event: _Event, asked: str, told: Future[list[Facts]], pool: ThreadPoolExecutor) -> Explanation:
    name = event.watched.name
    featured = event.rows(event.watched.features.name)
    values = featured[0] if featured else {}
    windows = pool.submit(_windows, event, event.row | values)
    judging = pool.submit(_judged, event) if featured else None
    # An order may have the id of a payment.
    alerts = event.rows(ALERTS.name, event.is_it & (F.col("watches") == name))
    cases, models = _cases(event, alerts), _models(event, values)
    dispositions = event.decisions()
    mart = next(iter(event.rows(MART)), None) if name == TRANSACTIONS.name else None
    order = _order(event) if name == ORDERS.name else None
    rules, score, decision = judging.result() if judging else ([], 0, "")
    return Explanation(
        asked,
        name,
        marked(told.result(), event.watched.feed, event.row),
        event.row,
        [
            {"name": one.name, "value": values.get(one.name), "unit": one.unit, "meaning": one.meaning}
            for one in _FEATURES[name]
        ]
        if featured
        else [],
        windows.result(),
        rules,
        score,
        decision,
        alerts,
        cases,
        dispositions,
        models,
        mart,
        order,
    )


def _order(event: _Event) -> Facts | None:
    is_it = (F.col("event_date") == F.lit(event.row["event_date"]).cast("date")) & (F.col("order_id") == event.event_id)
    return next(iter(event.rows(PROCESSED_ORDERS.name, is_it)), None)


def _judged(event: _Event) -> tuple[list[Facts], int, str]:
    """What the rules in force make of the event now; alerts that stand were made by those of their own time."""
    features = storage.read(event.spark, event.settings, event.watched.features.name).where(event.is_it)
    fields = event.events().where(event.is_it).select(*EVENT, *event.watched.fields)
    return judged(features.join(fields, on=list(EVENT), how="inner"), load_rules(event.settings), event.watched.name)


def _windows(event: _Event, known: Facts) -> list[Facts]:
    """For each key of features its windows, with the newest of the events inside (`MOST_EVENTS` at most)."""
    spans: dict[str, list[timedelta]] = {}
    for one in _FEATURES[event.watched.name]:
        if one.window is not None and all(known.get(name) is not None for name in _names(one.key)):
            spans[one.key] = sorted({*spans.get(one.key, []), one.window})
    if not spans:
        return []
    conditions = {key: _is_before(event, key, known, of_key[-1]) for key, of_key in spans.items()}
    longest = max(of_key[-1] for of_key in spans.values())
    # All keys by one look at the events of so long a time.
    near = _recent(event, longest).where(reduce(Column.__or__, conditions.values())).persist()
    found = []
    for key, of_key in spans.items():
        before = near.where(conditions[key])
        counts = before.agg(*(F.count_if(_is_within(event, span)).alias(str(n)) for n, span in enumerate(of_key)))
        count = counts.collect()[0]
        columns = [name for name in _SHOWN_OF_EVENTS if name in before.columns]
        newest = before.orderBy(F.desc("event_time"), F.desc("event_id")).limit(MOST_EVENTS).select(*columns)
        events = facts_of(newest.withColumn("seconds_before", _seconds_before(event)))
        for number, span in enumerate(of_key):
            inside = [one for one in events if one["seconds_before"] < span.total_seconds()]
            found.append({"key": key, "window": in_words(span), "count": count[number], "events": inside})
    near.unpersist()
    return found


def _names(key: str) -> list[str]:
    return key.split(", ")


def _recent(event: _Event, span: timedelta) -> DataFrame:
    """All events of a time up to the event, itself included; whole days at the begin."""
    end = F.lit(_time_of(event)).cast("timestamp")
    days = F.col("event_date").between(F.date_sub(F.to_date(end), span.days + 1), F.to_date(end))
    return event.events().where(days & (F.col("event_time") <= end))


def _is_before(event: _Event, key: str, known: Facts, span: timedelta) -> Column:
    """Whether an event up to this one has the same key, and lies within a time before it."""
    same = [F.col(name).cast("string").eqNullSafe(F.lit(_as_text(known[name]))) for name in _names(key)]
    return reduce(Column.__and__, same) & _is_within(event, span)


def _is_within(event: _Event, span: timedelta) -> Column:
    return _seconds_before(event) < span.total_seconds()


def _seconds_before(event: _Event) -> Column:
    end = F.unix_micros(F.lit(_time_of(event)).cast("timestamp"))
    return (end - F.unix_micros("event_time")) / 1_000_000


def _time_of(event: _Event) -> str:
    return str(event.row[event.watched.feed.event_time or "event_time"])


def _cases(event: _Event, alerts: list[Facts]) -> list[Facts]:
    of_alerts = F.lit(False)
    for one in alerts:
        of_alerts |= (F.col("entity") == one["entity"]) & (F.col("entity_id") == one["entity_id"])
    at = F.lit(_time_of(event)).cast("timestamp")
    return event.rows(CASES.name, of_alerts & at.between(F.col("began_at"), F.col("last_at"))) if alerts else []


def _models(event: _Event, features: Facts) -> list[Facts]:
    """Scores that are kept, and what the newest model that was promoted says now, with its strongest parts."""
    if event.watched.name != TRANSACTIONS.name or not features:
        return []
    from risklake.explain_score import scored_now

    kept = event.rows(SCORES.name)
    found = [{"version": one["model_version"], "score": one["score"], "kept": True, "parts": []} for one in kept]
    now = scored_now(event.settings, event.row, features)
    if now is None:
        return found
    return [*(one for one in found if one["version"] != now["version"]), now]


def _as_text(value: Any) -> str | None:
    return None if value is None else str(value)
