"""Streams from and to tables, and the checkpoints that belong to them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pyspark.sql import DataFrame, SparkSession

from lake.catalog import TABLES
from lake.errors import CheckpointError
from lake.settings import Settings
from lake.storage.columns import require_columns
from lake.storage.file_system import is_there
from lake.storage.pools import BESIDE, LINE, in_pool
from lake.storage.rests import Asked, Rest, Write
from lake.storage.tables import exists, read
from lake.storage.transactions import Transaction
from lake.storage.turns import turns_of

if TYPE_CHECKING:
    from pyspark.sql.streaming import DataStreamWriter, StreamingQuery


# So much of a table (compressed) goes into one micro-batch, about a million lines; a great file of the inbox would
# otherwise fill the memory of all that comes after bronze.
MOST_BYTES = 64 * 2**20
# Beside streams that wait for their turn; a great file of users would otherwise hold up payments for minutes.
MOST_BYTES_OF_A_TURN = 8 * 2**20

# The stream that leads the line waits at most so long for those that follow, and each of these for more to do.
LONGEST_WAIT_SECONDS = 30.0
LONGEST_REST_SECONDS = 10.0

# Up to so much (compressed), writing code for expressions takes longer than their rows do; from so much on, it pays to
# write code for whole stages, which is another one at each micro-batch.
LITTLE_BYTES, MUCH_BYTES = 2**18, 3 * 2**20

FACTORY_MODE = "spark.sql.codegen.factoryMode"
_WHOLE_STAGE = "spark.sql.codegen.wholeStage"
# How a stream of small micro-batches works (docs/decisions.md).
_OF_SMALL_BATCHES = {
    FACTORY_MODE: "NO_CODEGEN",
    # Trying how well a cached column could be compressed takes longer than the few rows need in memory.
    "spark.sql.inMemoryColumnarStorage.compressed": "false",
    # What is merged is a local checkpoint, or follows from tables as they stand: another copy of it costs a job.
    "spark.databricks.delta.merge.materializeSource": "none",
}
_PARTITIONS = "spark.sql.shuffle.partitions"
_STARTING = threading.Lock()


def read_stream(spark: SparkSession, settings: Settings, name: str, *, continuous: bool = False) -> DataFrame:
    """The table as a stream of its rows; a table with a change feed as a stream of its changes.

    A `continuous` one takes less at once, so that others get their turn. One that looks seldom must not: what it takes
    at each look has to be more than what comes between two.
    """
    most = MOST_BYTES_OF_A_TURN if continuous else MOST_BYTES
    reader = spark.readStream.format("delta").option("maxBytesPerTrigger", most)
    if TABLES[name].change_feed:
        reader = reader.option("readChangeFeed", "true")
    else:
        # Deleted and rewritten rows (retention, a user who is forgotten) are no new ones.
        reader = reader.option("skipChangeCommits", "true")
    return reader.load(settings.table_path(name))


def stream_batches(
    rows: DataFrame,
    settings: Settings,
    write: Write,
    *,
    query: str,
    continuous: bool,
    how_much: Callable[[], float] = lambda: 0,
    is_behind: Asked = lambda: False,
    has_more: Asked | None = None,
    leads: bool = False,
    rank: int = 0,
    every_seconds: float | None = None,
) -> StreamingQuery:
    """Start a stream that hands each micro-batch to `write(batch, batch_id)`, in a session of the stream's own.

    There, expressions are interpreted where little waits for a query, and else code is generated for them. `how_much`
    (compressed bytes) a drain asks once, before it starts, and a stream that runs on at each micro-batch; it also has
    code for expressions, not for whole stages, where neither little nor much waits. Streams that run on write in turns;
    where several wait, the one of the highest `rank` comes first, and those of a negative rank take turns apart from
    the others. One that `leads` the line rests until no stream of a higher rank `is_behind` its table any more, and one
    that can say cheaply whether its table `has_more` than it has taken until it has.
    Between two looks for rows lie `every_seconds`, by default `trigger_seconds`.
    """
    place = checkpoint(settings, query)
    if settings.is_local:
        _clear_torn_files(Path(place))
    rest = Rest(_reason(settings, has_more, rank, leads=leads), LONGEST_WAIT_SECONDS if leads else LONGEST_REST_SECONDS)
    if continuous:
        partitions = _partitions(rows.sparkSession, rank)
        may_be_whole = rows.sparkSession.conf.get(_WHOLE_STAGE) == "true"
        write = rest.after(_in_turn(_as_it_suits(write, how_much, partitions, may_be_whole=may_be_whole), rank))
    writer = rows.writeStream.foreachBatch(write).queryName(query).option("checkpointLocation", place)
    with ExitStack() as starting:
        if continuous:
            starting.enter_context(in_pool(rows.sparkSession, BESIDE if rank < 0 else LINE))
        if continuous or how_much() <= MUCH_BYTES:
            starting.enter_context(_interpreted(rows.sparkSession))
        started = _trigger(
            writer, settings.trigger_seconds if every_seconds is None else every_seconds, continuous
        ).start()
    if continuous:
        _RUNNING[place] = _Following(started, rank, is_behind, rest)
    return started


def _clear_torn_files(place: Path) -> None:
    """Take half-written files out of a checkpoint, which nobody reads.

    A kill within the first write leaves one, and Spark starts no query whose checkpoint holds files but no micro-batch.
    """
    for folder in ("offsets", "commits"):
        for file in (place / folder).glob(".*.tmp*"):
            file.unlink(missing_ok=True)


def end_rest(queries: Iterable[StreamingQuery]) -> None:
    """Have the streams that rest after a micro-batch note it and go on, now and from now on."""
    wanted = {query.id for query in queries}
    for one in list(_RUNNING.values()):
        if one.query.id in wanted:
            one.rest.is_ended.set()


def rested_ms(query_id: str, batch_id: int) -> int:
    """For how long a running stream has rested after one of its last micro-batches; 0 where that is not known."""
    return next((one.rest.ms.get(batch_id, 0) for one in list(_RUNNING.values()) if one.query.id == query_id), 0)


@dataclass(frozen=True)
class _Following:
    """A query that runs on, whether rows wait for it or are being worked on, and its rest."""

    query: StreamingQuery
    rank: int
    is_behind: Asked
    rest: Rest

    def has_work(self) -> bool:
        """Whether rows wait for it or are being worked on; what it rests after is done, though not noted yet."""
        return self.query.isActive and (self.rest.has_reason() if self.rest.is_on else self.is_behind())


# Of this program, by the places of their checkpoints.
_RUNNING: dict[str, _Following] = {}


def _reason(settings: Settings, has_more: Asked | None, rank: int, *, leads: bool) -> Asked:
    """What a stream rests for after a micro-batch.

    One that leads rests until those that follow have taken what it has written. Spark plans the next micro-batch as
    soon as one has ended. Planned at once, it would hold what has come so far and wait for its turn with that, and what
    comes meanwhile would wait for the one after it: a round of the line longer.
    """
    if leads:
        return lambda: not _are_behind(settings, rank)
    return has_more or (lambda: True)


def _are_behind(settings: Settings, rank: int) -> bool:
    """Whether a stream of this lake and a higher rank has work to do, of those that run in this program."""
    of_lake = [one for place, one in list(_RUNNING.items()) if place.startswith(checkpoint(settings, ""))]
    return any(one.rank > rank and one.has_work() for one in of_lake)


def _in_turn(write: Write, rank: int) -> Write:
    def wait_and_write(batch: DataFrame, batch_id: int) -> None:
        with turns_of(rank).turn(rank):
            write(batch, batch_id)

    return wait_and_write


def _as_it_suits(write: Write, how_much: Callable[[], float], partitions: int, *, may_be_whole: bool) -> Write:
    def suit_and_write(batch: DataFrame, batch_id: int) -> None:
        # The session is the stream's own, and it works on one micro-batch at a time.
        conf, waiting = batch.sparkSession.conf, how_much()
        conf.set(FACTORY_MODE, _OF_SMALL_BATCHES[FACTORY_MODE] if waiting <= LITTLE_BYTES else "FALLBACK")
        conf.set(_WHOLE_STAGE, may_be_whole and waiting > MUCH_BYTES)
        conf.set(_PARTITIONS, partitions)
        write(batch, batch_id)

    return suit_and_write


def _partitions(spark: SparkSession, rank: int) -> int:
    """Into how many partitions a stream shuffles: what is done beside the line leaves cores to it."""
    configured = int(str(spark.conf.get(_PARTITIONS)))
    return max(configured // 2, 1) if rank < 0 else configured


@contextmanager
def _interpreted(spark: SparkSession) -> Iterator[None]:
    """Let a stream that is started meanwhile evaluate expressions without generating code for them.

    Each micro-batch is a dozen small queries, for which writing, compiling and warming up code takes longer than
    their rows do. A stream keeps the settings that its session has when it starts; all other queries keep theirs.
    """
    # In turns: of two at once, the later would take the earlier one's setting for that of the session, and leave it.
    with _STARTING:
        before = {name: spark.conf.get(name, None) for name in _OF_SMALL_BATCHES}
        try:
            _set(spark, _OF_SMALL_BATCHES)
            yield
        finally:
            _set(spark, before)


def _set(spark: SparkSession, values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            spark.conf.unset(name)
        else:
            spark.conf.set(name, value)


def checkpoint(settings: Settings, query: str) -> str:
    """Where a query keeps its checkpoint."""
    return settings.path("checkpoints", query)


def transaction_of(spark: SparkSession, settings: Settings, query: str, batch_id: int) -> Transaction:
    """What names the writes of a micro-batch of a query that has been started."""
    running = _RUNNING.get(checkpoint(settings, query))
    return Transaction(
        _query_id(spark, settings, query), batch_id, is_followed=running is not None and running.query.isActive
    )


def _query_id(spark: SparkSession, settings: Settings, query: str) -> str:
    """The identity of a started query. It lives and dies with the checkpoint, as the numbers of micro-batches do."""
    metadata = checkpoint(settings, query) + "/metadata"
    if settings.is_local:
        return f"{query}:{json.loads(Path(metadata).read_text(encoding='utf-8'))['id']}"
    return f"{query}:{spark.read.schema('id string').json(metadata).collect()[0]['id']}"


def require_matching_checkpoint(
    spark: SparkSession, settings: Settings, query: str, written: list[str], *, only: str | None = None
) -> None:
    """Refuse to start a query on tables with other columns than declared, or anew on those it has already written.

    A lost checkpoint would read everything again and write it a second time. Of tables that several queries write,
    `only` is the condition on what is its own. Raises `CheckpointError`, `SchemaError`.
    """
    present = [name for name in written if exists(spark, settings, name)]
    for name in present:
        require_columns(spark, settings, name)
    if is_there(spark, checkpoint(settings, query) + "/metadata"):
        return
    for name in present:
        # Commits do not tell: VACUUM leaves some in the log of a table without a row.
        rows = read(spark, settings, name)
        if not (rows.where(only) if only else rows).isEmpty():
            raise CheckpointError(
                f"{name} has been written, but the checkpoint of `{query}` is gone: starting would write its rows "
                f"twice. Run `risklake reset --layer {TABLES[name].layer}` to rebuild it from the layer below"
            )


def _trigger(writer: DataStreamWriter, every_seconds: float, continuous: bool) -> DataStreamWriter:
    if continuous:
        return writer.trigger(processingTime=f"{every_seconds * 1000:.0f} milliseconds")
    return writer.trigger(availableNow=True)
