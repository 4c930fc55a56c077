"""Rule sets over past days, held against labels that were known at a moment, and against each other."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from lake import storage
from lake.catalog import DISPOSITIONS
from lake.errors import UsageError
from lake.inbox import land_lines
from lake.settings import Settings, load_settings
from risklake.backtest import BLOCKED, HELD_BACK, Backtest, _not_blocked, backtest, differing, events_of
from risklake.backtest_figures import Figures
from risklake.backtest_page import page
from spark_jobs import pipeline
from spark_jobs.rules.files import read_rules
from spark_jobs.rules.rule_set import RuleSet
from tests.conftest import transaction_line
from tests.lines_of_feeds import line

RULES = """
review_at: 20
block_at: 60
rules:
  - name: large
    watches: transactions
    condition: amount >= 100
    severity: high
    state: active
    weight: 50
    reason: "{amount}"
  - {name: far, watches: transactions, condition: "country = 'US'", severity: low, state: active, reason: far}
  - {name: tried, watches: transactions, condition: amount >= 1, severity: low, state: shadow, reason: any}
"""


def rules(tmp_path: Path, text: str = RULES) -> RuleSet:
    file = tmp_path / "rules.yml"
    file.write_text(text, encoding="utf-8")
    return read_rules([file])


def dispute(event_id: str, day: int, reason: str = "fraud_bot") -> str:
    return json.dumps(
        {"dispute_id": f"d-{event_id}", "event_id": event_id, "reported_at": f"2026-01-{day:02}T00:00:00Z",
         "reason": reason, "amount": 1, "currency": "EUR"}
    )  # fmt: skip


@pytest.fixture(scope="module")
def lake(spark: SparkSession, empty_tables: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Twelve payments a day for two days, of which some are frauds that were reported on the 7th or the 20th."""
    root = tmp_path_factory.mktemp("backtest") / "lake"
    shutil.copytree(empty_tables, root)
    settings = load_settings({"lake_root": str(root)}, environment={})
    lines, labels = [], ["event_id,is_fraud,scenario"]
    for n in range(24):
        amount, country = (150.5 if n % 4 == 0 else 20), ("US" if n % 3 == 0 else "DE")
        at = f"2026-01-{5 + n // 12:02}T{n % 12:02}:00:00Z"
        lines.append(transaction_line(f"e{n:02}", user_id=f"u{n:02}", amount=amount, country=country, event_time=at))
        labels.append(f"e{n:02},{n in (0, 4, 5, 8)},{'bot' if n in (0, 4, 5, 8) else ''}")
    land_lines(lines, settings.local_path("inbox", "transactions"), "a.jsonl")
    disputes = [dispute("e00", 7), dispute("e04", 7), dispute("e05", 7), dispute("e08", 20), dispute("e01", 7, "goods")]
    disputes += [dispute("o0", 7), dispute("o1", 8)]
    land_lines(disputes, settings.local_path("inbox", "disputes"), "d.jsonl")
    amounts = ("Rp 2.000.000", "5.50", "Rp 3.000.000", "Rp 10.000")
    orders = [line("orders", order_id=f"o{n}", user_id=f"u{n}", amount=text) for n, text in enumerate(amounts)]
    land_lines(orders, settings.local_path("inbox", "orders"), "o.jsonl")
    settings.local_path("truth", "labels").mkdir(parents=True)
    settings.local_path("truth", "labels", "a.csv").write_text("\n".join(labels) + "\n", encoding="utf-8")
    pipeline.run(spark, settings, continuous=False)
    return settings


def figures(found: Backtest, name: str) -> Figures:
    return next(one for one in (*found.rules, *found.together) if one.name == name)


def test_each_rule_has_its_figures_with_the_labels_known_then(
    spark: SparkSession, lake: Settings, tmp_path: Path
) -> None:
    events = events_of(spark, lake, known_at=datetime(2026, 1, 10, tzinfo=UTC))
    found = backtest(events, rules(tmp_path))
    assert (found.events, found.frauds, found.base_rate, found.days) == (24, 3, 3 / 24, 2)
    assert found.scenarios == {"bot": 4, "honest": 20}
    large = figures(found, "large")
    assert (large.events, large.frauds, large.precision, large.recall) == (6, 2, 2 / 6, 2 / 3)
    assert (large.false_positives_a_day, large.money_caught) == (2.0, {"EUR": Decimal("301.0000")})
    assert large.by_scenario == {"bot": 3, "honest": 3}
    assert large.precision_interval is None
    assert found.fraud_money == {"EUR": Decimal("321.0000")}
    far = figures(found, "far")
    assert (far.events, far.frauds) == (8, 1)
    # All users have one payment each, and 24 of them are enough for an interval.
    tried = figures(found, "tried")
    assert (tried.state, tried.events, tried.precision) == ("shadow", 24, 3 / 24)
    assert tried.precision_interval is not None
    assert tried.precision_interval[0] < 3 / 24 < tried.precision_interval[1]


ORDER_RULES = """
rules:
  - {name: dear, watches: orders, condition: amount_numeric >= 1000000, severity: high, state: active, reason: dear}
  - {name: paid, watches: transactions, condition: amount >= 1, severity: low, state: active, reason: any}
"""


def test_rules_on_orders_are_held_against_what_was_said_of_orders(
    spark: SparkSession, lake: Settings, tmp_path: Path
) -> None:
    found = backtest(events_of(spark, lake, watches="orders"), rules(tmp_path, ORDER_RULES))
    assert (found.watches, found.events, found.frauds, found.scenarios) == ("orders", 4, 2, {})
    assert found.fraud_money == {"IDR": Decimal("2000000.0000"), "unknown": Decimal("5.5000")}
    [dear] = found.rules
    assert (dear.name, dear.events, dear.frauds, dear.recall) == ("dear", 2, 1, 0.5)
    assert "4 orders" in page({"rules": found})
    with pytest.raises(UsageError, match="A backtest is of transactions or orders, not of 'disputes'"):
        events_of(spark, lake, watches="disputes")


def test_a_rule_in_the_shadow_decides_nothing(spark: SparkSession, lake: Settings, tmp_path: Path) -> None:
    found = backtest(events_of(spark, lake), rules(tmp_path))
    assert [(one.name, one.events, one.frauds) for one in found.together] == [
        ("any active rule", 12, 3), ("review or block", 6, 3), (BLOCKED, 2, 1),
    ]  # fmt: skip
    assert found.frauds == 4


LISTS = """
lists:
  - {name: known, kind: allow, column: user_id, values: [u00, u01, u04], reason: known}
  - {name: stolen, kind: block, column: user_id, values: [u05], reason: reported}
snoozes:
  - {rule: far, user_id: u03, until: 2026-01-05T03:00:00Z, reason: over by then}
  - {rule: far, user_id: u06, until: 2026-01-05T06:00:01Z, reason: on tour}
"""


def test_what_is_held_back_counts_apart(spark: SparkSession, lake: Settings, tmp_path: Path) -> None:
    found = backtest(events_of(spark, lake), rules(tmp_path, RULES + LISTS))
    counts = {one.name: (one.events, one.frauds) for one in (*found.rules, *found.together)}
    assert counts == {
        "large": (4, 1), "far": (6, 0), "tried": (21, 2), "stolen": (1, 1), "any active rule": (10, 2),
        "review or block": (5, 2), BLOCKED: (2, 1), HELD_BACK: (3, 2),
    }  # fmt: skip
    assert figures(found, "stolen").state == "block"


def test_two_sets_differ_in_what_only_one_holds_back(spark: SparkSession, lake: Settings, tmp_path: Path) -> None:
    before, after = rules(tmp_path), rules(tmp_path, RULES + LISTS)
    rows = differing(events_of(spark, lake), before, after).collect()
    found = {(row["event_id"], row["rule"]): (row["state_before"], row["state_after"]) for row in rows}
    assert found["e00", "large"] == ("open", "allowed")
    assert found["e06", "far"] == ("open", "snoozed")
    assert found["e05", "stolen"] == (None, "open")
    assert ("e03", "far") not in found


def test_days_are_chosen_and_days_without_payments_are_named(
    spark: SparkSession, lake: Settings, tmp_path: Path
) -> None:
    found = backtest(events_of(spark, lake, first=date(2026, 1, 6), last=date(2026, 3, 1)), rules(tmp_path))
    assert (found.first, found.last, found.events, found.frauds) == (date(2026, 1, 6), date(2026, 1, 6), 12, 0)
    assert figures(found, "large").recall is None
    with pytest.raises(UsageError, match="the lake holds 2026-01-05 to 2026-01-06"):
        events_of(spark, lake, first=date(2026, 2, 1))


def test_users_whose_card_was_blocked_before_the_day_are_left_out_if_that_is_wanted(spark: SparkSession) -> None:
    def at(day: int) -> datetime:
        return datetime(2026, 1, day, tzinfo=UTC)

    payments = [("old", "u3", 4), ("fraud", "u1", 5), ("same day", "u1", 7), ("day after", "u1", 8), ("other", "u2", 8),
                ("after an old one", "u3", 8)]  # fmt: skip
    rows = spark.createDataFrame(
        [(event_id, user, at(day), at(day).date()) for event_id, user, day in payments],
        "event_id string, user_id string, event_time timestamp, event_date date",
    )
    reported = [("fraud", at(7), "fraud"), ("old", at(5), "fraud")]
    labels = spark.createDataFrame(reported, "event_id string, reported_at timestamp, reason string")
    left = _not_blocked(rows, rows, labels, date(2026, 1, 5), date(2026, 1, 8))
    assert {row["event_id"] for row in left.collect()} == {"old", "fraud", "same day", "other", "after an old one"}


def test_what_analysts_say_counts_as_it_stood_at_the_moment(
    spark: SparkSession, lake: Settings, tmp_path: Path
) -> None:
    root = tmp_path / "lake"
    shutil.copytree(lake.local_path(), root)
    mine = load_settings({"lake_root": str(root)}, environment={})
    said = [("e12", "fraud", 7), ("e12", "genuine", 15), ("e13", "fraud", 7), ("e13", "fraud", 15),
            ("e14", "fraud", 15)]  # fmt: skip
    rows = [
        (event_id, label, None, datetime(2026, 1, day, tzinfo=UTC), None, "transactions")
        for event_id, label, day in said
    ]
    storage.ensure_tables(spark, mine, [DISPOSITIONS.name])
    storage.append(spark.createDataFrame(rows, DISPOSITIONS.schema), mine, DISPOSITIONS.name)

    def frauds(day: int) -> set[str]:
        labelled = events_of(spark, mine, known_at=datetime(2026, 1, day, tzinfo=UTC)).labelled
        return {row["event_id"] for row in labelled.where("is_fraud").collect()}

    assert frauds(6) == set()
    assert frauds(10) == {"e00", "e04", "e05", "e12", "e13"}
    assert frauds(16) == {"e00", "e04", "e05", "e13", "e14"}


def test_two_sets_differ_in_the_alerts_that_only_one_raises(
    spark: SparkSession, lake: Settings, tmp_path: Path
) -> None:
    before = rules(tmp_path)
    after = rules(tmp_path, RULES.replace("amount >= 100", "amount >= 100 and country = 'DE'"))
    events = events_of(spark, lake)
    assert differing(events, before, before).isEmpty()
    rows = {(row["event_id"], row["rule"]): row for row in differing(events, before, after).collect()}
    gone = {event_id for (event_id, rule), row in rows.items() if rule == "large" and row["state_after"] is None}
    assert gone == {"e00", "e12"}
    # Without it the score of what else fires on the same event is another one.
    assert (rows["e00", "far"]["score_before"], rows["e00", "far"]["score_after"]) == (60, 10)
    assert {rule for _, rule in rows} == {"large", "far", "tried"}


def test_the_page_shows_both_sets(spark: SparkSession, lake: Settings, tmp_path: Path) -> None:
    found = backtest(events_of(spark, lake), rules(tmp_path))
    text = page({"rules": found, "against": replace(found, blocked_since=date(2026, 1, 4))})
    assert text.count("without users known as defrauded since 2026-01-04") == 1
    assert text.count(f"Rule set {found.rule_set}") == 2
    assert "3 of 4 (75.0 %)" in text
    assert "<script" not in text
