"""What a rule and a rule set are, once they have been checked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from spark_jobs.rules.language import Condition
from spark_jobs.rules.lists import Snooze, ValueList

# With the points that a rule of this severity adds to the score of an event, unless it says otherwise.
SEVERITIES = {"low": 10, "medium": 25, "high": 50, "critical": 100}
ACTIVE, SHADOW, OFF = STATES = ("active", "shadow", "off")
QUIET, FIRES = WHEN_MISSING = ("quiet", "fires")
# What an alert may be about, by the feed that a rule watches; the first is the default.
ENTITIES = {
    "transactions": ("user_id", "merchant_id", "device_id", "payment_method_id"),
    "orders": ("user_id", "product_id"),
    "disputes": ("merchant_id", "user_id"),
}
LONGEST_COOL_DOWN = timedelta(days=30)
APPROVE, REVIEW, BLOCK = DECISIONS = ("approve", "review", "block")


@dataclass(frozen=True)
class Example:
    """An event on which a rule must fire, or must not: the values that matter; all others are missing."""

    fires: bool
    values: tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Rule:
    """One rule: fires where `condition` is true of an event of the feed that it `watches`.

    A `shadow` rule is evaluated and stored, and raises nothing. `weight` is what it adds to the score of the event (0
    to 100), `entity` what its alerts are about. `cool_down` is for how long an alert keeps the case of its entity
    open. `when_missing` says what a condition means that a missing value leaves open. `reason` is given as
    its pieces, of which each is a text, or the name of a column whose value stands there.
    """

    name: str
    watches: str
    condition: Condition
    severity: str
    state: str
    reason: tuple[tuple[str, bool], ...]
    typology: str
    weight: int
    cool_down: timedelta
    entity: str
    when_missing: str = QUIET
    examples: tuple[Example, ...] = field(default=(), compare=False)
    line: int = field(default=0, compare=False)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the condition or the reason use: the values that fire the rule."""
        return tuple(dict.fromkeys((*self.condition.columns, *(name for name, is_column in self.reason if is_column))))

    @property
    def reason_text(self) -> str:
        """The reason as it was written."""
        return "".join(f"{{{piece}}}" if is_column else piece for piece, is_column in self.reason)

    def as_dict(self) -> dict[str, object]:
        """The rule as its file says it, defaults filled in."""
        return {
            "name": self.name,
            "watches": self.watches,
            "condition": self.condition.text,
            "severity": self.severity,
            "state": self.state,
            "reason": self.reason_text,
            "typology": self.typology,
            "weight": self.weight,
            "cool_down_seconds": int(self.cool_down.total_seconds()),
            "entity": self.entity,
            "when_missing": self.when_missing,
        }


@dataclass(frozen=True)
class Thresholds:
    """From which score on (0 to 100) an event is to be reviewed, and from which on to be blocked."""

    review_at: int = 40
    block_at: int = 80


@dataclass(frozen=True)
class RuleSet:
    """All rules, lists and snoozes in force together, and the thresholds of each feed that they watch."""

    rules: tuple[Rule, ...] = ()
    thresholds: dict[str, Thresholds] = field(default_factory=dict)
    lists: tuple[ValueList, ...] = ()
    snoozes: tuple[Snooze, ...] = ()

    def of(self, feed: str, states: Collection[str] = (ACTIVE, SHADOW)) -> list[Rule]:
        """The rules that watch a feed, by default those that are evaluated."""
        return [rule for rule in self.rules if rule.watches == feed and rule.state in states]

    def lists_of(self, feed: str, kind: str) -> tuple[ValueList, ...]:
        """The lists of a kind that events of a feed are held against."""
        return tuple(one for one in self.lists if one.kind == kind and feed in one.feeds)

    def snoozes_of(self, feed: str, rule: str | None = None) -> tuple[Snooze, ...]:
        """The snoozes of a rule (or block list) on events of a feed; None for those of all rules."""
        return tuple(one for one in self.snoozes if one.rule == rule and feed in one.feeds)

    def thresholds_of(self, feed: str) -> Thresholds:
        """From which scores on events of a feed are to be reviewed or blocked."""
        return self.thresholds.get(feed, Thresholds())

    @property
    def named(self) -> dict[str, Rule | ValueList | Snooze]:
        """Rules, lists and snoozes by what they are called."""
        found: list[Rule | ValueList | Snooze] = [*self.rules, *self.lists, *self.snoozes]
        return {one.name: one for one in found}

    @property
    def value_files(self) -> list[Path]:
        """The files beside the rule files that values of lists were taken from."""
        return list(dict.fromkeys(one.source for one in self.lists if one.source))

    @cached_property
    def version(self) -> str:
        """Twelve hexadecimal digits that are the same for the same content, whatever its layout."""
        bounds = {feed: [t.review_at, t.block_at] for feed, t in sorted(self.thresholds.items())}
        parts = [_sorted(self.rules), _sorted(self.lists), _sorted(self.snoozes)]
        return hashlib.sha256(_as_json([*parts, bounds]).encode()).hexdigest()[:12]


def _sorted(ones: Iterable[Rule | ValueList | Snooze]) -> list[dict[str, object]]:
    return sorted((one.as_dict() for one in ones), key=_as_json)


def _as_json(value: object) -> str:
    return json.dumps(value, sort_keys=True)
