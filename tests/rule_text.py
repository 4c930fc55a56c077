"""Rule files: one with one rule, and a list and a snooze to add to it; a test changes what matters."""

from __future__ import annotations

from pathlib import Path

from spark_jobs.rules.files import read_rules
from spark_jobs.rules.rule_set import RuleSet

GOOD = """
rules:
  - name: many
    watches: transactions
    condition: txn_count_5m > 1
    severity: low
    state: active
    reason: "{txn_count_5m} payments"
"""
ALLOW = """
lists:
  - name: staff
    kind: allow
    column: user_id
    values: [u1, u7]
    reason: our own tests
"""
BLOCK = ALLOW.replace("staff", "stolen").replace("allow", "block").replace("our own tests", "reported")
SNOOZE = """
snoozes:
  - rule: many
    user_id: u1
    until: 2026-01-05T10:00:01Z
    reason: holder on tour
"""


def rules(folder: Path, text: str, name: str = "rules.yml") -> RuleSet:
    """The set of one file."""
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return read_rules([file])
