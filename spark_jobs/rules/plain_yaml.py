"""YAML read as plain text with its line numbers: no tags, no aliases, no key twice.

So a file can neither make objects nor blow up in memory, and a mistake in it is named with its line.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import timedelta
from pathlib import Path

import yaml

from lake.errors import RuleError
from spark_jobs.rules.rule_set import LONGEST_COOL_DOWN

MOST_BYTES = 2**20
MOST_REASON = 500
NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")

# Half of a character beyond the first 65,536; by itself it cannot be written as UTF-8.
_HALF = re.compile("[\ud800-\udfff]")
_SPAN = re.compile(r"(\d{1,6}) ?(second|minute|hour|day)s?")
_PLAIN_TAGS = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null", "timestamp")}

Entries = dict[str, yaml.Node]


class _Loader(yaml.SafeLoader):
    """Refuses aliases, by which a small file becomes a large tree, and escapes that stand for no character."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            line = self.peek_event().start_mark.line + 1
            raise RuleError(f"line {line}: a YAML alias (*name) has no place in a rule file; write the value again")
        node = super().compose_node(parent, index)
        if isinstance(node, yaml.ScalarNode) and _HALF.search(node.value):
            raise RuleError(f"line {line_of(node)}: an escape (\\u…) stands for half of a character only")
        return node


def composed(text: str) -> yaml.Node | None:
    """The tree of a YAML text; None if there is nothing in it. Raises `RuleError`, or an error of YAML."""
    try:
        return yaml.compose(text, Loader=_Loader)
    except (ValueError, OverflowError) as error:
        raise RuleError("an escape (\\U…) stands for no character") from error


def text_of(file: Path) -> str:
    """The text of a file. Raises `RuleError` if it cannot be read, is too large, or is no UTF-8."""
    try:
        if file.stat().st_size > MOST_BYTES:
            raise RuleError(f"{file.name} has {file.stat().st_size:,} bytes; at most {MOST_BYTES:,} are taken")
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise RuleError(f"{file.name} is no UTF-8 text (byte {error.start:,})") from error


def entries_of(node: yaml.Node, known: Collection[str] | None, *, what: str) -> Entries:
    """The entries of a mapping by their keys. Raises `RuleError` for another node, an unknown key, or one key twice."""
    if not isinstance(node, yaml.MappingNode):
        raise RuleError(f"line {line_of(node)}: this is no mapping; {what} has {', '.join(known or ['columns'])}")
    found: Entries = {}
    for key_node, value in node.value:
        key = key_node.value if isinstance(key_node, yaml.ScalarNode) else "…"
        if known is not None and key not in known:
            raise RuleError(f"line {line_of(key_node)}: `{key}` is not known. What {what} has: {', '.join(known)}")
        if key in found:
            raise RuleError(f"line {line_of(key_node)}: `{key}` stands there twice")
        found[key] = value
    return found


def require(entries: Entries, keys: Collection[str], *, what: str) -> None:
    """Raises `RuleError` naming a key that must be there and is not."""
    for key in keys:
        if key not in entries:
            raise RuleError(f"`{key}` is missing; {what} has {', '.join(keys)}, and may have more")


def scalar(node: yaml.Node) -> str:
    """A plain value as it was written, whatever YAML takes it for. Raises `RuleError` for a list or a mapping."""
    if not isinstance(node, yaml.ScalarNode) or node.tag not in _PLAIN_TAGS:
        raise RuleError(f"line {line_of(node)}: a plain value is needed, and this is {node.tag.rsplit(':', 1)[-1]}")
    return str(node.value).strip()


def line_of(node: yaml.Node) -> int:
    """The line that a node begins on, from 1."""
    return int(node.start_mark.line) + 1


def one_of(given: dict[str, str], key: str, allowed: Collection[str], default: str | None = None) -> str:
    """One of some words. Raises `RuleError` for another."""
    value = given.get(key, default)
    if value not in allowed:
        raise RuleError(f"{key} is {value!r}; it must be one of {', '.join(allowed)}")
    return str(value)


def name_of(given: dict[str, str]) -> str:
    """The `name` of something. Raises `RuleError` if it is none."""
    if not NAME.fullmatch(given["name"]):
        raise RuleError("a name is made of small letters, digits and underscores, at most 64")
    return given["name"]


def typology_of(given: dict[str, str]) -> str:
    """The `typology` that alerts are to have, empty if none is said. Raises `RuleError` if it is none."""
    if given.get("typology") and not NAME.fullmatch(given["typology"]):
        raise RuleError(f"typology is {given['typology']!r}; it is made of small letters, digits and underscores")
    return given.get("typology", "")


def whole(text: str, key: str, lowest: int, highest: int) -> int:
    """A whole number within bounds. Raises `RuleError` for anything else."""
    if not re.fullmatch(r"\d{1,9}", text) or not lowest <= int(text) <= highest:
        raise RuleError(f"{key} is {text!r}; it must be a whole number from {lowest} to {highest}")
    return int(text)


def cool_down_of(given: dict[str, str]) -> timedelta:
    """The `cool_down` that alerts are to have, an hour if none is said. Raises `RuleError` if it is none."""
    text = given.get("cool_down", "1 hour")
    found = _SPAN.fullmatch(text)
    span = timedelta(**{f"{found[2]}s": int(found[1])}) if found else None
    if span is None or span > LONGEST_COOL_DOWN:
        raise RuleError(f"cool_down is {text!r}; write it as `30 minutes` or `2 hours`, at most 30 days")
    return span
