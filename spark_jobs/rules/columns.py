"""Conditions as Spark columns: what the language allows, built without a word of SQL, and with no step that can fail.

Arithmetic that has no result (a division by zero, a number too large) gives null, which counts as a missing value.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from pyspark.sql import Column
from pyspark.sql import functions as F
from sqlglot import exp

from spark_jobs.rules.language import Condition, arguments

_Build = Callable[[exp.Expr], Column]


def column(condition: Condition) -> Column:
    """The condition as a boolean column; null where a missing value leaves it open."""
    return _built(condition.tree)


def _built(node: exp.Expr) -> Column:
    build = _BUILDERS.get(type(node)) or _function
    return build(node)


def _literal(node: exp.Expr) -> Column:
    if node.is_string:
        return F.lit(node.name)
    if node.name.isdecimal() and int(node.name) < 2**63:
        return F.lit(int(node.name))
    return F.lit(float(node.name) if "e" in node.name.lower() else Decimal(node.name))


def _binary(combine: Callable[[Column, Column], Column]) -> _Build:
    return lambda node: combine(_built(node.this), _built(node.expression))


def _between(node: exp.Expr) -> Column:
    return _built(node.this).between(_built(node.args["low"]), _built(node.args["high"]))


def _in(node: exp.Expr) -> Column:
    # `isin` wants values of one type; this takes 1 and 2.5 alike.
    value, found = _built(node.this), F.lit(False)
    for item in node.expressions:
        found = found | (value == _built(item))
    return found


def _is(node: exp.Expr) -> Column:
    value = _built(node.this)
    return value.isNull() if isinstance(node.expression, exp.Null) else value.eqNullSafe(_built(node.expression))


def _like(node: exp.Expr) -> Column:
    value, pattern = _built(node.this), node.expression.name
    if isinstance(node, exp.ILike):
        value, pattern = F.lower(value), pattern.lower()
    found = value.like(pattern) if "_" in pattern else _in_pieces(value, pattern)
    return ~found if node.args.get("negate") else found


def _in_pieces(value: Column, pattern: str) -> Column:
    """`like` without `_`: one look for each piece between two `%`, where Java would go back and try all places."""
    if "%" not in pattern:
        return value == pattern
    first, *middle, last = pattern.split("%")
    found, begin = value.startswith(first) & value.endswith(last), F.lit(len(first) + 1)
    for piece in filter(None, middle):
        place = F.position(F.lit(piece), value, begin)
        found, begin = found & (place > 0), place + len(piece)
    return found & (begin <= F.length(value) - len(last) + 1)


def _case(node: exp.Expr) -> Column:
    branches = node.args["ifs"] if isinstance(node, exp.Case) else [node]
    last = node.args.get("default") if isinstance(node, exp.Case) else node.args.get("false")
    first, *others = branches
    # A null is of no type, which Spark takes for a truth everywhere but here.
    chosen = F.when(_built(first.this).cast("boolean"), _built(first.args["true"]))
    for branch in others:
        chosen = chosen.when(_built(branch.this).cast("boolean"), _built(branch.args["true"]))
    return chosen.otherwise(_built(last)) if last is not None else chosen


def _function(node: exp.Expr) -> Column:
    given = [_built(item) for item in arguments(node)]
    if len(given) == 1 and isinstance(node, exp.Coalesce | exp.Greatest | exp.Least):
        return given[0]
    return _FUNCTIONS[type(node)](*given)


def _round(value: Column, places: Column | None = None) -> Column:
    return F.round(value) if places is None else F.round(value, places)


_BUILDERS: dict[type[exp.Expr], _Build] = {
    exp.Column: lambda node: F.col(node.name),
    exp.Literal: _literal,
    exp.Boolean: lambda node: F.lit(bool(node.this)),
    exp.Null: lambda node: F.lit(None),
    exp.Paren: lambda node: _built(node.this),
    exp.And: _binary(lambda left, right: left & right),
    exp.Or: _binary(lambda left, right: left | right),
    exp.Not: lambda node: ~_built(node.this),
    exp.EQ: _binary(lambda left, right: left == right),
    exp.NEQ: _binary(lambda left, right: left != right),
    exp.NullSafeEQ: _binary(lambda left, right: left.eqNullSafe(right)),
    exp.GT: _binary(lambda left, right: left > right),
    exp.GTE: _binary(lambda left, right: left >= right),
    exp.LT: _binary(lambda left, right: left < right),
    exp.LTE: _binary(lambda left, right: left <= right),
    exp.Between: _between,
    exp.In: _in,
    exp.Is: _is,
    exp.Like: _like,
    exp.ILike: _like,
    exp.Add: _binary(F.try_add),
    exp.Sub: _binary(F.try_subtract),
    exp.Mul: _binary(F.try_multiply),
    exp.Div: _binary(F.try_divide),
    exp.Mod: _binary(F.try_mod),
    exp.Neg: lambda node: F.try_subtract(F.lit(0), _built(node.this)),
    exp.Case: _case,
    exp.If: _case,
}

_FUNCTIONS: dict[type[exp.Expr], Callable[..., Column]] = {
    exp.Coalesce: F.coalesce,
    exp.Greatest: F.greatest,
    exp.Least: F.least,
    exp.Nullif: F.nullif,
    exp.Abs: F.abs,
    exp.Floor: F.floor,
    exp.Ceil: F.ceil,
    exp.Round: _round,
    exp.Lower: F.lower,
    exp.Upper: F.upper,
    exp.Length: F.length,
    exp.Hour: F.hour,
    exp.Minute: F.minute,
}
