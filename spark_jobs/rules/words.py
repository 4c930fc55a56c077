"""The words of a condition, looked at one after the other before it is parsed.

sqlglot reads what may be the name of a type first as a type, with what stands in the brackets behind it, and then once
more as a call: nested n deep, that is 2^n steps. So brackets stand only where the language has them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import accumulate, pairwise

from sqlglot.tokens import Token, TokenType

from lake.errors import RuleError

MOST_NESTED = 30

# Beside the functions, all that may come before a bracket.
_WORDS = {"and", "or", "not", "in", "is", "like", "ilike", "between", "case", "when", "then", "else"}
_DEEPER = {TokenType.L_PAREN: 1, TokenType.R_PAREN: -1}
_NO_PART = (TokenType.L_BRACKET, TokenType.L_BRACE)


def require_brackets(tokens: Sequence[Token], functions: Collection[str]) -> None:
    """Raises `RuleError` for brackets nested too deeply, or where they are neither a group, a list nor a function's."""
    deepest = max(accumulate(_DEEPER.get(token.token_type, 0) for token in tokens), default=0)
    if deepest > MOST_NESTED:
        raise RuleError(
            f"the condition is nested too deeply: it has {deepest} brackets within each other; "
            f"at most {MOST_NESTED} are taken"
        )
    for token in tokens:
        if token.token_type in _NO_PART:
            raise _no_part(token.text)
    for before, token in pairwise(tokens):
        if token.token_type is TokenType.L_PAREN and _is_word(before) and before.text.lower() not in functions:
            raise _no_part(f"{before.text[:60]}(")


def _is_word(token: Token) -> bool:
    # A word that is quoted is a name too.
    return any(c.isalnum() or c == "_" for c in token.text) and token.text.lower() not in _WORDS


def _no_part(text: str) -> RuleError:
    return RuleError(f"`{text}` is no part of the rule language (see docs/rules.md)")
