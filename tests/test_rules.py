"""Rules over events: which fire, with which reason, values, score and decision."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from pyspark.sql import Row, SparkSession

from lake.catalog import ALERTS
from lake.settings import load_settings
from spark_jobs.rules.evaluate import evaluate
from spark_jobs.rules.examples import tried, without
from spark_jobs.rules.files import load_rules, read_rules
from spark_jobs.rules.rule_set import Example, Rule, RuleSet, Thresholds
from tests.watched import events

SHIPPED = load_rules(load_settings(environment={}, folder=Path(__file__).parent))


def fired(spark: SparkSession, rules: RuleSet, *given: dict[str, Any], feed: str = "transactions") -> list[Row]:
    found = evaluate(events(spark, *given, feed=feed), rules, feed)
    assert [*found.columns, "updated_at"] == ALERTS.column_names
    return sorted(found.collect(), key=lambda row: (row["event_id"], row["rule"]))


def shipped(which: str, **changes: Any) -> Rule:
    return replace(next(rule for rule in SHIPPED.rules if rule.name == which), **changes)


def test_each_shipped_rule_fires_and_keeps_quiet_on_its_own_examples(spark: SparkSession) -> None:
    assert without(SHIPPED.rules) == []
    found = tried(spark, SHIPPED.rules)
    assert {one.rule.name for one in found} == {rule.name for rule in SHIPPED.rules}
    assert [(one.rule.name, one.example) for one in found if not one.is_right] == []


def test_the_rule_of_the_documents_is_right(spark: SparkSession, tmp_path: Path) -> None:
    text = (Path(__file__).parent.parent / "docs" / "rules.md").read_text(encoding="utf-8")
    file = tmp_path / "rules.yml"
    file.write_text(text.split("```yaml\n")[1].split("```")[0], encoding="utf-8")
    [rule] = read_rules([file]).rules
    assert [one.is_right for one in tried(spark, [rule])] == [True, True]


def test_an_example_that_a_rule_does_not_fit_is_seen(spark: SparkSession) -> None:
    examples = (Example(True, (("txn_count_5m", 2),)), Example(False, (("txn_count_5m", 3),)))
    found = tried(spark, [shipped("velocity_5m", examples=examples)])
    assert [(one.fired, one.is_right) for one in found] == [(False, False), (True, False)]
    assert without([shipped("velocity_5m", examples=examples[:1])]) == ["velocity_5m"]


def test_a_missing_value_is_quiet_unless_the_rule_says_otherwise(spark: SparkSession) -> None:
    first = {"travel_km": None, "travel_kmh": None}
    rules = [shipped("country_hop_1h"), shipped("country_hop_1h", name="bold", when_missing="fires")]
    assert [row["rule"] for row in fired(spark, RuleSet(tuple(rules)), first)] == ["bold"]


def test_an_alert_says_why_with_the_values_that_fired_it(spark: SparkSession) -> None:
    given = {"txn_count_5m": 4, "distinct_merchants_5m": 2, "amount_sum_5m": Decimal("1234.5600")}
    [alert] = fired(spark, SHIPPED, given)
    assert alert["reason"] == "4 transactions in five minutes at 2 merchants, 1,234.56 in all"
    assert alert["fired_on"] == {"txn_count_5m": "4", "distinct_merchants_5m": "2", "amount_sum_5m": "1234.5600"}
    assert (alert["severity"], alert["state"], alert["typology"]) == ("high", "open", "card_testing")
    assert (alert["watches"], alert["rule_set"]) == ("transactions", SHIPPED.version)


def test_values_in_a_reason_read_as_people_write_them(spark: SparkSession) -> None:
    names = ["amount_sum_5m", "amount_max_5m", "seconds_since_previous", "country_changed", "event_time", "device_id"]
    reason = tuple(part for name in names for part in ((name, True), (" | ", False)))
    given = {"txn_count_5m": 3, "amount_sum_5m": Decimal(100_000_000), "amount_max_5m": Decimal("0.5")}
    [alert] = fired(spark, RuleSet((shipped("velocity_5m", reason=reason),)), given)
    assert alert["reason"] == "100,000,000 | 0.50 | 7,200 | no | 2026-01-05 10:00:00 | unknown | "


def test_points_of_active_rules_add_up_to_a_decision(spark: SparkSession) -> None:
    rules = [
        shipped("velocity_5m", name="one", weight=30),
        shipped("velocity_5m", name="two", weight=30),
        shipped("velocity_5m", name="trial", weight=90, state="shadow"),
        shipped("country_hop_1h", name="far", weight=70),
    ]
    found = fired(
        spark,
        RuleSet(tuple(rules), {"transactions": Thresholds(60, 100)}),
        {"event_id": "a", "txn_count_5m": 3},
        {"event_id": "b", "txn_count_5m": 3, "travel_km": 300.0},
        {"event_id": "c", "travel_km": 300.0},
        {"event_id": "d"},
    )
    assert {(row["event_id"], row["score"], row["decision"]) for row in found} == {
        ("a", 60, "review"), ("b", 100, "block"), ("c", 70, "review"),
    }  # fmt: skip
    assert {(row["rule"], row["state"]) for row in found if row["event_id"] == "a"} == {
        ("one", "open"), ("two", "open"), ("trial", "shadow"),
    }  # fmt: skip


def test_a_rule_on_trial_alone_scores_nothing(spark: SparkSession) -> None:
    [alert] = fired(spark, RuleSet((shipped("velocity_5m", state="shadow"),)), {"txn_count_5m": 3})
    assert (alert["state"], alert["score"], alert["decision"]) == ("shadow", 0, "approve")


def test_an_alert_is_about_its_entity_or_the_user_where_there_is_none(spark: SparkSession) -> None:
    rules = RuleSet((shipped("velocity_5m", entity="device_id"),))
    with_device = {"event_id": "a", "txn_count_5m": 3, "device_id": "d1"}
    found = fired(spark, rules, with_device, {"event_id": "b", "txn_count_5m": 3})
    assert [(row["entity"], row["entity_id"]) for row in found] == [("device_id", "d1"), ("user_id", "u1")]


def test_rules_that_are_off_or_absent_fire_on_nothing(spark: SparkSession) -> None:
    assert fired(spark, RuleSet(), {"txn_count_5m": 99}) == []
    assert fired(spark, RuleSet((shipped("velocity_5m", state="off"),)), {"txn_count_5m": 99}) == []
