"""The ids that a running stream keeps in memory say when an event may have been accepted, and never too little."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession

from lake import storage
from lake.catalog import TABLES, UNKNOWN_FIELDS
from lake.feeds import TRANSACTIONS
from lake.settings import Settings, load_settings
from spark_jobs import known_ids, silver
from spark_jobs.known_ids import KnownIds, Repeats, day_runs
from spark_jobs.typed import typed
from tests.test_silver import bronze_rows

SILVER = TABLES["silver.transactions"]
_PLACES = ("silver.transactions", "silver.quarantine", "silver.duplicates")
NOON = datetime(2026, 1, 5, 12, 0, 30, tzinfo=UTC)
DAY = timedelta(days=1)


def append(spark: SparkSession, settings: Settings, *events: tuple[str, datetime]) -> None:
    """Accept events: an id and a time each."""
    usual: dict[str, Any] = dict.fromkeys(SILVER.column_names) | {
        "user_id": "u", "merchant_id": "m", "amount": Decimal(1), "currency": "EUR", "country": "DE",
        "source_file": "f", "line_number": 1, "content_hash": 1,
    }  # fmt: skip
    rows = []
    for event_id, at in events:
        row = usual | {"event_id": event_id, "event_time": at, "event_date": at.date(), "arrived_at": at}
        rows.append(tuple(row[name] for name in SILVER.column_names))
    storage.append(spark.createDataFrame(rows, SILVER.schema), settings, SILVER.name)


@pytest.fixture
def known(settings: Settings) -> KnownIds:
    return KnownIds(settings, TRANSACTIONS, horizon_days=7)


def asked(spark: SparkSession, known: KnownIds, *ids: str, first: date | None = None) -> list[datetime] | None:
    found = known.repeats(spark, list(ids), first or NOON.date(), NOON.date())
    return None if found is None else found.minutes


def test_ids_are_read_some_days_at_a_time(
    spark: SparkSession, settings: Settings, known: KnownIds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_ids, "MOST_AT_ONCE", 2)
    days = (0, 1, 1, 1, 2, 3, 5)
    append(spark, settings, *((f"e{number}", NOON - day * DAY) for number, day in enumerate(days)))
    minutes = [(NOON - day * DAY).replace(second=0) for day in sorted(set(days), reverse=True)]
    assert asked(spark, known, *(f"e{number}" for number in range(len(days)))) == minutes
    first = NOON.date()
    counts = {first - day * DAY: days.count(day) for day in set(days)}
    assert list(day_runs(counts, 2)) == [
        (first - 5 * DAY, first - 3 * DAY), (first - 2 * DAY, first - 2 * DAY), (first - DAY, first - DAY),
        (first, first),
    ]  # fmt: skip
    assert list(day_runs({}, 2)) == []


def test_an_id_is_found_at_its_minute_and_a_new_one_nowhere(
    spark: SparkSession, settings: Settings, known: KnownIds
) -> None:
    append(spark, settings, ("a", NOON), ("b", NOON - DAY))
    assert asked(spark, known, "a", "new") == [NOON.replace(second=0)]
    assert asked(spark, known, "new") == []
    assert asked(spark, known, "b", "a", "b") == [(NOON - DAY).replace(second=0), NOON.replace(second=0)]
    assert asked(spark, known) == []


def test_what_repeats_is_what_is_known_and_what_is_asked_for_twice(
    spark: SparkSession, settings: Settings, known: KnownIds
) -> None:
    append(spark, settings, ("a", NOON), ("b", NOON - DAY))
    append(spark, settings, ("c", NOON))
    minute = NOON.replace(second=0)
    for ids, repeated, minutes in (
        (["x", "c", "y", "z", "y", "a", "a"], ["a", "c", "y"], [minute]),
        (["b", "z"], ["b"], [minute - DAY]),
        (["x", "x"], ["x"], []),
        (["x", "y"], [], []),
        ([], [], []),
    ):
        assert known.repeats(spark, ids, NOON.date(), NOON.date()) == Repeats(repeated, minutes)


def test_what_is_committed_later_by_anybody_is_known_and_compaction_adds_nothing(
    spark: SparkSession, settings: Settings, known: KnownIds
) -> None:
    assert asked(spark, known, "a") == []
    append(spark, settings, ("a", NOON))
    append(spark, settings, ("b", NOON), ("c", NOON + timedelta(minutes=5)))
    assert asked(spark, known, "a") == [NOON.replace(second=0)]
    storage.compact(spark, settings, SILVER.name)
    assert asked(spark, known, "c") == [(NOON + timedelta(minutes=5)).replace(second=0)]
    assert known._count() == 3


def test_what_lies_beyond_the_horizon_is_left_out_and_of_older_lines_only_silver_can_tell(
    spark: SparkSession, settings: Settings, known: KnownIds
) -> None:
    old = NOON - 30 * DAY
    append(spark, settings, ("old", old), ("edge", NOON - 7 * DAY), ("beyond", NOON - 8 * DAY))
    assert asked(spark, known, "old", "edge", "beyond") == [(NOON - 7 * DAY).replace(second=0)]
    # Silver is asked where a line is older than all that is known.
    assert asked(spark, known, "old", first=old.date()) is None
    append(spark, settings, ("a", NOON))
    assert asked(spark, known, "a") == [NOON.replace(second=0)]


def test_a_log_that_is_gone_and_too_many_ids_lead_back_to_silver(
    spark: SparkSession, settings: Settings, known: KnownIds, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(spark, settings, ("a", NOON))
    assert asked(spark, known, "a") == [NOON.replace(second=0)]
    append(spark, settings, ("b", NOON))
    append(spark, settings, ("c", NOON))
    monkeypatch.setattr(known_ids.TableLog, "files_of", lambda self, version: None)
    assert asked(spark, known, "b", "c") == [NOON.replace(second=0)]
    # A file that compaction has replaced and VACUUM removed, perhaps a moment ago.
    append(spark, settings, ("d", NOON))
    monkeypatch.setattr(known_ids.TableLog, "files_of", lambda self, version: ["gone.parquet"])
    assert asked(spark, known, "d") == [NOON.replace(second=0)]
    monkeypatch.setattr(known_ids, "MOST_IDS", 2)
    assert asked(spark, known, "a") is None
    monkeypatch.setattr(KnownIds, "_begin", None)
    assert asked(spark, known, "a") is None, "they are not counted again"


def test_many_small_commits_leave_few_pieces(spark: SparkSession, settings: Settings, known: KnownIds) -> None:
    for number in range(100):
        known._add([f"{number}-{n}" for n in range(30)], np.zeros(30, dtype=np.int64))
    assert known._count() == 3000
    assert len(known._pieces) <= 12


@pytest.mark.parametrize(("ids", "few"), [(60, 100), (60, 5), (2000, 100)])
def test_a_running_stream_decides_as_one_that_asks_silver(
    spark: SparkSession,
    tmp_path: Path,
    transaction: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    ids: int,
    few: int,
) -> None:
    """Batches of lines, some of them bad or drifted, with repeats of one time or another, altered or not, near and
    beyond the horizon: many or few of them, compared apart from the others or with them."""
    monkeypatch.setattr(silver, "_FEW_REPEATED", few)
    random = Random(7)
    lines: list[str] = []
    for _ in range(120):
        at = NOON - random.choice([0, 0, 0, 1, 7, 8, 9]) * DAY - timedelta(seconds=random.randrange(600))
        more = random.choice([{}, {}, {}, {"extra": 1}, {"amount": -1}])
        told = {"event_time": at.isoformat(), "amount": random.choice([1, 1, 2])} | more
        lines.append(transaction(f"e{random.randrange(ids)}", **told))
        if random.random() < 0.1:
            lines.append(random.choice(lines))
    outcomes = []
    for name, keeps in (("asks", False), ("keeps", True)):
        settings = load_settings({"lake_root": str(tmp_path / name)}, environment={}, folder=tmp_path)
        storage.ensure_tables(spark, settings, [*_PLACES, UNKNOWN_FIELDS.name])
        known = KnownIds(settings, TRANSACTIONS, 7) if keeps else None
        Path(settings.path("checkpoints", "silver_transactions")).mkdir(parents=True)
        Path(settings.path("checkpoints", "silver_transactions", "metadata")).write_text(json.dumps({"id": name}))
        write = silver._batch_writer(settings, TRANSACTIONS, known)
        rows = typed(bronze_rows(spark, lines), TRANSACTIONS, b"key").localCheckpoint()
        for batch_id, begin in enumerate(range(0, len(lines), 25)):
            write(rows.where(f"line_number > {begin} and line_number <= {begin + 25}"), batch_id)
        outcome: dict[str, Any] = {
            table: sorted(row["line_number"] for row in storage.read(spark, settings, table).collect())
            for table in _PLACES
        }
        told_of = storage.read(spark, settings, UNKNOWN_FIELDS.name).select("field", "lines").collect()
        outcomes.append(outcome | {"drifted": sum(row["lines"] for row in told_of if row["field"] == "extra")})
    assert outcomes[0] == outcomes[1]
    assert sorted(number for table in _PLACES for number in outcomes[0][table]) == list(range(1, len(lines) + 1))
    assert all(outcomes[0].values())


@pytest.mark.parametrize(
    ("has_repeats", "deadly"),
    [(True, name) for name in (*_PLACES, UNKNOWN_FIELDS.name)]
    + [(False, name) for name in (*_PLACES[:2], UNKNOWN_FIELDS.name)],
)
def test_a_micro_batch_that_died_behind_one_of_its_writes_is_done_again_and_nothing_is_doubled_or_lost(
    spark: SparkSession,
    settings: Settings,
    transaction: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    has_repeats: bool,
    deadly: str,
) -> None:
    storage.ensure_tables(spark, settings, [*_PLACES, UNKNOWN_FIELDS.name])
    place = settings.local_path("checkpoints", "silver_transactions")
    place.mkdir(parents=True)
    (place / "metadata").write_text(json.dumps({"id": "dies"}))
    lines = [transaction("e1"), transaction("e2", extra=1), transaction("e3", amount=-1), "no json"]
    lines += [transaction("e1"), transaction("e2", extra=1), transaction("e1", amount=2)] if has_repeats else []
    rows = typed(bronze_rows(spark, lines), TRANSACTIONS, b"key").localCheckpoint()
    append = storage.append

    def dying(rows: DataFrame, settings: Settings, name: str, *more: Any) -> None:
        append(rows, settings, name, *more)
        if name == deadly:
            raise RuntimeError("died")

    with monkeypatch.context() as patch:
        patch.setattr(storage, "append", dying)
        with pytest.raises(RuntimeError, match="died"):
            silver._batch_writer(settings, TRANSACTIONS, KnownIds(settings, TRANSACTIONS, 7))(rows, 0)
    # Another program, whose memory of ids holds what the first one has written.
    silver._batch_writer(settings, TRANSACTIONS, KnownIds(settings, TRANSACTIONS, 7))(rows, 0)
    found = {
        table: sorted(row["line_number"] for row in storage.read(spark, settings, table).collect()) for table in _PLACES
    }
    expected = ([1, 2], [3, 4, 7], [5, 6]) if has_repeats else ([1, 2], [3, 4], [])
    assert found == dict(zip(_PLACES, expected, strict=True))
    [told] = storage.read(spark, settings, UNKNOWN_FIELDS.name).collect()
    assert (told["field"], told["lines"]) == ("extra", 1)
