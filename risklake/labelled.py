"""A third party's input: transaction files and the truth about them, as feeds of the lake.

`events/*.jsonl[.gz]` are landed unchanged as transactions; each fraud in `labels.csv[.gz]` becomes a dispute that is
reported so many days after its event. Nothing else of the labels is read.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from lake.errors import InputError, UsageError
from lake.inbox import JSON_SUFFIXES, land_copy, land_lines, open_file
from lake.settings import Settings

DISPUTES_FILE = "disputes-of-labelled-frauds.jsonl.gz"
_LABELS = ("labels.csv", "labels.csv.gz")
_TRUE, _FALSE = {"1", "true", "yes"}, {"0", "false", "no", ""}

# Called with files landed, and files in all.
Report = Callable[[float, float | None], None]


@dataclass(frozen=True)
class LabelledInput:
    """A folder of the promised form."""

    folder: Path
    events: list[Path]
    labels: Path


def find_input(folder: Path) -> LabelledInput:
    """Look at a folder. Raises `UsageError` or `InputError` that say which part is missing."""
    if not folder.is_dir():
        raise UsageError(f"The input folder {folder} does not exist. Give a folder with events/ and labels.csv")
    inside = folder / "events"
    events = sorted(f for f in inside.iterdir() if f.name.endswith(JSON_SUFFIXES)) if inside.is_dir() else []
    if not events:
        raise InputError(f"{folder} holds no events/*.jsonl or events/*.jsonl.gz: put the transaction files there")
    for name in _LABELS:
        if (folder / name).is_file():
            return LabelledInput(folder, events, folder / name)
    raise InputError(f"{folder} holds no labels.csv or labels.csv.gz (columns event_id, is_fraud, scenario)")


def land_input(given: LabelledInput, settings: Settings, report: Report) -> int:
    """Put the files into the inbox, those that are not there yet; gives the number of disputes made."""
    scenarios = read_labels(given.labels)
    # First the disputes: a run that was cut off between them and the last file finds both at its next start.
    disputes = list(_disputes(given, scenarios, settings.label_delay_days))
    inbox = settings.local_path("inbox", "disputes")
    if not (inbox / DISPUTES_FILE).exists():
        land_lines((json.dumps(d, separators=(",", ":")) for d in disputes), inbox, DISPUTES_FILE)
    transactions = settings.local_path("inbox", "transactions")
    for number, file in enumerate(given.events, start=1):
        if not (transactions / file.name).exists():
            land_copy(file, transactions)
        report(number, len(given.events))
    return len(disputes)


def label_columns(file: Path) -> list[str]:
    """The columns of a label file, in their order. Raises `InputError` if it is none."""
    with _label_rows(file) as rows:
        return list(rows.fieldnames or [])


def read_labels(file: Path) -> dict[str, str]:
    """The frauds of a label file: event id to scenario. Raises `InputError` with the line that is wrong."""
    frauds: dict[str, str] = {}
    with _label_rows(file) as rows:
        for row in rows:
            if _is_fraud(row["is_fraud"], file, rows.line_num):
                frauds[row["event_id"]] = row.get("scenario") or "unknown"
    return frauds


@contextmanager
def _label_rows(file: Path) -> Iterator[csv.DictReader[str]]:
    try:
        with open_file(file) as content, io.TextIOWrapper(content, encoding="utf-8-sig", newline="") as lines:
            rows = csv.DictReader(lines)
            names = rows.fieldnames or []
            if not {"event_id", "is_fraud"} <= set(names):
                found = ", ".join(names) or "none"
                raise InputError(f"{file} must have the columns event_id and is_fraud; it has {found}")
            yield rows
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{file} cannot be read: {error}") from error


def _is_fraud(value: str | None, file: Path, line: int) -> bool:
    word = (value or "").strip().lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise InputError(f"{file}, line {line}: is_fraud is {value!r}; write 1 or 0")


def _disputes(given: LabelledInput, scenarios: dict[str, str], delay_days: int) -> Iterator[dict[str, Any]]:
    reported: set[str] = set()
    for file in given.events:
        for event in _events(file):
            event_id = event.get("event_id")
            if not isinstance(event_id, str) or event_id not in scenarios or event_id in reported:
                continue
            happened = _time(event.get("event_time"))
            if happened is None:
                continue
            reported.add(event_id)
            yield {
                "dispute_id": f"label-{event_id}",
                "event_id": event_id,
                "reason": f"fraud:{scenarios[event_id]}",
                "amount": event.get("amount"),
                "currency": event.get("currency"),
                "reported_at": (happened + timedelta(days=delay_days)).isoformat(),
            }


def _events(file: Path) -> Iterator[dict[str, Any]]:
    """The lines that are JSON objects; the others end in quarantine, and no dispute can name them."""
    try:
        with open_file(file) as lines:
            for line in lines:
                try:
                    event = json.loads(line)
                except ValueError:
                    continue
                if isinstance(event, dict):
                    yield event
    except (OSError, EOFError):
        return


def _time(value: object) -> datetime | None:
    try:
        happened = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return happened if happened.tzinfo else None
