"""Live payments that go by the clock, and single attacks into a system that runs."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from generator.attacks import ATTACKS
from generator.inject import inject, parse_moment
from generator.live import LiveRun, Outbox, Written
from generator.places import COUNTRIES
from generator.write import STREAMS, generate
from lake.errors import UsageError
from lake.inbox import visible_files
from tests.generated import labels_of, lines_of

ROOT = Path(__file__).resolve().parent.parent
NOON = datetime(2026, 1, 15, 12, 0, 30, tzinfo=UTC)
WORLD: dict[str, Any] = {"users": 200, "merchants": 100, "seed": 7}


def ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def live(out: Path, rate: float = 30.0, chaos: dict[str, float] | None = None, began: datetime = NOON) -> LiveRun:
    return LiveRun(out, rate=rate, chaos=chaos or {}, feeds=list(STREAMS), now_ms=ms(began), **WORLD)


def go(run: LiveRun, seconds: int, began: datetime = NOON) -> Written:
    for second in range(1, seconds + 1):
        run.step(ms(began) + 1000 * second)
    return run.finish(ms(began) + 1000 * seconds)


def test_so_many_payments_arrive_a_second_and_none_before_it_happens(tmp_path: Path) -> None:
    run, arrived = live(tmp_path / "inbox"), 0
    for second in range(1, 241):
        run.step(ms(NOON) + 1000 * second)
        if second == 120:
            arrived = run.written.rows
    # Bursts that would have begun before the start are missing at first.
    assert run.written.rows - arrived == pytest.approx(30 * 120, rel=0.1)
    for file in visible_files(tmp_path / "inbox" / "transactions"):
        stamp = datetime.strptime(file.stem.split("-")[-1] + "000", "%Y%m%dT%H%M%S%f").replace(tzinfo=UTC)
        for line in file.read_text().splitlines():
            behind = stamp - datetime.fromisoformat(json.loads(line)["event_time"])
            assert timedelta(0) <= behind < timedelta(seconds=1.001)


def test_counts_and_truth_are_those_of_the_lines(tmp_path: Path) -> None:
    chaos = {"out_of_order": 0.05, "late": 0.05, "duplicate": 0.05, "truncated": 0.02, "orphan_user": 0.02}
    inbox = tmp_path / "inbox"
    written = go(live(inbox, rate=50, chaos=chaos), 200)
    lines = lines_of(inbox, "transactions")
    assert written.lines["transactions"] == len(lines)
    whole = [json.loads(line) for line in lines if line.endswith("}")]
    assert written.chaos["truncated"] == len(lines) - len(whole)
    genuine = Counter(event["event_id"] for event in whole if not event["user_id"].startswith("unknown-"))
    labels = labels_of(inbox)
    assert set(genuine) == set(labels)
    assert written.rows == len(labels)
    assert written.chaos["duplicate"] == genuine.total() - len(genuine) > 0
    assert written.frauds == Counter(scenario for scenario in labels.values() if scenario)
    counts = json.loads(next((tmp_path / "truth").glob("live-*.json")).read_text())
    assert counts["rows"] == written.rows
    assert counts["lines"] == {feed: len(lines_of(inbox, feed)) for feed in counts["lines"]}


def test_a_run_that_was_stopped_goes_on_without_an_event_id_twice(tmp_path: Path) -> None:
    inbox, pause = tmp_path / "inbox", timedelta(seconds=100)
    go(live(inbox), 60)
    go(live(inbox, began=NOON + pause), 60, began=NOON + pause)
    ids = [json.loads(line)["event_id"] for line in lines_of(inbox, "transactions")]
    assert len(ids) == len(set(ids)) == len(labels_of(inbox))


def test_midnight_brings_another_day(tmp_path: Path) -> None:
    evening = datetime(2026, 1, 15, 23, 59, 30, tzinfo=UTC)
    written = go(live(tmp_path / "inbox", began=evening), 90, began=evening)
    events = [json.loads(line) for line in lines_of(tmp_path / "inbox", "transactions")]
    assert {event["event_time"][:10] for event in events} == {"2026-01-15", "2026-01-16"}
    assert len({event["event_id"] for event in events}) == written.rows


def test_a_kill_leaves_no_line_without_its_truth(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "generator", "--rate", "200", "--out", str(tmp_path / "inbox")]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(visible_files(tmp_path / "inbox" / "transactions")) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    process.wait()
    events = [json.loads(line) for line in lines_of(tmp_path / "inbox", "transactions") if line.endswith("}")]
    assert len(events) > 100
    assert {event["event_id"] for event in events} <= set(labels_of(tmp_path / "inbox"))


def test_the_live_command_ends_cleanly_when_it_is_told_to(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "generator", "--rate", "100", "--out", str(tmp_path / "inbox"), "--json"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while len(visible_files(tmp_path / "inbox" / "transactions")) < 3 and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    output, said = process.communicate(timeout=30)
    assert process.returncode == 0, said
    found = lines_of(tmp_path / "inbox", "transactions")
    assert json.loads(output)["lines"]["transactions"] == len(found) > 50
    assert not list((tmp_path / "inbox").rglob(".*"))


def test_the_live_command_stops_after_so_many(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "generator", "--rate", "200", "--events", "300", "--out", str(tmp_path / "inbox")]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    assert 300 <= len(lines_of(tmp_path / "inbox", "transactions")) < 700


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--rate", "-5"], "rate is -5.0, and must be above 0"),
        (["--rate", "nan"], "rate is nan"),
        (["--rate", "5", "--days", "3"], "leave them out"),
        (["--rate", "5", "--inject", "card_testing"], "--rate and --inject are different things to do"),
        (["--describe", "--inject", "card_testing"], "--inject and --describe are different things to do"),
        (["--user", "u1"], "--user and --at belong to --inject"),
        (["--inject", "card_testing", "--user", "u1", "--feeds", "disputes"], "an attack needs transactions"),
        (["--rate", "5", "--feeds", "refunds"], "refunds is no feed: choose from users"),
        (["--inject", "card_testing"], "user is missing"),
        (["--inject", "bank_robbery", "--user", "u1"], "bank_robbery is no attack: choose from card_testing"),
        (["--inject", "card_testing", "--user", "u1", "--at", "yesterday"], "at is 'yesterday', which is no moment"),
        (["--inject", "card_testing", "--user", "u1", "--at", "2026-01-31T10:00:00"], "without a time zone"),
        (["--inject", "card_testing", "--user", "u1", "--at", "2999-01-31T10:00:00Z"], "which is to come"),
        (["--inject", "card_testing", "--user", "u1", "--end", "2026-01-31"], "leave them out"),
    ],
)
def test_wrong_arguments_give_one_line(tmp_path: Path, arguments: list[str], said: str) -> None:
    command = [sys.executable, "-m", "generator", "--out", str(tmp_path / "inbox"), *arguments]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "inbox").exists()


@pytest.mark.parametrize("scenario", ATTACKS)
def test_an_attack_ends_at_its_moment_and_its_victim_is_the_named_user(tmp_path: Path, scenario: str) -> None:
    made = inject(tmp_path / "inbox", scenario=scenario, user="u17", at=NOON, feeds=list(STREAMS), **WORLD)
    events = [json.loads(line) for line in lines_of(tmp_path / "inbox", "transactions")]
    assert len(events) == made.payments >= 1
    assert "u000017" in {event["user_id"] for event in events}
    times = sorted(event["event_time"] for event in events)
    assert datetime.fromisoformat(times[-1]) == made.last <= NOON
    if ATTACKS[scenario].is_nightly:
        assert NOON - made.last < timedelta(days=1)
    else:
        assert made.last == NOON
    labels = labels_of(tmp_path / "inbox")
    assert set(labels) == {event["event_id"] for event in events}
    assert Counter(labels.values())[scenario] == made.frauds >= 1


def test_attacks_on_one_user_at_one_moment_share_no_event_id(tmp_path: Path) -> None:
    made = [
        inject(tmp_path / "inbox", scenario=scenario, user="u17", at=NOON, feeds=list(STREAMS), **WORLD)
        for scenario in ATTACKS
    ]
    assert len(labels_of(tmp_path / "inbox")) == sum(injection.payments for injection in made)


def test_a_user_of_another_world_may_have_any_name(tmp_path: Path) -> None:
    name = 'o\'brien "the second"'
    inject(tmp_path / "inbox", scenario="card_testing", user=name, at=NOON, feeds=["transactions"], **WORLD)
    assert {json.loads(line)["user_id"] for line in lines_of(tmp_path / "inbox", "transactions")} == {name}


def test_an_attack_on_a_generated_inbox_takes_its_people_as_they_are(tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    generate(inbox, rows=2000, days=30, end=NOON.date(), users=150, merchants=80, seed=3, chaos={})
    users = {u["user_id"]: u for u in map(json.loads, lines_of(inbox, "users"))}
    before = set(labels_of(inbox))
    inject(inbox, scenario="impossible_travel", user="u000017", at=NOON, feeds=list(STREAMS), **WORLD)
    injected = set(labels_of(inbox)) - before
    assert len(injected) == 2
    events = [json.loads(line) for line in lines_of(inbox, "transactions") if json.loads(line)["event_id"] in injected]
    assert len({event["country"] for event in events}) == 2
    home = next(country for country in COUNTRIES if country.code == users["u000017"]["country"])
    assert {event["currency"] for event in events} == {home.currency}


def test_an_attack_before_the_payments_began_is_refused(tmp_path: Path) -> None:
    generate(tmp_path / "inbox", rows=100, days=5, end=NOON.date(), users=20, merchants=10, seed=3, chaos={})
    with pytest.raises(UsageError, match="before the second day of the payments, 2026-01-12"):
        inject(
            tmp_path / "inbox",
            scenario="card_testing",
            user="u1",
            at=NOON - timedelta(days=9),
            feeds=["transactions"],
            **WORLD,
        )


def test_now_is_a_moment() -> None:
    assert abs(parse_moment("now") - datetime.now(UTC)) < timedelta(seconds=5)
    assert parse_moment("2026-01-31T10:15:00+07:00") == datetime(2026, 1, 31, 3, 15, tzinfo=UTC)


def test_lines_that_wait_for_days_do_not_keep_those_that_went_in_memory() -> None:
    box, count = Outbox(), 10_000
    due_ms = np.arange(count, dtype=np.int64)
    due_ms[-1] = 10**12
    box.put(due_ms, pa.array(["x" * 100] * count), np.zeros(count, dtype=np.int64), np.ones(count, dtype=bool))
    taken = [len(box.take(until_ms)[1]) for until_ms in (10, count // 2, count)]
    assert taken == [11, count // 2 - 10, count // 2 - 2]
    assert len(box) == 1
    [(waiting_ms, text, tag)] = box._waiting
    assert text.get_total_buffer_size() < 1_000
    assert all(held.base is None for held in (waiting_ms, tag))
    assert [len(text) for text in box.take(10**12)[0]] == [1]
