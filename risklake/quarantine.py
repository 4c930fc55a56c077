"""Working with the quarantine: what stands there and why, and fixed lines on their way back through the inbox."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lake import storage
from lake.catalog import ORPHANS, QUARANTINE, RELEASES
from lake.errors import InputError, UsageError
from lake.feed_tables import accepted_table, bronze_table
from lake.feeds import FEEDS
from lake.inbox import CSV_SUFFIXES, land_blocks, land_lines
from lake.lease import leases, turn
from lake.settings import Settings
from spark_jobs.csv_lines import csv_object
from spark_jobs.releases import with_released

LEASE = "quarantine"
_LINE = ["feed", "source_file", "line_number"]
# No stream reads a name that begins with a dot.
_STAGED = ".{}.staged"


@dataclass(frozen=True, order=True)
class LineId:
    """Where a line stands: `feed/file:number`, as the command line writes it."""

    feed: str
    source_file: str
    line_number: int

    def __str__(self) -> str:
        return f"{self.feed}/{self.source_file}:{self.line_number}"

    @classmethod
    def parse(cls, text: str) -> LineId:
        """From `feed/file:number`; raises `UsageError` for anything else."""
        feed, _, rest = text.partition("/")
        file, _, number = rest.rpartition(":")
        if feed not in FEEDS or not file or not number.isdecimal():
            raise UsageError(f"{text!r} names no line: write feed/file:number, such as transactions/a.jsonl:17")
        return cls(feed, file, int(number))


@dataclass(frozen=True)
class Replay:
    """What a replay did: lines put into the inbox, lines that an earlier one had released, and the new files."""

    landed: int
    released_before: int
    files: list[str]


def entries(spark: SparkSession, settings: Settings, *, feed: str | None = None, code: str | None = None) -> DataFrame:
    """Quarantined lines with their reasons and, in `released_at`, when a fixed one was put into the inbox."""
    rows = storage.read(spark, settings, QUARANTINE.name)
    if feed:
        rows = rows.where(F.col("feed") == feed)
    if code:
        rows = rows.where(F.array_contains("reasons.code", code))
    return with_released(spark, settings, rows)


def waiting(spark: SparkSession, settings: Settings, *, feed: str | None = None) -> DataFrame:
    """Good lines that wait for what they refer to (rows of `silver.orphans`), the oldest first."""
    rows = storage.read(spark, settings, ORPHANS.name).where("stands_in = 'waiting'")
    chosen = rows.where(F.col("feed") == feed) if feed else rows
    return chosen.orderBy("arrived_at", *_LINE)


def groups(rows: DataFrame) -> DataFrame:
    """One row a feed, code and field: lines, those released, first and last arrival, and one example."""
    reason = rows.withColumn("reason", F.explode("reasons")).select("*", "reason.*")
    return (
        reason.groupBy("feed", "code", "field")
        .agg(
            F.count("*").alias("lines"),
            F.count("released_at").alias("released"),
            F.min("arrived_at").alias("first_arrived_at"),
            F.max("arrived_at").alias("last_arrived_at"),
            F.min("message").alias("example"),
        )
        .orderBy(F.desc("lines"), "feed", "code", "field")
    )


def raw_lines(spark: SparkSession, settings: Settings, rows: DataFrame) -> Iterator[tuple[LineId, list[str], str]]:
    """Each entry's id, codes and line as it came (from bronze, unmasked), in the order of files and lines."""
    for line_id, codes, line, _ in _stored(spark, settings, rows):
        yield line_id, codes, line


def export(spark: SparkSession, settings: Settings, rows: DataFrame, target: Path) -> int:
    """Write lines that are not released yet to a file for mending, one JSON object each; gives their number.

    A record of CSV becomes the line of JSON that says the same; one that does not fit its header stays, beside it.
    """
    count = 0

    def blocks() -> Iterator[bytes]:
        nonlocal count
        for line_id, codes, line, header in _stored(spark, settings, rows.where("released_at is null")):
            count += 1
            entry: dict[str, object] = {"id": str(line_id), "codes": codes, "line": line}
            if header is not None:
                as_json = csv_object(header, line)
                entry |= {"header": header} if as_json is None else {"line": as_json}
            yield json.dumps(entry, ensure_ascii=False).encode() + b"\n"

    land_blocks(blocks(), target)
    return count


def replay(spark: SparkSession, settings: Settings, fixed: Path) -> Replay:
    """Put the mended lines of an exported file into the inbox, each at most once.

    The original stays in quarantine, noted as released; the mended line is a new line with its own fate. Raises
    `InputError` for a file of another form, for a line that is not in quarantine or on its way out of it, or for a
    record of CSV that is not made a JSON object: its header does not come with it.
    """
    lines = dict(_read(fixed))
    # None of them is taken up as an orphan meanwhile (`spark_jobs.orphans.release`).
    with leases(settings, [LEASE]), turn(settings, ORPHANS.name):
        _finish_cut_off(spark, settings)
        _require_quarantined(spark, settings, list(lines))
        _require_not_accepted(spark, settings, list(lines))
        before = _released(spark, settings)
        new = {line_id: line for line_id, line in lines.items() if line_id not in before}
        _require_json(new)
        files = {feed: _file_name(feed, new) for feed in sorted({line_id.feed for line_id in new})}
        if new:
            # Written under hidden names, noted, then shown: a replay that is cut off is undone before the note, and
            # finished by the next one after it.
            for feed, name in files.items():
                texts = (new[line_id] for line_id in sorted(new) if line_id.feed == feed)
                land_lines(texts, settings.local_path("inbox", feed), _STAGED.format(name))
            storage.ensure_tables(spark, settings, [RELEASES.name])
            now = datetime.now(UTC)
            rows = [(*vars(line_id).values(), now, files[line_id.feed]) for line_id in sorted(new)]
            with turn(settings, RELEASES.name):
                storage.append(spark.createDataFrame(rows, RELEASES.schema), settings, RELEASES.name)
            for feed, name in files.items():
                _show(settings.local_path("inbox", feed), name)
    return Replay(len(new), len(lines) - len(new), [f"{feed}/{name}" for feed, name in files.items()])


def _stored(
    spark: SparkSession, settings: Settings, rows: DataFrame
) -> Iterator[tuple[LineId, list[str], str, str | None]]:
    """Each entry's id, codes, line and header (of CSV), in the order of files and lines."""
    for name in sorted(row["feed"] for row in rows.select("feed").distinct().collect()):
        chosen = rows.where((F.col("feed") == name) & (F.col("line_number") > 0))
        stored = storage.read(spark, settings, bronze_table(FEEDS[name]).name)
        texts = [F.col(column).cast("binary").alias(column) for column in ("line", "header")]
        joined = chosen.join(
            stored.select("source_file", "line_number", *texts), on=["source_file", "line_number"], how="inner"
        )
        found = joined.select(*_LINE, F.col("reasons.code").alias("codes"), "line", "header")
        for row in found.orderBy("source_file", "line_number").toLocalIterator():
            header = None if row["header"] is None else _text(row["header"])
            yield LineId(name, row["source_file"], row["line_number"]), row["codes"], _text(row["line"]), header


def _text(content: bytes | None) -> str:
    return bytes(content or b"").decode("utf-8", errors="replace")


def _require_json(lines: dict[LineId, str]) -> None:
    for line_id, line in sorted(lines.items()):
        if line_id.source_file.endswith(CSV_SUFFIXES) and not _is_object(line):
            raise InputError(
                f"{line_id} is a record of CSV, and its header does not come with it: nothing was replayed. "
                'Write `line` as a JSON object, such as {"user_id": "u1", …}'
            )


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _finish_cut_off(spark: SparkSession, settings: Settings) -> None:
    noted = set(_released(spark, settings).values())
    for staged in sorted(settings.local_path("inbox").glob("*/" + _STAGED.format("*"))):
        name = staged.name.removeprefix(".").removesuffix(".staged")
        if name in noted:
            _show(staged.parent, name)
        else:
            staged.unlink()


def _show(folder: Path, name: str) -> None:
    (folder / _STAGED.format(name)).rename(folder / name)


def _file_name(feed: str, lines: dict[LineId, str]) -> str:
    digest = hashlib.sha256()
    for line_id in sorted(line_id for line_id in lines if line_id.feed == feed):
        digest.update(f"{line_id}\n{lines[line_id]}\n".encode())
    return f"replayed-{digest.hexdigest()[:16]}.jsonl"


def _read(fixed: Path) -> Iterator[tuple[LineId, str]]:
    if not fixed.is_file():
        raise UsageError(f"There is no file {fixed}. `risklake quarantine export FILE` writes one to mend")
    try:
        content = fixed.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{fixed} is no text in UTF-8 (byte {error.start + 1:,}): save it as UTF-8") from error
    # Other ends of lines, such as U+2028, may stand in a line.
    for number, text in enumerate(content.split("\n"), start=1):
        if not text.strip():
            continue
        try:
            entry = json.loads(text)
            line_id, line = LineId.parse(entry["id"]), entry["line"]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f'{fixed}, line {number}: each line must be {{"id": …, "line": …}} as exported') from error
        if not isinstance(line, str) or "\n" in line:
            raise InputError(f"{fixed}, line {number}: `line` must be the text of one line")
        yield line_id, line


def _require_quarantined(spark: SparkSession, settings: Settings, ids: list[LineId]) -> None:
    named = spark.createDataFrame(
        [tuple(vars(i).values()) for i in ids], "feed string, source_file string, line_number long"
    )
    unknown = named.join(storage.read(spark, settings, QUARANTINE.name), on=_LINE, how="left_anti").limit(1).collect()
    if unknown:
        raise InputError(
            f"{LineId(*unknown[0])} is not in quarantine: nothing was replayed. `risklake quarantine list`"
        )


def _require_not_accepted(spark: SparkSession, settings: Settings, ids: list[LineId]) -> None:
    """An orphan whose taking up was cut off stands in silver too; released, it would stand in both for ever."""
    for name in sorted({line_id.feed for line_id in ids}):
        accepted = accepted_table(FEEDS[name]).name
        if not storage.exists(spark, settings, accepted):
            continue
        places = [(line_id.source_file, line_id.line_number) for line_id in ids if line_id.feed == name]
        named = spark.createDataFrame(places, "source_file string, line_number long")
        files = sorted({file for file, _ in places})
        rows = storage.read(spark, settings, accepted).where(F.col("source_file").isin(files))
        taken = rows.join(named, on=["source_file", "line_number"], how="left_semi")
        for row in taken.select("source_file", "line_number").limit(1).collect():
            raise InputError(
                f"{LineId(name, *row)} is being accepted, as what it refers to has come: nothing was replayed. "
                "`risklake stream --once` ends that"
            )


def _released(spark: SparkSession, settings: Settings) -> dict[LineId, str]:
    if not storage.exists(spark, settings, RELEASES.name):
        return {}
    rows = storage.read(spark, settings, RELEASES.name).select(*_LINE, "replay_file").collect()
    return {LineId(row["feed"], row["source_file"], row["line_number"]): row["replay_file"] for row in rows}
