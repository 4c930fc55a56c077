"""Every table that the streams and the model write, declared once (the marts are declared in `dbt/models`)."""

from __future__ import annotations

from pyspark.sql.types import (
    ArrayType,
    BooleanType,
    DateType,
    DecimalType,
    DoubleType,
    IntegerType,
    LongType,
    MapType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from lake.feeds import FEEDS, MONEY, Feed
from lake.table import Column, Table

LINEAGE = (
    Column("source_file", StringType(), "Inbox file of the line, relative to the feed's folder", nullable=False),
    Column(
        "line_number",
        LongType(),
        "Position of the line in its file, from 1; 0 stands for the file itself (empty, or unreadable)",
        nullable=False,
    ),
    Column("arrived_at", TimestampType(), "When the line was taken into bronze (UTC)", nullable=False),
)

REASON = StructType(
    [
        StructField("code", StringType(), True, {"comment": "Stable code, such as amount_type"}),
        StructField("field", StringType(), True, {"comment": "Field at fault; null for the line as a whole"}),
        StructField("message", StringType(), True, {"comment": "What is wrong and what would be right"}),
    ]
)


def bronze_table(feed: Feed) -> Table:
    """The bronze table of a feed: every line, unchanged."""
    return Table(
        name=f"bronze.{feed.name}",
        meaning=f"Every line that arrived for `{feed.name}`, whatever it holds. {feed.meaning}.",
        grain="one row an input line (and one for a file that is empty or cannot be read)",
        keys=("source_file", "line_number"),
        columns=(
            Column("line", StringType(), "The line, unchanged, without its newline; null where nothing could be read"),
            *LINEAGE[:2],
            Column("file_modified_at", TimestampType(), "Modification time of the file (UTC)", nullable=False),
            Column("read_error", StringType(), "Why the file could not be read from here on; null for a line"),
            LINEAGE[2],
            Column("arrival_date", DateType(), "UTC date of `arrived_at`", nullable=False),
        ),
        partition_by=("arrival_date",),
        retention_days=400,
        written_by="spark_jobs/bronze.py",
    )


def silver_table(feed: Feed) -> Table:
    """The silver table of a feed: accepted events, typed."""
    return Table(
        name=f"silver.{feed.name}",
        meaning=f"Accepted events of `{feed.name}`, typed and deduplicated. {feed.meaning}.",
        grain=f"one row an accepted `{feed.key}`",
        keys=(feed.key,),
        columns=(
            *(Column(f.name, f.kind.silver_type, f.comment, nullable=not f.required) for f in feed.fields),
            Column("event_date", DateType(), f"UTC date of `{feed.event_time}`", nullable=False),
            Column("rest", StringType(), "JSON object of fields that are not declared; null if there are none"),
            Column(
                "content_hash",
                LongType(),
                "Hash of the typed content: tells a repeat from an altered duplicate",
                nullable=False,
            ),
            *LINEAGE,
        ),
        partition_by=("event_date",),
        retention_days=400,
        written_by="spark_jobs/silver.py",
    )


QUARANTINE = Table(
    name="silver.quarantine",
    meaning="Rejected lines of all feeds, with every reason. Personal data is masked; the line itself is in bronze",
    grain="one row a rejected line",
    keys=("feed", "source_file", "line_number"),
    columns=(
        Column("feed", StringType(), "Feed of the line", nullable=False),
        *LINEAGE[:2],
        Column("excerpt", StringType(), "Start of the line: declared field names kept, letters as x, digits as 9"),
        Column("reasons", ArrayType(REASON, True), "Every reason, each with code, field and message", nullable=False),
        LINEAGE[2],
        Column("arrival_date", DateType(), "UTC date of `arrived_at`", nullable=False),
    ),
    partition_by=("feed",),
    retention_days=400,
    written_by="spark_jobs/silver.py",
)

DUPLICATES = Table(
    name="silver.duplicates",
    meaning="Lines that repeat an accepted event with the same content (altered ones stand in quarantine)",
    grain="one row a repeated line",
    keys=("feed", "source_file", "line_number"),
    columns=(
        Column("feed", StringType(), "Feed of the line", nullable=False),
        Column("event_key", StringType(), "Key of the event that it repeats", nullable=False),
        *LINEAGE,
    ),
    partition_by=("feed",),
    retention_days=400,
    written_by="spark_jobs/silver.py",
)

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
    retention_days=400,
    change_feed=True,
    written_by="spark_jobs/features.py",
)

ALERTS = Table(
    name="alerts.alerts",
    meaning="Alerts: a rule that fired on a transaction, and why",
    grain="one row a (transaction, rule) that fired",
    keys=("event_id", "rule"),
    columns=(
        Column("event_id", StringType(), "The transaction", nullable=False),
        Column("rule", StringType(), "Name of the rule", nullable=False),
        Column("user_id", StringType(), "Whose transaction", nullable=False),
        Column("event_time", TimestampType(), "When the transaction happened (UTC)", nullable=False),
        Column("event_date", DateType(), "UTC date of `event_time`", nullable=False),
        Column("severity", StringType(), "low, medium, high or critical", nullable=False),
        Column("state", StringType(), "`open`, or `withdrawn` where a late line undid the reason", nullable=False),
        Column("reason", StringType(), "The reason in words", nullable=False),
        Column("fired_on", MapType(StringType(), StringType()), "The values that fired the rule", nullable=False),
        Column(
            "inputs_arrived_at", TimestampType(), "Latest arrival among the lines it depends on (UTC)", nullable=False
        ),
    ),
    partition_by=("event_date",),
    retention_days=400,
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
    retention_days=400,
    written_by="ml/train.py",
)

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        *(bronze_table(feed) for feed in FEEDS.values()),
        *(silver_table(feed) for feed in FEEDS.values()),
        QUARANTINE,
        DUPLICATES,
        USER_5M,
        ALERTS,
        SCORES,
    )
}

# In the order of the flow. `marts` is written by dbt, `models` and `reports` hold files.
LAYERS = ("bronze", "silver", "features", "alerts", "marts")
