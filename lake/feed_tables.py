"""The tables of the feeds, made from the feeds' declarations: bronze, silver and the history of reference feeds."""

from __future__ import annotations

from pyspark.sql.types import (
    ArrayType,
    BooleanType,
    DateType,
    LongType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from lake.feed import Feed
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

FILE_TIME = Column("file_modified_at", TimestampType(), "Modification time of the file (UTC)", nullable=False)
ARRIVAL_DATE = Column("arrival_date", DateType(), "UTC date of `arrived_at`", nullable=False)

REASON = StructType(
    [
        StructField("code", StringType(), True, {"comment": "Stable code, such as amount_type"}),
        StructField("field", StringType(), True, {"comment": "Field at fault; null for the line as a whole"}),
        StructField("message", StringType(), True, {"comment": "What is wrong and what would be right"}),
    ]
)

_REST = Column("rest", StringType(), "JSON object of fields that are not declared; null if there are none")
_HASH = Column(
    "content_hash", LongType(), "Hash of the typed content: tells a repeat from an altered duplicate", nullable=False
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
            Column("header", StringType(), "Header of the CSV file that the line stands in; null for JSON"),
            *LINEAGE[:2],
            FILE_TIME,
            Column("read_error", StringType(), "Why the file could not be read from here on; null for a line"),
            LINEAGE[2],
            ARRIVAL_DATE,
        ),
        partition_by=("arrival_date",),
        expires=not feed.is_reference,
        written_by="spark_jobs/bronze.py",
        is_on_demand=not feed.is_core,
    )


def silver_table(feed: Feed) -> Table:
    """The silver table of a feed: accepted events, typed; of a reference feed the latest version of each thing."""
    values = tuple(column for field in feed.fields for column in field.silver_columns)
    if feed.is_reference:
        return Table(
            name=f"silver.{feed.name}",
            meaning=f"The latest version of each of `{feed.name}`, typed. {feed.meaning}.",
            grain=f"one row a `{feed.key}`",
            keys=(feed.key,),
            columns=(*values, _REST, _HASH, *LINEAGE),
            written_by="spark_jobs/silver.py",
            is_on_demand=True,
        )
    return Table(
        name=f"silver.{feed.name}",
        meaning=f"Accepted events of `{feed.name}`, typed and deduplicated. {feed.meaning}.",
        grain=f"one row an accepted `{feed.key}`",
        keys=(feed.key,),
        columns=(
            *values,
            Column("event_date", DateType(), f"UTC date of `{feed.event_time}`", nullable=False),
            _REST,
            _HASH,
            *LINEAGE,
        ),
        partition_by=("event_date",),
        expires=True,
        written_by="spark_jobs/silver.py",
        is_on_demand=not feed.is_core,
    )


def history_table(feed: Feed) -> Table:
    """The history of a reference feed, a slowly changing dimension of type 2."""
    values = tuple(column for field in feed.fields for column in field.silver_columns)
    return Table(
        name=f"silver.{feed.name}_history",
        meaning=f"Every accepted version of each of `{feed.name}`: a slowly changing dimension of type 2",
        grain=f"one row an accepted version of a `{feed.key}`",
        keys=feed.identity,
        columns=(
            *values,
            _REST,
            _HASH,
            *LINEAGE,
            FILE_TIME,
            Column("valid_from", TimestampType(), "When this version arrived (UTC)", nullable=False),
            Column("valid_to", TimestampType(), "When the next version arrived (UTC); null for the latest"),
            Column("is_current", BooleanType(), "Whether this is the latest version", nullable=False),
        ),
        written_by="spark_jobs/silver.py",
        is_on_demand=True,
    )


def accepted_table(feed: Feed) -> Table:
    """The table that holds one row for each accepted line of a feed: silver's own, or the history."""
    return history_table(feed) if feed.is_reference else silver_table(feed)


QUARANTINE = Table(
    name="silver.quarantine",
    meaning="Rejected lines of all feeds, with every reason. Personal data is masked; the line itself is in bronze",
    grain="one row a rejected line",
    keys=("feed", "source_file", "line_number"),
    columns=(
        Column("feed", StringType(), "Feed of the line", nullable=False),
        *LINEAGE[:2],
        Column("event_key", StringType(), "Key that the line names; null where it names none that is right"),
        Column("excerpt", StringType(), "Start of the line: declared field names kept, letters as x, digits as 9"),
        Column("reasons", ArrayType(REASON, True), "Every reason, each with code, field and message", nullable=False),
        LINEAGE[2],
        ARRIVAL_DATE,
    ),
    partition_by=("feed",),
    expires=True,
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
    expires=True,
    written_by="spark_jobs/silver.py",
)

MISSING = StructType(
    [
        StructField("field", StringType(), True, {"comment": "Field that refers to nothing known"}),
        StructField("key", StringType(), True, {"comment": "What it refers to"}),
    ]
)

ORPHANS = Table(
    name="silver.orphans",
    meaning="Good lines that refer to a user, merchant or product that has not arrived, until it does",
    grain="one row a line that is held back",
    keys=("feed", "source_file", "line_number"),
    columns=(
        Column("feed", StringType(), "Feed of the line", nullable=False),
        *LINEAGE[:2],
        Column("event_key", StringType(), "Key of the event; a later line of this key repeats it", nullable=False),
        _HASH,
        Column("missing", ArrayType(MISSING, True), "What has not arrived", nullable=False),
        Column("stands_in", StringType(), "Where the line is counted: `waiting` or `quarantine`", nullable=False),
        LINEAGE[2],
        ARRIVAL_DATE,
    ),
    partition_by=("feed",),
    expires=True,
    written_by="spark_jobs/orphans.py",
    is_on_demand=True,
)
