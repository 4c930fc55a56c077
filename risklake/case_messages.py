"""A message for each case that is, or has become, severe enough: a stream over `alerts.cases`, so each is told at least
once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming import StreamingQuery

from lake import storage
from lake.catalog import CASES
from lake.settings import Settings
from risklake.message import Message
from spark_jobs.rules.rule_set import SEVERITIES
from spark_jobs.streams import Rank, Stream, stream_error

ALERT = "alert"
# Named as what is dropped with the cases (`risklake.reset`).
QUERY = "alerts_messages"
# Of older cases, such as those of a replay, nobody wants to hear.
RECENT = timedelta(days=1)
_MOST = 200


@dataclass
class CaseMessages:
    """A job that follows the line and tells of cases."""

    tell: Callable[[Message], None]
    JOB: str = "messages"

    def streams(self, spark: SparkSession, settings: Settings) -> list[Stream]:
        """The stream of messages, once there are cases."""
        if not storage.exists(spark, settings, CASES.name):
            return []

        def start(continuous: bool) -> StreamingQuery:
            changes = storage.read_stream(spark, settings, CASES.name)
            write = _batch_writer(settings, self.tell)
            return storage.stream_batches(
                changes, settings, write, query=QUERY, continuous=continuous, rank=Rank.REFERENCE
            )

        return [Stream(QUERY, start)]


def follow(spark: SparkSession, settings: Settings, tell: Callable[[Message], None]) -> None:
    """Tell of the cases that wait, and return. For a caller that holds the lease of the alerts.

    Raises `StreamError` if the stream ends before that.
    """
    for stream in CaseMessages(tell).streams(spark, settings):
        query = stream.start(False)
        try:
            query.awaitTermination()
        except StreamingQueryException as failure:
            raise stream_error(stream.name, failure) from failure


def catch_up(spark: SparkSession, settings: Settings, tell: Callable[[Message], None]) -> None:
    """Tell of the cases that wait, and return; on a lake whose cases were never followed, of none.

    For a caller that holds the leases of all jobs.
    """
    if Path(storage.checkpoint(settings, QUERY)).is_dir():
        follow(spark, settings, tell)


def to_be_told(changes: DataFrame, least_severity: str, now: datetime) -> DataFrame:
    """Of changes of cases those that make a recent one severe enough, one row a case, the riskiest first.

    A case is new, or was less severe or too old before: what has been told within a day is not told again when a case
    grows, but when it gets worse.
    """
    names = list(SEVERITIES)
    would_tell = F.col("severity").isin(names[names.index(least_severity) :]) & (
        F.col("last_at") >= F.lit(now - RECENT)
    )
    level = F.array_position(F.array(*map(F.lit, names)), F.col("severity"))
    # One that was severe and too old to be told is told when it grows.
    before = changes.where(would_tell & (F.col("_change_type") == "update_preimage"))
    told = before.select("case_id", "_commit_version", level.alias("told_level"))
    is_now = F.col("_change_type").isin("insert", "update_postimage")
    changed = changes.where(would_tell & is_now).join(told, on=["case_id", "_commit_version"], how="left")
    risen = changed.where(F.col("told_level").isNull() | (level > F.col("told_level")))
    # One that rises, falls and rises again between two looks is told as it is last.
    latest = F.max_by(F.struct(*CASES.column_names), "_commit_version").alias("case")
    return risen.groupBy("case_id").agg(latest).select("case.*").orderBy(F.desc("score"), "began_at", "case_id")


def message(case: dict[str, object]) -> Message:
    """What is told of a case."""
    rules = case["rules"]
    return Message(
        kind=ALERT,
        key=str(case["case_id"]),
        title=f"{case['entity']} {case['entity_id']}: {', '.join(rules) if isinstance(rules, list) else rules}",
        text=str(case["reason"]),
        severity=str(case["severity"]),
        facts={
            "case": case["case_id"],
            "alerts": case["alerts"],
            "score": case["score"],
            "decision": case["decision"],
            "since": str(case["began_at"]),
        },
    )


def summary(riskiest: Message, count: int) -> Message:
    """What is told of so many cases that not each has its message."""
    return Message(
        kind=ALERT,
        key=f"{riskiest.key}+{count - 1}",
        title=f"{count:,} cases at once: the {_MOST} riskiest follow, {count - _MOST:,} more do not",
        text="`risklake alerts cases` lists them",
        severity=riskiest.severity,
    )


def _batch_writer(settings: Settings, tell: Callable[[Message], None]) -> Callable[[DataFrame, int], None]:
    def write(batch: DataFrame, batch_id: int) -> None:
        found = to_be_told(batch, settings.webhook_severity, datetime.now(UTC))
        messages = [message(row.asDict()) for row in found.limit(_MOST).collect()]
        if len(messages) == _MOST and (count := found.count()) > _MOST:
            # First, as many that wait become one message, which names the first of them.
            tell(summary(messages[0], count))
        for one in messages:
            tell(one)

    return write
