"""The tables that watch the lake: what came in, where it stands, and what nobody expected."""

from __future__ import annotations

from pyspark.sql.types import DateType, DoubleType, LongType, MapType, StringType, TimestampType

from lake.table import Column, Table

_FEED = Column("feed", StringType(), "Feed", nullable=False)

FILES = Table(
    name="monitoring.files",
    meaning="Inbox files and how many lines each holds, counted apart from the streams: what bronze must hold",
    grain="one row an inbox file",
    keys=("feed", "source_file"),
    columns=(
        _FEED,
        Column("source_file", StringType(), "Name of the file", nullable=False),
        Column("bytes", LongType(), "Size of the file as it lay there", nullable=False),
        Column("modified_at", TimestampType(), "Modification time of the file (UTC)", nullable=False),
        Column("lines", LongType(), "Lines, and one for a file that is empty or cannot be read on", nullable=False),
        Column("counted_at", TimestampType(), "When it was counted (UTC)", nullable=False),
    ),
    written_by="spark_jobs/inventory.py",
    is_on_demand=True,
)

INGESTION = Table(
    name="monitoring.ingestion",
    meaning="The reconciliation of each run: every line that was seen stands in exactly one counted place",
    grain="one row a feed and run",
    keys=("run_id", "feed"),
    columns=(
        Column("run_id", StringType(), "Identifies the run", nullable=False),
        _FEED,
        Column("measured_at", TimestampType(), "When it was measured (UTC)", nullable=False),
        Column("lines", LongType(), "Lines seen in the inbox, counted apart from the streams", nullable=False),
        Column("pending", LongType(), "Of these, lines of files that no stream has taken yet", nullable=False),
        Column("bronze", LongType(), "Rows of bronze", nullable=False),
        Column("undecided", LongType(), "Of these, rows on their way to silver, if measured beside running streams"),
        Column("silver", LongType(), "Accepted events; of a reference feed accepted versions", nullable=False),
        Column("quarantined", LongType(), "Rejected lines", nullable=False),
        Column("duplicates", LongType(), "Repeated lines", nullable=False),
        Column("waiting", LongType(), "Orphans that wait for what they refer to", nullable=False),
        Column("orphans", LongType(), "Accepted events whose user, merchant or product is unknown", nullable=False),
        Column("changed_files", LongType(), "Files that changed after they were counted", nullable=False),
        Column("difference", LongType(), "Lines that stand nowhere (or twice, if negative)", nullable=False),
        Column("verdict", StringType(), "`Consistent` or `Inconsistent`", nullable=False),
        Column("measured_date", DateType(), "UTC date of `measured_at`", nullable=False),
    ),
    partition_by=("measured_date",),
    retention_days=400,
    written_by="spark_jobs/reconciliation.py",
)

RETENTION = Table(
    name="monitoring.retention",
    meaning="Lines of events that have outlived `retention_days`: they were counted, and are no longer kept",
    grain="one row a feed and moment; the latest moment holds",
    keys=("feed", "expired_before"),
    columns=(
        _FEED,
        Column("expired_before", TimestampType(), "Lines that arrived before this moment (UTC) go", nullable=False),
        Column("lines", LongType(), "Lines of the feed that arrived before it, ever", nullable=False),
        Column("recorded_at", TimestampType(), "When this was decided (UTC)", nullable=False),
    ),
    written_by="spark_jobs/retention.py",
    is_on_demand=True,
)

FEATURE_PARITY = Table(
    name="monitoring.feature_parity",
    meaning="Features that the streams wrote, held against a recomputation from silver",
    grain="one row a table of features and comparison",
    keys=("table", "measured_at"),
    columns=(
        Column("table", StringType(), "Table of features", nullable=False),
        Column("measured_at", TimestampType(), "When it was compared (UTC)", nullable=False),
        Column("compared", LongType(), "Events that were compared", nullable=False),
        Column("differing", LongType(), "Events whose row differs, is missing, or is one too many", nullable=False),
    ),
    retention_days=400,
    written_by="spark_jobs/parity.py",
    is_on_demand=True,
)

UNKNOWN_FIELDS = Table(
    name="monitoring.unknown_fields",
    meaning="Fields that producers sent and no feed declares; their values are kept in `rest`",
    grain="one row a feed, field and micro-batch",
    keys=("feed", "field", "arrived_at"),
    columns=(
        _FEED,
        Column("field", StringType(), "Name of the field", nullable=False),
        Column("lines", LongType(), "Accepted or waiting lines that hold it", nullable=False),
        Column("arrived_at", TimestampType(), "Latest arrival of such a line (UTC)", nullable=False),
    ),
    retention_days=400,
    written_by="spark_jobs/silver.py",
    is_on_demand=True,
)

RELEASES = Table(
    name="monitoring.releases",
    meaning="Quarantined lines of which a mended copy was put into the inbox, each once",
    grain="one row a quarantined line that was replayed",
    keys=("feed", "source_file", "line_number"),
    columns=(
        _FEED,
        Column("source_file", StringType(), "File of the quarantined line", nullable=False),
        Column("line_number", LongType(), "Position of the quarantined line in it", nullable=False),
        Column("released_at", TimestampType(), "When the mended line was put into the inbox (UTC)", nullable=False),
        Column("replay_file", StringType(), "Inbox file of the mended line", nullable=False),
    ),
    written_by="risklake/quarantine.py",
    is_on_demand=True,
)

STREAMS = Table(
    name="monitoring.streams",
    meaning="What each stream did: its micro-batches, and now and then that nothing waited",
    grain="one row a micro-batch that had input, and at most one row a query and minute that had none",
    keys=("run_id", "at"),
    columns=(
        Column("query", StringType(), "Name of the query, such as silver_transactions", nullable=False),
        Column("run_id", StringType(), "Run of the query: a new one at each start", nullable=False),
        Column("query_id", StringType(), "Identity of the query: lives as long as its checkpoint", nullable=False),
        Column("batch_id", LongType(), "Number of the micro-batch; null where there was nothing to do"),
        Column("at", TimestampType(), "End of the trigger (UTC)", nullable=False),
        Column("date", DateType(), "UTC date of `at`", nullable=False),
        Column(
            "input_rows",
            LongType(),
            "Rows as Spark counts them: files for bronze; a row that its batch reads twice counts twice",
            nullable=False,
        ),
        Column("input_rows_per_s", DoubleType(), "Input rows a second since the trigger before; null if not known"),
        Column("processed_rows_per_s", DoubleType(), "Input rows a second of work; null if not known"),
        Column(
            "trigger_ms",
            LongType(),
            "Milliseconds of the whole trigger, without a rest at its end; null where there was nothing to do",
        ),
        Column("add_batch_ms", LongType(), "Milliseconds of waiting for its turn, computing and writing the batch"),
        Column(
            "durations_ms",
            MapType(StringType(), LongType()),
            "Milliseconds of each phase, as Spark names and counts them, rests included",
        ),
        Column("state_rows", LongType(), "Rows in the state store; null for a query without state"),
        Column("state_bytes", LongType(), "Memory of the state in bytes; null for a query without state"),
        Column("watermark", TimestampType(), "Watermark of event time (UTC); null without one"),
        Column("backlog_rows", LongType(), "Rows that waited then; null where the source knows files only"),
        Column("backlog_files", LongType(), "Files that waited then; null if not known"),
        Column("backlog_bytes", LongType(), "Bytes of those files; null if not known"),
    ),
    partition_by=("date",),
    retention_days=30,
    # Many small commits, which no stream follows.
    properties=(("delta.autoOptimize.autoCompact", "true"),),
    written_by="spark_jobs/stream_metrics.py",
    is_on_demand=True,
)
