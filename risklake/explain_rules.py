"""Rules over one event, as an explanation shows them: what each looks at, whether it fires, what holds it back."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from risklake.facts import Facts
from spark_jobs.rules.evaluate import evaluate, fires, inputs, inputs_of_list, reason, reason_of_list
from spark_jobs.rules.held import is_listed
from spark_jobs.rules.lists import BLOCK_LIST, ValueList
from spark_jobs.rules.rule_set import ACTIVE, APPROVE, OFF, SHADOW, Rule, RuleSet


def judged(event: DataFrame, rules: RuleSet, feed: str) -> tuple[list[Facts], int, str]:
    """Of one event with its features (one row): each rule and block list, those that fire first; score and decision."""
    found: list[Rule | ValueList] = [*rules.of(feed, (ACTIVE, SHADOW, OFF)), *rules.lists_of(feed, BLOCK_LIST)]
    event = event.localCheckpoint(eager=False)
    row: Any = event.select(*(_evaluated(one).alias(one.name) for one in found)).head() if found else {}
    raised = {alert["rule"]: alert for alert in evaluate(event, rules, feed).collect()}
    facts = [_fact(one, row[one.name].asDict(), raised.get(one.name)) for one in found]
    first = next(iter(raised.values()), None)
    score, decision = (first["score"], first["decision"]) if first else (0, APPROVE)
    return sorted(facts, key=lambda one: (not one["fires"], -one["weight"], one["name"])), score, decision


# Built in the JVM step by step: once for each rule, where one session explains several events.
@lru_cache(maxsize=1024)
def _evaluated(one: Rule | ValueList) -> Column:
    if isinstance(one, Rule):
        fired, said, given = fires(one), reason(one), inputs(one)
    else:
        fired, said, given = F.coalesce(is_listed(one), F.lit(False)), reason_of_list(one), inputs_of_list(one)
    return F.struct(fired.alias("fires"), given.alias("inputs"), F.when(fired, said).alias("reason"))


def _fact(one: Rule | ValueList, found: Facts, raised: Row | None) -> Facts:
    return {
        "name": one.name,
        "state": one.state if isinstance(one, Rule) else one.kind,
        "severity": one.severity,
        "weight": one.weight,
        "condition": one.condition.text if isinstance(one, Rule) else one.condition_text,
        **found,
        "held_by": raised["held_by"] if raised else None,
    }
