"""Where the lines of an event stand, and what became of each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F

from lake import storage
from lake.catalog import DUPLICATES, ORPHANS, QUARANTINE
from lake.errors import UsageError
from lake.feed import Feed
from lake.feed_tables import accepted_table, bronze_table, silver_table
from lake.feeds import FEEDS
from lake.settings import Settings
from risklake.facts import Facts, facts_of, facts_where
from risklake.quarantine import LineId
from spark_jobs.mask import excerpt

ACCEPTED, REPEATED, WAITING, QUARANTINED = "accepted", "repeat of an accepted event", "waiting", "quarantined"
# Of an id that came again, long apart (`duplicate_horizon_days`), or of a thing that was described again.
OTHER_EVENT, OTHER_VERSION = "accepted as another event of this id", "accepted as another version"


def feed_of(spark: SparkSession, settings: Settings, event_id: str) -> tuple[Feed, list[date]]:
    """The feed that an event stands in, and its `days_of`. Raises `UsageError` if it is in none.

    One that was rejected comes last: another feed may have accepted an event of its id.
    """
    feeds = [feed for feed in FEEDS.values() if not feed.is_reference]
    for feed in feeds:
        days = days_of(spark, settings, feed, event_id)
        if days or _is_named(spark, settings, (DUPLICATES.name, ORPHANS.name), feed, event_id):
            return feed, days
    for feed in feeds:
        if _is_named(spark, settings, (QUARANTINE.name,), feed, event_id):
            return feed, []
    raise UsageError(
        f"{event_id!r} is no event of the lake {settings.lake_root}. Name a line that has no right id as "
        "feed/file:number, as `risklake quarantine list` does"
    )


def _is_named(spark: SparkSession, settings: Settings, tables: Sequence[str], feed: Feed, event_id: str) -> bool:
    return any(
        storage.exists(spark, settings, name)
        and not storage.read(spark, settings, name).where(_key_of(feed, event_id)).isEmpty()
        for name in tables
    )


def days_of(spark: SparkSession, settings: Settings, feed: Feed, event_id: str) -> list[date]:
    """The dates on which an event of a feed was accepted; none if it was not, and none for a reference feed.

    Only its id is looked for in the whole table; with the date, all else is read from few files.
    """
    name = silver_table(feed).name
    if feed.is_reference or not storage.exists(spark, settings, name):
        return []
    rows = storage.read(spark, settings, name).where(F.col(feed.key) == event_id)
    return sorted({row[0] for row in rows.select("event_date").collect()})


def is_accepted(feed: Feed, event_id: str, days: Sequence[date]) -> Column:
    """The condition on accepted lines for an event of some dates, or for what a reference feed describes."""
    is_it = F.col(feed.key) == event_id
    if feed.is_reference:
        return is_it
    return is_it & F.col("event_date").isin(*days) if days else F.lit(False)


def _key_of(feed: Feed, event_id: str) -> Column:
    return (F.col("feed") == feed.name) & (F.col("event_key") == event_id)


def event_of(spark: SparkSession, settings: Settings, line: LineId) -> str | None:
    """The key of the event that a line is or repeats; None for one that was rejected or stands nowhere."""
    feed = FEEDS[line.feed]
    at = (F.col("source_file") == line.source_file) & (F.col("line_number") == line.line_number)
    for row in facts_where(spark, settings, accepted_table(feed).name, at):
        return str(row[feed.key])
    for name in (DUPLICATES.name, ORPHANS.name):
        for row in facts_where(spark, settings, name, at & (F.col("feed") == feed.name)):
            return str(row["event_key"])
    return None


def asked_for(accepted: list[Facts], feed: Feed, line: LineId | None) -> Facts | None:
    """Of all that was accepted of one id that of a line, or else the latest; None of nothing."""
    own = [one for one in accepted if line and _place(one) == (line.source_file, line.line_number)]
    latest = sorted(accepted, key=lambda one: str(one[feed.event_time or "valid_from"]))
    return next(iter([*own, *reversed(latest)]), None)


def marked(lines: list[Facts], feed: Feed, row: Facts | None) -> list[Facts]:
    """The same lines with that of an accepted row first; those that were accepted apart from it say so."""
    other = OTHER_VERSION if feed.is_reference else OTHER_EVENT
    is_other = [line["fate"] == ACCEPTED and row is not None and _place(line) != _place(row) for line in lines]
    found = [line | {"fate": other} if differs else line for line, differs in zip(lines, is_other, strict=True)]
    return sorted(found, key=lambda line: line["fate"] != ACCEPTED)


def _place(row: Facts) -> tuple[str, int]:
    return row["source_file"], row["line_number"]


def fate_of(spark: SparkSession, settings: Settings, line: LineId) -> Facts:
    """What became of a line that is no event. Raises `UsageError` if it stands nowhere."""
    at = (F.col("source_file") == line.source_file) & (F.col("line_number") == line.line_number)
    found = facts_where(spark, settings, QUARANTINE.name, at & (F.col("feed") == line.feed))
    known = {"feed": line.feed, "source_file": line.source_file, "line_number": line.line_number}
    if found:
        return known | {"fate": QUARANTINED, "reasons": found[0]["reasons"]}
    if not facts_where(spark, settings, bronze_table(FEEDS[line.feed]).name, at):
        raise UsageError(f"{line} stands nowhere in the lake {settings.lake_root}. `risklake status` counts what does")
    return known | {"fate": "in bronze, not decided about yet", "reasons": []}


def lines_of(spark: SparkSession, settings: Settings, feed: Feed, event_id: str, days: Sequence[date]) -> list[Facts]:
    """Where the lines of an id stand: those that were accepted, their repeats, those that wait and the rejected."""
    places = [
        (accepted_table(feed).name, is_accepted(feed, event_id, days), ACCEPTED),
        (DUPLICATES.name, _key_of(feed, event_id), REPEATED),
        (ORPHANS.name, _key_of(feed, event_id) & (F.col("stands_in") == "waiting"), WAITING),
        (QUARANTINE.name, _key_of(feed, event_id), QUARANTINED),
        # Rows of quarantine that came before it had keys name none.
        (ORPHANS.name, _key_of(feed, event_id) & (F.col("stands_in") == "quarantine"), QUARANTINED),
    ]
    found: dict[tuple[str, int], Facts] = {}
    for name, condition, fate in places:
        for row in facts_where(spark, settings, name, condition):
            missing = [{"code": "unknown_reference", "message": str(one)} for one in row.get("missing") or []]
            known = {"feed": feed.name, "source_file": row["source_file"], "line_number": row["line_number"]}
            found.setdefault(_place(row), known | {"fate": fate, "reasons": row.get("reasons") or missing})
    return list(found.values())


def with_text(spark: SparkSession, settings: Settings, lines: list[Facts], raw: bool) -> list[Facts]:
    """The same with the text of each line, masked unless `raw`, and when it came."""
    found = []
    for line in lines:
        feed = FEEDS[line["feed"]]
        at = (F.col("source_file") == line["source_file"]) & (F.col("line_number") == line["line_number"])
        stored = storage.read(spark, settings, bronze_table(feed).name).where(at)
        text = F.col("line").cast("string") if raw else excerpt(F.col("line").cast("string"), feed)
        rows = facts_of(stored.select("arrived_at", "file_modified_at", "read_error", text.alias("text")))
        found.append(line | (rows[0] if rows else {"text": None, "arrived_at": None}))
    return found
