"""One named attack into a system that runs, to see it caught."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from generator.attacks import ATTACKS, SCENARIO_NAMES, share_of
from generator.behaviour import behaviour
from generator.disputes import dispute
from generator.episodes import FRAUD_SHARE
from generator.landing import land, make_folders, read_manifest, stamp, text_of
from generator.lines import Script
from generator.payments import DAY_MS, HONEST, NO_PRODUCT, Integers, Payments
from generator.plan import EPOCH, Plan, today
from generator.simulation import world_of
from generator.slot_files import LABELS_HEADER
from generator.world import World
from lake.errors import UsageError

# How long before the moment that is asked for an attack may begin.
LONGEST_DAYS = 21


@dataclass(frozen=True)
class Injection:
    """What was written: how many payments (`frauds` of them), from when to when (UTC), and the files."""

    scenario: str
    user: str
    payments: int
    frauds: int
    first: datetime
    last: datetime
    files: list[Path]

    def as_dict(self) -> dict[str, Any]:
        """As JSON knows it."""
        return {
            "scenario": self.scenario,
            "user": self.user,
            "payments": self.payments,
            "frauds": self.frauds,
            "first": self.first.isoformat(),
            "last": self.last.isoformat(),
            "files": [str(file) for file in self.files],
        }


def inject(
    out: Path, *, scenario: str, user: str, at: datetime, users: int, merchants: int, seed: int, feeds: list[str]
) -> Injection:
    """Write one attack on `user` into the inbox folder `out`; its last payment happens at `at`.

    An attack that keeps to the night (`night_spree`, `bulk_at_night`, `dear_at_night`) ends in the last night before
    `at`. The victim is of the world that the inbox was generated from, or else of one with so many `users` and
    `merchants`; a `user` of no such world gets the habits of one. The truth about it goes beside the inbox. Raises
    `UsageError` for an unknown attack, or a moment to come.
    """
    if scenario not in ATTACKS:
        raise UsageError(f"{scenario} is no attack: choose from {', '.join(ATTACKS)}")
    if at > datetime.now(UTC):
        raise UsageError(f"at is {at.isoformat()}, which is to come: give a moment of the past, or now")
    if "transactions" not in feeds:
        raise UsageError(f"feeds are {', '.join(feeds) or 'none'}, and an attack needs transactions: leave out --feeds")
    if not user:
        raise UsageError("user is missing: name the victim, such as --user u000123")
    truth = out.parent / "truth"
    plan = _plan(truth, users, merchants, seed, at.date())
    world = world_of(plan)
    number = _number(user, plan.users)
    name, at_ms = _own_name(user, number), int(at.timestamp() * 1000) - plan.start_ms
    payments = _attack(plan, world, scenario, number, at_ms)
    make_folders(out, truth, feeds, len(payments))
    end = f"inject-{scenario}-{stamp(at)}-{_digest(user, 3)}"
    numbers = _digest(f"{scenario}/{user}/{at_ms}", 6) * 1000 + np.arange(len(payments))
    script, files = Script(plan, world), []
    land(truth / "labels" / f"labels-{end}.csv.gz", [LABELS_HEADER, text_of(script.labels(payments, numbers))])
    for feed, text in _texts(script, payments, numbers, plan):
        if feed in feeds and len(text):
            files.append(out / feed / f"{feed}-{end}.jsonl")
            renamed = pc.replace_substring(text, f'"user_id":"u{number:06d}"', f'"user_id":{json.dumps(name)}')
            land(files[-1], [text_of(renamed)])
    first, last = (datetime.fromtimestamp((plan.start_ms + t) / 1000, UTC) for t in payments.time_ms[[0, -1]].tolist())
    return Injection(scenario, name, len(payments), int((payments.scenario != HONEST).sum()), first, last, files)


def _plan(truth: Path, users: int, merchants: int, seed: int, end: date) -> Plan:
    known = read_manifest(truth).get("arguments")
    if known:
        rest = {name: known[name] for name in ("rows", "days", "users", "merchants", "seed")}
        return Plan.checked(**rest, end=date.fromisoformat(known["end"]), chaos={})
    return Plan.checked(
        rows=20_000, days=LONGEST_DAYS + 1, users=users, merchants=merchants, seed=seed, end=end, chaos={}
    )


def _attack(plan: Plan, world: World, scenario: str, victim: int, at_ms: int) -> Payments:
    # Whole days (UTC), so that the hours of the attack are those of somebody's clock.
    midnight, days = at_ms // DAY_MS, min(LONGEST_DAYS, at_ms // DAY_MS)
    if days < 1:
        raise UsageError(f"at is before the second day of the payments, {plan.day(1)}: give a later moment, or now")
    window = ((midnight - days) * DAY_MS, midnight * DAY_MS)
    usual = plan.rows / plan.days * days * FRAUD_SHARE * share_of(scenario, at_ms)
    rng = plan.chance(f"inject/{scenario}/{victim}/{at_ms}")
    made = ATTACKS[scenario].attack(world, window, rng, usual, victims=np.array([victim])).in_time_order()
    shift_ms = at_ms - int(made.time_ms[-1])
    if ATTACKS[scenario].is_nightly:
        shift_ms = shift_ms // DAY_MS * DAY_MS
    numbered = made.scenario * SCENARIO_NAMES.index(scenario)
    return Payments(**{**vars(made), "time_ms": made.time_ms + shift_ms, "scenario": numbered})


def _texts(script: Script, payments: Payments, numbers: Integers, plan: Plan) -> Iterator[tuple[str, pa.Array]]:
    bought, rng = np.flatnonzero(payments.product != NO_PRODUCT), plan.chance(f"inject/{numbers[0]}")
    yield "transactions", script.transactions(payments, numbers)
    yield "orders", script.orders(payments.take(bought), numbers[bought])
    yield "behaviour", script.behaviour(behaviour(script.world, payments, rng), numbers)
    disputes = dispute(payments, rng)
    known = disputes.take(disputes.reported_ms < (today() - EPOCH).days * DAY_MS - plan.start_ms)
    about, about_numbers = payments.take(known.payment), numbers[known.payment]
    yield "disputes", script.disputes(known, about, about_numbers, int(numbers[0]))


def _number(user: str, users: int) -> int:
    digits = user[1:] if user[:1] == "u" and user[1:].isdecimal() else ""
    return int(digits) if digits and int(digits) < users else _digest(user, 4) % users


def _own_name(user: str, number: int) -> str:
    # u123 is u000123.
    return f"u{number:06d}" if user[:1] == "u" and user[1:].isdecimal() and int(user[1:]) == number else user


def _digest(text: str, size: int) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=size).digest(), "big")


def parse_moment(text: str) -> datetime:
    """A moment from ISO 8601 with its zone, or `now`; `UsageError` for anything else."""
    if text == "now":
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"at is {text!r}, which is no moment: write now, or 2026-01-31T10:15:00Z") from error
    if moment.utcoffset() is None:
        raise UsageError(f"at is {text!r}, without a time zone: write Z or +07:00 behind it")
    return moment.astimezone(UTC)
