"""The sections `lists` and `snoozes` of a rule file: what they may say, and how a mistake in them is named."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import yaml

from lake.errors import RuleError
from spark_jobs.rules import watched
from spark_jobs.rules.functions import Kind
from spark_jobs.rules.language import MOST_TEXT, unknown_name
from spark_jobs.rules.lists import BLOCK_LIST, KINDS, Snooze, Validity, ValueList
from spark_jobs.rules.plain_yaml import (
    MOST_REASON,
    Entries,
    cool_down_of,
    entries_of,
    line_of,
    name_of,
    one_of,
    require,
    scalar,
    text_of,
    typology_of,
    whole,
)
from spark_jobs.rules.rule_set import ENTITIES, SEVERITIES

MOST_LISTS = 100
MOST_SNOOZES = 200
MOST_VALUES = 10_000

_LIST_REQUIRED = ("name", "kind", "column", "reason")
_OF_ALERTS = ("severity", "weight", "typology", "cool_down")
_LIST_KEYS = (*_LIST_REQUIRED, "values", "file", "watches", "since", "until", *_OF_ALERTS)
_SNOOZE_REQUIRED = ("until", "reason")
_ENTITIES = tuple(dict.fromkeys(name for names in ENTITIES.values() for name in names))
_SNOOZE_KEYS = ("rule", *_ENTITIES, "since", *_SNOOZE_REQUIRED)
_VALUE_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}\.txt")


def lists_of(node: yaml.Node, folder: Path) -> list[ValueList]:
    """The lists of a rule file that lies in a folder. Raises `RuleError` with line, list and reason."""
    return [_list(item, folder) for item in _items(node, "lists", MOST_LISTS)]


def snoozes_of(node: yaml.Node) -> list[Snooze]:
    """The snoozes of a rule file. Raises `RuleError` with line and reason."""
    return [_snooze(item) for item in _items(node, "snoozes", MOST_SNOOZES)]


def _items(node: yaml.Node, what: str, most: int) -> list[yaml.Node]:
    if not isinstance(node, yaml.SequenceNode):
        raise RuleError(f"line {line_of(node)}: there must be a list under `{what}:`")
    if len(node.value) > most:
        raise RuleError(f"line {line_of(node)}: there are {len(node.value):,} {what}; at most {most:,} are taken")
    return list(node.value)


def _list(node: yaml.Node, folder: Path) -> ValueList:
    entries = entries_of(node, _LIST_KEYS, what="a list")
    where = f"line {line_of(node)}, list `{scalar(entries['name']) if 'name' in entries else 'without a name'}`"
    try:
        require(entries, _LIST_REQUIRED, what="a list")
        values, source = _values(entries, folder)
        return _checked_list({key: scalar(value) for key, value in entries.items()}, values, source, line_of(node))
    except RuleError as error:
        raise RuleError(f"{where}: {error}") from error


def _checked_list(given: dict[str, str], values: frozenset[str], source: Path | None, line: int) -> ValueList:
    kind = one_of(given, "kind", KINDS)
    if kind != BLOCK_LIST and (vain := [key for key in _OF_ALERTS if key in given]):
        raise RuleError(f"`{vain[0]}` is of no use here: only a list of the kind block raises alerts")
    severity = one_of(given, "severity", SEVERITIES, default="critical")
    feeds = (one_of(given, "watches", watched.FEEDS),) if "watches" in given else watched.JUDGED
    return ValueList(
        name=name_of(given),
        kind=kind,
        column=given["column"],
        feeds=_feeds_with([given["column"]], feeds),
        values=values,
        validity=_validity(given),
        reason=_reason(given),
        severity=severity,
        weight=whole(given["weight"], "weight", 0, 100) if "weight" in given else SEVERITIES[severity],
        typology=typology_of(given),
        cool_down=cool_down_of(given),
        source=source,
        line=line,
    )


def _snooze(node: yaml.Node) -> Snooze:
    entries = entries_of(node, _SNOOZE_KEYS, what="a snooze")
    try:
        if "until" not in entries:
            raise RuleError("`until` is missing; a snooze has an end. For good, write an allow list or change the rule")
        require(entries, _SNOOZE_REQUIRED, what="a snooze")
        on = tuple((name, _value(entries[name], name)) for name in _ENTITIES if name in entries)
        given = {key: scalar(value) for key, value in entries.items()}
        if not on:
            raise RuleError(
                f"it names nobody: say on whom ({', '.join(_ENTITIES)}). A whole rule is silenced by `state: shadow`"
            )
        feeds = _feeds_with([name for name, _ in on], watched.FEEDS)
        return Snooze(given.get("rule"), on, feeds, _validity(given), _reason(given), line_of(node))
    except RuleError as error:
        raise RuleError(f"line {line_of(node)}, snooze: {error}") from error


def _feeds_with(columns: Sequence[str], feeds: Sequence[str]) -> tuple[str, ...]:
    """Those of some feeds whose events have all columns as text. Raises `RuleError` if none has."""
    known = {feed: watched.kinds(feed) for feed in feeds}
    texts = {feed: {name for name, kind in of_feed.items() if kind is Kind.TEXT} for feed, of_feed in known.items()}
    found = tuple(feed for feed in feeds if texts[feed].issuperset(columns))
    if found:
        return found
    for name in columns:
        kinds = {of_feed[name] for of_feed in known.values() if name in of_feed}
        if not kinds:
            raise RuleError(unknown_name(name, sorted(set().union(*texts.values()))))
        if Kind.TEXT not in kinds:
            raise RuleError(f"`{name}` is {kinds.pop().value}, and only columns of text can be listed")
    raise RuleError(f"no feed has {' and '.join(f'`{name}`' for name in columns)} together")


def _values(entries: Entries, folder: Path) -> tuple[frozenset[str], Path | None]:
    """The values of a list, taken out of its entries, and the file they stand in, if it is another."""
    listed, named = entries.pop("values", None), entries.pop("file", None)
    if (listed is None) == (named is None):
        raise RuleError("it has either `values`, a list of them, or `file`, a text file with one a line")
    source = _value_file(scalar(named), folder) if named is not None else None
    values = _lines(source) if source else _inline(listed)
    if not values:
        raise RuleError("it holds no value; take it out, or say which")
    if len(values) > MOST_VALUES:
        raise RuleError(f"it holds {len(values):,} values; at most {MOST_VALUES:,} are taken. A rule may say it better")
    return frozenset(values), source


def _inline(node: yaml.Node | None) -> list[str]:
    if not isinstance(node, yaml.SequenceNode):
        raise RuleError("under `values:` comes a list, such as [m1, m2]")
    return [_value(item, f"line {line_of(item)}: a value") for item in node.value]


def _value_file(name: str, folder: Path) -> Path:
    file = folder / name
    if not _VALUE_FILE.fullmatch(name) or not _is_in(folder, file):
        raise RuleError(f"file is {name!r}; it must be the name of a text file (*.txt) beside the rule file")
    return file


def _is_in(folder: Path, file: Path) -> bool:
    try:
        return file.resolve().parent == folder.resolve()
    except RuntimeError:  # links in a circle
        return False


def _lines(file: Path) -> list[str]:
    """The values of a file: one a line; empty lines and those that begin with # are passed over."""
    try:
        lines = [line.strip() for line in text_of(file).split("\n")]
    except OSError as error:
        raise RuleError(f"the file {file.name} cannot be read ({error.strerror}); it must lie beside it") from error
    numbered = [(number, line) for number, line in enumerate(lines, start=1) if line and line[0] != "#"]
    return [_seen(line, f"{file.name}, line {number}: a value") for number, line in numbered]


def _value(node: yaml.Node, what: str) -> str:
    # As written: the country NO is no truth value, and 007 no number.
    return _seen("" if node.tag.endswith(":null") else scalar(node), what)


def _seen(text: str, what: str) -> str:
    if not 0 < len(text) <= MOST_TEXT or not text.isprintable():
        raise RuleError(f"{what} is {text[:60]!r}; it must be text of 1 to {MOST_TEXT} characters that can be seen")
    return text


def _reason(given: dict[str, str]) -> str:
    text = given["reason"]
    if not 0 < len(text) <= MOST_REASON:
        raise RuleError(f"a reason has 1 to {MOST_REASON} characters, and this one {len(text):,}")
    return text


def _validity(given: dict[str, str]) -> Validity:
    since, until = _moment(given, "since", timedelta()), _moment(given, "until", timedelta(days=1))
    if since is not None and until is not None and since >= until:
        raise RuleError(f"since is {given['since']!r} and until {given['until']!r}; it would never be in force")
    return Validity(since, until)


def _moment(given: dict[str, str], key: str, of_day: timedelta) -> datetime | None:
    """A bound in UTC; where a day is given, so long after it begins."""
    text = given.get(key)
    try:
        if text is None:
            return None
        if (day := _day(text)) is not None:
            return datetime.combine(day, time.min, UTC) + of_day
        moment = datetime.fromisoformat(text)
        in_utc = None if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise RuleError(f"{key} is {text!r}; write a day (2026-12-31) or a time (2026-12-31T06:00:00Z)") from error
    if in_utc is None:
        raise RuleError(f"{key} is {text!r}, which names no time zone; write Z after it for UTC")
    return in_utc


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
