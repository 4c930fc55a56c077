"""The generator keeps its word: exact counts, whole files, true labels, the same lines from the same arguments."""

from __future__ import annotations

import gzip
import json
import tempfile
from collections import Counter
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import generator.landing
import generator.plan
import generator.write
from generator.chaos import ADDED, CHANGED, SPOILERS, deliver
from generator.payments import within
from generator.places import COUNTRIES, CURRENCIES
from generator.plan import Plan
from generator.simulation import Simulation
from generator.write import Manifest, generate
from lake.inbox import count_lines, visible_files
from tests.generated import labels_of, lines_of

END = date(2026, 1, 31)
ALL_CHAOS = dict.fromkeys(SPOILERS, 0.02)
SMALL: dict[str, Any] = {"rows": 600, "days": 5, "users": 30, "merchants": 20, "seed": 7, "end": END}
DECIMALS = {currency.code: currency.decimals for currency in CURRENCIES}

runs = st.fixed_dictionaries(
    {
        "rows": st.integers(1, 900),
        "days": st.integers(1, 40),
        "users": st.integers(1, 50),
        "merchants": st.integers(1, 40),
        "seed": st.integers(0, 2**32),
        "chaos": st.dictionaries(st.sampled_from(sorted(SPOILERS)), st.floats(0, 0.2)),
        "feeds": st.just(("transactions", "orders", "behaviour", "disputes")),
    }
)
few = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])


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
    return event["event_time"] < "9000" and len(event["currency"]) == 3


def is_orphan(event: dict[str, Any]) -> bool:
    return event["user_id"].startswith("unknown-") or event["merchant_id"].startswith("unknown-")


@pytest.fixture(scope="module")
def inbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lake") / "inbox"


@pytest.fixture(scope="module")
def manifest(inbox: Path) -> Manifest:
    return generate(inbox, rows=6000, days=6, users=80, merchants=50, seed=7, end=END, chaos=ALL_CHAOS)


@few
@given(run=runs)
def test_every_generated_payment_stands_in_the_files_once_intact(run: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        inbox = Path(folder) / "inbox"
        made = generate(inbox, end=END, **run)
        genuine, firsts = labels_of(inbox), dict[str, dict[str, Any]]()
        found = Counter[str]()
        for event in map(readable, lines_of(inbox, "transactions")):
            if not is_well_formed(event):
                found["malformed"] += 1
            elif event["event_id"] in firsts:
                found["duplicate" if event == firsts[event["event_id"]] else "altered"] += 1
            elif is_orphan(event):
                found["orphan"] += 1
                assert event["event_id"] not in genuine
            else:
                firsts[event["event_id"]] = event
                found["drifted"] += "schema_version" in event
        assert set(firsts) == set(genuine)
        assert len(firsts) == made.rows == run["rows"]
        assert found["duplicate"] == made.chaos["duplicate"]
        assert found["altered"] == made.chaos["altered"]
        assert found["drifted"] == made.chaos["drifted"]
        assert found["orphan"] == made.chaos["orphan_user"] + made.chaos["orphan_merchant"]
        malformed = ("corrupt", "truncated", "wrong_type", "wrong_currency", "no_zone", "far_future")
        assert found["malformed"] == sum(made.chaos[kind] for kind in malformed)


@few
@given(run=runs)
def test_the_manifest_counts_what_the_files_hold(run: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        inbox = Path(folder) / "inbox"
        made = generate(inbox, end=END, **run)
        assert json.loads((inbox.parent / "truth" / "manifest.json").read_text()) == made.as_dict()
        for feed, files in made.lines.items():
            assert {file.name: count_lines(file) for file in visible_files(inbox / feed)} == files
        scenarios = Counter(scenario for scenario in labels_of(inbox).values() if scenario)
        assert scenarios == {name: count for name, count in made.frauds.items() if count}
        reasons = Counter(json.loads(line)["reason"] for line in lines_of(inbox, "disputes"))
        assert reasons == {reason: count for reason, count in made.disputes.items() if count}


@few
@given(run=runs)
def test_payments_are_exactly_as_many_as_asked_for_and_lie_within_their_slots(run: dict[str, Any]) -> None:
    plan = Plan.checked(end=END, **{name: value for name, value in run.items() if name != "feeds"})
    simulation = Simulation.of(plan)
    made = 0
    for slot in simulation.slots:
        payments = simulation.payments(slot)
        made += len(payments)
        assert np.all((payments.time_ms >= slot.start_ms) & (payments.time_ms < slot.end_ms))
        assert np.all(np.diff(payments.time_ms) >= 0)
    assert made == plan.rows


@given(time_ms=st.integers(-899, 2098))
def test_a_time_beyond_a_span_is_folded_back_into_it(time_ms: int) -> None:
    folded = int(within(np.array([time_ms]), 100, 1100)[0])
    assert 100 <= folded < 1100
    assert folded == time_ms or not 100 <= time_ms < 1100


def test_a_busy_day_is_cut_into_parts_of_bounded_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generator.plan, "ROWS_PER_SLOT", 40)
    made = generate(tmp_path / "inbox", chaos={"late": 0.1}, feeds=("transactions",), **{**SMALL, "rows": 1000})
    days = [name for name in made.lines["transactions"] if "2026-01-29" in name]
    assert "transactions-2026-01-29T0800.jsonl.gz" in days
    assert "transactions-2026-01-29-lateT0800.jsonl.gz" in days
    assert max(made.lines["transactions"].values()) < 3 * 40
    assert len(labels_of(tmp_path / "inbox")) == 1000


def test_another_seed_gives_other_payments_under_other_ids(tmp_path: Path) -> None:
    generate(tmp_path / "a" / "inbox", **SMALL)
    generate(tmp_path / "b" / "inbox", **{**SMALL, "seed": 8})
    assert not set(labels_of(tmp_path / "a" / "inbox")) & set(labels_of(tmp_path / "b" / "inbox"))


def test_chaos_changes_neither_the_payments_nor_the_truth(tmp_path: Path) -> None:
    generate(tmp_path / "clean" / "inbox", chaos={}, **SMALL)
    generate(tmp_path / "chaotic" / "inbox", chaos=ALL_CHAOS, **SMALL)
    clean = set(lines_of(tmp_path / "clean" / "inbox", "transactions"))
    assert len(clean) == SMALL["rows"]
    chaotic = set(lines_of(tmp_path / "chaotic" / "inbox", "transactions"))
    assert len(clean - chaotic) == round(0.02 * SMALL["rows"]), "those that arrive with new fields"
    assert labels_of(tmp_path / "clean" / "inbox") == labels_of(tmp_path / "chaotic" / "inbox")


def test_a_payment_comes_before_all_copies_of_it() -> None:
    delivered = deliver(np.arange(0, 10**9, 10**6), ALL_CHAOS, np.random.default_rng(7))
    is_own = np.isin(delivered.kind, [0, *(list(SPOILERS).index(name) + 1 for name in CHANGED)])
    own_row = np.empty(is_own.sum(), dtype=int)
    own_row[delivered.payment[is_own]] = np.flatnonzero(is_own)
    assert np.all(own_row[delivered.payment[~is_own]] < np.flatnonzero(~is_own))
    counts = delivered.counts()
    assert set(counts.values()) == {20}
    assert sum(counts[name] for name in ADDED) == (delivered.number >= 1000).sum()


def test_a_late_payment_is_written_into_the_file_of_the_next_day(inbox: Path, manifest: Manifest) -> None:
    late = 0
    genuine = labels_of(inbox)
    for file in visible_files(inbox / "transactions"):
        for event in map(readable, gzip.decompress(file.read_bytes()).decode().splitlines()):
            if is_well_formed(event) and event["event_id"] in genuine:
                day = date.fromisoformat(event["event_time"][:10])
                is_late = file.name == f"transactions-{day + timedelta(days=1)}-late.jsonl.gz"
                assert is_late or file.name == f"transactions-{day}.jsonl.gz"
                late += is_late
    copies = 3  # of late lines: duplicates and altered ones
    assert manifest.chaos["late"] <= late <= manifest.chaos["late"] + 3 * copies
    assert 115 < manifest.chaos["late"] < 125


def test_payments_are_of_the_promised_form(inbox: Path, manifest: Manifest) -> None:
    countries = {country.code for country in COUNTRIES}
    genuine = set(labels_of(inbox))
    for line in lines_of(inbox, "transactions"):
        event = readable(line)
        if not is_well_formed(event) or is_orphan(event):
            continue
        datetime.strptime(event["event_time"], "%Y-%m-%dT%H:%M:%S.%fZ")
        amount = line.split('"amount":')[1].split(",")[0]
        assert len(amount.partition(".")[2]) <= DECIMALS[event["currency"]]
        assert event["amount"] > 0
        assert event["event_id"] in genuine
        assert event["country"] in countries
        assert "device_id" not in event or event["channel"] == "online"
        assert event["status"] in ("approved", "declined")


def test_disputes_name_payments_and_come_after_them(inbox: Path, manifest: Manifest) -> None:
    events = {
        e["event_id"]: e for e in reversed([*map(readable, lines_of(inbox, "transactions"))]) if is_well_formed(e)
    }
    disputes = [json.loads(line) for line in lines_of(inbox, "disputes")]
    assert len({d["dispute_id"] for d in disputes}) == len(disputes) > 0
    for dispute in disputes:
        event = events[dispute["event_id"]]
        assert dispute["reported_at"] > event["event_time"]
        assert (dispute["amount"], dispute["currency"]) == (event["amount"], event["currency"])
        assert event["status"] == "approved"


def test_every_reference_is_known_unless_it_is_an_orphan_on_purpose(inbox: Path, manifest: Manifest) -> None:
    keys = {
        "user_id": "users", "merchant_id": "merchants", "product_id": "products", "device_id": "devices",
        "payment_method_id": "payment_methods",
    }  # fmt: skip
    known = {key: {json.loads(line)[key] for line in lines_of(inbox, feed)} for key, feed in keys.items()}
    for feed in ("transactions", "orders", "behaviour", "devices", "payment_methods"):
        events = [event for event in map(readable, lines_of(inbox, feed)) if event]
        assert events
        for event in events:
            for key in known.keys() & event.keys():
                assert event[key] in known[key] or event[key].startswith("unknown-")


def test_orders_are_the_purchases_at_the_shop_with_amounts_as_people_write_them(
    inbox: Path, manifest: Manifest
) -> None:
    orders = [json.loads(line) for line in lines_of(inbox, "orders")]
    transactions = reversed([*map(readable, lines_of(inbox, "transactions"))])
    events = {e["event_id"][1:]: e for e in transactions if is_well_formed(e) and "product_id" in e}
    assert {order["order_id"][1:] for order in orders} <= set(events)
    styles = Counter(order["amount"].rstrip("0123456789.,") for order in orders)
    assert set(styles) == {"Rp ", "Rp", "IDR ", ""}
    for order in orders:
        paid = events[order["order_id"][1:]]
        assert (order["product_id"], order["quantity"]) == (paid["product_id"], paid["quantity"])
        assert order["status"] == "Pending"
        assert order["created_date"] < paid["event_time"]
        digits = order["amount"].removesuffix(",00").removesuffix(".00")
        if paid["currency"] == "IDR":
            assert int("".join(c for c in digits if c.isdigit())) == paid["amount"]


def test_behaviour_leads_to_the_payment_at_the_shop(inbox: Path, manifest: Manifest) -> None:
    events = {e["event_id"][1:]: e for e in map(readable, lines_of(inbox, "transactions")) if e}
    steps = [json.loads(line) for line in lines_of(inbox, "behaviour")]
    assert len({step["event_id"] for step in steps}) == len(steps)
    kinds = Counter(step["kind"] for step in steps)
    assert kinds["view"] > kinds["add_to_cart"] > kinds["checkout"] >= kinds["pay"] == kinds["checkout"]
    for step in (step for step in steps if step["kind"] == "pay"):
        assert step["event_time"] == events[step["session_id"][1:-2]]["event_time"][:24]


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
