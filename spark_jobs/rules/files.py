"""Rule files: YAML, read with its line numbers and checked as a whole before a single rule of it is used.

Only plain text is taken from the YAML: no tags, no aliases, no key twice. So a file can neither make objects nor blow
up in memory, and a mistake is named with its line.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from string import Formatter

import yaml

from lake.errors import RuleError
from lake.settings import Settings
from spark_jobs.rules import watched
from spark_jobs.rules.examples import checked_values
from spark_jobs.rules.language import Kind, parsed, unknown_name
from spark_jobs.rules.rule_set import (
    ENTITIES,
    LONGEST_COOL_DOWN,
    QUIET,
    SEVERITIES,
    STATES,
    WHEN_MISSING,
    Example,
    Rule,
    RuleSet,
    Thresholds,
)

SHIPPED = Path(__file__).parent
SUFFIXES = (".yml", ".yaml")
MOST_BYTES = 2**20
MOST_RULES = 500
_MOST_REASON = 500

_REQUIRED = ("name", "watches", "condition", "severity", "state", "reason")
_OPTIONAL = ("typology", "weight", "cool_down", "entity", "when_missing")
_EXAMPLES = "tests"
_SET_KEYS = ("rules", "review_at", "block_at")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_SPAN = re.compile(r"(\d{1,6}) ?(second|minute|hour|day)s?")
_PLAIN_TAGS = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null", "timestamp")}

_Entries = dict[str, yaml.Node]


def rule_files(settings: Settings) -> list[Path]:
    """The configured rule file, or all of the configured folder; by default the shipped ones."""
    place = Path(settings.rules_file).expanduser() if settings.rules_file else SHIPPED
    if not place.is_dir():
        return [place]
    found = sorted(file for file in place.iterdir() if file.suffix in SUFFIXES and file.name[0] not in "._")
    if not found:
        raise RuleError(f"The folder {place} holds no rule file (*.yml)")
    return found


def load_rules(settings: Settings) -> RuleSet:
    """The rule set that the settings name. Raises `RuleError` with file, line, rule and reason."""
    return read_rules(rule_files(settings))


def read_rules(files: Iterable[Path]) -> RuleSet:
    """The rules of some files as one set. Raises `RuleError` with file, line, rule and reason."""
    rules: list[Rule] = []
    thresholds: dict[str, tuple[str, Thresholds]] = {}
    places: dict[str, str] = {}
    for file in files:
        found, bounds = _rules_of(file)
        for rule in found:
            if rule.name in places:
                raise RuleError(
                    f"{file.name}, line {rule.line}: a rule is called `{rule.name}` in {places[rule.name]} already; "
                    "give each its own name"
                )
            places[rule.name] = f"{file.name}, line {rule.line}"
            other, known = thresholds.setdefault(rule.watches, (file.name, bounds))
            if known != bounds:
                raise RuleError(
                    f"{file.name} and {other} set other thresholds (review_at, block_at) for {rule.watches}; "
                    "only one can be in force"
                )
        rules += found
    return RuleSet(tuple(rules), {feed: bounds for feed, (_, bounds) in thresholds.items()})


class _Loader(yaml.SafeLoader):
    """Refuses aliases, by which a small file becomes a large tree."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            line = self.peek_event().start_mark.line + 1
            raise RuleError(f"line {line}: a YAML alias (*name) has no place in a rule file; write the value again")
        return super().compose_node(parent, index)


def _rules_of(file: Path) -> tuple[list[Rule], Thresholds]:
    text = _text(file)
    try:
        root = yaml.compose(text, Loader=_Loader)
        if root is None:
            raise RuleError("there is no rule in it; write a list under `rules:`")
        entries = _entries(root, _SET_KEYS, what="a rule set")
        listed = entries.get("rules")
        if not isinstance(listed, yaml.SequenceNode):
            raise RuleError(f"line {_line(listed or root)}: there must be a list under `rules:`")
        if len(listed.value) > MOST_RULES:
            raise RuleError(f"there are {len(listed.value):,} rules; at most {MOST_RULES} are taken")
        return [_rule(node) for node in listed.value], _thresholds(entries)
    except RuleError as error:
        raise RuleError(f"{file.name}, {error}") from error
    except RecursionError as error:
        raise RuleError(f"{file.name}: the YAML is nested too deeply") from error
    except yaml.YAMLError as error:
        raise RuleError(f"{file.name} is not valid YAML: {' '.join(str(error).split())[:300]}") from error


def _text(file: Path) -> str:
    try:
        if file.stat().st_size > MOST_BYTES:
            raise RuleError(f"{file.name} has {file.stat().st_size:,} bytes; at most {MOST_BYTES:,} are taken")
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise RuleError(f"{file.name} is no UTF-8 text (byte {error.start:,})") from error
    except OSError as error:
        raise RuleError(
            f"The rule file {file} cannot be read ({error.strerror}). Set RISKLAKE_RULES_FILE to a YAML file or a "
            "folder of them, or leave it empty for the shipped rules"
        ) from error


def _rule(node: yaml.Node) -> Rule:
    entries = _entries(node, (*_REQUIRED, *_OPTIONAL, _EXAMPLES), what="a rule")
    where = f"line {_line(node)}, rule `{_scalar(entries['name']) if 'name' in entries else 'without a name'}`"
    try:
        for key in _REQUIRED:
            if key not in entries:
                raise RuleError(f"`{key}` is missing; a rule has {', '.join(_REQUIRED)}, and may have more")
        listed = entries.pop(_EXAMPLES, None)
        rule = _checked({key: _scalar(value) for key, value in entries.items()}, _line(node))
        return replace(rule, examples=tuple(_examples(listed, rule.watches))) if listed is not None else rule
    except RuleError as error:
        raise RuleError(f"{where}: {error}") from error


def _checked(given: dict[str, str], line: int) -> Rule:
    if not _NAME.fullmatch(given["name"]):
        raise RuleError("a name is made of small letters, digits and underscores, at most 64")
    feed = _one_of(given, "watches", watched.FEEDS)
    known = watched.kinds(feed)
    severity = _one_of(given, "severity", SEVERITIES)
    if given.get("typology") and not _NAME.fullmatch(given["typology"]):
        raise RuleError(f"typology is {given['typology']!r}; it is made of small letters, digits and underscores")
    return Rule(
        name=given["name"],
        watches=feed,
        condition=parsed(given["condition"], known),
        severity=severity,
        state=_one_of(given, "state", STATES),
        reason=_pieces(given["reason"], known),
        typology=given.get("typology", ""),
        weight=_whole(given["weight"], "weight", 0, 100) if "weight" in given else SEVERITIES[severity],
        cool_down=_span(given.get("cool_down", "1 hour")),
        entity=_one_of(given, "entity", ENTITIES[feed], default=ENTITIES[feed][0]),
        when_missing=_one_of(given, "when_missing", WHEN_MISSING, default=QUIET),
        line=line,
    )


def _examples(node: yaml.Node, feed: str) -> Iterator[Example]:
    if not isinstance(node, yaml.SequenceNode):
        raise RuleError(f"line {_line(node)}: under `tests:` comes a list of `fires: {{…}}` and `quiet: {{…}}`")
    for item in node.value:
        for key, values in _entries(item, ("fires", "quiet"), what="a test").items():
            given = {name: _scalar(value) for name, value in _entries(values, None, what="a test").items()}
            try:
                yield Example(key == "fires", checked_values(feed, given))
            except RuleError as error:
                raise RuleError(f"line {_line(item)}: {error}") from error


def _thresholds(entries: _Entries) -> Thresholds:
    given = {key: entries[key] for key in ("review_at", "block_at") if key in entries}
    try:
        found = Thresholds(**{key: _whole(_scalar(node), key, 0, 100) for key, node in given.items()})
    except RuleError as error:
        raise RuleError(f"line {_line(next(iter(given.values())))}: {error}") from error
    if found.review_at > found.block_at:
        raise RuleError(f"review_at is {found.review_at} and block_at {found.block_at}; review comes before block")
    return found


def _pieces(text: str, known: dict[str, Kind]) -> tuple[tuple[str, bool], ...]:
    if not text or len(text) > _MOST_REASON:
        raise RuleError(f"a reason has 1 to {_MOST_REASON} characters, and this one {len(text):,}")
    pieces: list[tuple[str, bool]] = []
    try:
        for before, name, form, conversion in Formatter().parse(text):
            pieces += [(before, False)] if before else []
            if name is None:
                continue
            if form or conversion or name not in known:
                raise RuleError(f"the reason names {{{name}}}: {unknown_name(name, known)}")
            pieces.append((name, True))
    except ValueError as error:
        raise RuleError("the reason has a brace without its other half; {column} stands for a value") from error
    return tuple(pieces)


def _one_of(given: dict[str, str], key: str, allowed: Collection[str], default: str | None = None) -> str:
    value = given.get(key, default)
    if value not in allowed:
        raise RuleError(f"{key} is {value!r}; it must be one of {', '.join(allowed)}")
    return str(value)


def _whole(text: str, key: str, lowest: int, highest: int) -> int:
    if not re.fullmatch(r"\d{1,9}", text) or not lowest <= int(text) <= highest:
        raise RuleError(f"{key} is {text!r}; it must be a whole number from {lowest} to {highest}")
    return int(text)


def _span(text: str) -> timedelta:
    found = _SPAN.fullmatch(text)
    span = timedelta(**{f"{found[2]}s": int(found[1])}) if found else None
    if span is None or span > LONGEST_COOL_DOWN:
        raise RuleError(f"cool_down is {text!r}; write it as `30 minutes` or `2 hours`, at most 30 days")
    return span


def _entries(node: yaml.Node, known: Collection[str] | None, *, what: str) -> _Entries:
    """The entries of a mapping by their keys. Raises `RuleError` for another node, an unknown key, or one key twice."""
    if not isinstance(node, yaml.MappingNode):
        raise RuleError(f"line {_line(node)}: this is no mapping; {what} has {', '.join(known or ['columns'])}")
    found: _Entries = {}
    for key_node, value in node.value:
        key = key_node.value if isinstance(key_node, yaml.ScalarNode) else "…"
        if known is not None and key not in known:
            raise RuleError(f"line {_line(key_node)}: `{key}` is not known. What {what} has: {', '.join(known)}")
        if key in found:
            raise RuleError(f"line {_line(key_node)}: `{key}` stands there twice")
        found[key] = value
    return found


def _scalar(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode) or node.tag not in _PLAIN_TAGS:
        raise RuleError(f"line {_line(node)}: a plain value is needed, and this is {node.tag.rsplit(':', 1)[-1]}")
    return str(node.value).strip()


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
