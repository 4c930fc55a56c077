"""Allow and block lists and snoozes: what they may say, what they hold back or raise, and when they end."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F

from lake.settings import load_settings
from spark_jobs.alerts import withdrawn
from spark_jobs.cases import cases
from spark_jobs.rules.book import RuleBook
from spark_jobs.rules.evaluate import evaluate
from spark_jobs.rules.files import read_rules
from spark_jobs.rules.list_entries import MOST_VALUES
from spark_jobs.rules.rule_set import RuleSet
from tests.rule_text import ALLOW, BLOCK, GOOD, SNOOZE, rules
from tests.watched import NOW, events

BURST = {"txn_count_5m": 2}


def fired(spark: SparkSession, found: RuleSet, *given: dict[str, Any], feed: str = "transactions") -> list[Row]:
    rows = evaluate(events(spark, *given, feed=feed), found, feed).collect()
    return sorted(rows, key=lambda row: (row["event_id"], row["rule"]))


def states(spark: SparkSession, found: RuleSet, *given: dict[str, Any]) -> list[tuple[str, str]]:
    return [(row["rule"], row["state"]) for row in fired(spark, found, *given)]


def test_an_allow_list_holds_back_the_alerts_of_rules_and_says_so(spark: SparkSession, tmp_path: Path) -> None:
    listed, other = fired(
        spark, rules(tmp_path, GOOD + ALLOW), BURST | {"event_id": "a"}, BURST | {"event_id": "b", "user_id": "u2"}
    )
    assert (listed["rule"], listed["state"], listed["score"], listed["decision"]) == ("many", "allowed", 0, "approve")
    assert (listed["held_by"], listed["reason"]) == ("allow list staff: our own tests", "2 payments")
    assert (other["state"], other["score"], other["held_by"]) == ("open", 10, None)


def test_a_block_list_raises_an_alert_of_its_own(spark: SparkSession, tmp_path: Path) -> None:
    [alert] = fired(spark, rules(tmp_path, GOOD + BLOCK), {"event_id": "a"}, {"event_id": "b", "user_id": "u2"})
    assert (alert["event_id"], alert["rule"], alert["state"], alert["severity"]) == ("a", "stolen", "open", "critical")
    assert (alert["weight"], alert["score"], alert["decision"], alert["cool_down_s"]) == (100, 100, "block", 3600)
    assert alert["reason"] == "user_id u1 is on the block list stolen: reported"
    assert (alert["fired_on"], alert["entity"], alert["entity_id"]) == ({"user_id": "u1"}, "user_id", "u1")


def test_a_block_list_says_what_its_alerts_are_like(spark: SparkSession, tmp_path: Path) -> None:
    more = "    severity: high\n    weight: 60\n    typology: compromise\n    cool_down: 2 hours\n"
    text = BLOCK.replace("user_id", "device_id").replace("u1", "d1") + more
    [alert] = fired(spark, rules(tmp_path, text), {"device_id": "d1"})
    assert (alert["severity"], alert["weight"], alert["typology"]) == ("high", 60, "compromise")
    assert (alert["cool_down_s"], alert["entity"], alert["entity_id"]) == (7200, "device_id", "d1")


def test_an_alert_of_a_list_of_what_is_no_entity_is_about_the_user(spark: SparkSession, tmp_path: Path) -> None:
    # YAML would take NO for a truth value, and 007 for a number.
    text = BLOCK.replace("user_id", "country").replace("[u1, u7]", "[NO, 007, 1.0]")
    found = rules(tmp_path, text)
    assert found.lists[0].values == {"NO", "007", "1.0"}
    [alert] = fired(spark, found, {"country": "NO"}, {"country": "false"})
    assert (alert["entity"], alert["entity_id"], alert["fired_on"]) == ("user_id", "u1", {"country": "NO"})


def test_a_list_counts_for_every_feed_that_has_its_column_or_for_one(spark: SparkSession, tmp_path: Path) -> None:
    found = rules(tmp_path, BLOCK)
    assert found.lists[0].feeds == ("transactions", "orders")
    assert [row["rule"] for row in fired(spark, found, {}, feed="orders")] == ["stolen"]
    found = rules(tmp_path, BLOCK + "    watches: transactions\n")
    assert fired(spark, found, {}, feed="orders") == []
    assert rules(tmp_path, BLOCK.replace("user_id", "merchant_id")).lists[0].feeds == ("transactions",)


def test_what_is_blocked_is_raised_also_on_an_allow_list(spark: SparkSession, tmp_path: Path) -> None:
    found = rules(tmp_path, GOOD + ALLOW + BLOCK.replace("\nlists:\n", ""))
    alerts = fired(spark, found, BURST)
    assert [(row["rule"], row["state"], row["score"]) for row in alerts] == [
        ("many", "allowed", 100), ("stolen", "open", 100),
    ]  # fmt: skip


def test_a_missing_or_an_empty_value_is_on_no_list(spark: SparkSession, tmp_path: Path) -> None:
    text = GOOD + (ALLOW + BLOCK.replace("\nlists:\n", "")).replace("user_id", "device_id")
    text += SNOOZE.replace("user_id", "device_id")
    assert states(spark, rules(tmp_path, text), BURST, BURST | {"device_id": ""}) == [("many", "open")] * 2


@pytest.mark.parametrize("value", ["u1'' or ''1''=''1", 'u1"); drop table alerts.alerts; --', "u1\\", "%", "ü 1"])
def test_quotes_and_words_of_sql_in_a_value_are_only_text(spark: SparkSession, tmp_path: Path, value: str) -> None:
    single = value.replace("''", "'")
    text = GOOD + (ALLOW + SNOOZE).replace("[u1, u7]", f"['{value}']").replace("user_id: u1", f"user_id: '{value}'")
    found = rules(tmp_path, text)
    assert states(spark, found, BURST | {"user_id": single}, BURST | {"event_id": "e2"}) == [
        ("many", "allowed"), ("many", "open"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("bound", "before", "at"),
    [("until: 2026-01-05T11:00:00+01:00", "allowed", "open"), ("since: 2026-01-05T10:00:00Z", "open", "allowed")],
)
def test_a_list_counts_from_since_on_and_before_until(
    spark: SparkSession, tmp_path: Path, bound: str, before: str, at: str
) -> None:
    found = rules(tmp_path, f"{GOOD}{ALLOW}    {bound}\n")
    moments = [NOW - timedelta(microseconds=1), NOW]
    given = [BURST | {"event_id": f"e{n}", "event_time": moment} for n, moment in enumerate(moments)]
    assert [state for _, state in states(spark, found, *given)] == [before, at]


def test_a_day_counts_whole(tmp_path: Path) -> None:
    validity = rules(tmp_path, f"{GOOD}{ALLOW}    since: 2026-01-05\n    until: 2026-01-05\n").lists[0].validity
    assert (validity.since, validity.until) == (datetime(2026, 1, 5, tzinfo=UTC), datetime(2026, 1, 6, tzinfo=UTC))
    moments = [validity.since - timedelta(seconds=1), NOW, validity.until]
    assert [validity.standing(moment) for moment in moments] == ["to come", "in force", "expired"]


def test_a_snooze_holds_back_one_rule_on_one_user_for_a_time(spark: SparkSession, tmp_path: Path) -> None:
    other = GOOD.replace("many", "more").replace("\nrules:\n", "")
    found = rules(tmp_path, GOOD + other + SNOOZE)
    [held, open_] = fired(spark, found, BURST)
    assert (held["rule"], held["state"]) == ("many", "snoozed")
    assert held["held_by"] == "snoozed until 2026-01-05T10:00:01Z: holder on tour"
    assert (open_["rule"], open_["state"], open_["score"]) == ("more", "open", 10)
    given = [BURST | {"user_id": "u2"}, BURST | {"event_time": NOW + timedelta(seconds=1)}]
    for one in given:
        assert states(spark, found, one) == [("many", "open"), ("more", "open")]


def test_a_snooze_without_a_rule_holds_back_all_rules_and_no_block_list(spark: SparkSession, tmp_path: Path) -> None:
    everything = SNOOZE.replace("rule: many\n    ", "")
    found = rules(tmp_path, GOOD + BLOCK + everything)
    assert states(spark, found, BURST) == [("many", "snoozed"), ("stolen", "open")]
    found = rules(tmp_path, GOOD + BLOCK + SNOOZE.replace("many", "stolen"))
    assert states(spark, found, BURST) == [("many", "open"), ("stolen", "snoozed")]


def test_a_snooze_of_two_values_needs_both(spark: SparkSession, tmp_path: Path) -> None:
    found = rules(tmp_path, GOOD + SNOOZE + "    merchant_id: m1\n")
    given = [BURST | {"event_id": "a"}, BURST | {"event_id": "b", "merchant_id": "m2"}]
    assert [state for _, state in states(spark, found, *given)] == ["snoozed", "open"]


def test_of_several_that_hold_an_alert_back_a_list_comes_first(spark: SparkSession, tmp_path: Path) -> None:
    [alert] = fired(spark, rules(tmp_path, GOOD + SNOOZE + ALLOW), BURST)
    assert (alert["state"], alert["held_by"]) == ("allowed", "allow list staff: our own tests")


def test_a_rule_in_the_shadow_stays_there_and_says_what_would_hold_it_back(spark: SparkSession, tmp_path: Path) -> None:
    [alert] = fired(spark, rules(tmp_path, GOOD.replace("active", "shadow") + SNOOZE), BURST)
    assert (alert["state"], alert["held_by"]) == ("shadow", "snoozed until 2026-01-05T10:00:01Z: holder on tour")


def test_each_of_ten_thousand_values_is_found_and_no_other(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "vips.txt").write_text("# our best\n\n" + "".join(f"u{2 * n}\n" for n in range(MOST_VALUES)))
    found = rules(tmp_path, BLOCK.replace("values: [u1, u7]", "file: vips.txt"))
    assert len(found.lists[0].values) == MOST_VALUES
    numbers = [0, 1, 2, 19_997, 19_998, 19_999, 20_000]
    rows = fired(spark, found, *({"event_id": f"e{n}", "user_id": f"u{n}"} for n in numbers))
    assert [row["entity_id"] for row in rows] == ["u0", "u19998", "u2"]


def test_a_file_of_lists_needs_no_rules_and_belongs_to_the_set(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "lists.yml").write_text(ALLOW + SNOOZE, encoding="utf-8")
    (tmp_path / "rules.yml").write_text(GOOD, encoding="utf-8")
    found = read_rules([tmp_path / "lists.yml", tmp_path / "rules.yml"])
    assert states(spark, found, BURST) == [("many", "allowed")]


def test_a_running_stream_takes_in_a_new_snooze_and_a_changed_file_of_values(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def put(name: str, text: str, age: float) -> None:
        (tmp_path / name).write_text(text, encoding="utf-8")
        os.utime(tmp_path / name, (time.time() - age,) * 2)

    put("rules.yml", GOOD, 20)
    book = RuleBook(load_settings({"rules_file": str(tmp_path / "rules.yml")}, environment={}, folder=tmp_path))
    put("vips.txt", "u1\n", 15)
    put("rules.yml", GOOD + SNOOZE + ALLOW.replace("values: [u1, u7]", "file: vips.txt"), 15)
    assert [snooze.rule for snooze in book.current().snoozes] == ["many"]
    assert caplog.messages[-1].endswith("new: snooze of many on user_id u1 until 2026-01-05T10:00:01Z, staff")
    before = book.current()
    put("vips.txt", "u1\nu2\n", 10)
    assert book.current().lists[0].values == {"u1", "u2"}
    assert caplog.messages[-1] == f"rules changed: set {book.current().version} is in force; changed: staff"
    put("vips.txt", "\x07\n", 5)
    assert book.current().lists[0].values == {"u1", "u2"}
    assert "vips.txt, line 1: a value is" in caplog.messages[-1]
    assert book.current().version != before.version
    assert len(caplog.messages) == 3


def test_an_alert_that_is_held_back_is_in_no_case_and_can_be_withdrawn(spark: SparkSession, tmp_path: Path) -> None:
    found = rules(tmp_path, GOOD + ALLOW + SNOOZE.replace("u1", "u2"))
    given = [BURST | {"event_id": f"e{n}", "user_id": f"u{n}"} for n in (1, 2, 3)]
    standing = evaluate(events(spark, *given), found, "transactions").withColumn("updated_at", F.lit(NOW))
    assert [row["entity_id"] for row in cases(standing).collect()] == ["u3"]
    changed = events(spark, *(one | {"txn_count_5m": 1} for one in given))
    gone = withdrawn(standing, changed, evaluate(changed, found, "transactions"))
    assert [(row["event_id"], row["state"]) for row in gone.orderBy("event_id").collect()] == [
        ("e1", "withdrawn"), ("e2", "withdrawn"), ("e3", "withdrawn"),
    ]  # fmt: skip


def test_the_lists_of_the_documents_are_right(tmp_path: Path) -> None:
    text = (Path(__file__).parent.parent / "docs" / "rules.md").read_text(encoding="utf-8")
    (tmp_path / "stolen.txt").write_text("d1\n", encoding="utf-8")
    rule = GOOD.replace("many", "velocity_5m")
    found = rules(tmp_path, rule + text.split("```yaml\n")[2].split("```")[0])
    assert [(one.name, one.kind) for one in found.lists] == [("staff_cards", "allow"), ("stolen_devices", "block")]
    assert [snooze.on for snooze in found.snoozes] == [(("user_id", "u42"),)]
