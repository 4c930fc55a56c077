"""`risklake rules` as its user meets it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from lake.errors import RuleError, UsageError
from risklake.backtest import Backtest
from risklake.cli import app
from tests.rule_text import GOOD

RULE = (
    GOOD
    + """    tests:
      - fires: {txn_count_5m: 2}
      - quiet: {txn_count_5m: 2}
"""
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "my-rules.yml"
    file.write_text(RULE, encoding="utf-8")
    return file


def test_the_rules_in_force_are_shown_with_their_version() -> None:
    shown = CliRunner().invoke(app, ["rules", "validate"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    assert "velocity_5m" in shown.output
    assert "rules are right. Rule set " in shown.output


def test_a_rule_set_is_shown_as_data(file: Path) -> None:
    shown = CliRunner().invoke(app, ["rules", "validate", str(file), "--json"])
    found = json.loads(shown.output)
    assert found["thresholds"] == {"transactions": {"review_at": 40, "block_at": 80}}
    assert [(rule["name"], rule["condition"], rule["weight"]) for rule in found["rules"]] == [
        ("many", "txn_count_5m > 1", 10)
    ]


def test_a_wrong_rule_set_ends_with_the_reason(file: Path) -> None:
    file.write_text(RULE.replace("txn_count_5m >", "txn_cuont_5m >"), encoding="utf-8")
    ended = CliRunner().invoke(app, ["rules", "validate", str(file)])
    assert isinstance(ended.exception, RuleError)
    assert "my-rules.yml, line 3, rule `many`: `txn_cuont_5m` is no column" in str(ended.exception)


def test_the_columns_are_listed_with_their_kinds() -> None:
    listed = json.loads(CliRunner().invoke(app, ["rules", "columns", "--json"]).output)
    kinds = {row["column"]: row["kind"] for row in listed}
    assert (kinds["txn_count_5m"], kinds["country"], kinds["country_changed"]) == ("a number", "text", "true or false")
    assert "event_date" not in kinds
    assert CliRunner().invoke(app, ["rules", "columns", "cats"]).exit_code != 0


HOLDING = """
lists:
  - {name: old, kind: block, column: device_id, values: [d1, d2], until: 2020-01-01, reason: reported}
snoozes:
  - {rule: many, user_id: u1, until: 9000-01-01T00:00:00Z, reason: on tour}
"""


def test_lists_and_snoozes_are_counted_and_shown_with_what_is_in_force(file: Path) -> None:
    file.write_text(RULE + HOLDING, encoding="utf-8")
    wide = {"COLUMNS": "200"}
    checked = CliRunner().invoke(app, ["rules", "validate", str(file)], env=wide)
    assert "1 lists of 2 values, 1 snoozes, 1 rules are right. Rule set " in checked.output
    shown = CliRunner().invoke(app, ["rules", "lists", str(file)], env=wide)
    for words in (("block", "old", "device_id: 2 values", "expired"), ("snooze", "many", "user_id u1", "in force")):
        assert any(all(word in line for word in words) for line in shown.output.splitlines())
    found = json.loads(CliRunner().invoke(app, ["rules", "lists", str(file), "--json"]).output)
    assert [(one["name"], one["values"], one["until"], one["standing"]) for one in found["lists"]] == [
        ("old", ["d1", "d2"], "2020-01-02T00:00:00Z", "expired")
    ]
    assert [(one["rule"], one["on"], one["standing"]) for one in found["snoozes"]] == [
        ("many", {"user_id": "u1"}, "in force")
    ]
    listed = json.loads(CliRunner().invoke(app, ["rules", "validate", str(file), "--json"]).output)
    assert [len(listed[part]) for part in ("rules", "lists", "snoozes")] == [1, 1, 1]


@pytest.mark.end_to_end
def test_a_rule_whose_own_test_fails_is_named(file: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "risklake.cli", "rules", "test", str(file)]
    env = os.environ | {"LAKE_ROOT": str(tmp_path / "lake"), "COLUMNS": "200"}
    ended = subprocess.run(command, capture_output=True, text=True, env=env, timeout=300, check=False)
    assert ended.returncode == 6
    assert "many fires on txn_count_5m 2" in ended.stdout
    assert "risklake: 1 of 2 tests failed" in ended.stderr


@pytest.mark.parametrize("command", [["rules", "backtest"], ["explain", "e1"]])
def test_a_page_that_cannot_be_written_is_named_before_anything_is_begun(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKE_ROOT", str(tmp_path))
    for module in ("rules_command", "explain_command"):
        monkeypatch.setattr(f"risklake.{module}.session_for", lambda *_: pytest.fail("Spark was started"))
    (tmp_path / "a file").touch()
    for page, reason in ((tmp_path, "Is a directory"), (tmp_path / "a file" / "page.html", "its folder is a file")):
        ended = CliRunner().invoke(app, [*command, "--html", str(page)])
        assert isinstance(ended.exception, UsageError)
        assert f"The page {page} cannot be written ({reason})" in str(ended.exception)
    assert [one.name for one in tmp_path.iterdir()] == ["a file"]


def test_json_stays_json_where_a_page_is_written_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    day = date(2026, 1, 5)
    found = Backtest("transactions", "abc", day, day, datetime(2026, 1, 6, tzinfo=UTC), None, 0, 0, {}, {}, [], [])
    # What a lake would say is another test's; here it is how it is told.
    monkeypatch.setattr("risklake.rules_command.session_for", lambda *_: SimpleNamespace(stop=lambda: None))
    monkeypatch.setattr("risklake.backtest.events_of", lambda *_, **__: None)
    monkeypatch.setattr("risklake.backtest.backtest", lambda *_: found)
    html = tmp_path / "pages" / "backtest.html"
    ended = CliRunner().invoke(app, ["rules", "backtest", "--html", str(html), "--json"])
    assert json.loads(ended.stdout)["rules"]["rule_set"] == "abc"
    assert "Rule set abc" in html.read_text(encoding="utf-8")
