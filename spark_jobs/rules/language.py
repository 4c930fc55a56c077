"""The language of conditions: a small, typed part of Spark SQL that can neither fail at a row nor reach anything else.

A condition is parsed by sqlglot and never by Spark. Only what is listed here is part of the language: comparisons,
logic, arithmetic and a few functions over the columns that a rule may use. Text, numbers, times and truth values are
kept apart, so that what Spark would convert, and fail at when a value does not convert, is refused when the file is
read. There are no regular expressions: `like` does for the fields of a payment, and with few % takes no time worth
naming.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError

from lake.errors import RuleError
from spark_jobs.rules.functions import FUNCTION_NAMES, FUNCTIONS, Kind
from spark_jobs.rules.words import require_brackets

MOST_CHARACTERS = 2_000
MOST_PARTS = 300
MOST_TEXT = 200
# Java tries every way of sharing a text out among the % of a pattern: with many of them, for ever.
MOST_ANY, MOST_ANY_BESIDE_ONE = 3, 2
# Digits of a Spark decimal.
_MOST_DIGITS = 38
# With more digits there may be no decimal of Spark that holds both sides of a comparison, which then fails.
_NUMBER = re.compile(r"(\d{1,18}(\.\d{0,9})?|\.\d{1,9})([eE][+-]?\d{1,3})?", re.ASCII)
_MOST_SHOWN = 60


@dataclass(frozen=True)
class Condition:
    """A condition that has been checked: its text, its tree, and the columns it uses in their order."""

    text: str
    tree: exp.Expr
    columns: tuple[str, ...]


_LOGIC = (exp.And, exp.Or)
_EQUAL = (exp.EQ, exp.NEQ, exp.NullSafeEQ)
_ORDER = (exp.GT, exp.GTE, exp.LT, exp.LTE)
_ARITHMETIC = (exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod)
_ORDERED = (Kind.NUMBER, Kind.TIME)


def parsed(text: str, known: Mapping[str, Kind]) -> Condition:
    """Parse a condition over known columns and check it.

    Raises `RuleError` with the reason: too long, no SQL, not part of the language, an unknown column, or kinds that
    do not fit.
    """
    text = text.strip()
    if len(text) > MOST_CHARACTERS:
        raise RuleError(f"the condition has {len(text):,} characters; at most {MOST_CHARACTERS:,} are taken")
    tree = _tree(text)
    parts = sum(1 for _ in tree.walk())
    if parts > MOST_PARTS:
        raise RuleError(f"the condition has {parts:,} parts; at most {MOST_PARTS} are taken. Split the rule")
    kind = _kind_of(tree, known)
    if kind is not Kind.TRUTH:
        raise RuleError(f"the condition gives {kind.value}, not true or false")
    columns = dict.fromkeys(node.name for node in tree.find_all(exp.Column, bfs=False))
    for name in columns:
        if name not in known:
            raise RuleError(unknown_name(name, known))
    return Condition(text, tree, tuple(columns))


def arguments(node: exp.Expr) -> list[exp.Expr]:
    """The arguments of a function of the language, in their order."""
    first, second = node.args.get("this"), node.args.get("expression") or node.args.get("decimals")
    return [item for item in (first, second, *node.expressions) if item is not None]


def is_literal(node: exp.Expr) -> bool:
    """Whether a value is written down in the rule: a number (also a negative one), a text, true, false or null."""
    return isinstance(node.this if isinstance(node, exp.Neg) else node, exp.Literal | exp.Boolean | exp.Null)


def unknown_name(name: str, known: Sequence[str] | Mapping[str, Kind], *, what: str = "column") -> str:
    """What to say of a name that is not known, with those that are like it."""
    near = get_close_matches(name, list(known), n=3, cutoff=0.6)
    hint = f"did you mean {' or '.join(f'`{other}`' for other in near)}?" if near else f"known: {', '.join(known)}"
    return f"`{name}` is no {what}; {hint}"


def _tree(text: str) -> exp.Expr:
    try:
        require_brackets(sqlglot.tokenize(text, dialect="spark"), FUNCTION_NAMES)
        found = sqlglot.parse(text, dialect="spark")
    except (SqlglotError, ValueError, LookupError, TypeError, AttributeError) as error:
        # sqlglot stumbles over some texts instead of refusing them.
        place = error.errors[0] if isinstance(error, ParseError) and error.errors else {}
        where = f" near `{_short(place['highlight'])}` (character {place['col']})" if place.get("highlight") else ""
        raise RuleError(f"the condition `{_short(text)}` cannot be read{where}") from error
    except RecursionError as error:
        raise RuleError("the condition is nested too deeply") from error
    trees: list[exp.Expr] = [tree for tree in found if tree is not None]
    if len(trees) != 1:
        raise RuleError(f"the condition `{_short(text)}` must be one expression")
    return trees[0]


def _kind_of(node: exp.Expr, known: Mapping[str, Kind]) -> Kind:
    """The kind of a part of a condition. Raises `RuleError` for what is no part of the language."""
    for types, rule in _RULES:
        if isinstance(node, types):
            return rule(node, known)
    raise RuleError(f"`{_shown(node)}` is no part of the rule language (see docs/rules.md)")


def _column(node: exp.Expr, known: Mapping[str, Kind]) -> Kind:
    if node.args.get("table") is not None:
        raise RuleError(f"`{_shown(node)}` is no part of the rule language: a column is named without a table")
    if node.name not in known:
        raise RuleError(unknown_name(node.name, known))
    return known[node.name]


def _literal(node: exp.Expr, known: Mapping[str, Kind]) -> Kind:
    if isinstance(node, exp.Null):
        return Kind.MISSING
    if isinstance(node, exp.Boolean):
        return Kind.TRUTH
    if node.is_string and len(node.name) > MOST_TEXT:
        raise RuleError(f"`{_short(node.name)}` is too long: a text has at most {MOST_TEXT} characters")
    if not node.is_string and not _NUMBER.fullmatch(node.name):
        raise RuleError(
            f"`{_short(node.name)}` is no number here: write it as 100, 2.5 or 1e6, with at most 18 digits before the "
            "point and 9 behind it"
        )
    return Kind.TEXT if node.is_string else Kind.NUMBER


def _logic(node: exp.Expr, known: Mapping[str, Kind]) -> Kind:
    for side in (node.left, node.right) if isinstance(node, exp.Binary) else (node.this,):
        _require(side, known, Kind.TRUTH)
    return Kind.TRUTH


def _equal(node: exp.Expr, known: Mapping[str, Kind]) -> Kind:
    _require_no_null(node)
    _common([node.this, node.expression], known)
    return Kind.TRUTH


def _order(node: exp.Expr, known: Mapping[str, Kind]) -> Kind:
    _require_no_null(node)
    if node.args.get("symmetric"):
        raise RuleError(f"`{_shown(node)}`: `between` has the lower bound first")
    is_between = isinstance(node, exp.Between)
    sides = [node.this, *((node.args["low"], node.args["high"]) if is_between else (node.expression,))]
    kind = _common(sides, known)
    if kind not in _ORDERED:
        raise RuleError(f"`{_shown(node)}` orders {kind.value}; only numbers and times have an order here")
    return Kind.TRUTH


def _in(node: exp.Expr, known: Mapping[str, Kind]) -> Kind:
    if not node.expressions or not all(is_literal(item) for item in node.expressions):
        raise RuleError(f"`{_shown(node)}` must be a list of values that are written down, such as in ('DE', 'FR')")
    _require_no_null(node)
    _common([node.this, *node.expressions], known)
    return Kind.TRUTH


def _is(node: exp.Expr, known: Mapping[str, Kind]) -> Kind:
    if isinstance(node.expression, exp.Boolean):
        _require(node.this, known, Kind.TRUTH)
    elif isinstance(node.expression, exp.Null):
        _kind_of(node.this, known)
    else:
        raise RuleError(f"`{_shown(node)}`: after `is` comes null, true or false")
    return Kind.TRUTH


def _like(node: exp.Expr, known: Mapping[str, Kind]) -> Kind:
    _require(node.this, known, Kind.TEXT)
    if not isinstance(node.expression, exp.Literal) or not node.expression.is_string:
        raise RuleError(f"`{_shown(node)}`: after `like` comes a text that is written down, with % and _")
    if "\\" in node.expression.name:
        raise RuleError(f"`{_shown(node)}`: a backslash has no place after `like`; _ stands for any character")
    pattern = node.expression.name
    most, where = (MOST_ANY_BESIDE_ONE, " beside _") if "_" in pattern else (MOST_ANY, "")
    if (count := pattern.count("%")) > most:
        raise RuleError(f"`{_shown(node)}`: after `like` there are {count} %; at most {most} are taken{where}")
    _literal(node.expression, known)
    return Kind.TRUTH


def _arithmetic(node: exp.Expr, known: Mapping[str, Kind]) -> Kind:
    for side in (node.left, node.right) if isinstance(node, exp.Binary) else (node.this,):
        _require(side, known, Kind.NUMBER)
    return Kind.NUMBER


def _paren(node: exp.Expr, known: Mapping[str, Kind]) -> Kind:
    return _kind_of(node.this, known)


def _case(node: exp.Expr, known: Mapping[str, Kind]) -> Kind:
    if node.args.get("this") is not None and isinstance(node, exp.Case):
        raise RuleError(f"`{_shown(node)}`: write `case when … then …`, with a condition after each `when`")
    branches = node.args["ifs"] if isinstance(node, exp.Case) else [node]
    for branch in branches:
        _require(branch.this, known, Kind.TRUTH)
    last = node.args.get("default") if isinstance(node, exp.Case) else node.args.get("false")
    return _common([*(branch.args["true"] for branch in branches), *([last] if last is not None else [])], known)


def _function(node: exp.Expr, known: Mapping[str, Kind]) -> Kind:
    function, given = FUNCTIONS[type(node)], arguments(node)
    # sqlglot knows arguments of other dialects; what is not looked at here must not be there.
    for other in node.iter_expressions():
        if not any(other is item for item in given):
            raise RuleError(f"`{_shown(node)}`: `{function.name}` takes no `{_shown(other)}`")
    if function.takes is None or function.gives is None:
        kind = _common(given, known)
        if isinstance(node, exp.Greatest | exp.Least) and kind not in _ORDERED:
            raise RuleError(f"`{_shown(node)}` orders {kind.value}; only numbers and times have an order here")
        return kind
    if function.last_is_literal and len(given) == 2:
        places = given.pop()
        if not (isinstance(places, exp.Literal) and places.name.isdecimal() and int(places.name) <= _MOST_DIGITS):
            raise RuleError(f"`{_shown(node)}`: the second value is a whole number that is written down")
    if len(given) != 1:
        raise RuleError(f"`{_shown(node)}`: `{function.name}` takes one value")
    _require(given[0], known, function.takes)
    return function.gives


_Rule = Callable[[exp.Expr, Mapping[str, Kind]], Kind]
# In this order: `case` holds an `if`, and functions are the rest.
_RULES: list[tuple[tuple[type[exp.Expr], ...], _Rule]] = [
    ((exp.Column,), _column),
    ((exp.Literal, exp.Boolean, exp.Null), _literal),
    ((*_LOGIC, exp.Not), _logic),
    (_EQUAL, _equal),
    ((*_ORDER, exp.Between), _order),
    ((exp.In,), _in),
    ((exp.Is,), _is),
    ((exp.Like, exp.ILike), _like),
    ((*_ARITHMETIC, exp.Neg), _arithmetic),
    ((exp.Paren,), _paren),
    ((exp.Case, exp.If), _case),
    (tuple(FUNCTIONS), _function),
]


def _common(nodes: Sequence[exp.Expr], known: Mapping[str, Kind]) -> Kind:
    """The one kind of several values, null apart. Raises `RuleError` if there are two."""
    kinds = [(node, _kind_of(node, known)) for node in nodes]
    found = [(node, kind) for node, kind in kinds if kind is not Kind.MISSING]
    for node, kind in found[1:]:
        if kind is not found[0][1]:
            raise RuleError(
                f"`{_shown(found[0][0])}` is {found[0][1].value} and `{_shown(node)}` is {kind.value}: "
                "only values of one kind can be held against each other"
            )
    return found[0][1] if found else Kind.MISSING


def _require(node: exp.Expr, known: Mapping[str, Kind], kind: Kind) -> None:
    found = _kind_of(node, known)
    if found not in (kind, Kind.MISSING):
        raise RuleError(f"`{_shown(node)}` is {found.value}, where {kind.value} is needed")


def _require_no_null(node: exp.Expr) -> None:
    if any(isinstance(side, exp.Null) for side in node.iter_expressions()):
        raise RuleError(f"`{_shown(node)}` is never true: write `is null`, or `is not null`")


def _shown(node: exp.Expr) -> str:
    return _short(node.sql(dialect="spark", comments=False))


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _MOST_SHOWN else line[: _MOST_SHOWN - 1] + "…"
