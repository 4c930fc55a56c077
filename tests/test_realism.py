"""The realism report measures what a run wrote: within what is wanted, right by a plain count, unmoved by chaos."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import generator.write
from generator.attacks import ATTACKS
from generator.places import COUNTRIES
from generator.realism import SPECS, Realism, measure
from generator.realism_files import parsed
from generator.realism_page import render
from generator.realism_rows import read_run
from tests.generated import ALL_CHAOS, END, labels_of, lines_of, made, truth_of

RUN: dict[str, Any] = {"days": 28, "users": 800, "merchants": 300}
WANTED = [name for name, spec in SPECS.items() if spec.wanted]


@pytest.fixture(scope="module")
def inbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("lake"), rows=60_000, **RUN)


@pytest.fixture(scope="module")
def realism(inbox: Path) -> Realism:
    return measure(inbox, truth_of(inbox))


def readable(inbox: Path, feed: str) -> list[dict[str, Any]]:
    """The lines of a feed that are JSON, read one by one."""
    found = []
    for line in lines_of(inbox, feed):
        with suppress(ValueError):
            found.append(json.loads(line))
    return found


@pytest.fixture(scope="module")
def payments(inbox: Path) -> dict[str, dict[str, Any]]:
    """A plain oracle: the first line of each payment that has a label, by its event id."""
    labels = labels_of(inbox)
    firsts: dict[str, dict[str, Any]] = {}
    for line in readable(inbox, "transactions"):
        if line["event_id"] in labels:
            firsts.setdefault(line["event_id"], {**line, "scenario": labels[line["event_id"]]})
    return firsts


@pytest.mark.parametrize("name", WANTED)
def test_a_generated_run_is_as_real_as_is_wanted(realism: Realism, name: str) -> None:
    figure = realism[name]
    assert figure.is_within, f"{figure.meaning}: {figure.value}, wanted {figure.wanted_text}"


def test_every_payment_is_measured_once_however_chaos_spoils_its_copies(realism: Realism, inbox: Path) -> None:
    manifest = json.loads((truth_of(inbox) / "manifest.json").read_text(encoding="utf-8"))
    assert realism.measured == realism.rows == 60_000
    assert realism.frauds == sum(manifest["frauds"].values())
    assert realism.is_within


def test_the_share_of_frauds_and_their_scenarios_are_those_of_a_plain_count(
    realism: Realism, payments: dict[str, dict[str, Any]]
) -> None:
    counts = Counter(payment["scenario"] for payment in payments.values() if payment["scenario"])
    frauds = counts.total()
    assert realism["fraud_share"].value == pytest.approx(frauds / 60_000)
    assert realism["scenarios"].value == len(counts) == len(ATTACKS)
    expected = {name: count / frauds for name, count in counts.items()}
    assert realism["scenarios"].detail["share"] == pytest.approx(expected)


def test_hours_are_those_of_the_users_own_clocks_by_a_plain_count(
    realism: Realism, inbox: Path, payments: dict[str, dict[str, Any]]
) -> None:
    offsets = {country.code: timedelta(hours=country.utc_offset_h) for country in COUNTRIES}
    home = {user["user_id"]: user["country"] for user in readable(inbox, "users")}
    local = [
        datetime.fromisoformat(payment["event_time"]) + offsets[home[payment["user_id"]]]
        for payment in payments.values()
    ]
    hours = Counter(time.hour for time in local)
    assert realism["hour_ratio"].value == pytest.approx(max(hours.values()) / min(hours.values()))
    weekdays = Counter(time.weekday() for time in local)
    assert realism["weekday_ratio"].value == pytest.approx(max(weekdays.values()) / min(weekdays.values()))
    abroad = np.mean([payment["country"] != home[payment["user_id"]] for payment in payments.values()])
    assert realism["abroad_share"].value == pytest.approx(abroad)


def test_delays_of_disputes_are_those_of_a_plain_count(
    realism: Realism, inbox: Path, payments: dict[str, dict[str, Any]]
) -> None:
    disputes = {dispute["event_id"]: dispute for dispute in readable(inbox, "disputes")}
    moment = datetime.fromisoformat
    delays = [moment(d["reported_at"]) - moment(payments[event]["event_time"]) for event, d in disputes.items()]
    expected = sorted(delays)[len(delays) // 2] / timedelta(days=1)
    assert realism["dispute_delay_median"].value == pytest.approx(expected)
    charged = [payments[event]["scenario"] for event, d in disputes.items() if d["reason"] == "fraud"]
    assert realism["friendly_share"].value == pytest.approx(charged.count("") / len(charged))


def test_a_payment_in_namibia_is_no_missing_value(realism: Realism, payments: dict[str, dict[str, Any]]) -> None:
    expected = sum(payment["country"] == "NA" for payment in payments.values()) / len(payments)
    assert realism["na_share"].value == pytest.approx(expected)
    assert expected > 0.01


def test_currencies_without_decimals_with_two_and_with_three_are_there(realism: Realism) -> None:
    assert realism["currencies"].note == "2 without decimals, 8 with two, 1 with three"
    assert sum(realism["currencies"].detail["payments"].values()) == 60_000


def test_chaos_does_not_move_a_single_figure(tmp_path: Path) -> None:
    clean, chaotic = (made(tmp_path / name, chaos=chaos) for name, chaos in (("a", {}), ("b", ALL_CHAOS)))
    assert measure(clean, truth_of(clean)).figures == measure(chaotic, truth_of(chaotic)).figures


def test_lines_that_are_cut_or_of_wrong_types_are_left_out(transaction: Callable[..., str]) -> None:
    good = transaction("good", schema_version=2, loyalty={"tier": "gold"})
    spoiled = [
        good[: len(good) // 2],
        good.replace("DE", "D\x00"),
        transaction("text", amount="10,50"),
        transaction("none", amount=None),
        transaction("twice", amount=7).replace("7", "1.2.3"),
        "",
    ]
    for lines in ([good, *spoiled], [*spoiled, good], [good]):
        assert parsed("\n".join(lines).replace(": ", ":").encode())["event_id"].to_pylist() == ["good"]
    assert parsed(b"").num_rows == 0


def test_of_a_run_too_large_all_payments_of_some_users_are_measured(inbox: Path) -> None:
    calls: list[tuple[int, int]] = []
    every = read_run(inbox, truth_of(inbox), most=10**6).payments
    some = read_run(inbox, truth_of(inbox), most=30_000, progress=lambda *call: calls.append(call)).payments
    assert 15_000 < len(some) < 45_000
    assert set(some.user.tolist()) == set(range(0, 800, 2))
    assert np.array_equal(some.time_ms, every.time_ms[every.user % 2 == 0])
    assert calls[-1] == (60_000, 60_000)
    assert calls == sorted(calls)


def test_the_median_delay_is_right_before_all_disputes_are_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = {}
    for name, today in (("early", END + timedelta(days=15)), ("late", END + timedelta(days=91))):
        monkeypatch.setattr(generator.write, "today", lambda day=today: day)
        folder = made(tmp_path / name, rows=8000)
        measured[name] = measure(folder, truth_of(folder))
    early, late = measured["early"], measured["late"]
    assert early["dispute_delay_median"].value == pytest.approx(late["dispute_delay_median"].value)
    assert "outstanding" in early["dispute_delay_p99"].note
    assert early["undisputed_fraud_share"].value is None
    assert early["undisputed_fraud_share"].note.startswith("not old enough")
    assert late["undisputed_fraud_share"].value is not None


def test_a_run_of_one_payment_has_figures_that_it_cannot_tell(tmp_path: Path) -> None:
    folder = made(tmp_path, rows=1, days=1, users=1, merchants=1)
    realism = measure(folder, truth_of(folder))
    assert realism.measured == 1
    assert realism["hour_ratio"].value is None
    assert realism["hour_ratio"].is_within is None
    assert "<svg" in render(realism)
