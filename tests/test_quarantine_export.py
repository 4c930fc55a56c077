"""What is exported from the quarantine can be replayed: any text, and records of CSV as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from lake import storage
from lake.errors import InputError
from lake.settings import Settings
from risklake.quarantine import entries, export, replay
from spark_jobs import pipeline

CSV = [
    "merchant_id;name;category;country;created_date",
    'm1;"Toko; ""Satu""";food;XX;2024-03-01',
    "m2;Toko Dua;food;ID",
]


def take(spark: SparkSession, settings: Settings) -> None:
    pipeline.run(spark, settings, continuous=False, jobs=["bronze", "silver"])


def mend(file: Path, change: Callable[[str], str]) -> None:
    texts = file.read_text(encoding="utf-8").split("\n")
    mended = [json.loads(text) for text in texts if text]
    lines = [json.dumps(one | {"line": change(one["line"])}, ensure_ascii=False) for one in mended]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_a_file_as_exported_is_taken_and_a_record_of_csv_comes_back_as_json(
    spark: SparkSession, settings: Settings, land: Callable[..., Path], tmp_path: Path
) -> None:
    strange = '{"event_id":"a\u2028b\u0085c","amount":'
    land([strange])
    land(CSV, "m.csv", feed="merchants")
    take(spark, settings)
    file = tmp_path / "mend.jsonl"
    assert export(spark, settings, entries(spark, settings), file) == 3
    found = {e["id"]: e for e in map(json.loads, file.read_text(encoding="utf-8").split("\n")[:-1])}
    assert found["transactions/a.jsonl:1"]["line"] == strange
    assert json.loads(found["merchants/m.csv:2"]["line"])["name"] == 'Toko; "Satu"'
    assert found["merchants/m.csv:3"] == {
        "id": "merchants/m.csv:3", "codes": ["malformed_csv"], "line": CSV[2], "header": CSV[0],
    }  # fmt: skip

    # The record that fits no header is still a record: nothing is released, so it can be mended and replayed later.
    with pytest.raises(InputError, match=r"merchants/m\.csv:3 is a record of CSV.*Write `line` as a JSON object"):
        replay(spark, settings, file)
    assert not storage.exists(spark, settings, "monitoring.releases")

    whole = json.dumps({"merchant_id": "m2", "name": "Dua", "category": "x", "country": "ID", "created_date": "2024"})
    mend(file, lambda line: whole if line == CSV[2] else line.replace('"XX"', '"ID"'))
    assert replay(spark, settings, file).landed == 3
    landed = next(settings.local_path("inbox", "transactions").glob("replayed-*")).read_text(encoding="utf-8")
    assert landed == strange + "\n"
    take(spark, settings)
    names = {row["name"] for row in storage.read(spark, settings, "silver.merchants").select("name").collect()}
    assert 'Toko; "Satu"' in names
