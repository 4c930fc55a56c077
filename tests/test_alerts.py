from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from lake.catalog import ALERTS, TABLES, USER_5M
from lake.errors import RuleError
from lake.settings import Settings, load_settings
from spark_jobs.alerts import WATCHED_COLUMNS, evaluate, require_valid, withdrawn
from spark_jobs.rules_file import Rule, load_rules

NOW = datetime(2026, 1, 5, 10, tzinfo=UTC)


def watched(spark: SparkSession, *events: dict[str, Any]) -> DataFrame:
    """Transactions with features, of which each names only what differs from a quiet one."""
    quiet = {
        "event_id": "e1", "user_id": "u1", "merchant_id": "m1", "country": "DE", "channel": "card_present",
        "event_time": NOW, "event_date": NOW.date(), "txn_count_5m": 1, "distinct_merchants_5m": 1,
        "seconds_since_previous": 7200.0, "country_changed": False, "inputs_arrived_at": NOW,
    }  # fmt: skip
    fields = {f.name: f for table in (TABLES["silver.transactions"], USER_5M) for f in table.schema.fields}
    schema = StructType([fields[name] for name in WATCHED_COLUMNS])
    for field in schema.fields:
        field.nullable = True
    return spark.createDataFrame([tuple((quiet | e).get(name) for name in WATCHED_COLUMNS) for e in events], schema)


def fired(spark: SparkSession, rules: list[Rule], *events: dict[str, Any]) -> set[tuple[str, str]]:
    return {(row["event_id"], row["rule"]) for row in evaluate(watched(spark, *events), rules).collect()}


@pytest.fixture
def shipped(settings: Settings) -> list[Rule]:
    return load_rules(settings)


# For each shipped rule an event that fires it and one that just does not.
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "velocity_5m": ({"txn_count_5m": 3}, {"txn_count_5m": 2}),
    "country_hop_1h": (
        {"country_changed": True, "seconds_since_previous": 3600.0},
        {"country_changed": True, "seconds_since_previous": 3600.1},
    ),
}


def test_each_shipped_rule_has_its_cases(shipped: list[Rule]) -> None:
    assert {rule.name for rule in shipped} == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_a_shipped_rule_fires_on_one_side_of_its_bound_only(
    spark: SparkSession, shipped: list[Rule], name: str
) -> None:
    yes, no = CASES[name]
    assert fired(spark, shipped, yes | {"event_id": "yes"}, no | {"event_id": "no"}) == {("yes", name)}


def test_an_online_payment_may_be_anywhere(spark: SparkSession, shipped: list[Rule]) -> None:
    hop = {"country_changed": True, "seconds_since_previous": 60.0}
    assert fired(spark, shipped, hop | {"channel": "online"}) == set()
    assert fired(spark, shipped, hop | {"channel": None}) == {("e1", "country_hop_1h")}


def test_a_missing_value_does_not_fire(spark: SparkSession, shipped: list[Rule]) -> None:
    first = {"country_changed": None, "seconds_since_previous": None}
    assert fired(spark, shipped, first) == set()


def test_an_alert_says_why_with_the_values_that_fired_it(spark: SparkSession, shipped: list[Rule]) -> None:
    event = {"txn_count_5m": 4, "distinct_merchants_5m": 2}
    [alert] = evaluate(watched(spark, event), shipped).collect()
    assert alert["reason"] == "4 transactions in five minutes at 2 merchants, unknown in all"
    assert alert["fired_on"] == {"txn_count_5m": "4", "distinct_merchants_5m": "2", "amount_sum_5m": None}
    assert (alert["severity"], alert["state"]) == ("high", "open")


def test_one_event_raises_an_alert_for_each_rule(spark: SparkSession, shipped: list[Rule]) -> None:
    both = {"txn_count_5m": 3, "country_changed": True, "seconds_since_previous": 10.0}
    assert fired(spark, shipped, both) == {("e1", "velocity_5m"), ("e1", "country_hop_1h")}


def test_without_rules_nothing_fires(spark: SparkSession) -> None:
    assert fired(spark, [], {"txn_count_5m": 99}) == set()


def test_an_alert_whose_reason_is_gone_is_withdrawn_by_the_line_that_undid_it(
    spark: SparkSession, shipped: list[Rule]
) -> None:
    standing = evaluate(
        watched(spark, {"event_id": "gone", "txn_count_5m": 3}, {"event_id": "stays", "txn_count_5m": 3}), shipped
    )
    later = datetime(2026, 1, 6, tzinfo=UTC)
    changed = watched(
        spark,
        {"event_id": "gone", "txn_count_5m": 2, "inputs_arrived_at": later},
        {"event_id": "stays", "txn_count_5m": 4, "inputs_arrived_at": later},
    )
    rows = withdrawn(standing, changed, evaluate(changed, shipped)).collect()
    assert [(row["event_id"], row["state"]) for row in rows] == [("gone", "withdrawn")]
    assert rows[0].asDict().keys() == set(ALERTS.column_names)
    assert rows[0]["inputs_arrived_at"].date() == later.date()


GOOD_RULE = """
rules:
  - name: many
    watches: transactions
    condition: txn_count_5m > 1
    severity: low
    state: active
    reason: "{txn_count_5m} payments"
"""


def rules_of(tmp_path: Path, text: str) -> list[Rule]:
    file = tmp_path / "rules.yml"
    file.write_text(text, encoding="utf-8")
    return load_rules(load_settings({"rules_file": str(file)}, environment={}, folder=tmp_path))


def test_a_rule_that_is_off_is_not_used(tmp_path: Path) -> None:
    assert [rule.name for rule in rules_of(tmp_path, GOOD_RULE)] == ["many"]
    assert rules_of(tmp_path, GOOD_RULE.replace("active", '"off"')) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("severity: low", "severity: mild", r"rule 1 \(many\): severity is 'mild'; it must be one of low"),
        ("severity: low", "", r"rule 1 \(many\): `severity` is missing"),
        ("severity: low", "severity: low\n    colour: red", "`colour` is not known"),
        ("name: many", "name: Many Things", "a name is made of small letters"),
        ("watches: transactions", "watches: cats", "watches is 'cats'"),
        ("rules:", "rule:", "must hold a list under `rules:`"),
        ("condition: txn_count_5m > 1", "condition: [", "is not valid YAML"),
    ],
)
def test_a_wrong_rule_file_is_refused_with_the_rule_and_the_reason(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    with pytest.raises(RuleError, match=message) as error:
        rules_of(tmp_path, GOOD_RULE.replace(old, new))
    assert "rules.yml" in str(error.value)


def test_two_rules_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match="two rules are called `many`"):
        rules_of(tmp_path, GOOD_RULE + GOOD_RULE.replace("rules:", ""))


def test_a_rule_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match=r"nothing\.yml cannot be read"):
        load_rules(load_settings({"rules_file": str(tmp_path / "nothing.yml")}, environment={}, folder=tmp_path))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("txn_count_5m > 1", "txn_cuont > 1", "Rule many: the condition `txn_cuont > 1` is refused"),
        ("txn_count_5m > 1", "txn_count_5m >", "Rule many: the condition `txn_count_5m >` is refused"),
        ("txn_count_5m > 1", "txn_count_5m", "gives bigint, not true or false"),
        ("{txn_count_5m}", "{count}", r"the reason names \{count\}, which is no column"),
    ],
)
def test_a_condition_that_spark_refuses_is_named(
    spark: SparkSession, tmp_path: Path, old: str, new: str, message: str
) -> None:
    rules = rules_of(tmp_path, GOOD_RULE.replace(old, new))
    with pytest.raises(RuleError, match=message) as error:
        require_valid(spark, rules)
    assert "\n" not in str(error.value)


def test_the_shipped_rules_are_valid(spark: SparkSession, shipped: list[Rule]) -> None:
    require_valid(spark, shipped)
    assert len(shipped) == len(CASES)
