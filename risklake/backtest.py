"""A rule set over past days: how often each rule would have fired, on what, and how that compares with another set."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lake import storage
from lake.decisions import decisions
from lake.errors import UsageError
from lake.feature_tables import EVENT
from lake.feed_tables import silver_table
from lake.feeds import TRANSACTIONS
from lake.settings import Settings
from ml.dataset import fraud_labels, users_known, with_dispositions, with_first_report
from risklake.backtest_figures import Figures, by_user, figures, money_of, scenarios_of
from risklake.detection import truth_of
from spark_jobs.rules.evaluate import OPEN, evaluate
from spark_jobs.rules.held import HELD
from spark_jobs.rules.lists import BLOCK_LIST
from spark_jobs.rules.rule_set import BLOCK, REVIEW, RuleSet
from spark_jobs.rules.watched import JUDGED, WATCHED, Watched

# Over all rules that are active, by what they decide together; and what lists and snoozes hold back of them.
ANY, REVIEWED, BLOCKED = "any active rule", "review or block", "block"
HELD_BACK = "held back"
# Of an amount that was written without a currency.
_UNKNOWN = "unknown"


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
    watches: str = TRANSACTIONS.name,
) -> Events:
    """Transactions (or orders) of some days, by default all, with the labels known at a moment, by default now.

    With `blocked_since`, without those of users whose card was blocked: before the day of the transaction a fraud had
    been reported that happened on them since. Raises `UsageError` where the lake holds none, and for another feed.
    """
    # Disputes are the labels themselves.
    if watches not in JUDGED:
        raise UsageError(f"A backtest is of {' or '.join(JUDGED)}, not of {watches!r}")
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
    by_rule = by_user(raised.where("held_by is null"), "rule")
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
        money_of(totals),
        scenarios_of(totals.rename(columns={"events": "count"})),
        [figures(by_rule[by_rule["rule"] == name], name, state, frauds, days) for name, state in states.items()],
        [figures(by_user(rows), name, "", frauds, days) for name, rows in together.items()],
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
    truth = truth_of(spark, settings) if watched.feed is TRANSACTIONS else None
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
    decided = decisions(spark, settings)
    if decided is None:
        return labels
    return with_dispositions(labels, decided.where(F.col("decided_at") <= F.lit(known_at)), watches)
