"""The kinds of values in conditions, and the functions that take and give them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from sqlglot import exp


class Kind(Enum):
    """What a value is; only values of one kind meet in a comparison."""

    NUMBER = "a number"
    TEXT = "text"
    TRUTH = "true or false"
    TIME = "a time"
    MISSING = "null"


@dataclass(frozen=True)
class Function:
    """A function of the language: its name there, the kinds it takes, and the one it gives.

    `takes` None stands for one or more values of a kind that is the result's too; `last_is_literal` for a last
    argument that may be left out and must be a number written down.
    """

    name: str
    takes: Kind | None
    gives: Kind | None
    last_is_literal: bool = False


FUNCTIONS: dict[type[exp.Expr], Function] = {
    exp.Coalesce: Function("coalesce", None, None),
    exp.Greatest: Function("greatest", None, None),
    exp.Least: Function("least", None, None),
    exp.Nullif: Function("nullif", None, None),
    exp.Abs: Function("abs", Kind.NUMBER, Kind.NUMBER),
    exp.Floor: Function("floor", Kind.NUMBER, Kind.NUMBER),
    exp.Ceil: Function("ceil", Kind.NUMBER, Kind.NUMBER),
    exp.Round: Function("round", Kind.NUMBER, Kind.NUMBER, last_is_literal=True),
    exp.Lower: Function("lower", Kind.TEXT, Kind.TEXT),
    exp.Upper: Function("upper", Kind.TEXT, Kind.TEXT),
    exp.Length: Function("length", Kind.TEXT, Kind.NUMBER),
    exp.Hour: Function("hour", Kind.TIME, Kind.NUMBER),
    exp.Minute: Function("minute", Kind.TIME, Kind.NUMBER),
}

# As they may be written: `nvl` is `coalesce` too.
_NAMED: list[type[exp.Expr]] = [*FUNCTIONS, exp.If]
FUNCTION_NAMES = {name.lower() for kind in _NAMED if issubclass(kind, exp.Func) for name in kind.sql_names()}
