"""Why an event was or was not flagged: what `risklake explain` says of events of every fate."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession

from lake import storage
from lake.catalog import ALERTS
from lake.errors import UsageError
from lake.inbox import land_lines
from lake.settings import Settings, load_settings
from ml import models
from ml.artifact import model_path, save_model
from ml.features import FEATURES
from risklake.dispositions import close
from risklake.explain import MART, Explanation, explain
from risklake.explain_lines import ACCEPTED, OTHER_EVENT, OTHER_VERSION, QUARANTINED, REPEATED
from risklake.explain_page import page
from spark_jobs import pipeline
from tests.alerts import alert, alert_table
from tests.conftest import transaction_line
from tests.lines_of_feeds import line
from tests.rule_text import GOOD

_JOBS = ("bronze", "silver", "features", "alerts")
HOSTILE = "m<script>alert(1)</script>"


@pytest.fixture(scope="module")
def model() -> Any:
    random = np.random.default_rng(7)
    frame = pd.DataFrame({feature.name: random.gamma(2.0, 2.0, 200) for feature in FEATURES}).assign(currency="EUR")
    return models.fit(models.build_models(7)["logistic_regression"], frame, frame["txn_count_5m"] > 4)


def user_line(source: str) -> str:
    known = {"name": "Siti", "email": "siti@mail.id", "phone_number": "+62 812 3456 789", "created_date": "2024-03-01"}
    return json.dumps({"user_id": "u9", "source": source} | known)


@pytest.fixture(scope="module")
def flagged(spark: SparkSession, empty_tables: Path, tmp_path_factory: pytest.TempPathFactory, model: Any) -> Settings:
    """A lake with a burst of three payments, one of which came twice, a rejected line and a promoted model."""
    root = tmp_path_factory.mktemp("explain") / "lake"
    shutil.copytree(empty_tables, root)
    settings = load_settings({"lake_root": str(root)}, environment={})
    burst = [transaction_line(f"e{n}", event_time=f"2026-01-05T10:0{n}:00Z", merchant_id=HOSTILE) for n in range(3)]
    before = transaction_line("before", event_time="2026-01-04T23:00:00Z")
    other = transaction_line("other", user_id="u2", event_time="2026-01-05T10:01:00Z")
    altered = transaction_line("e1", amount=999)
    lines = [before, other, *burst, burst[2], transaction_line("bad", amount="a lot"), altered]
    land_lines(lines, settings.local_path("inbox", "transactions"), "a.jsonl")
    # An id that comes again after more than a week is another event.
    for name, day in (("b.jsonl", 25), ("c.jsonl", 5)):
        again = transaction_line("twice", user_id="u9", event_time=f"2026-01-{day:02}T10:00:00Z")
        land_lines([again], settings.local_path("inbox", "transactions"), name)
        pipeline.run(spark, settings, continuous=False, jobs=_JOBS)
    land_lines([user_line("a"), user_line("b"), user_line("b")], settings.local_path("inbox", "users"), "u.jsonl")
    orders = [line("orders", order_id=f"o{n}", created_date=f"2026-01-05T10:0{n}:00Z") for n in range(3)]
    land_lines(orders, settings.local_path("inbox", "orders"), "o.jsonl")
    pipeline.run(spark, settings, continuous=False, jobs=_JOBS)
    close(spark, settings, "e2", "fraud", "called the holder")
    # An order of the same day may have the id of a payment.
    of_order = [alert(event_id, 0.0, "of an order", watches="orders") for event_id in ("e2", "other")]
    storage.append(alert_table(spark, of_order), settings, ALERTS.name)
    save_model(model_path(settings.local_path("models"), "logistic_regression", "2026-01-05"), model, {"name": "x"})
    report = {"promoted": "logistic_regression", "as_of": "2026-01-05"}
    settings.local_path("reports").mkdir(parents=True, exist_ok=True)
    mart = spark.createDataFrame([("e2", date(2026, 1, 5), 3)], "event_id string, event_date date, alerts int")
    mart.write.format("delta").save(settings.table_path(MART))
    # The last training has promoted none.
    for said in (report, {"promoted": None, "as_of": "2026-01-06"}):
        name = f"model-{said['as_of']}.json"
        settings.local_path("reports", name).write_text(json.dumps(said), encoding="utf-8")
    return settings


def by(name: str, facts: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {one[name]: one for one in facts}


def window(found: Explanation, length: str) -> dict[str, Any]:
    return by("window", [one for one in found.windows if one["key"] == "user_id"])[length]


def test_a_flagged_event_is_explained_from_its_line_to_its_case(spark: SparkSession, flagged: Settings) -> None:
    found = explain(spark, flagged, "e2")
    assert [(line["fate"], line["source_file"], line["line_number"]) for line in found.lines] == [
        (ACCEPTED, "a.jsonl", 5), (REPEATED, "a.jsonl", 6),
    ]  # fmt: skip
    assert found.event is not None
    assert found.event["event_time"] == "2026-01-05 10:02:00"
    assert by("name", found.features)["txn_count_5m"]["value"] == 3
    assert [one["event_id"] for one in window(found, "5 minutes")["events"]] == ["e2", "e1", "e0"]
    assert (window(found, "1 minute")["count"], window(found, "24 hours")["count"]) == (1, 4)
    rules = by("name", found.rules)
    assert rules["velocity_5m"]["fires"]
    assert rules["velocity_5m"]["inputs"]["txn_count_5m"] == "3"
    assert "3 transactions in five minutes" in rules["velocity_5m"]["reason"]
    assert not rules["impossible_travel"]["fires"]
    assert rules["impossible_travel"]["inputs"]["travel_km"] == "0.0"
    assert (found.score, found.decision) == (found.alerts[0]["score"], found.alerts[0]["decision"])
    assert {one["rule"] for one in found.alerts} == {one["name"] for one in found.rules if one["fires"]}
    assert [case["entity_id"] for case in found.cases] == ["u1"]
    assert [one["label"] for one in found.dispositions] == ["fraud"]
    assert found.mart == {"event_id": "e2", "event_date": "2026-01-05", "alerts": 3}
    [score] = found.models
    assert 0 < score["score"] < 1
    assert by("feature", score["parts"])["txn_count_5m"]["value"] == 3


def test_an_event_that_was_not_flagged_is_explained_as_well(spark: SparkSession, flagged: Settings) -> None:
    found = explain(spark, flagged, "other")
    assert (found.alerts, found.cases, found.score, found.decision) == ([], [], 0, "approve")
    assert found.mart is None
    assert found.rules
    assert not any(rule["fires"] for rule in found.rules)
    assert [one["event_id"] for one in window(found, "24 hours")["events"]] == ["other"]


def test_an_order_is_explained_with_what_the_rules_made_of_it(spark: SparkSession, flagged: Settings) -> None:
    found = explain(spark, flagged, "o2")
    assert (found.feed, found.decision, found.models, found.mart) == ("orders", "block", [], None)
    assert found.order is not None
    assert (found.order["status"], found.order["rules"]) == ("Fraud", ["same_product_in_a_row"])
    assert by("name", found.features)["same_product_streak"]["value"] == 3
    counts = {(one["key"], one["window"]): one["count"] for one in found.windows}
    assert counts == {
        ("user_id", "1 hour"): 3, ("user_id", "24 hours"): 3, ("product_id, quantity", "10 minutes"): 3,
    }  # fmt: skip
    assert [one["rule"] for one in found.alerts] == ["same_product_in_a_row"]
    assert "What the rules made of the order" in page(found)
    genuine = explain(spark, flagged, "o0").order
    assert genuine is not None
    assert genuine["status"] == "Genuine"


def test_what_a_list_or_a_snooze_decides_is_explained(spark: SparkSession, flagged: Settings, tmp_path: Path) -> None:
    held = """
lists:
  - {name: stolen, kind: block, column: merchant_id, values: [m1, "m<script>alert(1)</script>"], reason: reported}
  - {name: far, kind: block, column: country, values: [US], until: 2030-01-01, reason: far}
snoozes:
  - {rule: many, user_id: u1, until: 2026-01-06, reason: on tour}
"""
    file = tmp_path / "rules.yml"
    file.write_text(GOOD + held, encoding="utf-8")
    found = explain(spark, replace(flagged, rules_file=str(file)), "e2")
    rules = by("name", found.rules)
    assert (rules["many"]["fires"], rules["many"]["held_by"]) == (True, "snoozed until 2026-01-07T00:00:00Z: on tour")
    assert (rules["stolen"]["state"], rules["stolen"]["held_by"]) == ("block", None)
    assert rules["stolen"]["reason"] == f"merchant_id {HOSTILE} is on the block list stolen: reported"
    assert (rules["far"]["fires"], rules["far"]["inputs"]) == (False, {"country": "DE"})
    assert rules["far"]["condition"] == "country is one of 1 values, until 2030-01-02T00:00:00Z"
    assert (found.score, found.decision) == (100, "block")
    text = page(found)
    assert "held back by snoozed until" in text
    assert "<script" not in text


def test_a_rejected_line_is_explained_by_its_place(spark: SparkSession, flagged: Settings) -> None:
    found = explain(spark, flagged, "transactions/a.jsonl:7")
    [line] = found.lines
    assert (line["fate"], [one["code"] for one in line["reasons"]]) == (QUARANTINED, ["not_a_number"])
    assert "a lot" not in line["text"]
    assert "a lot" in explain(spark, flagged, "transactions/a.jsonl:7", raw=True).lines[0]["text"]
    assert explain(spark, flagged, "transactions/a.jsonl:6").event == explain(spark, flagged, "e2").event


def test_rejected_lines_are_explained_by_the_id_that_they_name(spark: SparkSession, flagged: Settings) -> None:
    found = explain(spark, flagged, "bad")
    assert found == replace(explain(spark, flagged, "transactions/a.jsonl:7"), asked="bad")
    assert found.event is None
    altered = explain(spark, flagged, "e1")
    assert altered.event is not None
    assert [(line["fate"], [one["code"] for one in line["reasons"]]) for line in altered.lines] == [
        (ACCEPTED, []), (QUARANTINED, ["altered_duplicate"]),
    ]  # fmt: skip


def test_of_two_events_of_one_id_the_latest_is_explained_or_that_of_the_line(
    spark: SparkSession, flagged: Settings
) -> None:
    def fates(asked: str) -> list[tuple[str, str]]:
        found = explain(spark, flagged, asked)
        assert found.event is not None
        assert found.event["source_file"] == found.lines[0]["source_file"]
        assert window(found, "5 minutes")["events"][0]["event_time"] == found.event["event_time"]
        return [(line["fate"], line["source_file"]) for line in found.lines]

    assert fates("twice") == [(ACCEPTED, "b.jsonl"), (OTHER_EVENT, "c.jsonl")]
    assert fates("transactions/c.jsonl:1") == [(ACCEPTED, "c.jsonl"), (OTHER_EVENT, "b.jsonl")]


def test_a_line_of_a_reference_feed_is_explained_as_the_version_that_it_is(
    spark: SparkSession, flagged: Settings
) -> None:
    found = explain(spark, flagged, "users/u.jsonl:1")
    assert found.event is not None
    assert (found.event["source"], found.event["is_current"]) == ("a", False)
    assert [(line["fate"], line["line_number"]) for line in found.lines] == [
        (ACCEPTED, 1), (OTHER_VERSION, 2), (REPEATED, 3),
    ]  # fmt: skip
    repeated = explain(spark, flagged, "users/u.jsonl:3")
    assert repeated.event is not None
    assert repeated.event["source"] == "b"


@pytest.mark.parametrize("asked", ["nothing", "transactions/a.jsonl:99", "transactions/a.jsonl", "' or 1=1 --"])
def test_what_stands_nowhere_is_named(spark: SparkSession, settings: Settings, asked: str) -> None:
    with pytest.raises(UsageError, match=r"no event|stands nowhere|names no line"):
        explain(spark, settings, asked)


def test_the_page_shows_it_all_and_takes_no_markup_from_events(spark: SparkSession, flagged: Settings) -> None:
    text = page(explain(spark, flagged, "e2", raw=True))
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    for part in ("velocity_5m", "3 transactions in five minutes", "txn_count_5m", "log-odds", "a.jsonl:5"):
        assert part in text
