"""Rule files that are offered to a running stream, as an analyst would: a right one, wrong ones, dangerous ones."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from pyspark.sql import Row, SparkSession

from lake import storage
from lake.catalog import ALERTS
from lake.settings import Settings
from spark_jobs.rules.book import SETTLED_SECONDS
from tests.rule_text import GOOD
from tests.test_end_to_end import BIN, environment, wait_for

# Each offer takes some micro-batches of a stream that has just started, and another test may run beside it.
pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(1200)]

# What is put in the place of the condition, and what the stream says of it.
REFUSED = {
    "no_such_field > 1": "no_such_field",
    f"country like '{'%a' * 1500}'": "at most 2,000 are taken",
    "country rlike '(a+)+$'": "no part of the rule language",
    "__import__('os').system('touch /tmp/x') = 0": "no part of the rule language",
    "txn_count_5m > 1; drop table alerts.alerts": "must be one expression",
}


@dataclass
class Running:
    """A stream whose rules stand in a file, and what it says."""

    spark: SparkSession
    settings: Settings
    rules: Path
    log: Path
    pay: Callable[[str], None]

    def offer(self, text: str) -> None:
        """Put another file into the place of the one that is there, and let it rest."""
        new = self.rules.with_suffix(".new")
        new.write_text(text, encoding="utf-8")
        new.rename(self.rules)
        time.sleep(SETTLED_SECONDS + 0.1)

    def alerts_of(self, user: str) -> set[tuple[str, str]]:
        """Pay twice as a user; then the rule and rule set of each alert on that."""
        self.pay(user)
        assert wait_for(lambda: len(self._alerts(user)) == 2), self.said()
        return {(row["rule"], row["rule_set"]) for row in self._alerts(user)}

    def _alerts(self, user: str) -> list[Row]:
        return storage.read(self.spark, self.settings, ALERTS.name).where(f"user_id = '{user}'").collect()

    def said(self) -> str:
        """What the stream has printed."""
        return self.log.read_text(encoding="utf-8")


def test_a_right_file_is_taken_with_the_next_micro_batch_and_others_are_refused_with_the_reason(
    spark: SparkSession,
    settings: Settings,
    land: Callable[..., Path],
    transaction: Callable[..., str],
    tmp_path: Path,
) -> None:
    rules, log = tmp_path / "rules.yml", tmp_path / "stream.log"
    rules.write_text(GOOD, encoding="utf-8")

    def pay(user: str) -> None:
        land([transaction(f"{user}-{n}", user_id=user) for n in range(2)], f"{user}.jsonl")

    with log.open("w", encoding="utf-8") as out:
        stream = subprocess.Popen(
            [str(BIN / "risklake"), "stream"],
            env=environment(settings, RISKLAKE_RULES_FILE=str(rules)),
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    running = Running(spark, settings, rules, log, pay)
    try:
        [(rule, first_set)] = running.alerts_of("first")
        assert rule == "many"
        running.offer(GOOD.replace("name: many", "name: several"))
        [(rule, second_set)] = running.alerts_of("second")
        assert rule == "several"
        assert second_set != first_set
        for number, (condition, reason) in enumerate(REFUSED.items()):
            running.offer(GOOD.replace("txn_count_5m > 1", f'"{condition}"'))
            assert running.alerts_of(f"refused-{number}") == {(rule, second_set)}
            refusal = running.said().strip().split(f"rules refused, set {second_set} stays in force: ")[-1]
            assert refusal.startswith("rules.yml, line 3, rule `many`: ")
            assert reason in refusal
        assert stream.poll() is None
    finally:
        os.kill(stream.pid, signal.SIGTERM)
        stream.wait(timeout=60)
    assert stream.returncode == 0, running.said()
    assert "Traceback" not in running.said()
