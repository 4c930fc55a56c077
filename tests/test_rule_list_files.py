"""Lists and snoozes in rule files: what is refused, with which words, and what the version of a set covers."""

from __future__ import annotations

from pathlib import Path

import pytest

from lake.errors import RuleError
from spark_jobs.rules.list_entries import MOST_VALUES
from tests.rule_text import ALLOW, BLOCK, GOOD, SNOOZE, rules


def test_the_version_is_also_that_of_lists_and_snoozes(tmp_path: Path) -> None:
    texts = [GOOD, GOOD + ALLOW, GOOD + ALLOW.replace("u7", "u8"), GOOD + BLOCK, GOOD + SNOOZE,
             GOOD + SNOOZE.replace("00:01Z", "00:02Z")]  # fmt: skip
    assert len({rules(tmp_path, text).version for text in texts}) == len(texts)
    version = rules(tmp_path, GOOD + ALLOW).version
    assert rules(tmp_path, GOOD + ALLOW.replace("[u1, u7]", "[u7, u1, u7]")).version == version
    (tmp_path / "vips.txt").write_text("u1\nu7\n")
    assert rules(tmp_path, GOOD + ALLOW.replace("values: [u1, u7]", "file: vips.txt")).version == version


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("kind: allow", "kind: grey", "line 11, list `staff`: kind is 'grey'; it must be one of allow, block"),
        ("kind: allow", "sort: allow", "line 12: `sort` is not known. What a list has: name, kind"),
        ("    kind: allow\n", "", "list `staff`: `kind` is missing"),
        ("column: user_id", "column: usr_id", "`usr_id` is no column; did you mean `user_id`"),
        ("column: user_id", "column: txn_count_5m", "`txn_count_5m` is a number, and only columns of text can be"),
        ("column: user_id", "column: merchant_id\n    watches: orders", "`merchant_id` is no column"),
        ("[u1, u7]", "[u1, [u7]]", "line 14: a plain value is needed, and this is seq"),
        ("[u1, u7]", "[u1, null]", "line 14: a value is ''; it must be text of 1 to 200 characters"),
        ("[u1, u7]", '[u1, ""]', "line 14: a value is ''"),
        ("[u1, u7]", '["u\\u001f7"]', "line 14: a value is 'u.x1f7'; it must be text"),
        ("[u1, u7]", "[!!binary dTE=]", "line 14: a plain value is needed, and this is binary"),
        ("[u1, u7]", f"[{'u' * 201}]", "it must be text of 1 to 200 characters"),
        ("[u1, u7]", "[]", "it holds no value"),
        ("[u1, u7]", "u1", "under `values:` comes a list"),
        ("[u1, u7]", str([*range(MOST_VALUES + 1)]), "it holds 10,001 values; at most 10,000 are taken"),
        ("    values: [u1, u7]\n", "", "it has either `values`, a list of them, or `file`"),
        ("[u1, u7]", "[u1]\n    file: vips.txt", "it has either `values`, a list of them, or `file`"),
        ("values: [u1, u7]", "file: nothing.txt", r"the file nothing.txt cannot be read \(No such file"),
        ("values: [u1, u7]", "file: ../rules.txt", "file is '../rules.txt'; it must be the name of a text file"),
        ("values: [u1, u7]", "file: /etc/passwd", "file is '/etc/passwd'; it must be the name of a text file"),
        ("values: [u1, u7]", "file: circle.txt", "file is 'circle.txt'|circle.txt cannot be read"),
        ("values: [u1, u7]", "file: linked.txt", "file is 'linked.txt'; it must be the name of a text file"),
        ("values: [u1, u7]", "file: rules.yml", "file is 'rules.yml'; it must be the name of a text file"),
        ("reason: our own tests", "reason: ''", "a reason has 1 to 500 characters"),
        ("name: staff", "name: Our Staff", "a name is made of small letters"),
        ("name: staff", "name: many", "line 11: a rule is called `many` in rules.yml, line 3 already"),
        ("kind: allow", "kind: allow\n    severity: low", "`severity` is of no use here"),
        ("kind: allow", "kind: block\n    severity: mild", "severity is 'mild'"),
        ("kind: allow", "kind: block\n    weight: 101", "weight is '101'"),
        ("kind: allow", "kind: allow\n    until: soon", "until is 'soon'; write a day"),
        ("kind: allow", "kind: allow\n    until: 2026-13-01", "until is '2026-13-01'; write a day"),
        ("kind: allow", "kind: allow\n    until: 9999-12-31", "until is '9999-12-31'; write a day"),
        ("kind: allow", "kind: allow\n    until: 9999-12-31T23:59:59-05:00", "until is '9999-12-31T23:59:59-05:00'"),
        ("kind: allow", "kind: allow\n    until: 2026-01-05T10:00:00", "names no time zone; write Z after it"),
        ("kind: allow", "kind: allow\n    since: 2026-01-02\n    until: 2026-01-01", "it would never be in force"),
        ("lists:", "lists: 3\nsnoozes:", "line 10: there must be a list under `lists:`"),
        (ALLOW, "lists:\n" + "  - {}\n" * 101, "there are 101 lists; at most 100 are taken"),
        (ALLOW, "snoozes:\n" + "  - {}\n" * 201, "there are 201 snoozes; at most 200 are taken"),
    ],
)
def test_a_wrong_list_is_refused_with_the_line_and_the_reason(tmp_path: Path, old: str, new: str, message: str) -> None:
    (tmp_path / "linked.txt").symlink_to("/etc/hostname")
    (tmp_path / "circle.txt").symlink_to("circle.txt")
    text = GOOD + ALLOW
    assert old in text
    with pytest.raises(RuleError, match=message) as error:
        rules(tmp_path, text.replace(old, new))
    assert str(error.value).startswith("rules.yml, ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("    until: 2026-01-05T10:00:01Z\n", "", "line 11, snooze: `until` is missing; a snooze has an end"),
        ("    reason: holder on tour\n", "", "snooze: `reason` is missing"),
        ("    user_id: u1\n", "", "it names nobody: say on whom"),
        ("user_id: u1", "user_id: ~", "user_id is ''; it must be text"),
        ("user_id: u1", "user_id: [u1]", "line 12: a plain value is needed, and this is seq"),
        ("user_id: u1", "merchant_id: m1\n    product_id: p1\n    who: u1", "line 14: `who` is not known"),
        ("rule: many", "rule: mny", "line 11, snooze: `mny` is no rule and no block list; did you mean `many`"),
        ("rule: many", "rule: staff", "`staff` is no rule and no block list"),
        ("watches: transactions\n    condition: txn_count_5m > 1", "watches: orders\n    condition: quantity > 1",
         "`many` watches orders, where there is no `merchant_id`"),
        ("until: 2026-01-05T10:00:01Z", "until: 2026-01-05 10:00", "names no time zone"),
    ],
)  # fmt: skip
def test_a_wrong_snooze_is_refused_with_the_line_and_the_reason(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    text = GOOD.replace("{txn_count_5m} ", "") + SNOOZE + ALLOW
    assert old in text
    text = text.replace(old, new)
    if "orders" in text:
        text = text.replace("user_id: u1", "merchant_id: m1")
    with pytest.raises(RuleError, match=message) as error:
        rules(tmp_path, text)
    assert str(error.value).startswith("rules.yml, ")
