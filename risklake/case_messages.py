"""A message for each new case that is severe enough: a stream over `alerts.cases`, so each is told at least once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming import StreamingQuery

from lake import storage
from lake.catalog import CASES
from lake.settings import Settings
from risklake.webhook import Message
from spark_jobs.rules.rule_set import SEVERITIES
from spark_jobs.streams import Rank, Stream

ALERT = "alert"
QUERY = "messages_cases"
# Of older cases, such as those of a replay, nobody wants to hear.
RECENT = timedelta(days=1)
_MOST = 200


@dataclass
class CaseMessages:
    """A job that follows the line and tells of new cases."""

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


def to_be_told(changes: DataFrame, least_severity: str, now: datetime) -> DataFrame:
    """Of changes of cases those that are new, recent and severe enough, the riskiest first."""
    names = list(SEVERITIES)
    is_new = F.col("_change_type") == "insert"
    is_severe = F.col("severity").isin(names[names.index(least_severity) :])
    chosen = changes.where(is_new & is_severe & (F.col("last_at") >= F.lit(now - RECENT)))
    return chosen.orderBy(F.desc("score"), "began_at", "case_id")


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


def _batch_writer(settings: Settings, tell: Callable[[Message], None]) -> Callable[[DataFrame, int], None]:
    def write(batch: DataFrame, batch_id: int) -> None:
        found = to_be_told(batch, settings.webhook_severity, datetime.now(UTC)).limit(_MOST).collect()
        for row in found:
            tell(message(row.asDict()))

    return write
