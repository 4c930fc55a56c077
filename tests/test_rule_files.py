"""Rule files: what they may say, and how a mistake in them is named."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from lake.errors import RuleError
from lake.settings import load_settings
from spark_jobs.rules.files import load_rules
from spark_jobs.rules.plain_yaml import MOST_BYTES
from spark_jobs.rules.rule_set import Example, RuleSet, Thresholds
from tests.rule_text import GOOD
from tests.watched import NOW

FULL = """
review_at: 30
block_at: 60
rules:
  - name: new_device
    watches: transactions
    condition: device_id is not null and amount > 100
    severity: critical
    state: shadow
    typology: account_takeover
    weight: 35
    cool_down: 2 hours
    entity: device_id
    when_missing: fires
    reason: "{amount} {currency} on {device_id} {{new}}"
    tests:
      - fires: {amount: 100.01, country_changed: true, device_id: null}
      - quiet: {amount: 100, event_time: 2026-01-05T10:00:00Z, txn_count_5m: 1, seconds_since_previous: 1.5}
"""


def rules_of(folder: Path, *texts: str) -> RuleSet:
    for number, text in enumerate(texts):
        (folder / f"rules{number or ''}.yml").write_text(text, encoding="utf-8")
    place = folder / "rules.yml" if len(texts) == 1 else folder
    return load_rules(load_settings({"rules_file": str(place)}, environment={}, folder=folder))


def test_a_rule_has_defaults_for_what_it_does_not_say(tmp_path: Path) -> None:
    found = rules_of(tmp_path, GOOD)
    [rule] = found.rules
    assert (rule.weight, rule.cool_down, rule.entity, rule.typology) == (10, timedelta(hours=1), "user_id", "")
    assert (rule.when_missing, rule.line, rule.columns) == ("quiet", 3, ("txn_count_5m",))
    assert found.thresholds_of("transactions") == Thresholds(40, 80)


def test_a_rule_says_all_that_it_may(tmp_path: Path) -> None:
    found = rules_of(tmp_path, FULL)
    [rule] = found.rules
    assert (rule.severity, rule.weight, rule.entity) == ("critical", 35, "device_id")
    assert (rule.cool_down, rule.when_missing) == (timedelta(hours=2), "fires")
    assert rule.columns == ("device_id", "amount", "currency")
    assert rule.reason == (("amount", True), (" ", False), ("currency", True), (" on ", False), ("device_id", True),
                           (" {", False), ("new}", False))  # fmt: skip
    assert found.thresholds_of("transactions") == Thresholds(30, 60)
    yes, no = rule.examples
    assert yes == Example(True, (("amount", Decimal("100.01")), ("country_changed", True), ("device_id", None)))
    assert not no.fires
    assert dict(no.values) == {
        "amount": Decimal(100), "event_time": NOW, "txn_count_5m": 1, "seconds_since_previous": 1.5,
    }  # fmt: skip
    assert [rule.name for rule in found.of("transactions")] == ["new_device"]
    assert found.of("transactions", ("active",)) == []


@pytest.mark.parametrize("off", ["off", '"off"', "'off'"])
def test_a_rule_that_is_off_is_known_and_not_used(tmp_path: Path, off: str) -> None:
    found = rules_of(tmp_path, GOOD.replace("active", off))
    assert [rule.state for rule in found.rules] == ["off"]
    assert found.of("transactions") == []


def test_a_folder_is_one_set(tmp_path: Path) -> None:
    found = rules_of(tmp_path, GOOD, GOOD.replace("many", "more"))
    assert sorted(rule.name for rule in found.rules) == ["many", "more"]


def test_the_version_is_that_of_the_content_not_of_the_layout(tmp_path: Path) -> None:
    version = rules_of(tmp_path, GOOD).version
    assert rules_of(tmp_path, "# a comment\nreview_at: 40" + GOOD).version == version
    assert rules_of(tmp_path, GOOD.replace("> 1", "> 2")).version != version
    assert rules_of(tmp_path, "block_at: 81" + GOOD).version != version
    assert len(version) == 12


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("severity: low", "severity: mild", "line 3, rule `many`: severity is 'mild'; it must be one of low"),
        ("severity: low", "", "line 3, rule `many`: `severity` is missing"),
        ("severity: low", "severity: low\n    colour: red", "line 7: `colour` is not known"),
        ("severity: low", "severity: low\n    severity: high", "line 7: `severity` stands there twice"),
        ("severity: low", "severity: [low]", "line 6: a plain value is needed, and this is seq"),
        ("severity: low", "severity: !!python/name:os.system low", "line 6: a plain value is needed"),
        ("severity: low", "severity: low\n    weight: 101", "weight is '101'; it must be a whole number from 0 to 100"),
        ("severity: low", "severity: low\n    weight: 1e1", "weight is '1e1'"),
        ("severity: low", "severity: low\n    cool_down: soon", "cool_down is 'soon'; write it as `30 minutes`"),
        ("severity: low", "severity: low\n    cool_down: 31 days", "at most 30 days"),
        ("severity: low", "severity: low\n    entity: product_id", "entity is 'product_id'; it must be one of user_id"),
        ("severity: low", "severity: low\n    when_missing: maybe", "when_missing is 'maybe'"),
        ("severity: low", "severity: low\n    typology: Card Testing", "typology is 'Card Testing'"),
        ("name: many", "name: Many Things", "a name is made of small letters"),
        ("name: many", "nom: many", "`nom` is not known"),
        ("watches: transactions", "watches: cats", "watches is 'cats'"),
        ("txn_count_5m > 1", "txn_cuont_5m > 1", "`txn_cuont_5m` is no column; did you mean `txn_count_5m`"),
        ("txn_count_5m > 1", "txn_count_5m", "gives a number, not true or false"),
        ("txn_count_5m > 1", "event_date is null", "`event_date` is no column"),
        ("{txn_count_5m}", r"\ud800", r"rules.yml, line 8: an escape \(\\u…\) stands for half of a character only"),
        ("{txn_count_5m}", r"\UFFFFFFFF", r"rules.yml, an escape \(\\U…\) stands for no character"),
        ("{txn_count_5m}", r"\U00110000", r"rules.yml, an escape \(\\U…\) stands for no character"),
        ("{txn_count_5m}", "{count}", r"the reason names \{count\}: `count` is no column"),
        ("{txn_count_5m}", "{txn_count_5m.__class__}", "is no column"),
        ("{txn_count_5m}", "{txn_count_5m!r}", "the reason names"),
        ("{txn_count_5m}", "{txn_count_5m", "a brace without its other half"),
        ("{txn_count_5m} payments", "x" * 501, "a reason has 1 to 500 characters"),
        ("{txn_count_5m} payments", "", "a reason has 1 to 500 characters"),
        ("rules:", "rule:", "`rule` is not known. What a rule set has: rules, lists, snoozes, review_at"),
        ("rules:", "review_at: 90\nrules:", "review_at is 90 and block_at 80; review comes before block"),
        ("rules:", "block_at: much\nrules:", "line 2: block_at is 'much'"),
        ("condition: txn_count_5m > 1", "condition: [", "is not valid YAML"),
        ("  - name: many", "  - &a [*a]\n  - name: many", "a YAML alias"),
        ("severity: low", "severity: low\n    tests: 3", "under `tests:` comes a list"),
        (
            "severity: low",
            "severity: low\n    tests: [{burns: {}}]",
            "`burns` is not known. What a test has: fires, quiet",
        ),
        ("severity: low", "severity: low\n    tests: [{fires: {zzz: 1}}]", "line 7: `zzz` is no column"),
        (
            "severity: low",
            "severity: low\n    tests: [{fires: {txn_count_5m: x}}]",
            "txn_count_5m is 'x', which is no bigint",
        ),
        (GOOD, "", "there is no rule in it"),
        (GOOD, "rules: 3", "there must be a list under `rules:`"),
        (GOOD, "rules: [3]", "this is no mapping"),
        (GOOD, "- 1\n", "line 1: this is no mapping"),
        (GOOD, "a: 1\n---\nb: 2\n", "is not valid YAML"),
        (GOOD, "[" * 5000, "nested too deeply|not valid YAML"),
        (GOOD, "rules:\n" + "  - {}\n" * 501, "there are 501 rules; at most 500"),
        (GOOD, "#" * (MOST_BYTES + 1), "at most 1,048,576 are taken"),
    ],
)
def test_a_wrong_file_is_refused_with_the_line_and_the_reason(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(RuleError, match=message) as error:
        rules_of(tmp_path, GOOD.replace(old, new))
    assert "rules.yml" in str(error.value)
    assert "\n" not in str(error.value)


def test_two_rules_of_one_name_are_refused_with_both_places(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match=r"line 9: a rule is called `many` in rules.yml, line 3 already"):
        rules_of(tmp_path, GOOD + GOOD.replace("rules:\n", "").lstrip("\n"))


def test_two_files_with_other_thresholds_for_one_feed_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match="set other thresholds"):
        rules_of(tmp_path, GOOD, "review_at: 1" + GOOD.replace("many", "more"))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match=r"nothing\.yml cannot be read"):
        load_rules(load_settings({"rules_file": str(tmp_path / "nothing.yml")}, environment={}, folder=tmp_path))
    (tmp_path / "rules.yml").write_bytes(b"rules: \xff")
    with pytest.raises(RuleError, match=r"rules\.yml is no UTF-8 text"):
        load_rules(load_settings({"rules_file": str(tmp_path / "rules.yml")}, environment={}, folder=tmp_path))
    (tmp_path / "empty").mkdir()
    with pytest.raises(RuleError, match=r"holds no rule file"):
        load_rules(load_settings({"rules_file": str(tmp_path / "empty")}, environment={}, folder=tmp_path))


def test_the_shipped_rules_are_right(tmp_path: Path) -> None:
    found = load_rules(load_settings(environment={}, folder=tmp_path))
    assert {rule.watches for rule in found.rules} == {"transactions", "orders", "disputes"}
    assert all(rule.typology for rule in found.rules)
