"""Every table that the streams and the model write, declared once (the marts are declared in `dbt/models`)."""

from __future__ import annotations

from pyspark.sql.types import (
    ArrayType,
    DateType,
    DoubleType,
    IntegerType,
    LongType,
    MapType,
    StringType,
    TimestampType,
)

from lake.feature_tables import BOOKKEEPING, DISPUTES, EVENT, ORDERS, USER_5M, USER_WINDOWS, WRITING
from lake.feed import MONEY
from lake.feed_tables import DUPLICATES, ORPHANS, QUARANTINE, bronze_table, history_table, silver_table
from lake.feeds import FEEDS
from lake.monitoring_tables import FEATURE_PARITY, FILES, INGESTION, RELEASES, RETENTION, STREAMS, UNKNOWN_FIELDS
from lake.table import Column, Table

ALERTS = Table(
    name="alerts.alerts",
    meaning="Alerts: a rule or block list that fired on an event, and why",
    grain="one row an (event, rule) that fired",
    keys=(*EVENT, "watches", "rule"),
    columns=(
        Column("event_id", StringType(), "The transaction, order or dispute", nullable=False),
        Column("rule", StringType(), "Name of the rule, or of the block list", nullable=False),
        Column("watches", StringType(), "Feed of the event: transactions, orders or disputes", nullable=False),
        Column("user_id", StringType(), "Whose event", nullable=False),
        Column("entity", StringType(), "What the alert is about: user_id, merchant_id, device_id…", nullable=False),
        Column("entity_id", StringType(), "Which one of them", nullable=False),
        Column("event_time", TimestampType(), "When the event happened (UTC)", nullable=False),
        Column("event_date", DateType(), "UTC date of `event_time`", nullable=False),
        Column("severity", StringType(), "low, medium, high or critical", nullable=False),
        Column("typology", StringType(), "Kind of attack that the rule looks for; empty if it names none", False),
        Column(
            "state",
            StringType(),
            "`open`; `shadow` where the rule is on trial and raises nothing; `allowed` or `snoozed` where a list or a "
            "snooze holds it back; `withdrawn` where a late line undid the reason",
            nullable=False,
        ),
        Column("cool_down_s", IntegerType(), "Seconds after which another alert on the entity opens a new case", False),
        Column("weight", IntegerType(), "Points that the rule adds to the score of the event (0 to 100)", False),
        Column(
            "score",
            IntegerType(),
            "Points of all open alerts on the event, at most 100; higher is riskier",
            nullable=False,
        ),
        Column("decision", StringType(), "`approve`, `review` or `block`, by the score of the event", nullable=False),
        Column("reason", StringType(), "The reason in words", nullable=False),
        Column("fired_on", MapType(StringType(), StringType()), "The values that fired the rule", nullable=False),
        Column("held_by", StringType(), "The allow list or snooze that holds it back, and why; null if none does"),
        Column("rule_set", StringType(), "Version of the rule set that was in force", nullable=False),
        *WRITING,
    ),
    partition_by=("event_date",),
    expires=True,
    change_feed=True,
    bookkeeping=BOOKKEEPING,
    written_by="spark_jobs/alerts.py",
)

CASES = Table(
    name="alerts.cases",
    meaning="Cases: open alerts on one user, merchant, device or product that belong together, as those of one attack",
    grain="one row a case: alerts on one entity, each at a time when an earlier one keeps the case open",
    keys=("case_id",),
    columns=(
        Column("case_id", StringType(), "Follows from the entity and the first alert of the case", nullable=False),
        Column("entity", StringType(), "What the case is about: user_id, merchant_id, device_id…", nullable=False),
        Column("entity_id", StringType(), "Which one of them", nullable=False),
        Column("began_at", TimestampType(), "Event time of its first alert (UTC)", nullable=False),
        Column("event_date", DateType(), "UTC date of `began_at`", nullable=False),
        Column("last_at", TimestampType(), "Event time of its last alert so far (UTC)", nullable=False),
        Column(
            "open_until", TimestampType(), "Until when (UTC) an alert on the entity belongs to it; null if not known"
        ),
        Column("alerts", LongType(), "Alerts in it", nullable=False),
        Column("events", LongType(), "Different events that they are on", nullable=False),
        Column("severity", StringType(), "Highest severity among them", nullable=False),
        Column("score", IntegerType(), "Highest score of an event among them (0 to 100)", nullable=False),
        Column("decision", StringType(), "Strongest decision on an event among them", nullable=False),
        Column("rules", ArrayType(StringType(), True), "Rules that fired, sorted", nullable=False),
        Column("typologies", ArrayType(StringType(), True), "Kinds of attack they look for, sorted", nullable=False),
        Column("reason", StringType(), "Reason of the earliest alert with the highest score", nullable=False),
        Column("updated_at", TimestampType(), "When this row was written, or last changed (UTC)", nullable=False),
    ),
    partition_by=("event_date",),
    change_feed=True,
    is_on_demand=True,
    bookkeeping=("updated_at",),
    written_by="spark_jobs/cases.py",
)

DISPOSITIONS = Table(
    name="alerts.dispositions",
    meaning="What analysts found out about events with alerts; the latest word on an event is a label of the model",
    grain="one row a decision about an event",
    keys=("event_id", "decided_at"),
    columns=(
        Column("event_id", StringType(), "The transaction, order or dispute", nullable=False),
        Column("label", StringType(), "`fraud` or `genuine`", nullable=False),
        Column("case_id", StringType(), "Case that was closed with it; null for an event by itself"),
        Column("decided_at", TimestampType(), "When it was decided (UTC)", nullable=False),
        Column("note", StringType(), "Why, in words, masked as free text is; null if nothing was said"),
        Column("watches", StringType(), "Feed of the event, as in `alerts.alerts`; null where it was not kept yet"),
    ),
    is_on_demand=True,
    written_by="risklake/dispositions.py",
)

_JUDGED = (
    Column("score", IntegerType(), "Points of the active rules that fired on it, at most 100", nullable=False),
    Column("rules", ArrayType(StringType(), True), "Names of these rules, sorted", nullable=False),
    Column("reasons", ArrayType(StringType(), True), "Their reasons in words, in this order", nullable=False),
    Column("rule_set", StringType(), "Version of the rule set that was in force", nullable=False),
)

PROCESSED_ORDERS = Table(
    name="alerts.processed_orders",
    meaning="Orders as the rules have judged them",
    grain="one row an accepted order",
    keys=("order_id", "event_ts"),
    columns=(
        Column("order_id", StringType(), "The order", nullable=False),
        Column("user_id", StringType(), "Who orders", nullable=False),
        Column("product_id", StringType(), "What is ordered", nullable=False),
        Column("quantity", IntegerType(), "How many of the product", nullable=False),
        Column("amount_numeric", MONEY, "Amount of the order", nullable=False),
        Column("amount_currency", StringType(), "ISO 4217 code that the amount was written with; null if none"),
        Column("country", StringType(), "ISO 3166-1 alpha-2 code of where the order comes from", nullable=False),
        Column("event_ts", TimestampType(), "When the order was made (UTC)", nullable=False),
        Column("event_date", DateType(), "UTC date of `event_ts`", nullable=False),
        Column("source", StringType(), "Where the order came from", nullable=False),
        Column("status", StringType(), "`Fraud` where the rules say block, otherwise `Genuine`", nullable=False),
        Column("decision", StringType(), "`approve`, `review` or `block`, by the score", nullable=False),
        *_JUDGED,
        *WRITING,
    ),
    partition_by=("event_date",),
    expires=True,
    is_on_demand=True,
    bookkeeping=BOOKKEEPING,
    written_by="spark_jobs/alerts.py",
)

FRAUD_ALERT = Table(
    name="alerts.fraud_alert",
    meaning="Orders that the rules have judged to be fraud, and why",
    grain="one row an order whose status is Fraud",
    keys=("order_id", "event_ts"),
    columns=(
        Column("order_id", StringType(), "The order", nullable=False),
        Column("user_id", StringType(), "Who orders", nullable=False),
        Column("event_ts", TimestampType(), "When the order was made (UTC)", nullable=False),
        Column("event_date", DateType(), "UTC date of `event_ts`", nullable=False),
        *_JUDGED,
        *WRITING,
    ),
    partition_by=("event_date",),
    expires=True,
    is_on_demand=True,
    bookkeeping=BOOKKEEPING,
    written_by="spark_jobs/alerts.py",
)

SCORES = Table(
    name="alerts.scores",
    meaning="What a model says of the transactions of its test days",
    grain="one row a scored transaction and model version",
    keys=("event_id", "model_version"),
    columns=(
        Column("event_id", StringType(), "The transaction", nullable=False),
        Column(
            "model_version",
            StringType(),
            "Model name and as-of date, as the file in `models/` is called",
            nullable=False,
        ),
        Column("user_id", StringType(), "Whose transaction", nullable=False),
        Column("event_time", TimestampType(), "When the transaction happened (UTC)", nullable=False),
        Column("event_date", DateType(), "UTC date of `event_time`", nullable=False),
        Column("score", DoubleType(), "From 0 to 1; higher is riskier", nullable=False),
    ),
    partition_by=("model_version",),
    expires=True,
    written_by="ml/train.py",
)

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        *(bronze_table(feed) for feed in FEEDS.values()),
        *(silver_table(feed) for feed in FEEDS.values()),
        *(history_table(feed) for feed in FEEDS.values() if feed.is_reference),
        QUARANTINE,
        DUPLICATES,
        ORPHANS,
        USER_5M,
        ORDERS,
        DISPUTES,
        USER_WINDOWS,
        ALERTS,
        CASES,
        DISPOSITIONS,
        PROCESSED_ORDERS,
        FRAUD_ALERT,
        SCORES,
        FILES,
        INGESTION,
        FEATURE_PARITY,
        UNKNOWN_FIELDS,
        RETENTION,
        RELEASES,
        STREAMS,
    )
}

# What several programs write, streams and commands, each in its turn (`lake.lease.turn`).
SHARED = {name for name, table in TABLES.items() if table.layer == "monitoring"} | {SCORES.name, DISPOSITIONS.name}

# In the order of the flow, with `monitoring` beside it. `marts` is written by dbt, `models` and `reports` hold files.
LAYERS = ("bronze", "silver", "features", "alerts", "marts", "monitoring")
