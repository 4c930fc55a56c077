"""Writes one plan as an inbox of files, and the truth about it beside the inbox."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from generator.attacks import SCENARIO_NAMES
from generator.dirt import INTACT, KINDS, SPOILERS, Deliveries, deliver
from generator.disputes import Disputes, dispute
from generator.lines import Script
from generator.payments import DAY_MS, Integers, Payments
from generator.plan import Plan, today
from generator.simulation import build_world, simulate
from lake.errors import UsageError

GZIP_LEVEL = 2
LABEL_BLOCK = 200_000
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Manifest:
    """Exact counts of one run.

    `rows` are the genuine events, each of which stands in the files once intact; `lines` counts by feed and
    file, `frauds` by scenario, `disputes` by reason (only those written), `dirt` by kind. `unreported` are
    disputes that would be reported after today. `arguments` are those of the run.
    """

    rows: int
    lines: Mapping[str, Mapping[str, int]]
    frauds: Mapping[str, int]
    disputes: Mapping[str, int]
    unreported: int
    dirt: Mapping[str, int]
    arguments: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """The manifest as JSON knows it."""
        return asdict(self)


@dataclass(frozen=True)
class _Feed:
    """Lines of one feed, in the order of writing: the days they belong to, and how to write some of them."""

    name: str
    day: Integers
    text: Callable[[slice], list[str]]

    def files(self, plan: Plan) -> Iterator[tuple[str, slice]]:
        """Each file's name and which lines it takes, the earliest first."""
        days, first = np.unique(self.day, return_index=True)
        for day, start, stop in zip(days, first, np.append(first, len(self.day))[1:], strict=True):
            yield f"{self.name}-{plan.day(int(day))}.jsonl.gz", slice(int(start), int(stop))

    def lines(self, plan: Plan) -> dict[str, int]:
        """Lines by file."""
        return {name: lines.stop - lines.start for name, lines in self.files(plan)}


def generate(
    out: Path,
    *,
    rows: int,
    days: int,
    users: int,
    merchants: int,
    seed: int,
    end: date | None = None,
    dirt: Mapping[str, float] | None = None,
    progress: Progress | None = None,
) -> Manifest:
    """Write `rows` payments over `days` days up to `end`, and their disputes, into the inbox folder `out`.

    `out/transactions` gets one file a day and `out/disputes` one a report date; the truth (`labels.csv`,
    `manifest.json`) goes to `truth` beside `out`. `end` is by default 15 days before today (UTC), `dirt`
    the small dirt of the demo. `progress` is called after each file with the lines written so far, and of
    how many. The same arguments give the same bytes; on a later day only disputes reported since then come
    in addition. Raises `UsageError` for an argument that cannot work, a folder that cannot be written, or
    files of another run in it.
    """
    plan = Plan.checked(rows=rows, days=days, users=users, merchants=merchants, seed=seed, end=end, dirt=dirt)
    world = build_world(plan)
    payments = simulate(plan, world)
    deliveries = deliver(payments.time_ms, plan.dirt, plan.chance("dirt"))
    disputes = dispute(payments, plan.chance("disputes"))
    reported = disputes.until((today() - plan.start).days * DAY_MS)
    script = Script(plan, world, payments)
    feeds = (_transactions(script, deliveries), _disputes(script, reported))
    manifest = _manifest(plan, payments, deliveries, reported, len(disputes) - len(reported), feeds)
    _make_room(out, manifest)
    _write_truth(out.parent / "truth", script, manifest)
    _write_feeds(out, plan, feeds, progress or (lambda done, total: None))
    return manifest


def _transactions(script: Script, deliveries: Deliveries) -> _Feed:
    def text(lines: slice) -> list[str]:
        texts = script.transactions(deliveries.payment[lines], deliveries.number[lines])
        kinds = deliveries.kind[lines]
        for line in np.flatnonzero(kinds != INTACT).tolist():
            texts[line] = SPOILERS[KINDS[kinds[line]]](texts[line])
        return texts

    return _Feed("transactions", deliveries.time_ms // DAY_MS, text)


def _disputes(script: Script, disputes: Disputes) -> _Feed:
    def text(lines: slice) -> list[str]:
        columns = (disputes.payment, disputes.reported_ms, disputes.reason)
        return script.disputes(Disputes(*(column[lines] for column in columns)), first=lines.start)

    return _Feed("disputes", disputes.reported_ms // DAY_MS, text)


def _manifest(
    plan: Plan,
    payments: Payments,
    deliveries: Deliveries,
    reported: Disputes,
    unreported: int,
    feeds: Iterable[_Feed],
) -> Manifest:
    found = np.bincount(payments.scenario, minlength=len(SCENARIO_NAMES))
    return Manifest(
        rows=len(payments),
        lines={feed.name: feed.lines(plan) for feed in feeds},
        frauds={name: int(found[number]) for number, name in enumerate(SCENARIO_NAMES) if name},
        disputes=reported.counts(),
        unreported=unreported,
        dirt=deliveries.counts(),
        arguments=plan.as_dict(),
    )


def _make_room(out: Path, manifest: Manifest) -> None:
    # Files that a stream may have read already are never replaced by others of the same name.
    planned = [out / feed / name for feed, files in manifest.lines.items() for name in files]
    known = _arguments_of(out.parent / "truth" / "manifest.json")
    for file in planned:
        if file.exists() and known != manifest.arguments:
            fix = "give another --out or LAKE_ROOT, or remove that lake first"
            raise UsageError(f"{file} is there already, of another run: {fix}")
    try:
        for folder in (out / "transactions", out / "disputes", out.parent / "truth"):
            folder.mkdir(parents=True, exist_ok=True)
            probe = folder / f".probe.{os.getpid()}"
            probe.touch()
            probe.unlink()
    except OSError as error:
        fix = "give --out a folder that you may write"
        raise UsageError(f"{out} cannot be written ({error.strerror}): {fix}") from error


def _arguments_of(manifest: Path) -> Any:
    try:
        return json.loads(manifest.read_text(encoding="utf-8")).get("arguments")
    except (OSError, ValueError, AttributeError):
        return None


def _write_truth(folder: Path, script: Script, manifest: Manifest) -> None:
    starts = range(0, manifest.rows, LABEL_BLOCK)
    labels = (script.labels(range(at, min(at + LABEL_BLOCK, manifest.rows))) for at in starts)
    _land(folder / "labels.csv", (["event_id,is_fraud,scenario"], *labels))
    _land(folder / "manifest.json", [json.dumps(manifest.as_dict(), indent=2).splitlines()])


def _write_feeds(out: Path, plan: Plan, feeds: Iterable[_Feed], progress: Progress) -> None:
    total, done = sum(len(feed.day) for feed in feeds), 0
    for feed in feeds:
        for name, lines in feed.files(plan):
            _land(out / feed.name / name, [feed.text(lines)])
            done += lines.stop - lines.start
            progress(done, total)


def _land(target: Path, blocks: Iterable[list[str]]) -> None:
    # As in lake.inbox: a name that readers skip, and then a rename; a visible file is whole.
    hidden = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with hidden.open("wb") as raw:
            if target.suffix == ".gz":
                with gzip.GzipFile("", "wb", GZIP_LEVEL, raw, mtime=0) as packed:
                    packed.writelines(_encoded(blocks))
            else:
                raw.writelines(_encoded(blocks))
        hidden.rename(target)
    finally:
        hidden.unlink(missing_ok=True)


def _encoded(blocks: Iterable[list[str]]) -> Iterator[bytes]:
    for block in blocks:
        yield ("\n".join(block) + "\n").encode()
