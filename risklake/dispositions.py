"""What analysts decide: cases and events with alerts are closed as fraud or genuine, and their word becomes a label."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import reduce

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from lake import storage
from lake.catalog import ALERTS, CASES, DISPOSITIONS
from lake.decisions import decisions, is_about
from lake.errors import UsageError
from lake.lease import turn
from lake.masking_key import masking_key, require_same_key
from lake.settings import Settings
from spark_jobs.cases import id_of
from spark_jobs.personal import mask_free_text
from spark_jobs.rules.evaluate import OPEN

LABELS = FRAUD, GENUINE = ("fraud", "genuine")
STATES = ("open", "closed", "all")
_EVENT_OF_CASE = ("entity", "entity_id", "event_id")


@dataclass(frozen=True)
class Found:
    """What an id names: a case, if it is one, and its events, each with its feed."""

    case_id: str | None
    ids_and_feeds: list[tuple[str, str]]

    @property
    def events(self) -> list[str]:
        """The ids of the events."""
        return [event_id for event_id, _ in self.ids_and_feeds]

    def condition(self) -> Column:
        """Whether a row of alerts is of one of the events: an order may have the id of a payment."""
        feeds: dict[str, list[str]] = {}
        for event_id, feed in self.ids_and_feeds:
            feeds.setdefault(feed, []).append(event_id)
        of_feeds = ((F.col("watches") == feed) & F.col("event_id").isin(ids) for feed, ids in feeds.items())
        return reduce(Column.__or__, of_feeds)


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
            of_case = _ids_and_feeds(alerts.where(of_entity & within))
            if not of_case:
                raise UsageError(
                    f"The case {found_by} has no open alert any more: a late line has undone them. It goes when the "
                    "stream of cases looks the next time"
                )
            return Found(found_by, of_case)
    events = _ids_and_feeds(alerts.where(F.col("event_id") == found_by))
    if not events:
        raise UsageError(f"{found_by!r} is no case and no event with an open alert. `risklake alerts cases` lists them")
    return Found(None, events)


def cases_with_state(spark: SparkSession, settings: Settings) -> DataFrame:
    """All cases, with `disposition` (null while a case is open) and `decided_at`.

    A case is closed while each of its events was decided about in a case of its entity. So one that has got events
    since is open again, also where others have left it; one that has another id now, since a late line undid its first
    alert, is not.
    """
    cases = storage.read(spark, settings, CASES.name)
    all_decisions = decisions(spark, settings)
    if all_decisions is None:
        nothing = {"disposition": F.lit(None).cast("string"), "decided_at": F.lit(None).cast("timestamp")}
        return cases.withColumns(nothing)
    decided = all_decisions.where("case_id is not null")
    alerts = storage.read(spark, settings, ALERTS.name)
    about = decided.join(_entities(cases, alerts, decided), on="case_id", how="inner")
    events = _events(cases, alerts, about)
    same = reduce(Column.__and__, (F.col(f"case.{name}") == F.col(f"about.{name}") for name in _EVENT_OF_CASE))
    same &= is_about(F.col("case.watches"), F.col("about.watches"))
    events, about = events.alias("case"), about.alias("about")
    told = events.join(about, same).select("case.case_id", "about.label", "about.decided_at")
    latest = (
        told.unionByName(decided.select("case_id", "label", "decided_at"))
        .groupBy("case_id")
        .agg(F.max_by("label", "decided_at").alias("label"), F.max("decided_at").alias("decided"))
    )
    undecided = events.join(about, same, how="left_anti").select("case_id", F.lit(True).alias("is_open")).distinct()
    joined = cases.join(latest, on="case_id", how="left").join(undecided, on="case_id", how="left")
    is_closed = F.col("is_open").isNull()
    return joined.withColumns(
        {"disposition": F.when(is_closed, F.col("label")), "decided_at": F.when(is_closed, F.col("decided"))}
    ).drop("label", "decided", "is_open")


def _entities(cases: DataFrame, alerts: DataFrame, decided: DataFrame) -> DataFrame:
    """Of what entity the cases are, or were, that something was decided about: `case_id`, `entity`, `entity_id`."""
    # Alerts are kept when they are withdrawn, so one that a case began with still tells its id.
    first = alerts.join(decided, on="event_id", how="left_semi").select(
        id_of("event_id", "event_time", "rule").alias("case_id"), "entity", "entity_id"
    )
    return first.unionByName(cases.select("case_id", "entity", "entity_id")).distinct()


def _events(cases: DataFrame, alerts: DataFrame, about: DataFrame) -> DataFrame:
    """The events with open alerts of the cases of some entities: `case_id`, `watches` and `_EVENT_OF_CASE`."""
    some = cases.join(about, on=["entity", "entity_id"], how="left_semi")
    bounds = some.select("case_id", "entity", "entity_id", "began_at", "last_at")
    of_cases = alerts.where(F.col("state") == OPEN).join(bounds, on=["entity", "entity_id"], how="inner")
    within = of_cases.where(F.col("event_time").between(F.col("began_at"), F.col("last_at")))
    return within.select("case_id", "watches", *_EVENT_OF_CASE).distinct()


def _ids_and_feeds(alerts: DataFrame) -> list[tuple[str, str]]:
    return sorted((event_id, feed) for event_id, feed in alerts.select("event_id", "watches").distinct().collect())
