"""What analysts decide: cases and events with alerts are closed as fraud or genuine, and their word becomes a label."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lake import storage
from lake.catalog import ALERTS, CASES, DISPOSITIONS
from lake.decisions import decisions, is_about
from lake.errors import UsageError
from lake.lease import turn
from lake.masking_key import masking_key, require_same_key
from lake.settings import Settings
from spark_jobs.personal import mask_free_text
from spark_jobs.rules.evaluate import OPEN

LABELS = FRAUD, GENUINE = ("fraud", "genuine")
STATES = ("open", "closed", "all")


@dataclass(frozen=True)
class Found:
    """What an id names: a case, if it is one, and its events, each with its feed."""

    case_id: str | None
    ids_and_feeds: list[tuple[str, str]]

    @property
    def events(self) -> list[str]:
        """The ids of the events."""
        return [event_id for event_id, _ in self.ids_and_feeds]


def close(spark: SparkSession, settings: Settings, found_by: str, label: str, note: str | None) -> Found:
    """Close a case (by its id), or an event with alerts (by its id), as fraud or genuine.

    E-mail addresses, card and phone numbers in the note are masked, as in all free text.

    Raises `UsageError` for an id that is neither, and for another label; `SettingError` for another masking key;
    `SchemaError` for a lake of an earlier version.
    """
    if label not in LABELS:
        raise UsageError(f"{label!r} is no disposition; close it --as {' or '.join(LABELS)}")
    require_same_key(settings)
    closed = events_of(spark, settings, found_by)
    now = datetime.now(UTC)
    rows = [(event_id, label, closed.case_id, now, note, feed) for event_id, feed in closed.ids_and_feeds]
    masked = mask_free_text(F.col("note"), masking_key(settings))
    decided = spark.createDataFrame(rows, DISPOSITIONS.schema).withColumn("note", masked)
    with turn(settings, DISPOSITIONS.name):
        storage.ensure_tables(spark, settings, [DISPOSITIONS.name])
        storage.require_columns(spark, settings, DISPOSITIONS.name)
        storage.append(decided, settings, DISPOSITIONS.name)
    return closed


def events_of(spark: SparkSession, settings: Settings, found_by: str) -> Found:
    """The events with open alerts that an id names. Raises `UsageError` for an id that is no case and no such event."""
    alerts = storage.read(spark, settings, ALERTS.name).where(F.col("state") == OPEN)
    if storage.exists(spark, settings, CASES.name):
        case = storage.read(spark, settings, CASES.name).where(F.col("case_id") == found_by).collect()
        if case:
            of_entity = (F.col("entity") == case[0]["entity"]) & (F.col("entity_id") == case[0]["entity_id"])
            within = F.col("event_time").between(F.lit(case[0]["began_at"]), F.lit(case[0]["last_at"]))
            return Found(found_by, _ids_and_feeds(alerts.where(of_entity & within)))
    events = _ids_and_feeds(alerts.where(F.col("event_id") == found_by))
    if not events:
        raise UsageError(f"{found_by!r} is no case and no event with an open alert. `risklake alerts cases` lists them")
    return Found(None, events)


def cases_with_state(spark: SparkSession, settings: Settings) -> DataFrame:
    """All cases, with `disposition` (null while a case is open) and `decided_at`.

    A case that has got events since it was closed is open again, also where others have left it.
    """
    cases = storage.read(spark, settings, CASES.name)
    all_decisions = decisions(spark, settings)
    if all_decisions is None:
        nothing = {"disposition": F.lit(None).cast("string"), "decided_at": F.lit(None).cast("timestamp")}
        return cases.withColumns(nothing)
    decided = all_decisions.where("case_id is not null")
    latest = decided.groupBy("case_id").agg(
        F.max_by("label", "decided_at").alias("label"), F.max("decided_at").alias("decided")
    )
    alerts = storage.read(spark, settings, ALERTS.name).where(F.col("state") == OPEN)
    reopened = _undecided(cases, alerts, decided).withColumn("is_reopened", F.lit(True))
    joined = cases.join(latest, on="case_id", how="left").join(reopened, on="case_id", how="left")
    is_closed = F.col("is_reopened").isNull()
    return joined.withColumns(
        {"disposition": F.when(is_closed, F.col("label")), "decided_at": F.when(is_closed, F.col("decided"))}
    ).drop("label", "decided", "is_reopened")


def _undecided(cases: DataFrame, alerts: DataFrame, decided: DataFrame) -> DataFrame:
    """Cases that were closed once, and have an event of which nothing was said: `case_id`."""
    closed = cases.join(decided, on="case_id", how="left_semi").select(
        "case_id", "entity", "entity_id", "began_at", "last_at"
    )
    of_cases = alerts.join(closed, on=["entity", "entity_id"], how="inner")
    within = of_cases.where(F.col("event_time").between(F.col("began_at"), F.col("last_at")))
    same = (F.col("decided.case_id") == F.col("alert.case_id")) & (F.col("decided.event_id") == F.col("alert.event_id"))
    of_feed = is_about(F.col("alert.watches"), F.col("decided.watches"))
    left = within.alias("alert").join(decided.alias("decided"), same & of_feed, how="left_anti")
    return left.select("case_id").distinct()


def _ids_and_feeds(alerts: DataFrame) -> list[tuple[str, str]]:
    return sorted((event_id, feed) for event_id, feed in alerts.select("event_id", "watches").distinct().collect())
