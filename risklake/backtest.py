"""A rule set over past days: how often each rule would have fired, on what, and how that compares with another set."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lake import feeds, storage
from lake.catalog import DISPOSITIONS
from lake.errors import UsageError
from lake.feature_tables import EVENT
from lake.feed_tables import silver_table
from lake.settings import Settings
from ml.dataset import fraud_labels, users_known, with_dispositions, with_first_report
from risklake.detection import HONEST, truth_of
from spark_jobs.rules.evaluate import OPEN, evaluate
from spark_jobs.rules.held import HELD
from spark_jobs.rules.lists import BLOCK_LIST
from spark_jobs.rules.rule_set import BLOCK, REVIEW, RuleSet
from spark_jobs.rules.watched import JUDGED, WATCHED, Watched

# Disputes are the labels themselves.
FEEDS = JUDGED
TRANSACTIONS = feeds.TRANSACTIONS.name
# Over all rules that are active, by what they decide together; and what lists and snoozes hold back of them.
ANY, REVIEWED, BLOCKED = "any active rule", "review or block", "block"
HELD_BACK = "held back"
# Intervals come from so many draws of users, and need frauds or alerts of so many.
_DRAWS, _FEWEST_USERS = 400, 10
_SEED = 7
# Of an amount that was written without a currency.
_UNKNOWN = "unknown"


@dataclass(frozen=True)
class Figures:
    """What one rule or block list (or all of them together) would have raised; an event counts once.

    What lists and snoozes hold back counts nowhere but in the figures of the name `HELD_BACK`.

    `precision` and `recall` are from 0 to 1, None where there is nothing to divide by; `precision_interval` (95 %) is
    over resampled users. `money_caught` is the amount of the frauds it fires on, by currency. `by_scenario` counts the
    events that it fires on by the scenario of the truth, where there is one.
    """

    name: str
    state: str
    events: int = 0
    frauds: int = 0
    precision: float | None = None
    precision_interval: tuple[float, float] | None = None
    recall: float | None = None
    false_positives_a_day: float = 0.0
    money_caught: dict[str, Decimal] = field(default_factory=dict)
    by_scenario: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Backtest:
    """A rule set over the events of a feed and some days, with the labels that were known at a moment.

    `blocked_since` is as `events_of` takes it.
    """

    watches: str
    rule_set: str
    first: date
    last: date
    known_at: datetime
    blocked_since: date | None
    events: int
    frauds: int
    fraud_money: dict[str, Decimal]
    scenarios: dict[str, int]
    rules: list[Figures]
    together: list[Figures]

    @property
    def base_rate(self) -> float:
        """The share of known frauds among all events."""
        return self.frauds / self.events if self.events else 0.0

    @property
    def days(self) -> int:
        """How many days were looked at."""
        return (self.last - self.first).days + 1

    def as_dict(self) -> dict[str, Any]:
        """As JSON knows it."""
        return {**asdict(self), "base_rate": self.base_rate, "days": self.days}


@dataclass(frozen=True)
class Events:
    """The events of a feed and some days as rules see them, and what is known of each: `is_fraud` and `scenario`."""

    watches: str
    rows: DataFrame
    labelled: DataFrame
    first: date
    last: date
    known_at: datetime
    blocked_since: date | None = None


def events_of(
    spark: SparkSession,
    settings: Settings,
    first: date | None = None,
    last: date | None = None,
    known_at: datetime | None = None,
    blocked_since: date | None = None,
    *,
    watches: str = TRANSACTIONS,
) -> Events:
    """Transactions (or orders) of some days, by default all, with the labels known at a moment, by default now.

    With `blocked_since`, without those of users whose card was blocked: before the day of the transaction a fraud had
    been reported that happened on them since. Raises `UsageError` where the lake holds none, and for another feed.
    """
    if watches not in FEEDS:
        raise UsageError(f"A backtest is of {' or '.join(FEEDS)}, not of {watches!r}")
    watched = WATCHED[watches]
    if not storage.exists(spark, settings, watched.features.name):
        raise UsageError(f"The lake {settings.lake_root} has no {watched.features.name}. Run `risklake stream --once`")
    features = storage.read(spark, settings, watched.features.name)
    bounds = features.agg(F.min("event_date"), F.max("event_date")).collect()[0]
    if bounds[0] is None:
        raise UsageError(f"The lake {settings.lake_root} holds no {watches}. Run `risklake stream --once`")
    first, last = max(first or bounds[0], bounds[0]), min(last or bounds[1], bounds[1])
    if first > last:
        raise UsageError(f"There are no {watches} in these days; the lake holds {bounds[0]} to {bounds[1]}")
    known_at = known_at or datetime.now(UTC)
    between = F.col("event_date").between(F.lit(first), F.lit(last))
    silver = storage.read(spark, settings, silver_table(watched.feed).name).where(between)
    fields = watched.events(silver, "true").drop("event_date")
    rows = features.where(between).join(fields, on=list(EVENT))
    if blocked_since:
        labels = _labels(spark, settings, blocked_since, known_at, watches)
        rows = _not_blocked(rows, features, labels, blocked_since, last)
    labelled = _labelled(spark, settings, watched, rows, first, known_at)
    return Events(watches, rows, labelled, first, last, known_at, blocked_since)


def _not_blocked(rows: DataFrame, features: DataFrame, labels: DataFrame, since: date, last: date) -> DataFrame:
    # As the report of a model leaves them out (`ml.alerting.is_known_card`).
    known = users_known(features, labels, since, last)
    found = rows.join(F.broadcast(known), on="user_id", how="left")
    is_blocked = F.coalesce(F.col("known_at") < F.col("event_date").cast("timestamp"), F.lit(False))
    return found.where(~is_blocked).drop("known_at")


def backtest(events: Events, rules: RuleSet) -> Backtest:
    """Run a rule set over events, and hold what it raises against their labels."""
    raised = evaluate(events.rows, rules, events.watches).select(*EVENT, "rule", "state", "decision", "held_by")
    raised = raised.join(events.labelled, on=list(EVENT)).persist()
    everything = events.labelled.groupBy("scenario", "currency").agg(
        F.count("*").alias("events"),
        F.count_if("is_fraud").alias("frauds"),
        F.sum(F.when(F.col("is_fraud"), F.col("amount"))).alias("money"),
    )
    totals = everything.toPandas()
    frauds, days = int(totals["frauds"].sum()), (events.last - events.first).days + 1
    per_event = raised.where(F.col("state") == OPEN).dropDuplicates([*EVENT])
    together = {
        ANY: per_event,
        REVIEWED: per_event.where(F.col("decision").isin(REVIEW, BLOCK)),
        BLOCKED: per_event.where(F.col("decision") == BLOCK),
    }
    if rules.lists or rules.snoozes:
        together[HELD_BACK] = raised.where(F.col("state").isin(*HELD)).dropDuplicates([*EVENT])
    by_rule = _by_user(raised.where("held_by is null"), "rule")
    states = {rule.name: rule.state for rule in rules.of(events.watches)}
    states |= {one.name: one.kind for one in rules.lists_of(events.watches, BLOCK_LIST)}
    found = Backtest(
        events.watches,
        rules.version,
        events.first,
        events.last,
        events.known_at,
        events.blocked_since,
        int(totals["events"].sum()),
        frauds,
        _money(totals),
        _scenarios(totals.rename(columns={"events": "count"})),
        [_figures(by_rule[by_rule["rule"] == name], name, state, frauds, days) for name, state in states.items()],
        [_figures(_by_user(rows), name, "", frauds, days) for name, rows in together.items()],
    )
    raised.unpersist()
    return found


def differing(events: Events, ours: RuleSet, theirs: RuleSet) -> DataFrame:
    """Alerts of which only one of two rule sets is the source, or on which they differ in state, score or decision.

    One row an event and rule, with `state`, `score` and `decision` of each (`_before`, `_after`; null for none) and the
    reason of the one that there is.
    """
    names = ("state", "score", "decision", "reason")
    sides = []
    for rules, side in ((ours, "before"), (theirs, "after")):
        alerts = evaluate(events.rows, rules, events.watches)
        sides.append(alerts.select("event_id", "rule", "event_time", *(F.col(n).alias(f"{n}_{side}") for n in names)))
    joined = sides[0].join(sides[1], on=["event_id", "rule", "event_time"], how="full")
    is_same = F.lit(True)
    for name in names[:3]:
        is_same &= F.col(f"{name}_before").eqNullSafe(F.col(f"{name}_after"))
    reason = F.coalesce("reason_after", "reason_before").alias("reason")
    return joined.where(~is_same).select(
        "event_time",
        "event_id",
        "rule",
        *(f"{name}_{side}" for name in names[:3] for side in ("before", "after")),
        reason,
    )


def _labelled(
    spark: SparkSession, settings: Settings, watched: Watched, rows: DataFrame, first: date, known_at: datetime
) -> DataFrame:
    worth = F.col(watched.amount).alias("amount"), F.coalesce(watched.currency, F.lit(_UNKNOWN)).alias("currency")
    paid = rows.select(*EVENT, "user_id", "event_date", *worth)
    labelled = with_first_report(paid, _labels(spark, settings, first, known_at, watched.name))
    labelled = labelled.withColumn("is_fraud", F.col("reason").isNotNull()).drop("reported_at", "reason")
    # The generator's truth is about payments.
    truth = truth_of(spark, settings) if watched.name == TRANSACTIONS else None
    if truth is None:
        return labelled.withColumn("scenario", F.lit(None).cast("string")).persist()
    return labelled.join(truth, on="event_id", how="left").persist()


def _labels(spark: SparkSession, settings: Settings, first: date, known_at: datetime, watches: str) -> DataFrame:
    """Frauds as they were reported by a moment, by chargeback or by an analyst: `event_id`, `reported_at`, `reason`.

    What an analyst says later counts for nothing, be it fraud or genuine.
    """
    nothing = spark.createDataFrame([], "event_id string, reported_at timestamp, reason string")
    has_disputes = storage.exists(spark, settings, "silver.disputes")
    labels = fraud_labels(storage.read(spark, settings, "silver.disputes"), first) if has_disputes else nothing
    labels = labels.where(F.col("reported_at") <= F.lit(known_at))
    if not storage.exists(spark, settings, DISPOSITIONS.name):
        return labels
    decided = storage.read(spark, settings, DISPOSITIONS.name).where(F.col("decided_at") <= F.lit(known_at))
    return with_dispositions(labels, decided, watches)


def _by_user(raised: DataFrame, *keys: str) -> pd.DataFrame:
    """Events that alerts are on, by user, scenario and currency: `count`, `frauds`, `money`."""
    return (
        raised.groupBy(*keys, "user_id", "scenario", "currency")
        .agg(
            F.count("*").alias("count"),
            F.count_if("is_fraud").alias("frauds"),
            F.sum(F.when(F.col("is_fraud"), F.col("amount"))).alias("money"),
        )
        .toPandas()
    )


def _figures(rows: pd.DataFrame, name: str, state: str, frauds: int, days: int) -> Figures:
    events, caught = int(rows["count"].sum()), int(rows["frauds"].sum())
    return Figures(
        name,
        state,
        events,
        caught,
        caught / events if events else None,
        _interval(rows.groupby("user_id")[["frauds", "count"]].sum()),
        caught / frauds if frauds else None,
        (events - caught) / days,
        _money(rows),
        _scenarios(rows),
    )


def _interval(by_user: pd.DataFrame) -> tuple[float, float] | None:
    """95 % interval of frauds over events, over resampled users: alerts on one user are not independent."""
    if len(by_user) < _FEWEST_USERS:
        return None
    drawn = np.random.default_rng(_SEED).poisson(1.0, (_DRAWS, len(by_user)))
    frauds, events = drawn @ by_user["frauds"].to_numpy(), drawn @ by_user["count"].to_numpy()
    shares = frauds[events > 0] / events[events > 0]
    low, high = np.quantile(shares, (0.025, 0.975))
    return float(low), float(high)


def _money(rows: pd.DataFrame) -> dict[str, Decimal]:
    sums = ((str(currency), _sum(money)) for currency, money in rows.groupby("currency")["money"])
    return {currency: total for currency, total in sorted(sums, key=lambda one: -one[1]) if total}


def _sum(amounts: Iterable[Any]) -> Decimal:
    return sum((amount for amount in amounts if isinstance(amount, Decimal)), Decimal(0))


def _scenarios(rows: pd.DataFrame) -> dict[str, int]:
    counts = rows.dropna(subset=["scenario"]).groupby("scenario")["count"].sum()
    return {str(name) or "honest": int(count) for name, count in counts.sort_index(key=lambda n: n == HONEST).items()}
