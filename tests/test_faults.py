"""The harness of kills: its parts, and a short run of it; `python -m benchmarks.faults` is the long one."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from benchmarks.faults import plan
from benchmarks.faults.__main__ import _kill
from benchmarks.faults.bench import Bench
from benchmarks.faults.broken_stream import forget_transactions
from benchmarks.faults.checkpoint_faults import newest
from benchmarks.faults.deliveries import Delivery, deliveries
from benchmarks.faults.half_way import is_one_clear_line
from benchmarks.faults.landing import Landing
from benchmarks.faults.plan import Plan
from benchmarks.faults.points import (
    BETWEEN_TWO_TABLES,
    COMMITTED_NOT_NOTED,
    DURING_OPTIMIZE,
    OFFSETS_WRITTEN,
    POINTS,
    RANDOM,
    WATCHED_SECONDS,
    Aim,
    Moment,
    Point,
    Watcher,
    aims,
    unnoted,
)
from benchmarks.faults.programs import ORPHANS, Programs
from benchmarks.faults.rounds import Record, Strike, one_round
from benchmarks.faults.verdict import Content, Verdict, differing, judge
from benchmarks.processes import Ending, HarnessError
from lake import storage
from lake.errors import StreamError
from lake.progress import Stages
from lake.settings import Settings, load_settings
from spark_jobs import pipeline

COMMIT = f"{1:020}.json"


def put(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"")


def test_the_same_seed_gives_the_same_aims_and_each_point_comes_up_as_often() -> None:
    some = list(islice(aims(7), 5 * len(POINTS)))
    assert some == list(islice(aims(7), 5 * len(POINTS)))
    assert some != list(islice(aims(8), 5 * len(POINTS)))
    assert Counter(aim.point.name for aim in some) == dict.fromkeys((point.name for point in POINTS), 5)


def test_an_aim_lets_moments_pass_but_never_the_last_of_the_line() -> None:
    aim = Aim(COMMITTED_NOT_NOTED, skip=2)
    assert [aim.takes(Moment("silver.users", COMMIT), passed) for passed in range(3)] == [False, False, True]
    assert aim.takes(Moment("alerts.alerts", COMMIT), 0)


def test_an_aim_at_a_place_takes_no_other() -> None:
    aim = Aim(COMMITTED_NOT_NOTED, place="silver.users")
    assert aim.takes(Moment("silver.users", COMMIT), 0)
    assert not aim.takes(Moment("alerts.alerts", COMMIT), 9)


@pytest.mark.parametrize(
    ("point", "file", "place"),
    [
        (OFFSETS_WRITTEN, "checkpoints/silver_users/offsets/3", "silver_users"),
        (BETWEEN_TWO_TABLES, f"silver/orphans/_delta_log/{COMMIT}", "silver.orphans"),
        (BETWEEN_TWO_TABLES, f"bronze/users/_delta_log/{COMMIT}", "bronze.users"),
        (COMMITTED_NOT_NOTED, f"silver/users_history/_delta_log/{COMMIT}", "silver.users_history"),
        (DURING_OPTIMIZE, "silver/users/part-0.snappy.parquet", "silver.users"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_point_is_recognised_once_by_what_appears_in_its_folder(
    tmp_path: Path, point: Point, file: str, place: str
) -> None:
    watcher = Watcher(point, tmp_path)
    assert watcher.look() == []
    put(tmp_path / file)
    assert watcher.look() == [Moment(place, Path(file).name)]
    assert watcher.look() == []


@pytest.mark.parametrize(
    ("point", "file"),
    [
        (OFFSETS_WRITTEN, "checkpoints/silver_users/offsets/.3.1f.tmp"),
        (COMMITTED_NOT_NOTED, f"silver/users/_delta_log/{0:020}.json"),
        (COMMITTED_NOT_NOTED, f"silver/users/_delta_log/.{COMMIT}.1f.tmp"),
        (COMMITTED_NOT_NOTED, f"monitoring/files/_delta_log/{COMMIT}"),
        (DURING_OPTIMIZE, f"silver/users/_delta_log/{COMMIT}"),
    ],
)
def test_what_is_half_written_or_of_another_kind_is_no_point(tmp_path: Path, point: Point, file: str) -> None:
    watcher = Watcher(point, tmp_path)
    put(tmp_path / file)
    assert watcher.look() == []


def test_what_lay_there_before_is_no_moment_and_two_in_one_tick_are_two(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints" / "bronze" / "offsets"
    put(folder / "0")
    watcher = Watcher(OFFSETS_WRITTEN, tmp_path)
    put(folder / "1")
    assert watcher.look() == [Moment("bronze", "1")]
    before = folder.stat().st_mtime_ns
    put(folder / "2")
    os.utime(folder, ns=(before, before))
    assert watcher.look() == [Moment("bronze", "2")]


def test_a_query_is_amid_a_micro_batch_until_it_has_noted_it(tmp_path: Path) -> None:
    put(tmp_path / "checkpoints" / "bronze" / "offsets" / "10")
    put(tmp_path / "checkpoints" / "bronze" / "commits" / "9")
    assert unnoted(tmp_path) == ["bronze"]
    put(tmp_path / "checkpoints" / "bronze" / "commits" / "10")
    assert unnoted(tmp_path) == []
    assert newest(tmp_path, "bronze", "commits") == tmp_path / "checkpoints" / "bronze" / "commits" / "10"
    assert newest(tmp_path, "silver_users", "commits") is None


def test_tables_differ_where_rows_or_hashes_do_and_an_absent_one_is_an_empty_one() -> None:
    expected = {"a": Content(2, 11), "b": Content(1, 5), "c": Content(3, 7)}
    assert differing(expected, dict(expected)) == []
    assert differing(expected, expected | {"a": Content(3, 11), "b": Content(1, 6)}) == ["a", "b"]
    assert differing({"a": Content()}, {"d": Content()}) == []
    assert differing({}, {"d": Content(1, 1)}) == ["d"]


def test_a_round_is_killed_by_the_clock_at_the_latest_when_a_whole_one_would_be_done() -> None:
    assert Aim(RANDOM, share=0.25).latest(20.0) == 5.0
    assert Aim(OFFSETS_WRITTEN, share=0.1).latest(20.0) == 30.0
    assert Aim(OFFSETS_WRITTEN, is_patient=True).latest(20.0) == math.inf
    patient = islice(aims(7, (RANDOM,), is_patient=True), 9)
    assert {(aim.command, aim.is_patient) for aim in patient} == {("stream", True)}
    assert Aim(RANDOM, share=0.25).latest(None) == math.inf
    assert Aim(OFFSETS_WRITTEN, place="silver_users").latest(20.0) == math.inf
    assert Aim(RANDOM, share=0.5, runs_on=True).latest(None) == sum(WATCHED_SECONDS) / 2
    assert [Aim(point, runs_on=True).command for point in (RANDOM, DURING_OPTIMIZE)] == ["watch", "care"]
    record = Record()
    for seconds in (30.0, 20.0, 25.0):
        record.note_whole("stream", seconds)
    assert record.whole_seconds == {"stream": 20.0}


def test_kills_are_shared_among_lakes_side_by_side() -> None:
    assert Plan("killed", 200, seed=7).shares == {"killed": 200}
    assert Plan("killed", 7, seed=7, lakes=2).shares == {"killed-1": 4, "killed-2": 3}


def test_a_lake_whose_rounds_come_to_no_end_proves_no_defect_and_the_others_are_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def rounds(programs: Programs, landing: Landing, aims: object, kills: int, record: Record, **more: Any) -> None:
        for number in range(kills):
            record.strikes.append(Strike("random", "by the clock", float(number), []))
            more["report"](record.strikes[-1], number + 1)
        if programs.lake.name.endswith("-2"):
            record.note(Ending(1, 1.0, "ImportError: no module"))

    monkeypatch.setattr(plan, "kill_rounds", rounds)
    monkeypatch.setattr(Bench, "verdict", lambda self, lake: Verdict({}, [], []))
    figures: dict[str, Any] = {}
    with pytest.raises(HarnessError, match="lake-2: A program failed with exit code 1: ImportError: no module"):
        _kill(Bench(tmp_path, []), Plan("lake", 5, seed=7, lakes=2), Stages(), figures)
    assert {lake: found["kills"] for lake, found in figures.items()} == {"lake-1": 3, "lake-2": 2}
    assert "5  random" in capsys.readouterr().err


def test_kills_are_counted_by_point_and_place() -> None:
    record = Record(
        [Strike("random", "by the clock", 1.0, []), *2 * [Strike("offsets_written", "bronze", 2.0, ["bronze"])]]
    )
    assert record.by_point() == {"offsets_written": {"bronze": 2}, "random": {"by the clock": 1}}
    record.note(Ending(7, 1.0, "counting\nrisklake: Lines are lost\n"))
    assert record.complaints == ["exit code 7: risklake: Lines are lost"]
    with pytest.raises(HarnessError, match="exit code 1"):
        record.note(Ending(1, 1.0, "ImportError\n"))
    assert len(record.complaints) == 1, "a program that cannot run has not complained of a line"


@pytest.mark.parametrize(
    ("code", "said", "expected"),
    [
        (8, "bronze: 1 of 2 files\nrisklake: The disk is full\n", True),
        (0, "risklake: The disk is full\n", False),
        (1, "Traceback (most recent call last):\nOSError\n", False),
        (8, "risklake: a\nrisklake: b\n", False),
    ],
)
def test_a_clear_end_is_one_line_and_an_exit_code(code: int, said: str, expected: bool) -> None:
    assert is_one_clear_line(Ending(code, 1.0, said)) is expected


# Those of the points below: each feed more costs every start of a program its streams.
_FEEDS = ("merchants", "users", "transactions")


@pytest.fixture
def small(tmp_path: Path) -> Callable[[str], tuple[Settings, Landing]]:
    """Lakes that the same few small deliveries come into."""
    made = [
        Delivery(delivery.feed, delivery.source, delivery.modified_ns)
        for delivery in deliveries(tmp_path, files=20, rows=120, seed=7)
        if delivery.feed in _FEEDS
    ]

    def lake(name: str) -> tuple[Settings, Landing]:
        environment = {"LAKE_ROOT": str(tmp_path / name), "RISKLAKE_ORPHANS": ORPHANS}
        return load_settings(environment=environment, folder=tmp_path), Landing(tmp_path / name, made)

    return lake


def killed_at(settings: Settings, landing: Landing, rounds: list[tuple[float, Aim]]) -> Record:
    """Land up to a share of the files and kill at a place, round by round."""
    record = Record()
    programs = Programs(Path(settings.lake_root), Path(settings.lake_root + ".logs"))
    for share, aim in rounds:
        landing.land_up_to(share)
        one_round(programs, aim, record, files_per_trigger=1000)
    return record


@pytest.mark.end_to_end
@pytest.mark.timeout(1200)  # three programs die and start anew: 400 s alone, half as much again beside another process
def test_kills_at_named_points_cost_nothing_and_double_nothing(
    spark: SparkSession, small: Callable[[str], tuple[Settings, Landing]]
) -> None:
    reference, whole = small("reference")
    whole.land_up_to(1.0)
    pipeline.run(spark, reference, continuous=False)
    killed, landing = small("killed")
    rounds = [
        (0.4, Aim(OFFSETS_WRITTEN, place="silver_transactions")),
        (0.6, Aim(BETWEEN_TWO_TABLES, place="silver.orphans")),
        (0.8, Aim(COMMITTED_NOT_NOTED, place="features.user_5m")),
    ]
    record = killed_at(killed, landing, rounds)
    assert [(strike.point, strike.place) for strike in record.strikes] == [
        (aim.point.name, aim.place) for _, aim in rounds
    ]
    assert all(strike.amid for strike in record.strikes)
    landing.land_up_to(1.0)
    pipeline.run(spark, replace(killed, max_files_per_trigger=4), continuous=False)
    verdict = judge(spark, reference, killed)
    assert verdict.differences == []
    assert verdict.unsound == []
    assert verdict.rows["silver.transactions"] > 100
    assert verdict.rows["silver.orphans"] > 0


def test_the_verdict_is_red_where_a_write_forgets_its_transaction(
    spark: SparkSession, small: Callable[[str], tuple[Settings, Landing]], monkeypatch: pytest.MonkeyPatch
) -> None:
    reference, whole = small("reference")
    killed, landing = small("killed")
    whole.land_up_to(0.1)
    landing.land_up_to(0.1)
    pipeline.run(spark, reference, continuous=False, jobs=["bronze", "silver"])
    with monkeypatch.context() as patch:
        patch.setattr(storage, "append", storage.append)  # what is put back in the end
        forget_transactions()
        forgetful = storage.append
        patch.setattr(storage, "append", dying_after("bronze.transactions", forgetful))
        with pytest.raises(StreamError, match="died"):
            pipeline.run(spark, killed, continuous=False, jobs=["bronze", "silver"])
        patch.setattr(storage, "append", forgetful)
        pipeline.run(spark, killed, continuous=False, jobs=["bronze", "silver"])
    verdict = judge(spark, reference, killed)
    assert not verdict.is_equal
    doubled = {found.table: found.only_killed for found in verdict.differences}
    assert doubled["bronze.transactions"] == verdict.rows["bronze.transactions"]
    assert any("killed: transactions misses" in said for said in verdict.unsound)


def dying_after(table: str, append: Callable[..., None]) -> Callable[..., None]:
    """An append after whose write to a table the program is dead."""

    def write(rows: DataFrame, settings: Settings, name: str, *more: Any) -> None:
        append(rows, settings, name, *more)
        if name == table:
            raise RuntimeError("died")

    return write
