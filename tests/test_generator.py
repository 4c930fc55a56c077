"""The generator keeps its word: exact counts, whole files, true labels, nothing given away by amount alone."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import tempfile
from collections import Counter
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import generator.write
from generator.attacks import ATTACKS, SCENARIO_NAMES
from generator.dirt import MALFORMED, SPOILERS, deliver, parse_dirt
from generator.honest import honest_life
from generator.payments import HONEST, HOUR_MS, Payments, within_span
from generator.places import COUNTRIES, CURRENCIES, IS_DISTANT, UTC_OFFSET_MS
from generator.plan import Plan
from generator.simulation import build_world, simulate
from generator.world import DEVICES_EACH, World
from generator.write import Manifest, generate
from lake.errors import UsageError
from lake.inbox import count_lines, visible_files

END = date(2026, 1, 31)
ALL_DIRT = dict.fromkeys(SPOILERS, 0.02)
SMALL: dict[str, Any] = {"rows": 600, "days": 5, "users": 30, "merchants": 20, "seed": 7, "end": END}
DECIMALS = {currency.code: currency.decimals for currency in CURRENCIES}

runs = st.fixed_dictionaries(
    {
        "rows": st.integers(1, 900),
        "days": st.integers(1, 40),
        "users": st.integers(1, 50),
        "merchants": st.integers(1, 40),
        "seed": st.integers(0, 2**32),
        "dirt": st.dictionaries(st.sampled_from(sorted(SPOILERS)), st.floats(0, 0.2)),
    }
)
few = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def lines_of(inbox: Path, feed: str) -> list[str]:
    """All lines of a feed, in the order of the files."""
    return [
        line
        for file in visible_files(inbox / feed)
        for line in gzip.decompress(file.read_bytes()).decode().splitlines()
    ]


def truth_of(inbox: Path) -> dict[str, tuple[str, str]]:
    """Whether each event is a fraud, and its scenario, by event id."""
    header, *rows = (inbox.parent / "truth" / "labels.csv").read_text().splitlines()
    assert header == "event_id,is_fraud,scenario"
    return {event: (fraud, scenario) for event, fraud, scenario in (row.split(",") for row in rows)}


def readable(line: str) -> dict[str, Any] | None:
    """The event of a line, or None where the line is not JSON."""
    try:
        return json.loads(line)
    except ValueError:
        return None


def is_well_formed(event: dict[str, Any] | None) -> bool:
    """Whether a line would be accepted, were it the first with its event id."""
    if event is None or isinstance(event["amount"], str) or not event["event_time"].endswith("Z"):
        return False
    return event["event_time"] < "9000"


@pytest.fixture(scope="module")
def inbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lake") / "inbox"


@pytest.fixture(scope="module")
def manifest(inbox: Path) -> Manifest:
    return generate(inbox, rows=6000, days=6, users=80, merchants=50, seed=7, end=END, dirt=ALL_DIRT)


@pytest.fixture(scope="module")
def big() -> tuple[World, Payments]:
    plan = Plan.checked(rows=60_000, days=21, users=400, merchants=200, seed=7, end=END)
    world = build_world(plan)
    return world, simulate(plan, world)


@few
@given(run=runs)
def test_every_generated_payment_stands_in_the_files_once_intact(run: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        inbox = Path(folder) / "inbox"
        made = generate(inbox, end=END, **run)
        firsts: dict[str, dict[str, Any]] = {}
        repeats = Counter[str]()
        for event in map(readable, lines_of(inbox, "transactions")):
            if not is_well_formed(event):
                repeats["malformed"] += 1
            elif event["event_id"] not in firsts:
                firsts[event["event_id"]] = event
            else:
                repeats["duplicate" if event == firsts[event["event_id"]] else "altered"] += 1
        assert set(firsts) == set(truth_of(inbox))
        assert len(firsts) == made.rows == run["rows"]
        assert repeats["duplicate"] == made.dirt["duplicate"]
        assert repeats["altered"] == made.dirt["altered"]
        assert repeats["malformed"] == sum(made.dirt[kind] for kind in ("corrupt", *MALFORMED))


@few
@given(run=runs)
def test_the_manifest_counts_what_the_files_hold(run: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        inbox = Path(folder) / "inbox"
        made = generate(inbox, end=END, **run)
        assert json.loads((inbox.parent / "truth" / "manifest.json").read_text()) == made.as_dict()
        for feed, files in made.lines.items():
            assert {file.name: count_lines(file) for file in visible_files(inbox / feed)} == files
        scenarios = Counter(scenario for _, scenario in truth_of(inbox).values() if scenario)
        assert scenarios == {name: count for name, count in made.frauds.items() if count}
        reasons = Counter(json.loads(line)["reason"] for line in lines_of(inbox, "disputes"))
        assert reasons == {reason: count for reason, count in made.disputes.items() if count}


@few
@given(run=runs)
def test_payments_are_exactly_as_many_as_asked_for_and_lie_within_their_days(run: dict[str, Any]) -> None:
    plan = Plan.checked(end=END, **run)
    payments = simulate(plan, build_world(plan))
    assert len(payments) == plan.rows
    assert payments.time_ms.min() >= 0
    assert payments.time_ms.max() < plan.days * 24 * HOUR_MS
    assert np.all(np.diff(payments.time_ms) >= 0)


@given(time_ms=st.integers(-999, 1998))
def test_a_time_beyond_the_span_is_folded_back_into_it(time_ms: int) -> None:
    folded = int(within_span(np.array([time_ms]), 1000)[0])
    assert 0 <= folded < 1000
    assert folded == time_ms or not 0 <= time_ms < 1000


def test_the_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        generate(tmp_path / name / "inbox", dirt=ALL_DIRT, **SMALL)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*"))
    assert files
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_another_seed_gives_other_payments_under_other_ids(tmp_path: Path) -> None:
    generate(tmp_path / "a" / "inbox", **SMALL)
    generate(tmp_path / "b" / "inbox", **{**SMALL, "seed": 8})
    assert not set(truth_of(tmp_path / "a" / "inbox")) & set(truth_of(tmp_path / "b" / "inbox"))


def test_dirt_changes_neither_the_payments_nor_the_truth(tmp_path: Path) -> None:
    generate(tmp_path / "clean" / "inbox", dirt={}, **SMALL)
    generate(tmp_path / "dirty" / "inbox", dirt=ALL_DIRT, **SMALL)
    clean = set(lines_of(tmp_path / "clean" / "inbox", "transactions"))
    assert len(clean) == SMALL["rows"]
    assert clean <= set(lines_of(tmp_path / "dirty" / "inbox", "transactions"))
    assert truth_of(tmp_path / "clean" / "inbox") == truth_of(tmp_path / "dirty" / "inbox")


def test_a_payment_comes_before_all_copies_of_it() -> None:
    delivered = deliver(np.arange(0, 10**9, 10**6), ALL_DIRT, np.random.default_rng(7))
    is_own = np.isin(delivered.kind, [0, 1])
    assert np.all(np.diff(delivered.time_ms) >= 0)
    own_row = np.empty(is_own.sum(), dtype=int)
    own_row[delivered.payment[is_own]] = np.flatnonzero(is_own)
    assert np.all(own_row[delivered.payment[~is_own]] < np.flatnonzero(~is_own))


def test_a_late_payment_is_written_into_the_file_of_the_next_day(inbox: Path, manifest: Manifest) -> None:
    seen, late = set(), 0
    for file in visible_files(inbox / "transactions"):
        for event in map(readable, gzip.decompress(file.read_bytes()).decode().splitlines()):
            if is_well_formed(event) and event["event_id"] not in seen:
                seen.add(event["event_id"])
                day = date.fromisoformat(event["event_time"][:10])
                late += file.name == f"transactions-{day + timedelta(days=1)}.jsonl.gz"
    assert late == manifest.dirt["late"] == 120


def test_payments_are_of_the_promised_form(inbox: Path, manifest: Manifest) -> None:
    countries = {country.code for country in COUNTRIES}
    genuine = set(truth_of(inbox))
    for line in lines_of(inbox, "transactions"):
        event = readable(line)
        if not is_well_formed(event):
            continue
        datetime.strptime(event["event_time"], "%Y-%m-%dT%H:%M:%S.%fZ")
        amount = line.split('"amount":')[1].split(",")[0]
        assert len(amount.partition(".")[2]) <= DECIMALS[event["currency"]]
        assert event["amount"] > 0
        assert event["event_id"] in genuine
        assert event["country"] in countries
        assert ("device_id" in event) == (event["channel"] == "online")
        assert event["status"] in ("approved", "declined")


def test_disputes_name_payments_and_come_after_them(inbox: Path, manifest: Manifest) -> None:
    events = {
        e["event_id"]: e for e in reversed([*map(readable, lines_of(inbox, "transactions"))]) if is_well_formed(e)
    }
    truth = truth_of(inbox)
    disputes = [json.loads(line) for line in lines_of(inbox, "disputes")]
    assert len({d["dispute_id"] for d in disputes}) == len(disputes)
    for dispute in disputes:
        event = events[dispute["event_id"]]
        assert dispute["reported_at"] > event["event_time"]
        assert (dispute["amount"], dispute["currency"]) == (event["amount"], event["currency"])
        assert (dispute["reason"] == "fraud") == (truth[dispute["event_id"]][0] == "1")


def test_disputes_of_days_to_come_are_not_written_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = {**SMALL, "rows": 6000}
    for name, today in (("early", END + timedelta(days=4)), ("late", END + timedelta(days=90))):
        monkeypatch.setattr(generator.write, "today", lambda day=today: day)
        made = generate(tmp_path / name / "inbox", **run)
        assert all(file < f"disputes-{today}" for file in made.lines["disputes"])
        assert bool(made.unreported) == (name == "early")
    early = visible_files(tmp_path / "early" / "inbox" / "disputes")
    assert early
    for file in early:
        assert file.read_bytes() == (tmp_path / "late" / "inbox" / "disputes" / file.name).read_bytes()


def test_nothing_unfinished_is_left_behind(inbox: Path, manifest: Manifest) -> None:
    assert [path.name for path in inbox.parent.rglob(".*")] == []


def test_progress_ends_with_all_lines_written(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    made = generate(tmp_path / "inbox", progress=lambda done, total: calls.append((done, total)), **SMALL)
    total = sum(sum(files.values()) for files in made.lines.values())
    assert calls[-1] == (total, total)
    assert calls == sorted(calls)


def test_a_second_run_with_the_same_arguments_may_write_again(tmp_path: Path) -> None:
    first = generate(tmp_path / "inbox", **SMALL)
    assert generate(tmp_path / "inbox", **SMALL) == first


def test_files_of_another_run_are_not_replaced(tmp_path: Path) -> None:
    generate(tmp_path / "inbox", **SMALL)
    before = truth_of(tmp_path / "inbox")
    with pytest.raises(UsageError, match="of another run: give another --out"):
        generate(tmp_path / "inbox", **{**SMALL, "seed": 8})
    assert truth_of(tmp_path / "inbox") == before


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"rows": 0}, "rows is 0, and must be at least 1"),
        ({"days": 0}, "days is 0"),
        ({"users": -1}, "users is -1"),
        ({"merchants": 0}, "merchants is 0"),
        ({"seed": -3}, "seed is -3"),
        ({"days": 100_000}, "days is 100000"),
        ({"end": date(9000, 1, 1)}, "end is 9000-01-01, in the future"),
        ({"dirt": {"late": -0.1}}, "share of late dirt is -0.1"),
        ({"dirt": {"late": 1.5}}, "share of late dirt is 1.5"),
        ({"dirt": {"late": float("nan")}}, "share of late dirt is nan"),
        ({"dirt": {"mud": 0.1}}, "mud is no kind of dirt: choose from late, duplicate"),
    ],
)
def test_a_wrong_argument_is_refused_with_one_line(tmp_path: Path, wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError) as refused:
        generate(tmp_path / "inbox", **{**SMALL, **wrong})
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "inbox").exists()


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(UsageError, match="cannot be written"):
        generate(tmp_path / "file" / "inbox", **SMALL)


@pytest.mark.parametrize("text", ["late", "late=", "late=much", "=0.1", "mud=0.1", "late=2"])
def test_dirt_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_dirt(text)


def test_dirt_is_read_from_text() -> None:
    assert parse_dirt(" late=0.01, duplicate=0.003,") == {"late": 0.01, "duplicate": 0.003}
    assert parse_dirt("") == {}


def test_the_command_says_what_it_wrote_and_refuses_in_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "generator", "--out", str(tmp_path / "inbox"), "--end", "2026-01-31"]
    good = subprocess.run([*command, "--rows", "500"], capture_output=True, text=True, check=True)
    assert good.stdout.startswith("500 payments, ")
    bad = subprocess.run([*command, "--rows", "0"], capture_output=True, text=True, check=False)
    assert bad.returncode == UsageError.exit_code
    assert bad.stderr == "rows is 0, and must be at least 1: give for instance --rows 100\n"


def test_about_half_a_percent_of_payments_are_frauds_of_every_scenario(big: tuple[World, Payments]) -> None:
    _, payments = big
    assert 0.004 < np.mean(payments.scenario != HONEST) < 0.006
    assert set(payments.scenario.tolist()) == set(range(len(ATTACKS) + 1))


@pytest.mark.parametrize("split", ["user", "time"])
def test_amount_and_hour_alone_do_not_give_frauds_away(big: tuple[World, Payments], split: str) -> None:
    _, payments = big
    hour = payments.time_ms / HOUR_MS % 24 * np.pi / 12
    seen = np.column_stack([np.log(payments.usd), np.sin(hour), np.cos(hour)])
    is_fraud = payments.scenario != HONEST
    learns = payments.user % 2 == 0 if split == "user" else np.arange(len(payments)) < 0.6 * len(payments)
    boosted = HistGradientBoostingClassifier(max_iter=40, max_depth=3, early_stopping=False)
    for model in (make_pipeline(StandardScaler(), LogisticRegression()), boosted):
        model.fit(seen[learns], is_fraud[learns])
        score = model.predict_proba(seen[~learns])[:, 1]
        assert average_precision_score(is_fraud[~learns], score) < 0.3


def test_users_differ_by_about_half_of_the_variance_of_log_amounts(big: tuple[World, Payments]) -> None:
    _, payments = big
    is_honest = payments.scenario == HONEST
    user, log_usd = payments.user[is_honest], np.log(payments.usd[is_honest])
    count = np.maximum(np.bincount(user), 1)
    mean = np.bincount(user, log_usd) / count
    assert 0.4 < np.var(mean[user]) / np.var(log_usd) < 0.6


def test_the_busiest_hour_of_the_users_day_is_five_to_nine_times_the_quietest(
    big: tuple[World, Payments],
) -> None:
    world, payments = big
    local_ms = payments.time_ms + UTC_OFFSET_MS[world.users.home[payments.user]]
    by_hour = np.bincount(local_ms // HOUR_MS % 24, minlength=24)
    assert 5 < by_hour.max() / by_hour.min() < 9


def test_velocity_alone_is_no_perfect_signal(big: tuple[World, Payments]) -> None:
    _, payments = big
    honest = payments.take(np.flatnonzero(payments.scenario == HONEST))
    order = np.lexsort((honest.time_ms, honest.user))
    key = honest.user[order] * 10**12 + honest.time_ms[order]
    in_5m = np.arange(1, len(key) + 1) - np.searchsorted(key, key - 5 * 60_000, side="right")
    assert (in_5m >= 5).sum() > (payments.scenario == SCENARIO_NAMES.index("card_testing")).sum()


def attacked(name: str, **parameters: Any) -> tuple[World, Payments, Payments]:
    """A world, its honest payments, and about 200 frauds of one attack."""
    rng = np.random.default_rng(7)
    world = World.build(users=100, merchants=100, days=14, rng=rng)
    honest = honest_life(world, 10_000, rng)
    return world, honest, ATTACKS[name].attack(world, honest, rng, 200.0, **parameters)


def test_card_testing_is_a_run_of_small_payments_and_then_larger_ones() -> None:
    _, _, frauds = attacked("card_testing", probes=(5, 5), hits=(1, 1))
    usd = frauds.usd.reshape(-1, 6)
    assert np.median(usd[:, :5]) < 5 < np.median(usd[:, 5])
    minutes = np.ptp(frauds.time_ms.reshape(-1, 6), axis=1) / 60_000
    assert np.median(minutes) < 5


def test_account_takeover_pays_several_times_the_usual_amount_from_a_new_device() -> None:
    world, honest, frauds = attacked("account_takeover")
    times = frauds.usd / np.exp(world.users.log_usual[frauds.user])
    assert 2 < np.median(times) < 5
    assert frauds.device.min() >= len(world.users.home) * DEVICES_EACH > honest.device.max()


def test_impossible_travel_pays_far_away_minutes_after_an_honest_payment() -> None:
    _, honest, frauds = attacked("impossible_travel")
    for user, time_ms, country in zip(frauds.user, frauds.time_ms, frauds.country, strict=True):
        own = (honest.user == user) & ~honest.is_online
        recent = own & (honest.time_ms < time_ms) & (honest.time_ms >= time_ms - 40 * 60_000)
        assert IS_DISTANT[honest.country[recent], country].any()
