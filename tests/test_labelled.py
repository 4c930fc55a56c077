from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from lake.errors import InputError, UsageError
from lake.settings import Settings
from risklake.labelled import DISPUTES_FILE, find_input, label_columns, land_input, read_labels


def make(folder: Path, labels: str, events: list[str]) -> Path:
    (folder / "events").mkdir(parents=True)
    (folder / "events" / "day.jsonl").write_text("\n".join(events) + "\n", encoding="utf-8")
    (folder / "labels.csv").write_text(labels, encoding="utf-8")
    return folder


def test_each_fraud_becomes_one_dispute_seven_days_after_its_event(tmp_path: Path, settings: Settings) -> None:
    event = {"event_id": "a", "event_time": "2026-01-01T10:00:00Z", "amount": 5, "currency": "EUR"}
    events = [json.dumps(event), json.dumps(event), json.dumps(event | {"event_id": "b"}), "{broken"]
    given = find_input(make(tmp_path / "in", "event_id,is_fraud,scenario\na,1,chain\nb,0,0\nz,1,chain\n", events))
    assert land_input(given, settings, lambda *_: None) == 1
    with gzip.open(settings.local_path("inbox", "disputes", DISPUTES_FILE), "rt") as lines:
        [dispute] = [json.loads(line) for line in lines]
    assert dispute == {
        "dispute_id": "label-a",
        "event_id": "a",
        "reason": "fraud:chain",
        "amount": 5,
        "currency": "EUR",
        "reported_at": "2026-01-08T10:00:00+00:00",
    }


def test_the_event_files_are_landed_byte_for_byte_and_only_once(tmp_path: Path, settings: Settings) -> None:
    given = find_input(make(tmp_path / "in", "event_id,is_fraud\n", ["{broken", ""]))
    land_input(given, settings, lambda *_: None)
    landed = settings.local_path("inbox", "transactions", "day.jsonl")
    first = landed.stat().st_mtime_ns
    land_input(given, settings, lambda *_: None)
    assert landed.read_bytes() == given.events[0].read_bytes()
    assert landed.stat().st_mtime_ns == first
    assert [p.name for p in landed.parent.iterdir()] == ["day.jsonl"]


def test_a_missing_folder_events_or_labels_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere does not exist"):
        find_input(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"holds no events/\*.jsonl"):
        find_input(tmp_path)
    folder = make(tmp_path / "in", "", ["{}"])
    (folder / "labels.csv").unlink()
    with pytest.raises(InputError, match=r"holds no labels\.csv"):
        find_input(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("id,fraud\na,1\n", "must have the columns event_id and is_fraud"),
        ("event_id,is_fraud\na,perhaps\n", "line 2: is_fraud is 'perhaps'"),
        ("", "must have the columns"),
    ],
)
def test_wrong_labels_are_refused_with_the_line(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "labels.csv"
    file.write_text(content)
    with pytest.raises(InputError, match=message):
        read_labels(file)


def test_the_columns_of_a_label_file_are_known_in_their_order(tmp_path: Path) -> None:
    file = tmp_path / "labels.csv.gz"
    file.write_bytes(gzip.compress(b"\xef\xbb\xbfscenario,event_id,is_fraud\nx,a,1\n"))
    assert label_columns(file) == ["scenario", "event_id", "is_fraud"]
    file.write_bytes(gzip.compress(b"event_id,scenario\n"))
    with pytest.raises(InputError, match="must have the columns event_id and is_fraud; it has event_id, scenario"):
        label_columns(file)


def test_labels_named_gz_that_are_not_packed_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "labels.csv.gz"
    file.write_text("event_id,is_fraud\n")
    with pytest.raises(InputError, match="cannot be read"):
        read_labels(file)
