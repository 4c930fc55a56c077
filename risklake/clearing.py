"""What tells a person goes from lines of JSON, records of CSV and text; all other bytes stay as they are."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Sequence

from risklake.person import GONE, KEPT_FIELDS, STRING, USER_FIELDS, Person
from spark_jobs.line_splitting import separator_of

# Fields of lines and messages in which the person may be named in a sentence.
_SENTENCES = ("reason", "note", "text")


class Clearing:
    """The patterns of a person over bytes."""

    def __init__(self, person: Person) -> None:
        kept = rf'"(?:{"|".join(KEPT_FIELDS)})"\s*:\s*{STRING}'
        sentence = rf'("(?:{"|".join(_SENTENCES)})"\s*:\s*)({STRING})'
        self._ids = {word.encode() for word in person.ids}
        self._token, self._gone = person.token.encode(), GONE.encode()
        self._own = re.compile(_bytes(re.escape(person.token)))
        self._plain = _pattern("|".join(map(re.escape, (*person.ids, *person.everywhere, *person.own))), re.IGNORECASE)
        self._maybe = _pattern(person.maybe)
        self._in_json, self._in_words = _pattern(person.in_json), _pattern(person.in_words)
        self._word, self._own_word = _pattern(person.distinctive), _pattern(person.as_word)
        self._phone_as_number = _pattern(person.phone_as_number)
        self._contacts, self._names = _pattern(person.contacts), _pattern(person.names)
        self._kept_or_word = _pattern(f"{kept}|({person.distinctive})" if person.distinctive else "")
        self._kept_or_value = _pattern(f"{kept}|({person.as_value})")
        self._kept_or_name = _pattern(f"{kept}|({person.names})" if person.names else "")
        self._sentence = _pattern(sentence)

    def may_tell(self, text: bytes) -> bool:
        """Whether a closer look is needed."""
        if b"\\" not in text and b'""' not in text:
            # Without escapes the cheaper look says the same, but for letters beyond ASCII.
            return self._plain.search(text) is not None or (not text.isascii() and self._is_maybe(text))
        return self._is_maybe(text)

    def line(self, line: bytes) -> bytes:
        """A line of JSON, or of any text, without the person."""
        if not self.may_tell(line):
            return line
        cleared = self._in_json.sub(rb'\g<1>"' + self._token + b'"', line)
        cleared = self._in_words.sub(rb"\g<1>" + self._token, cleared)
        cleared = self._replaced(self._kept_or_word, cleared, self._token)
        # Without quotes the line would be JSON no more.
        without = self._phone_as_number.sub(rb'\g<1>"' + self._gone + b'"', cleared)
        without = self._contacts.sub(self._gone, without)
        if self._own.search(cleared) or without != cleared:
            without = self._replaced(self._kept_or_value, without, b'"' + self._token + b'"')
            without = self._sentence.sub(lambda found: found[1] + self._own_word.sub(self._token, found[2]), without)
            without = self._replaced(self._kept_or_name, without, self._gone)
        return without

    def record(self, record: bytes, names: Sequence[str], separator: bytes) -> bytes:
        """A record of CSV without the person, by the names of its header; of the header itself there are no names."""
        if not self.may_tell(record):
            return record
        cells = [match.group(1, 2) for match in _cells(separator).finditer(record)]
        named = [names[at] if at < len(names) else "" for at in range(len(cells))]
        cleared = [self._cell(cell, name) for (cell, _), name in zip(cells, named, strict=True)]
        told = any(new != cell for new, (cell, _) in zip(cleared, cells, strict=True))
        if told or self._own.search(record):
            cleared = [self._own_cell(cell, name) for cell, name in zip(cleared, named, strict=True)]
        return b"".join(cell + end for cell, (_, end) in zip(cleared, cells, strict=True))

    def _cell(self, cell: bytes, name: str) -> bytes:
        if name in USER_FIELDS and _unquoted(cell) in self._ids:
            return self._token
        cleared = cell if name in KEPT_FIELDS else self._word.sub(self._token, cell)
        return self._contacts.sub(self._gone, cleared)

    def _own_cell(self, cell: bytes, name: str) -> bytes:
        if name in KEPT_FIELDS:
            return cell
        return self._token if _unquoted(cell) in self._ids else self._names.sub(self._gone, cell)

    def _is_maybe(self, text: bytes) -> bool:
        return self._maybe.search(text) is not None

    @staticmethod
    def _replaced(pattern: re.Pattern[bytes], text: bytes, by: bytes) -> bytes:
        """What the group finds is replaced, what is found beside it stays."""
        put: Callable[[re.Match[bytes]], bytes] = lambda found: found[0] if found[1] is None else by  # noqa: E731
        return pattern.sub(put, text)


def names_of(header: bytes) -> tuple[list[str], bytes]:
    """The names that a header of CSV gives, and the separator; no names where it cannot be read."""
    separator = separator_of(header)
    text = header.decode("utf-8", errors="replace").removeprefix("\ufeff")
    try:
        [names] = csv.reader([text], delimiter=separator.decode("ascii"), strict=True)
    except (csv.Error, ValueError):
        return [], separator
    return names, separator


def _cells(separator: bytes) -> re.Pattern[bytes]:
    return re.compile(rb'("(?:[^"]|"")*"|[^' + separator + rb"]*?)(" + separator + rb"|\r?\Z)")


def _unquoted(cell: bytes) -> bytes:
    text = cell.removesuffix(b"\r")
    is_quoted = len(text) > 1 and text[:1] == text[-1:] == b'"'
    return text[1:-1].replace(b'""', b'"') if is_quoted else text


def _pattern(text: str, flags: int = 0) -> re.Pattern[bytes]:
    # Nothing to look for is found nowhere; replacements may name a group all the same.
    return re.compile(_bytes(text or r"(?!)()"), flags)


def _bytes(text: str) -> bytes:
    return text.encode()
