"""A person whom the lake holds: the values that tell who it is, and patterns that find these and nothing else.

An id may be a number or a word that stands in many places and means something else there, so it counts:

- in a field or column that refers to users, as the whole value;
- as a word of any text, where it is distinctive: with both a letter and a digit, or an e-mail address;
- in what is the person's own (a line or row that refers to the person), as the whole value of free text or of a field
  that no feed declares, and as a word of a reason, note or message.

It never counts as the name of a field, as an amount, a time or the id of something else, or as a part of a word. E-mail
addresses (in any letter case) and phone numbers count in all text, names in the person's own.

Patterns mean the same to Python and to Java. Characters are found plain and as JSON and CSV escape them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from lake.feed import Field, Kind
from lake.feeds import FEEDS, USERS

GONE = "forgotten"
_FIELDS = [field for feed in FEEDS.values() for field in feed.fields]
# Fields, and columns of the same name, that say which user is meant.
USER_FIELDS = sorted({USERS.key, *(field.name for field in _FIELDS if field.refers_to == USERS.name)})

# A word may follow an escape of JSON, as in "\nu1".
_ESCAPED = r"(?<=\\[bfnrt])|(?<=\\u[0-9a-fA-F]{4})"
_NO_KEY = r'(?!\\?"\s*:)'
STRING = r'"(?:[^"\\]|\\.)*"'
_END_OF_LINE = r"(?=\r?\n?(?![\s\S]))"
_SHORTEST_PHONE = 7


def is_free_text(field: Field) -> bool:
    """Whether people may write in a field what they like."""
    return field.kind is Kind.TEXT and not field.choices


# Fields that mean something of their own, whatever they hold.
KEPT_FIELDS = sorted({field.name for field in _FIELDS if not is_free_text(field)} - set(USER_FIELDS))


@dataclass(frozen=True)
class Person:
    """Who is forgotten: the id as producers wrote it and as silver holds it, and personal values that were found.

    `everywhere` are values that tell the person wherever they stand (e-mail, phone), `own` those that only do so in
    lines of the person (a name is shared by many).
    """

    user_id: str
    silver_id: str
    token: str
    everywhere: tuple[str, ...]
    own: tuple[str, ...]

    @property
    def ids(self) -> list[str]:
        """The id, in both ways of writing it."""
        return sorted({self.user_id, self.silver_id})

    @property
    def maybe(self) -> str:
        """Found in everything that the other patterns could change: a cheap look before the others."""
        return any_of((*self.ids, *self.everywhere, *self.own), any_case=True)

    @property
    def in_json(self) -> str:
        """A field of JSON that refers to the person, cut off perhaps; the first group is all before the value."""
        names, ids = any_of(USER_FIELDS), any_of(self.ids)
        before = rf'("(?:{names})"\s*:\s*|"field"\s*:\s*"(?:{names})"\s*,\s*"key"\s*:\s*)'
        return rf'{before}(?:"(?:{ids})(?:"|{_END_OF_LINE})|(?:{ids})(?=\s*(?:[,}}\]]|{_END_OF_LINE})))'

    @property
    def in_words(self) -> str:
        """`user_id 42`, as reasons and messages name a user; the first group is all before the id."""
        return rf"(?<!\w)((?:{any_of(USER_FIELDS)})[ =])(?:{any_of(self.ids)})(?![\w/-]|\.\w)"

    @property
    def distinctive(self) -> str:
        """The id as a word, where it can mean nothing else; empty where it can."""
        return _word([word for word in self.ids if is_distinctive(word)])

    @property
    def as_word(self) -> str:
        """The id as a word of a text that is about the person: no part of a number or time."""
        return rf"(?<!\d[.:,]){_word(self.ids)}(?![.:,]\d)"

    @property
    def as_value(self) -> str:
        """The id as the whole text of a value of JSON."""
        return rf'(?<=[:\[,\s])"(?:{any_of(self.ids)})"{_NO_KEY}'

    @property
    def contacts(self) -> str:
        """E-mail addresses and phone numbers, not as a part of longer ones; empty where none is known."""
        emails = [word for word in self.everywhere if "@" in word]
        phones = [word for word in self.everywhere if "@" not in word]
        found = []
        if emails:
            found.append(rf"(?:(?<![\w.+@-])|{_ESCAPED})(?:{any_of(emails, any_case=True)})(?![\w@-]|\.\w)")
        if phones:
            found.append(rf"(?:(?<![\w.])|{_ESCAPED})(?:{any_of(phones)})(?!\w|\.\d)")
        return "|".join(found)

    @property
    def phone_as_number(self) -> str:
        """A phone number that JSON holds as a number; the first group is all before it. Empty where none is known."""
        phones = [word for word in self.everywhere if word.isdecimal()]
        return rf'((?<!\\)"\s*:\s*)(?:{any_of(phones)})(?=\s*[,}}\]])' if phones else ""

    @property
    def names(self) -> str:
        """Names, not as a part of longer words or as names of fields; empty where none is known."""
        return rf"(?:(?<!\w)|{_ESCAPED})(?:{any_of(self.own)})(?!\w){_NO_KEY}" if self.own else ""


def is_distinctive(user_id: str) -> bool:
    """Whether an id as a word of a text means the user: `u000123` does, `42` and `anna` may mean something else."""
    return "@" in user_id or bool(re.search(r"[^\W\d_]", user_id) and re.search(r"\d", user_id))


def tells_anywhere(kind: str, value: str) -> bool:
    """Whether a personal value of a kind tells the person wherever it stands; `-` for a phone number does not."""
    if kind == "email":
        return re.fullmatch(r"\S+@\S+\.\S+", value) is not None
    return kind == "phone" and sum(letter.isdigit() for letter in value) >= _SHORTEST_PHONE


def any_of(values: Iterable[str], *, any_case: bool = False) -> str:
    """A regular expression for values however they are spelled, the longest first."""
    return "|".join(spelled(value, any_case=any_case) for value in sorted(set(values), key=len, reverse=True))


def spelled(value: str, *, any_case: bool = False) -> str:
    """A regular expression for a value as it stands in text, in JSON (`josé` also as `jos\\u00e9`) and in CSV."""
    return "".join(_letter(letter, any_case) for letter in value)


def _letter(letter: str, any_case: bool) -> str:
    forms = {letter, letter.lower(), letter.upper()} if any_case else {letter}
    escaped = [_escape(form) for form in sorted(forms)]
    short = {'"': [r"\\\"", '""'], "/": [r"\\/"], "\\": [r"\\\\"]}.get(letter, [])
    return f"(?:{'|'.join([*short, *map(re.escape, sorted(forms)), *escaped])})"


def _escape(text: str) -> str:
    """A text as escapes of JSON, with digits in any letter case."""
    units = text.encode("utf-16-be").hex(" ", 2).split()
    return "".join(
        r"\\u" + "".join(f"[{digit}{digit.upper()}]" if digit.isalpha() else digit for digit in unit) for unit in units
    )


def _word(values: Iterable[str]) -> str:
    words = any_of(values)
    return rf"(?:(?<![\w./-])|{_ESCAPED})(?:{words})(?![\w/-]|\.\w){_NO_KEY}" if words else ""
