"""What lists and snoozes are, once they have been checked: values that are known, and alerts that nobody wants now."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

ALLOW_LIST, BLOCK_LIST = KINDS = ("allow", "block")
IN_FORCE, EXPIRED, TO_COME = ("in force", "expired", "to come")


@dataclass(frozen=True)
class Validity:
    """Event times (UTC) from `since` on and before `until`; None for no bound."""

    since: datetime | None = None
    until: datetime | None = None

    def standing(self, now: datetime) -> str:
        """Whether events of a moment are within it: `in force`, `expired` or `to come`."""
        if self.until is not None and now >= self.until:
            return EXPIRED
        return TO_COME if self.since is not None and now < self.since else IN_FORCE

    def as_dict(self) -> dict[str, object]:
        """Both bounds as text; None for no bound."""
        return {"since": _text(self.since), "until": _text(self.until)}


@dataclass(frozen=True)
class ValueList:
    """Values of a text column, which the events of `feeds` are held against.

    An event on an `allow` list raises no alert of a rule. An event on a `block` list raises one of the name of the
    list, of its `severity`, `weight` (0 to 100), `typology` and `cool_down`, which say nothing of an `allow` list.
    `source` is the file that the values were taken from, if they have one of their own.
    """

    name: str
    kind: str
    column: str
    feeds: tuple[str, ...]
    values: frozenset[str]
    validity: Validity
    reason: str
    severity: str
    weight: int
    typology: str
    cool_down: timedelta
    source: Path | None = field(default=None, compare=False)
    line: int = field(default=0, compare=False)

    @property
    def condition_text(self) -> str:
        """What it asks of an event, in words."""
        bounds = [f"{name} {moment}" for name, moment in self.validity.as_dict().items() if moment]
        return ", ".join([f"{self.column} is one of {len(self.values):,} values", *bounds])

    @property
    def held_by(self) -> str:
        """What an alert says that an allow list holds back."""
        return f"allow list {self.name}: {self.reason}"

    def as_dict(self) -> dict[str, object]:
        """The list as its file says it, defaults filled in."""
        said = {"name": self.name, "kind": self.kind, "column": self.column, "watches": list(self.feeds)}
        raised = {
            "severity": self.severity,
            "weight": self.weight,
            "typology": self.typology,
            "cool_down_seconds": int(self.cool_down.total_seconds()),
        }
        return {
            **said,
            "values": sorted(self.values),
            **self.validity.as_dict(),
            "reason": self.reason,
            **(raised if self.kind == BLOCK_LIST else {}),
        }


@dataclass(frozen=True)
class Snooze:
    """Alerts of a rule (of all rules, if it names none) that are not raised on events that hold all values of `on`.

    `on` is given as pairs of a text column and its value; `feeds` are those that have all these columns. The
    `validity` always has an end.
    """

    rule: str | None
    on: tuple[tuple[str, str], ...]
    feeds: tuple[str, ...]
    validity: Validity
    reason: str
    line: int = field(default=0, compare=False)

    @property
    def name(self) -> str:
        """What it is called where rules and lists are called by their names."""
        return f"snooze of {self.rule or 'all rules'} on {self.on_text} until {_text(self.validity.until)}"

    @property
    def on_text(self) -> str:
        """The values in words."""
        return " and ".join(f"{column} {value}" for column, value in self.on)

    @property
    def held_by(self) -> str:
        """What an alert says that it holds back."""
        return f"snoozed until {_text(self.validity.until)}: {self.reason}"

    def as_dict(self) -> dict[str, object]:
        """The snooze as its file says it."""
        return {"rule": self.rule, "on": dict(self.on), **self.validity.as_dict(), "reason": self.reason}


def _text(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z") if moment else None
