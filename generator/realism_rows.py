"""A run read back from its files: each payment by its first intact line, beside the truth and the dispute about it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from generator import realism_files as files
from generator.attacks import SCENARIO_NAMES
from generator.disputes import FRAUD, REASONS
from generator.landing import read_manifest
from generator.payments import DAY_MS, HONEST, Flags, Floats, Integers
from generator.places import COUNTRIES, CURRENCIES, PER_USD, UTC_OFFSET_MS
from generator.plan import EPOCH
from generator.realism_files import moments, positions
from lake.errors import UsageError

NEEDED = ("users", "merchants", "transactions", "disputes")
_LABEL_FILE = re.compile(r"labels-(\d{4}-\d\d-\d\d)(.*)\.csv\.gz")
_COUNTRY_CODES = pa.array([country.code for country in COUNTRIES])
_CURRENCY_CODES = pa.array([currency.code for currency in CURRENCIES])

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Rows:
    """One row a payment, in the order of event time; all columns are of the same length.

    `user` and `merchant` are rows of those feeds, `country`, `home` (the user's) and `currency` positions in
    `places`, `usd` the amount in US dollars, `time_ms` milliseconds since 1970 (UTC), `local_ms` the same on the user's
    own clock, `device` a number (0 for none), `scenario` a position in `SCENARIO_NAMES`, `reported_ms` when its dispute
    was reported (NaN without one), `is_charged_back` whether that was as a fraud.
    """

    user: Integers
    merchant: Integers
    country: Integers
    home: Integers
    currency: Integers
    usd: Floats
    time_ms: Integers
    local_ms: Integers
    is_online: Flags
    is_declined: Flags
    device: Integers
    scenario: Integers
    reported_ms: Floats
    is_charged_back: Flags

    def __len__(self) -> int:
        return len(self.user)

    @property
    def is_fraud(self) -> Flags:
        """Whether each is a fraud, by the truth."""
        return self.scenario != HONEST

    @staticmethod
    def together(parts: list[Rows]) -> Rows:
        """The payments of all parts, the earliest first."""
        columns = {f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Rows)}
        order = np.argsort(columns["time_ms"], kind="stable")
        return Rows(**{name: column[order] for name, column in columns.items()})


@dataclass(frozen=True)
class Reading:
    """What was read of a run: its arguments, payments, and what they refer to.

    `joined_ms` has one row a user read, `merchant_country` one a merchant. `outstanding` is how many disputes of the
    payments read were not reported yet when the run was written, `last_report_ms` the time of the last that was (NaN
    without any).
    """

    arguments: Mapping[str, Any]
    payments: Rows
    joined_ms: Integers
    merchant_country: Integers
    outstanding: int
    last_report_ms: float

    @property
    def start_ms(self) -> int:
        """The first midnight of the span (UTC), in milliseconds since 1970."""
        return (date.fromisoformat(self.arguments["end"]) - EPOCH).days * DAY_MS + DAY_MS - self.span_ms

    @property
    def span_ms(self) -> int:
        """Length of the span."""
        return int(self.arguments["days"]) * DAY_MS


def read_run(out: Path, truth: Path, *, most: int, progress: Progress | None = None) -> Reading:
    """Read a finished run in the inbox `out`: all payments, or where they are more than `most`, those of every second,
    third … user.

    Whole users, not whole files: a busy day is cut into many files, and a few of those have neither all hours nor all
    weekdays. `progress` is called with how many payments have been looked at, and of how many. Raises `UsageError`
    where there is no finished run, or where its files are gone or cannot be read.
    """
    manifest = finished_run(out, truth)
    lines, count = manifest["lines"], int(manifest["rows"])
    every = -(-count // most)
    users, merchants, disputes = (
        files.rows([out / feed / name for name in lines.get(feed, {})], schema)
        for feed, schema in (("users", files.REFERENCE), ("merchants", files.REFERENCE), ("disputes", files.DISPUTE))
    )
    chosen = frozenset(name.encode() for name in users["user_id"].to_pylist()[::every]) if every > 1 else None
    known = _Known(users, merchants, disputes)
    parts: list[Rows] = []
    done = 0
    for labels, found in _slots(out, truth, lines["transactions"], chosen):
        parts.append(known.rows(found, labels))
        done += len(labels)
        if progress:
            progress(done, count)
    payments = Rows.together(parts)
    return Reading(
        arguments=manifest["arguments"],
        payments=payments,
        joined_ms=files.midnights(users["created_date"])[::every],
        merchant_country=positions(merchants["country"], _COUNTRY_CODES),
        outstanding=round(manifest["unreported"] * len(payments) / count),
        last_report_ms=float(np.nanmax(known.reported_ms)) if len(disputes) else float("nan"),
    )


def finished_run(out: Path, truth: Path) -> dict[str, Any]:
    """The manifest of the finished run in a folder. Raises `UsageError`, with the fix, where there is none."""
    manifest = read_manifest(truth)
    if not manifest:
        fix = f"make one with `risklake generate --out {out}`, or give --out the inbox folder of another"
        raise UsageError(f"{out} holds no generated run ({truth / 'manifest.json'} is missing): {fix}")
    if not manifest.get("complete"):
        fix = "call the same `risklake generate` again, which goes on where it stopped"
        raise UsageError(f"the run in {out} was stopped before its end: {fix}")
    if missing := [feed for feed in NEEDED if feed not in manifest["arguments"]["feeds"]]:
        fix = "generate it into another folder without --feeds"
        raise UsageError(f"the run in {out} was made without the feed {missing[0]}: {fix}")
    return manifest


class _Known:
    """What payments refer to, for turning their lines into numbers."""

    def __init__(self, users: pa.Table, merchants: pa.Table, disputes: pa.Table) -> None:
        self.users, self.merchants, self.disputed = users["user_id"], merchants["merchant_id"], disputes["event_id"]
        self.home = positions(users["country"], _COUNTRY_CODES)
        # One more at the end, for payments without a dispute: their position is -1.
        self.reported_ms = np.append(moments(disputes["reported_at"]).astype(float), np.nan)
        self.is_charged_back = np.append(pc.equal(disputes["reason"], REASONS[FRAUD]).to_numpy(), False)

    def rows(self, lines: pa.Table, labels: pa.Table) -> Rows:
        """The payments of a slot: for each label the first of its lines."""
        # Copies come after their line, and events that are no payments have no label: -1.
        label, first = np.unique(positions(lines["event_id"], labels["event_id"]), return_index=True)
        lines, label = lines.take(pa.array(first[label >= 0])), label[label >= 0]
        user, dispute = positions(lines["user_id"], self.users), positions(lines["event_id"], self.disputed)
        currency, time_ms = positions(lines["currency"], _CURRENCY_CODES), moments(lines["event_time"])
        return Rows(
            user=user,
            merchant=positions(lines["merchant_id"], self.merchants),
            country=positions(lines["country"], _COUNTRY_CODES),
            home=self.home[user],
            currency=currency,
            usd=lines["amount"].to_numpy() / PER_USD[currency],
            time_ms=time_ms,
            local_ms=time_ms + UTC_OFFSET_MS[self.home[user]],
            is_online=pc.equal(lines["channel"], "online").to_numpy(),
            is_declined=pc.equal(lines["status"], "declined").to_numpy(),
            device=files.numbered(lines["device_id"]),
            scenario=positions(labels["scenario"], pa.array(SCENARIO_NAMES))[label],
            reported_ms=self.reported_ms[dispute],
            is_charged_back=self.is_charged_back[dispute],
        )


def _slots(
    out: Path, truth: Path, names: Mapping[str, int], users: frozenset[bytes] | None
) -> Iterator[tuple[pa.Table, pa.Table]]:
    """The labels of each slot, and the whole lines of its payments, those that came a day late last."""
    for file in sorted((truth / "labels").glob("labels-*.csv.gz")):
        if found := _LABEL_FILE.fullmatch(file.name):
            day, clock = date.fromisoformat(found[1]), found[2]
            late = f"transactions-{day + timedelta(days=1)}-late{clock}.jsonl.gz"
            here = [name for name in (f"transactions-{day}{clock}.jsonl.gz", late) if name in names]
            lines = [files.payments(out / "transactions" / name, users) for name in here]
            yield files.labels(file), files.together(lines, files.PAYMENT)
