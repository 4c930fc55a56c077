"""Rule files: YAML, checked as a whole before a single rule, list or snooze of it is used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from string import Formatter

import yaml

from lake.errors import RuleError
from lake.settings import Settings
from spark_jobs.rules import watched
from spark_jobs.rules.examples import checked_values
from spark_jobs.rules.functions import Kind
from spark_jobs.rules.language import parsed, unknown_name
from spark_jobs.rules.list_entries import lists_of, snoozes_of
from spark_jobs.rules.lists import BLOCK_LIST, Snooze, ValueList
from spark_jobs.rules.plain_yaml import (
    MOST_REASON,
    Entries,
    composed,
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
from spark_jobs.rules.rule_set import (
    ENTITIES,
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
MOST_RULES = 500

_REQUIRED = ("name", "watches", "condition", "severity", "state", "reason")
_OPTIONAL = ("typology", "weight", "cool_down", "entity", "when_missing")
_EXAMPLES = "tests"
_SECTIONS = ("rules", "lists", "snoozes")
_SET_KEYS = (*_SECTIONS, "review_at", "block_at")


@dataclass(frozen=True)
class _Content:
    """What one file says."""

    file: Path
    rules: list[Rule]
    lists: list[ValueList]
    snoozes: list[Snooze]
    thresholds: Thresholds

    def place(self, one: Rule | ValueList | Snooze) -> str:
        return f"{self.file.name}, line {one.line}"


def rule_files(settings: Settings) -> list[Path]:
    """The configured rule file, or all of the configured folder; by default the shipped ones.

    Raises `RuleError` for a folder that holds none, or that cannot be read.
    """
    place = Path(settings.rules_file).expanduser() if settings.rules_file else SHIPPED
    try:
        if not place.is_dir():
            return [place]
        found = sorted(file for file in place.iterdir() if file.suffix in SUFFIXES and file.name[0] not in "._")
    except OSError as error:
        raise RuleError(f"The rules at {place} cannot be read ({error.strerror})") from error
    if not found:
        raise RuleError(f"The folder {place} holds no rule file (*.yml)")
    return found


def text_files(files: Iterable[Path]) -> list[Path]:
    """The text files beside some rule files, from which lists may take their values."""
    folders = {file.parent for file in files}
    try:
        return sorted({text for folder in folders for text in folder.glob("*.txt")})
    except OSError as error:
        raise RuleError(f"The files beside the rules cannot be read ({error.strerror})") from error


def load_rules(settings: Settings) -> RuleSet:
    """The rule set that the settings name. Raises `RuleError` with file, line, rule and reason."""
    return read_rules(rule_files(settings))


def read_rules(files: Iterable[Path]) -> RuleSet:
    """The rules, lists and snoozes of some files as one set. Raises `RuleError` with file, line, name and reason."""
    contents = [_content(file) for file in files]
    _require_own_names(contents)
    thresholds = _of_feeds(contents)
    found = RuleSet(
        tuple(rule for content in contents for rule in content.rules),
        thresholds,
        tuple(one for content in contents for one in content.lists),
        tuple(snooze for content in contents for snooze in content.snoozes),
    )
    for content in contents:
        for snooze in content.snoozes:
            _require_known(snooze, found, content.place(snooze))
    return found


def _require_own_names(contents: Iterable[_Content]) -> None:
    places: dict[str, str] = {}
    for content in contents:
        named: list[Rule | ValueList] = [*content.rules, *content.lists]
        for one in named:
            if one.name in places:
                raise RuleError(f"{content.place(one)}: {places[one.name]} already; give each its own name")
            what = "rule" if isinstance(one, Rule) else "list"
            places[one.name] = f"a {what} is called `{one.name}` in {content.place(one)}"


def _of_feeds(contents: Iterable[_Content]) -> dict[str, Thresholds]:
    """The thresholds of each feed that rules watch; of files that say something of it, they must be the same."""
    found: dict[str, tuple[str, Thresholds]] = {}
    for content in contents:
        for rule in content.rules:
            other, known = found.setdefault(rule.watches, (content.file.name, content.thresholds))
            if known != content.thresholds:
                raise RuleError(
                    f"{content.file.name} and {other} set other thresholds (review_at, block_at) for {rule.watches}; "
                    "only one can be in force"
                )
    return {feed: bounds for feed, (_, bounds) in found.items()}


def _require_known(snooze: Snooze, rules: RuleSet, place: str) -> None:
    """Raises `RuleError` for a snooze of what raises no alerts, or of what never sees the columns that it names."""
    if snooze.rule is None:
        return
    raising: dict[str, tuple[str, ...]] = {one.name: (one.watches,) for one in rules.rules}
    raising |= {one.name: one.feeds for one in rules.lists if one.kind == BLOCK_LIST}
    if snooze.rule not in raising:
        known = unknown_name(snooze.rule, sorted(raising), what="rule and no block list")
        raise RuleError(f"{place}, snooze: {known}")
    if not set(raising[snooze.rule]) & set(snooze.feeds):
        raise RuleError(
            f"{place}, snooze: `{snooze.rule}` watches {' and '.join(raising[snooze.rule])}, where there is no "
            f"{' and '.join(f'`{column}`' for column, _ in snooze.on)}"
        )


def _content(file: Path) -> _Content:
    text = _text(file)
    try:
        root = composed(text)
        if root is None:
            raise RuleError("there is no rule in it; write a list under `rules:`")
        entries = entries_of(root, _SET_KEYS, what="a rule set")
        rules, lists, snoozes = (entries.get(section) for section in _SECTIONS)
        return _Content(
            file,
            # A file of lists and snoozes needs no rules.
            _rules(rules, root) if rules is not None or not (lists or snoozes) else [],
            lists_of(lists, file.parent) if lists is not None else [],
            snoozes_of(snoozes) if snoozes is not None else [],
            _thresholds(entries),
        )
    except RuleError as error:
        raise RuleError(f"{file.name}, {error}") from error
    except RecursionError as error:
        raise RuleError(f"{file.name}: the YAML is nested too deeply") from error
    except yaml.YAMLError as error:
        raise RuleError(f"{file.name} is not valid YAML: {' '.join(str(error).split())[:300]}") from error


def _text(file: Path) -> str:
    try:
        return text_of(file)
    except OSError as error:
        raise RuleError(
            f"The rule file {file} cannot be read ({error.strerror}). Set RISKLAKE_RULES_FILE to a YAML file or a "
            "folder of them, or leave it empty for the shipped rules"
        ) from error


def _rules(listed: yaml.Node | None, root: yaml.Node) -> list[Rule]:
    if not isinstance(listed, yaml.SequenceNode):
        raise RuleError(f"line {line_of(listed or root)}: there must be a list under `rules:`")
    if len(listed.value) > MOST_RULES:
        raise RuleError(f"there are {len(listed.value):,} rules; at most {MOST_RULES} are taken")
    return [_rule(node) for node in listed.value]


def _rule(node: yaml.Node) -> Rule:
    entries = entries_of(node, (*_REQUIRED, *_OPTIONAL, _EXAMPLES), what="a rule")
    where = f"line {line_of(node)}, rule `{scalar(entries['name']) if 'name' in entries else 'without a name'}`"
    try:
        require(entries, _REQUIRED, what="a rule")
        listed = entries.pop(_EXAMPLES, None)
        rule = _checked({key: scalar(value) for key, value in entries.items()}, line_of(node))
        return replace(rule, examples=tuple(_examples(listed, rule.watches))) if listed is not None else rule
    except RuleError as error:
        raise RuleError(f"{where}: {error}") from error


def _checked(given: dict[str, str], line: int) -> Rule:
    name = name_of(given)
    feed = one_of(given, "watches", watched.FEEDS)
    known = watched.kinds(feed)
    severity = one_of(given, "severity", SEVERITIES)
    return Rule(
        name=name,
        watches=feed,
        condition=parsed(given["condition"], known),
        severity=severity,
        state=one_of(given, "state", STATES),
        reason=_pieces(given["reason"], known),
        typology=typology_of(given),
        weight=whole(given["weight"], "weight", 0, 100) if "weight" in given else SEVERITIES[severity],
        cool_down=cool_down_of(given),
        entity=one_of(given, "entity", ENTITIES[feed], default=ENTITIES[feed][0]),
        when_missing=one_of(given, "when_missing", WHEN_MISSING, default=QUIET),
        line=line,
    )


def _examples(node: yaml.Node, feed: str) -> Iterator[Example]:
    if not isinstance(node, yaml.SequenceNode):
        raise RuleError(f"line {line_of(node)}: under `tests:` comes a list of `fires: {{…}}` and `quiet: {{…}}`")
    for item in node.value:
        for key, values in entries_of(item, ("fires", "quiet"), what="a test").items():
            given = {name: scalar(value) for name, value in entries_of(values, None, what="a test").items()}
            try:
                yield Example(key == "fires", checked_values(feed, given))
            except RuleError as error:
                raise RuleError(f"line {line_of(item)}: {error}") from error


def _thresholds(entries: Entries) -> Thresholds:
    given = {key: entries[key] for key in ("review_at", "block_at") if key in entries}
    try:
        found = Thresholds(**{key: whole(scalar(node), key, 0, 100) for key, node in given.items()})
    except RuleError as error:
        raise RuleError(f"line {line_of(next(iter(given.values())))}: {error}") from error
    if found.review_at > found.block_at:
        raise RuleError(f"review_at is {found.review_at} and block_at {found.block_at}; review comes before block")
    return found


def _pieces(text: str, known: dict[str, Kind]) -> tuple[tuple[str, bool], ...]:
    if not text or len(text) > MOST_REASON:
        raise RuleError(f"a reason has 1 to {MOST_REASON} characters, and this one {len(text):,}")
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
