"""What is caught, held against the truth."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from lake import storage
from lake.catalog import TABLES
from lake.errors import InputError, UsageError
from lake.settings import Settings
from risklake.detection import Caught, _scored, measure_detection

NOW = datetime(2026, 1, 5, 10, tzinfo=UTC)
# What a column of a row that says nothing about it holds.
QUIET: dict[str, Any] = {
    "user_id": "u", "merchant_id": "m", "amount": Decimal(1), "fired_on": {}, "currency": "EUR", "country": "DE",
    "event_time": NOW, "event_date": NOW.date(), "severity": "high", "state": "open", "reason": "because",
    "source_file": "f", "line_number": 1, "content_hash": 0, "arrived_at": NOW, "inputs_arrived_at": NOW,
    "updated_at": NOW,
    "watches": "transactions", "entity": "user_id", "entity_id": "u", "typology": "", "cool_down_s": 3600,
    "weight": 50, "score": 50, "decision": "review", "rule_set": "a",
}  # fmt: skip


def fill(spark: SparkSession, settings: Settings, name: str, *rows: dict[str, Any]) -> None:
    """Append rows that name only what matters."""
    schema = TABLES[name].schema
    together = spark.createDataFrame([tuple((QUIET | row).get(c) for c in schema.names) for row in rows], schema)
    storage.append(together, settings, name)


def write_labels(folder: Path, *rows: str) -> None:
    folder.mkdir(parents=True)
    (folder / "a.csv.gz").write_bytes(gzip.compress("\n".join(["event_id,is_fraud,scenario", *rows, ""]).encode()))


def test_of_a_scenario_the_rules_that_see_most_come_first_and_those_that_see_nothing_not() -> None:
    caught = Caught("testing", 9, {"far": 1, "fast": 5, "odd": 0, "rare": 2}, 6, 0, 0)
    assert caught.most_by(2) == ["fast", "rare"]
    assert caught.most_by(9) == ["fast", "rare", "far"]


def test_each_scenario_shows_what_each_rule_and_the_newest_model_catch(spark: SparkSession, settings: Settings) -> None:
    frauds, honest = ["t1,1,testing", "t2,1,testing", "o1,1,takeover", "x1,1,takeover"], ["h1,0,", "h2,0,"]
    write_labels(settings.local_path("truth", "labels"), *frauds, *honest)
    fill(spark, settings, "silver.transactions", *({"event_id": event} for event in ("t1", "t2", "o1", "h1", "h2")))
    fill(
        spark, settings, "alerts.alerts",
        {"event_id": "t1", "rule": "fast"}, {"event_id": "t2", "rule": "fast"}, {"event_id": "t2", "rule": "far"},
        {"event_id": "h1", "rule": "fast"}, {"event_id": "o1", "rule": "fast", "state": "withdrawn"},
    )  # fmt: skip
    # Of a hundred scored, the model may alert on one.
    scores = [{"event_id": "o1", "score": 0.9}, {"event_id": "t1", "score": 0.1}]
    scores += [{"event_id": f"other{n}", "score": 0.2} for n in range(98)]
    fill(spark, settings, "alerts.scores", *({"model_version": "new-2026-01-05", **row} for row in scores))
    fill(spark, settings, "alerts.scores", {"event_id": "h1", "score": 0.99, "model_version": "zold-2026-01-04"})
    found = measure_detection(spark, settings)
    assert found.model_version == "new-2026-01-05"
    assert found.missing == 1
    figures = found.as_dict()["scenarios"]
    assert list(figures) == ["takeover", "testing", "honest"]
    assert figures["testing"] == {
        "scenario": "testing", "transactions": 2, "by_rule": {"far": 1, "fast": 2}, "by_any_rule": 2, "scored": 1,
        "by_model": 0,
    }  # fmt: skip
    assert figures["takeover"] == {
        "scenario": "takeover", "transactions": 1, "by_rule": {"far": 0, "fast": 0}, "by_any_rule": 0, "scored": 1,
        "by_model": 1,
    }  # fmt: skip
    assert figures["honest"]["by_rule"] == {"far": 0, "fast": 1}
    assert found.precision("fast") == pytest.approx(2 / 3)
    assert found.model_precision == 1.0
    assert found.base_rate == pytest.approx(3 / 5)


def test_of_equal_scores_at_the_top_the_model_alerts_on_no_more_than_its_share(
    spark: SparkSession, settings: Settings
) -> None:
    scores = [{"event_id": f"e{n:03}", "score": 0.9, "model_version": "a"} for n in range(250)]
    fill(spark, settings, "alerts.scores", *scores)
    picked = _scored(storage.read(spark, settings, "alerts.scores"), "a").where("is_picked").collect()
    assert sorted(row["event_id"] for row in picked) == ["e000", "e001"]


def test_a_lake_without_scores_still_shows_its_rules(spark: SparkSession, settings: Settings, tmp_path: Path) -> None:
    write_labels(tmp_path / "my labels", "t1,true,", "h1,false,")
    fill(spark, settings, "silver.transactions", {"event_id": "t1"}, {"event_id": "h1"})
    found = measure_detection(spark, settings, tmp_path / "my labels" / "a.csv.gz")
    assert (found.model_version, found.model_precision, found.rules) == (None, None, [])
    assert [(row.scenario, row.transactions, row.scored) for row in found.scenarios] == [("unnamed", 1, 0), ("", 1, 0)]


def test_labels_are_known_by_the_names_of_their_columns(
    spark: SparkSession, settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text("day,scenario,event_id,is_fraud\n1,card_testing,t1,1\n1,,h1,0\n")
    (tmp_path / "b.csv").write_text("is_fraud,event_id\n1,t2\n")
    fill(spark, settings, "silver.transactions", *({"event_id": event} for event in ("t1", "h1", "t2")))
    found = measure_detection(spark, settings, tmp_path)
    assert {row.scenario: row.transactions for row in found.scenarios} == {"card_testing": 1, "unnamed": 1, "": 1}
    (tmp_path / "b.csv").write_text("event_id,truth\nt2,1\n")
    with pytest.raises(InputError, match="must have the columns event_id and is_fraud"):
        measure_detection(spark, settings, tmp_path)


def test_without_truth_the_message_says_how_to_name_it(spark: SparkSession, settings: Settings) -> None:
    with pytest.raises(UsageError, match=r"There is no truth at .*--labels"):
        measure_detection(spark, settings)


def test_a_lake_that_was_never_streamed_is_named(spark: SparkSession, settings: Settings, tmp_path: Path) -> None:
    write_labels(tmp_path / "labels", "t1,1,x")
    nowhere = Settings(**(vars(settings) | {"lake_root": str(tmp_path / "nowhere")}))
    with pytest.raises(UsageError, match=r"has no alerts\.alerts"):
        measure_detection(spark, nowhere, tmp_path / "labels")


def test_orders_are_held_against_the_truth_of_their_payments_or_against_labels_of_their_own(
    spark: SparkSession, settings: Settings, tmp_path: Path
) -> None:
    write_labels(settings.local_path("truth", "labels"), "e0a-1,1,scripted", "e0a-2,0,", "e0a-3,0,", "e0a-4,1,testing")
    storage.ensure_tables(spark, settings, ["silver.orders"])
    of_order = {"product_id": "g", "quantity": 1, "amount": "1", "amount_numeric": Decimal(1), "created_date": NOW,
                "status": "Pending", "event_ts": NOW, "source": "inbox"}  # fmt: skip
    # Payment 3 has no order.
    fill(spark, settings, "silver.orders", *(of_order | {"order_id": f"o0a-{n}"} for n in (1, 2, 4)))
    fill(
        spark, settings, "alerts.alerts",
        *({"event_id": f"o0a-{n}", "rule": "streak", "watches": "orders"} for n in (1, 2)),
        {"event_id": "o0a-4", "rule": "of a payment"},
    )  # fmt: skip
    found = measure_detection(spark, settings, watches="orders")
    assert (found.watches, found.rules, found.missing, found.model_version) == ("orders", ["streak"], 0, None)
    assert {row.scenario: (row.transactions, row.by_any_rule) for row in found.scenarios} == {
        "scripted": (1, 1), "testing": (1, 0), "": (1, 1),
    }  # fmt: skip
    assert found.precision("streak") == 0.5
    (tmp_path / "own.csv").write_text("event_id,is_fraud,scenario\no0a-2,1,x\no9,0,\n")
    own = measure_detection(spark, settings, tmp_path / "own.csv", "orders")
    assert (own.missing, own.precision("streak")) == (1, 1.0)
    with pytest.raises(UsageError, match="Nothing is known of the truth of 'disputes'"):
        measure_detection(spark, settings, watches="disputes")
