"""Rule sets: YAML files, checked rule by rule before a single one is used."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lake.errors import RuleError
from lake.settings import Settings

SHIPPED = Path(__file__).with_name("rules") / "transactions.yml"
SEVERITIES = ("low", "medium", "high", "critical")
STATES = ("active", "off")
WATCHED = ("transactions",)

_KEYS = {"name", "watches", "condition", "severity", "state", "typology", "reason"}
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Rule:
    """One rule: fires where `condition` (Spark SQL over fields and features) is true."""

    name: str
    watches: str
    condition: str
    severity: str
    state: str
    reason: str
    typology: str = ""

    @property
    def placeholders(self) -> list[str]:
        """Columns that the reason names, in order."""
        return _PLACEHOLDER.findall(self.reason)

    def columns(self, known: list[str]) -> list[str]:
        """The known columns that condition or reason use: the values that fire the rule."""
        words = set(re.findall(r"\w+", self.condition)) | set(self.placeholders)
        return [name for name in known if name in words]


def load_rules(settings: Settings) -> list[Rule]:
    """The active rules of the configured file. Raises `RuleError` naming file, rule and reason."""
    file = Path(settings.rules_file).expanduser() if settings.rules_file else SHIPPED
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise RuleError(
            f"The rule file {file} cannot be read ({error.strerror}). Set RISKLAKE_RULES_FILE "
            "to a YAML file, or leave it empty for the shipped rules"
        ) from error
    except yaml.YAMLError as error:
        raise RuleError(f"{file.name} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict) or not isinstance(content.get("rules"), list):
        raise RuleError(f"{file.name} must hold a list under `rules:`")
    rules = [_rule(item, file.name, position) for position, item in enumerate(content["rules"], start=1)]
    names = [rule.name for rule in rules]
    for name in names:
        if names.count(name) > 1:
            raise RuleError(f"{file.name}: two rules are called `{name}`; give each its own name")
    return [rule for rule in rules if rule.state == "active"]


def _rule(item: Any, file: str, position: int) -> Rule:
    where = f"{file}, rule {position}"
    if not isinstance(item, dict):
        raise RuleError(f"{where}: {item!r} is no rule; write name, condition, severity, state and reason")
    where = f"{where} ({item.get('name', 'without name')})"
    unknown, missing = set(item) - _KEYS, _KEYS - {"typology"} - set(item)
    if unknown or missing:
        wrong = f"`{sorted(unknown)[0]}` is not known" if unknown else f"`{sorted(missing)[0]}` is missing"
        raise RuleError(f"{where}: {wrong}. A rule has {', '.join(sorted(_KEYS))}")
    rule = Rule(**{key: str(value).strip() for key, value in item.items()})
    for key, allowed in (("severity", SEVERITIES), ("state", STATES), ("watches", WATCHED)):
        if getattr(rule, key) not in allowed:
            raise RuleError(f"{where}: {key} is {getattr(rule, key)!r}; it must be one of {', '.join(allowed)}")
    if not re.fullmatch(r"[a-z][a-z0-9_]*", rule.name):
        raise RuleError(f"{where}: a name is made of small letters, digits and underscores")
    return rule
