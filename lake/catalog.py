"""Every table that the streams and the model write, declared once (the marts are declared in `dbt/models`)."""

from __future__ import annotations

from pyspark.sql.types import (
    BooleanType,
    DateType,
    DecimalType,
    DoubleType,
    IntegerType,
    LongType,
    MapType,
    StringType,
    TimestampType,
)

from lake.feed import MONEY
from lake.feed_tables import DUPLICATES, ORPHANS, QUARANTINE, bronze_table, history_table, silver_table
from lake.feeds import FEEDS
from lake.monitoring_tables import FILES, INGESTION, RELEASES, RETENTION, STREAMS, UNKNOWN_FIELDS
from lake.table import Column, Table

USER_5M = Table(
    name="features.user_5m",
    meaning="What was known of a user at each of its transactions: the trailing five minutes, by event time",
    grain="one row an accepted transaction",
    keys=("event_id",),
    columns=(
        Column("event_id", StringType(), "The transaction", nullable=False),
        Column("user_id", StringType(), "Whose five minutes", nullable=False),
        Column("event_time", TimestampType(), "End of the window, included (UTC)", nullable=False),
        Column("event_date", DateType(), "UTC date of `event_time`", nullable=False),
        Column(
            "txn_count_5m",
            LongType(),
            "Transactions in (event_time - 5 min, event_time], itself included",
            nullable=False,
        ),
        Column(
            "amount_sum_5m",
            DecimalType(28, 4),
            "Sum of their amounts, not converted between currencies",
            nullable=False,
        ),
        Column("amount_mean_5m", DoubleType(), "Mean of their amounts", nullable=False),
        Column("amount_max_5m", MONEY, "Largest of their amounts", nullable=False),
        Column("amount_std_5m", DoubleType(), "Sample standard deviation of their amounts; null for a single one"),
        Column("distinct_merchants_5m", IntegerType(), "Different merchants among them", nullable=False),
        Column("distinct_countries_5m", IntegerType(), "Different countries among them", nullable=False),
        Column(
            "seconds_since_previous",
            DoubleType(),
            "Seconds since the user's previous transaction (by event time, then event id), at least 0; "
            "null if there is none in the 30 days before",
        ),
        Column(
            "country_changed",
            BooleanType(),
            "Whether that previous transaction was in another country; null if there is none",
        ),
        Column(
            "inputs_arrived_at",
            TimestampType(),
            "Latest arrival among the lines that these values depend on (UTC)",
            nullable=False,
        ),
    ),
    partition_by=("event_date",),
    expires=True,
    change_feed=True,
    written_by="spark_jobs/features.py",
)

ALERTS = Table(
    name="alerts.alerts",
    meaning="Alerts: a rule that fired on an event, and why",
    grain="one row an (event, rule) that fired",
    keys=("event_id", "rule"),
    columns=(
        Column("event_id", StringType(), "The transaction or order", nullable=False),
        Column("rule", StringType(), "Name of the rule", nullable=False),
        Column("watches", StringType(), "Feed of the event: transactions or orders", nullable=False),
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
            "`open`; `shadow` where the rule is on trial and raises nothing; `withdrawn` where a late line undid the "
            "reason",
            nullable=False,
        ),
        Column("weight", IntegerType(), "Points that the rule adds to the score of the event (0 to 100)", False),
        Column(
            "score",
            IntegerType(),
            "Points of all active rules that fired on the event, at most 100; higher is riskier",
            nullable=False,
        ),
        Column("decision", StringType(), "`approve`, `review` or `block`, by the score of the event", nullable=False),
        Column("reason", StringType(), "The reason in words", nullable=False),
        Column("fired_on", MapType(StringType(), StringType()), "The values that fired the rule", nullable=False),
        Column("rule_set", StringType(), "Version of the rule set that was in force", nullable=False),
        Column(
            "inputs_arrived_at", TimestampType(), "Latest arrival among the lines it depends on (UTC)", nullable=False
        ),
    ),
    partition_by=("event_date",),
    expires=True,
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
        ALERTS,
        SCORES,
        FILES,
        INGESTION,
        UNKNOWN_FIELDS,
        RETENTION,
        RELEASES,
        STREAMS,
    )
}

# In the order of the flow, with `monitoring` beside it. `marts` is written by dbt, `models` and `reports` hold files.
LAYERS = ("bronze", "silver", "features", "alerts", "marts", "monitoring")
