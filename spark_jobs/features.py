"""Features: the streams that keep `features.*` equal to what silver says, late lines included."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial, reduce

from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql.streaming import StreamingQuery

from lake import order_features, storage
from lake.dispute_features import LONGEST_DELAY
from lake.feature import Feature
from lake.feature_tables import EVENT
from lake.order_features import EQUAL_FEATURES
from lake.settings import Settings
from lake.transaction_features import LINK_FEATURES, USER_FEATURES
from spark_jobs import disputes, links, orders
from spark_jobs.feature_tables import EVENT_TABLES, FeatureTable
from spark_jobs.lag import has_more, is_behind, taken_whole
from spark_jobs.link_look_back import LinkLookBack
from spark_jobs.look_back import Around, Batch
from spark_jobs.streams import URGENT, Rank, Stream
from spark_jobs.time_ranges import TimeRanges, ranges_of_each, time_ranges
from spark_jobs.user_5m import INPUTS, user_5m
from spark_jobs.user_look_back import UserLookBack
from spark_jobs.waiting_bytes import waiting_bytes

JOB = "features"
TRANSACTIONS, ORDERS, DISPUTES = EVENT_TABLES

_Write = Callable[[DataFrame, int], None]
# Disputes of some 100 bytes each.
_FEW = 200_000


def changed(around: DataFrame) -> DataFrame:
    """Feature rows of the new transactions (`is_new`), and of those whose values a new one may change.

    Those are all of the same user from the new one's instant on.
    """
    of_user = Window.partitionBy("user_id").orderBy("event_time")
    since = of_user.rangeBetween(Window.unboundedPreceding, Window.currentRow)
    return user_5m(around.withColumn("is_touched", F.max("is_new").over(since))).where("is_touched")


def streams(spark: SparkSession, settings: Settings) -> list[Stream]:
    """A stream for each table of features whose feed has come."""
    writers = {
        TRANSACTIONS.name: _transactions_writer,
        ORDERS.name: _orders_writer,
        DISPUTES.name: _disputes_writer,
    }
    return [
        Stream(found.query, _starter(spark, settings, found, writers[found.name]))
        for found in EVENT_TABLES
        if _has_come(spark, settings, found)
    ]


def _has_come(spark: SparkSession, settings: Settings, found: FeatureTable) -> bool:
    # Those of the first hour are always there; a stream of what never comes costs its start and its looks.
    has_come = storage.is_written if found.table.is_on_demand else storage.exists
    return has_come(spark, settings, found.source)


def _starter(
    spark: SparkSession, settings: Settings, found: FeatureTable, writer: Callable[[Settings, bool], _Write]
) -> Callable[[bool], StreamingQuery]:
    def start(continuous: bool) -> StreamingQuery:
        name = found.table.name
        storage.ensure_tables(spark, settings, [name])
        storage.require_matching_checkpoint(spark, settings, found.query, [name])
        events = _arrivals(spark, settings, found, continuous=continuous)
        write = writer(settings, continuous)
        return storage.stream_batches(
            events,
            settings,
            write,
            query=found.query,
            continuous=continuous,
            how_much=partial(waiting_bytes, settings, found.query, *found.sources),
            is_behind=partial(is_behind, settings, found.query, found.sources),
            has_more=partial(has_more, settings, found.query, found.sources) if found.pace <= URGENT else None,
            rank=Rank.FEATURES if found.pace <= URGENT else Rank.REFERENCE,
            every_seconds=found.pace * settings.trigger_seconds,
        )

    return start


def _arrivals(spark: SparkSession, settings: Settings, found: FeatureTable, *, continuous: bool) -> DataFrame:
    """What comes into the sources of a table: of one, its rows; of several, the ids (`event_id`) of transactions."""
    has_turns = continuous and found.pace <= URGENT
    arrivals = [storage.read_stream(spark, settings, name, continuous=has_turns) for name in found.sources]
    if len(arrivals) == 1:
        return arrivals[0]
    return reduce(DataFrame.unionByName, (rows.select("event_id") for rows in arrivals))


def _transactions_writer(settings: Settings, continuous: bool) -> _Write:
    of_users, of_links = UserLookBack(settings, keeps=continuous), LinkLookBack(settings, keeps=continuous)

    def write(micro_batch: DataFrame, batch_id: int) -> None:
        arrived = micro_batch.select(*INPUTS)
        arrived = arrived.localCheckpoint(eager=False) if continuous else arrived.persist()
        batch = Batch.in_memory(arrived) if continuous else Batch.of(arrived)
        if batch is not None:
            taken = taken_whole(settings, TRANSACTIONS.query)
            writing = _Writing(settings, TRANSACTIONS, batch_id, arrived)
            users = of_users.around(batch, taken)
            users = replace(users, rows=changed(users.rows)).settled()
            linked = of_links.around(batch, taken).settled() if batch.is_linked else None
            writing.append(_with_links(users.rows.where("is_new"), linked.rows if linked else None))
            writing.correct(users.rows.where("not is_new"), USER_FEATURES, users.to_correct)
            if linked:
                _correct_links(writing, linked)
        arrived.unpersist()

    return write


def _correct_links(writing: _Writing, linked: Around) -> None:
    # Mostly there is nothing to correct: one look tells it for all keys.
    ranges = time_ranges(linked.rows.where("not is_new")) if linked.to_correct is None else linked.to_correct
    for key, features in links.KEYS.items():
        writing.correct(linked.rows.where(links.changed_column(key)), features, ranges)


def _with_links(rows: DataFrame, linked: DataFrame | None) -> DataFrame:
    """The rows of new transactions with the counts of their devices and payment methods."""
    names = [feature.name for feature in LINK_FEATURES]
    if linked is None:
        return rows.withColumns({feature.name: F.lit(None).cast(feature.type) for feature in LINK_FEATURES})
    return rows.join(linked.where("is_new").select(*EVENT, *names), on=list(EVENT), how="left")


def _orders_writer(settings: Settings, continuous: bool) -> _Write:
    def write(batch: DataFrame, batch_id: int) -> None:
        arrived = orders.orders_of(batch).select(*orders.INPUTS).localCheckpoint(eager=False)
        around = orders.around(arrived, storage.read(batch.sparkSession, settings, ORDERS.source))
        if around is not None:
            writing = _Writing(settings, ORDERS, batch_id, arrived)
            of_users, of_equals = around
            user = orders.changed_of_users(of_users).localCheckpoint(eager=False)
            # Asked twice, for who orders and for the numbers beside them.
            of_equals = of_equals.localCheckpoint(eager=False)
            equal = orders.changed_equal(of_equals).localCheckpoint(eager=False)
            new = equal.where("is_new").select(*EVENT, *(feature.name for feature in EQUAL_FEATURES))
            writing.append(user.where("is_new").join(new, on=list(EVENT), how="inner"))
            # Mostly there is nothing to correct.
            changed_user, changed_equal = user.where("not is_new"), equal.where("not is_new")
            user_ranges, equal_ranges = ranges_of_each(changed_user, changed_equal)
            writing.correct(changed_user, order_features.USER_FEATURES, user_ranges)
            writing.correct(changed_equal, EQUAL_FEATURES, equal_ranges)

    return write


def _disputes_writer(settings: Settings, continuous: bool) -> _Write:
    name = DISPUTES.table.name

    def write(batch: DataFrame, batch_id: int) -> None:
        # All of silver is asked, whichever of the two came with this micro-batch: the same again changes nothing.
        asked = _asked(settings, batch).localCheckpoint(eager=False)
        new = _newly_known(settings, asked).localCheckpoint(eager=False)
        ranges = time_ranges(asked.withColumnRenamed("reported_at", "event_time").select("event_time"))
        if not ranges:
            return
        near = ranges.wider(disputes.REACH)
        stored = storage.read(batch.sparkSession, settings, name).where(near.condition())
        rows = disputes.changed(new, stored).localCheckpoint(eager=False)
        last = F.lit(new.agg(F.max("inputs_arrived_at")).collect()[0][0])
        arrival = F.when(F.col("is_new"), F.col("inputs_arrived_at")).otherwise(last)
        written = rows.withColumns({"inputs_arrived_at": arrival, "updated_at": F.lit(datetime.now(UTC))})
        storage.merge_changes(written, settings, name, within=near.condition("old"), insert=True)

    return write


def _asked(settings: Settings, batch: DataFrame) -> DataFrame:
    """The disputes of payments that were disputed, or came, with a micro-batch."""
    reported = storage.read(batch.sparkSession, settings, DISPUTES.source)
    return reported.join(batch.select("event_id").distinct(), on="event_id", how="left_semi")


def _newly_known(settings: Settings, asked: DataFrame) -> DataFrame:
    """Those disputes of which the payment is known, as `disputes.paid` gives them."""
    payments = storage.read(asked.sparkSession, settings, DISPUTES.sources[1])
    first, last, count = asked.agg(F.min("event_date"), F.max("event_date"), F.count("*")).collect()[0]
    if not count:
        return disputes.paid(asked, payments.limit(0))
    days = F.col("event_date").between(F.lit(first - LONGEST_DELAY - timedelta(days=1)), F.lit(last))
    # Few are looked for in all payments of half a year, which need not be moved for that.
    return disputes.paid(F.broadcast(asked) if count <= _FEW else asked, payments.where(days))


class _Writing:
    """What a micro-batch writes into a table of features: rows of new events, and changes of others."""

    def __init__(self, settings: Settings, found: FeatureTable, batch_id: int, arrived: DataFrame) -> None:
        self._settings, self._table = settings, found.table
        self._transaction = storage.transaction_of(arrived.sparkSession, settings, found.query, batch_id)
        self._arrived, self._now = arrived, F.lit(datetime.now(UTC))

    def append(self, rows: DataFrame) -> None:
        """Add the rows of new events."""
        by_itself = rows.withColumns({"inputs_arrived_at": F.col("arrived_at"), "updated_at": self._now})
        storage.append(by_itself, self._settings, self._table.name, self._transaction)

    def correct(self, rows: DataFrame, features: Sequence[Feature], within: TimeRanges | None = None) -> None:
        """Change these features of events that are there, where they differ; `within` holds them, if that is known.

        One that a later micro-batch will bring has no row yet; that one writes it, so nothing is inserted.
        """
        ranges = time_ranges(rows) if within is None else within
        if not ranges:
            return
        by_a_late_line = F.lit(self._arrived.agg(F.max("arrived_at")).collect()[0][0])
        changes = rows.withColumns({"inputs_arrived_at": by_a_late_line, "updated_at": self._now})
        names = [feature.name for feature in features]
        condition = ranges.condition("old")
        storage.merge_changes(changes, self._settings, self._table.name, within=condition, only=names)


if __name__ == "__main__":
    from spark_jobs.run import main

    main(JOB)
