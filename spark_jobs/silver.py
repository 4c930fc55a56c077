"""Silver: each bronze line becomes an accepted event or version, a quarantined line, a counted duplicate, or waits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming import StreamingQuery

from lake import storage
from lake.catalog import DUPLICATES, ORPHANS, QUARANTINE, UNKNOWN_FIELDS
from lake.feed import Feed
from lake.feed_tables import accepted_table, bronze_table, history_table, silver_table
from lake.feeds import FEEDS
from lake.masking_key import masking_key
from lake.settings import Settings
from lake.storage import Transaction
from lake.table import Table
from spark_jobs import orphans
from spark_jobs.expired import expired
from spark_jobs.history import versions
from spark_jobs.known_ids import KnownIds, Repeats, looked_at
from spark_jobs.lag import has_more, is_behind
from spark_jobs.side_by_side import Work, side_by_side
from spark_jobs.streams import SELDOM, URGENT, Rank, Stream
from spark_jobs.time_ranges import ranges_of
from spark_jobs.typed import typed
from spark_jobs.verdicts import (
    ACCEPTED,
    DUPLICATE,
    QUARANTINED,
    WAITING,
    Extent,
    Look,
    decided,
    duplicate_rows,
    extent_of,
    held_near,
    held_within,
    is_drifted,
    quarantine_rows,
    unknown_fields,
)
from spark_jobs.waiting_bytes import waiting_bytes

JOB = "silver"
# So many ids of a micro-batch at most are compared apart from the others; each is a word of the plan.
_FEW_REPEATED = 100
# With these verdicts, a line's unknown fields are told: of one that waits now, since nothing names the later write.
_TOLD = (ACCEPTED, WAITING)


def streams(spark: SparkSession, settings: Settings) -> list[Stream]:
    """A stream for each feed that has lines in bronze; reference feeds come first, as others refer to them."""
    orphans.policies(settings)  # a wrong setting is said now, not at the first orphan
    return [
        Stream(query(feed), _starter(spark, settings, feed), rank=0 if feed.is_reference else 1)
        for feed in FEEDS.values()
        if storage.exists(spark, settings, bronze_table(feed).name)
    ]


def query(feed: Feed) -> str:
    """The name of a feed's stream."""
    return f"silver_{feed.name}"


def _rank(feed: Feed) -> Rank:
    return Rank.SILVER if feed.is_judged else Rank.REFERENCE


def _pace(feed: Feed) -> float:
    return URGENT if feed.is_judged else SELDOM


def _starter(spark: SparkSession, settings: Settings, feed: Feed) -> Callable[[bool], StreamingQuery]:
    def start(continuous: bool) -> StreamingQuery:
        tables = {silver_table(feed).name, accepted_table(feed).name}
        storage.require_matching_checkpoint(spark, settings, query(feed), sorted(tables))
        # Other feeds write these too; it may be that no line of this one was accepted.
        shared = [QUARANTINE.name, DUPLICATES.name, ORPHANS.name]
        storage.require_matching_checkpoint(spark, settings, query(feed), shared, only=f"feed = '{feed.name}'")
        lines = storage.read_stream(spark, settings, bronze_table(feed).name, continuous=continuous)
        # In the plan of the stream, which is analysed once, not in that of each micro-batch: it is long.
        rows = typed(lines, feed, masking_key(settings))
        write = _batch_writer(settings, feed, _known_ids(settings, feed, continuous))
        return storage.stream_batches(
            rows,
            settings,
            write,
            query=query(feed),
            continuous=continuous,
            how_much=partial(waiting_bytes, settings, query(feed), bronze_table(feed).name),
            is_behind=partial(is_behind, settings, query(feed), [bronze_table(feed).name]),
            has_more=partial(has_more, settings, query(feed), [bronze_table(feed).name]) if feed.is_judged else None,
            rank=_rank(feed),
            every_seconds=_pace(feed) * settings.trigger_seconds,
        )

    return start


def _known_ids(settings: Settings, feed: Feed, continuous: bool) -> KnownIds | None:
    # A drain asks few times: gathering all ids would cost more.
    if not continuous or feed.is_reference or not settings.is_local:
        return None
    return KnownIds(settings, feed, settings.duplicate_horizon_days)


def _batch_writer(settings: Settings, feed: Feed, known: KnownIds | None) -> Callable[[DataFrame, int], None]:
    def write(batch: DataFrame, batch_id: int) -> None:
        # Checkpoints, not caches: the plan of the validation is long, and every write would plan it again. Lazy ones:
        # whoever counts the rows makes them.
        rows = batch.localCheckpoint(eager=False)
        look = looked_at(rows, feed) if known else Look(extent_of(rows, feed))
        if not look.extent.rows:  # as the first of a feed that gets no files
            return
        spark = batch.sparkSession
        transaction = storage.transaction_of(spark, settings, query(feed), batch_id)
        storage.ensure_tables(spark, settings, [silver_table(feed).name, accepted_table(feed).name])
        with storage.alone(settings, f"lines of {feed.name}"):
            _write(settings, feed, _settled(spark, settings, feed, rows, look, known), transaction)
        if feed.is_reference:
            orphans.release(spark, settings, feed.name)

    return write


@dataclass(frozen=True)
class _Settled:
    """Rows that are decided about, which verdicts there are, and whether one of a line that is taken is drifted."""

    rows: DataFrame
    verdicts: set[str]
    is_drifted: bool


def _settled(
    spark: SparkSession, settings: Settings, feed: Feed, rows: DataFrame, look: Look, known: KnownIds | None
) -> _Settled:
    """Decide about typed rows. Where it is known which ids need comparing, only their lines are compared."""
    repeats = _repeats(spark, look, known)
    minutes = repeats.minutes if repeats else None
    if repeats is None or len(repeats.ids) > _FEW_REPEATED or not _is_own_affair(spark, settings, feed):
        return _counted(_compared(spark, settings, feed, rows, look.extent, minutes))
    if not repeats.ids:
        good, bad = look.extent.good, look.extent.rows - look.extent.good
        verdicts = {verdict for verdict, count in ((ACCEPTED, good), (QUARANTINED, bad)) if count}
        return _Settled(decided(rows, None, feed, settings.duplicate_horizon_days), verdicts, look.is_drifted)
    is_repeated = F.coalesce(F.col(feed.key).isin(repeats.ids), F.lit(False))
    compared = _compared(spark, settings, feed, rows.where(is_repeated), look.extent, minutes)
    others = decided(rows.where(~is_repeated), None, feed, settings.duplicate_horizon_days)
    return _counted(others.unionByName(compared))


def _is_own_affair(spark: SparkSession, settings: Settings, feed: Feed) -> bool:
    """Whether what becomes of a line depends on no lines but those of its id, and these are here or in silver."""
    accepts = orphans.policy(settings, feed) == orphans.ACCEPT_THEM
    return accepts and not storage.exists(spark, settings, ORPHANS.name)


def _compared(
    spark: SparkSession,
    settings: Settings,
    feed: Feed,
    rows: DataFrame,
    extent: Extent,
    minutes: list[datetime] | None,
) -> DataFrame:
    """Typed rows with their verdicts, each compared with the others and with what is held."""
    gone = expired(spark, settings)
    accepted = gone.kept_of(feed.name, storage.read(spark, settings, accepted_table(feed).name))
    if minutes is None:
        near = held_near(accepted, rows, feed, settings.duplicate_horizon_days, extent)
    else:
        near = held_within(accepted, rows, feed, ranges_of(minutes), extent)
    held = orphans.held_too(near, settings, rows, feed, gone)
    verdict = decided(rows, held, feed, settings.duplicate_horizon_days)
    return orphans.held_back(spark, settings, verdict, feed).localCheckpoint(eager=False)


def _counted(settled: DataFrame) -> _Settled:
    counted = settled.groupBy("verdict").agg(F.bool_or(is_drifted()).alias("is_drifted")).collect()
    told = any(row["is_drifted"] for row in counted if row["verdict"] in _TOLD)
    return _Settled(settled, {row["verdict"] for row in counted}, told)


def _write(settings: Settings, feed: Feed, settled: _Settled, transaction: Transaction) -> None:
    """Write rows that are decided about.

    A killed batch is decided anew, and an orphan of the first time may have been found meanwhile. So the places that a
    row can leave are written first: it then stands in two, and `orphans.release` clears the first. The others are
    written side by side.
    """

    def chosen(verdict: str) -> DataFrame:
        return settled.rows.where(F.col("verdict") == verdict)

    def written(table: Table, rows: DataFrame) -> Work:
        return partial(storage.append, rows, settings, table.name, transaction)

    spark, works, verdicts = settled.rows.sparkSession, list[Work](), settled.verdicts
    can_leave_quarantine = orphans.policy(settings, feed) == orphans.QUARANTINE_THEM
    if WAITING in verdicts or can_leave_quarantine:
        orphans.remember(settled.rows, settings, feed, transaction)
    if ACCEPTED in verdicts:
        works.append(partial(accept, chosen(ACCEPTED), settings, feed, transaction))
    if QUARANTINED in verdicts:
        quarantined = written(QUARANTINE, quarantine_rows(chosen(QUARANTINED), feed))
        if can_leave_quarantine:
            quarantined()
        else:
            works.append(quarantined)
    if DUPLICATE in verdicts:
        works.append(written(DUPLICATES, duplicate_rows(chosen(DUPLICATE), feed)))
    if settled.is_drifted:
        storage.ensure_tables(spark, settings, [UNKNOWN_FIELDS.name])
        told = settled.rows.where(F.col("verdict").isin(*_TOLD))
        works.append(written(UNKNOWN_FIELDS, unknown_fields(told, feed)))
    side_by_side(spark, works)


def _repeats(spark: SparkSession, look: Look, known: KnownIds | None) -> Repeats | None:
    """Which ids need comparing; None if only silver can tell."""
    if known is None:
        return None
    if look.extent.first is None or look.extent.last is None:
        return Repeats([], [])
    return known.repeats(spark, look.keys, look.extent.first, look.extent.last)


def accept(rows: DataFrame, settings: Settings, feed: Feed, transaction: Transaction) -> None:
    """Write accepted rows: events are appended, versions of reference feeds are merged into history and latest."""
    if not feed.is_reference:
        # What is held already was written by the batch's first attempt, or by `orphans.release` since.
        storage.append(rows.where("not is_held"), settings, silver_table(feed).name, transaction)
        return
    history = history_table(feed)
    all_versions = versions(rows, storage.read(rows.sparkSession, settings, history.name), feed).localCheckpoint()
    storage.merge_changes(all_versions, settings, history.name, insert=True)
    storage.merge_changes(all_versions.where("is_current"), settings, silver_table(feed).name, insert=True)


if __name__ == "__main__":
    from spark_jobs.run import main

    main(JOB)
