"""Personal data in text becomes keyed tokens: equal values give equal tokens, which nobody can tell without the key.

All of it runs in Spark itself, without Python workers. Text that cannot hold personal data costs one cheap look.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce

from pyspark.sql import Column
from pyspark.sql import functions as F

from spark_jobs.keyed_hash import hmac_sha256
from spark_jobs.personal_patterns import (
    CARD,
    CARD_ALONE,
    CARD_AT_START,
    CARD_MARKS,
    CUT,
    EMAIL,
    MARKED_CARD,
    NUMBER_MAYBE,
    PHONE,
    SHORTEST_NUMBER_BYTES,
)

EMAIL_KIND, CARD_KIND, PHONE_KIND = "email", "card", "phone"
_TOKEN_DIGITS = 32
# No phone number is a number of JSON.
_BARE_TOKEN = f"-?{CARD_KIND}_[0-9a-f]{{{_TOKEN_DIGITS}}}"
# What `str.strip` takes off.
_WHITE_SPACE = "".join(chr(code) for code in range(0x3001) if chr(code).isspace())


def token(value: Column, kind: str, key: bytes) -> Column:
    """`<kind>_<32 hex digits>`: the first half of HMAC-SHA256(key, `<kind>:<normalised value>`); null for null.

    Normalised: an `email` is trimmed and lower-cased; of a `card` only the digits 0 to 9 count, and of a `phone` too,
    without a leading 00; anything else is trimmed.
    """
    digest = hmac_sha256(F.concat(F.lit(f"{kind}:"), _normalised(value.cast("string"), kind)), key)
    return F.concat(F.lit(f"{kind}_"), F.substring(digest, 1, _TOKEN_DIGITS))


def mask_free_text(text: Column, key: bytes) -> Column:
    """The text with each e-mail address, payment card number and phone number replaced by its token; null for null.

    Where they overlap, e-mail addresses go first, then cards, then phones. All else stays as it is. Text of JSON is
    read as text: a number without quotes becomes a token without quotes.
    """

    def without_phones(part: Column) -> Column:
        return _replaced(part, PHONE, PHONE_KIND, key)

    def without_cards(part: Column) -> Column:
        return _bound(_with_marks(part), lambda marked: _replaced(marked, MARKED_CARD, CARD_KIND, key, without_phones))

    def without_numbers(part: Column) -> Column:
        return F.when(_may_hold_number(part), without_cards(part)).otherwise(part)

    # Nothing personal goes across a separator of records: split there, the text can be cut and marked with it.
    masked = F.transform(
        F.split(text, CUT, -1), lambda record: _replaced(record, EMAIL, EMAIL_KIND, key, without_numbers)
    )
    return F.when(holds_personal(text), F.array_join(masked, CUT)).otherwise(text)


def mask_identifier(text: Column, key: bytes) -> Column:
    """The token of an identifier that contains an e-mail address or is a card number; any other as it is, and null."""
    return (
        F.when(_holds_email(text), token(text, EMAIL_KIND, key))
        .when(text.rlike(CARD_ALONE) & _is_luhn(text), token(text, CARD_KIND, key))
        .otherwise(text)
    )


def masked_texts(texts: Sequence[Column], key: bytes) -> Column:
    """`mask_free_text` of each text, as an array in their order; null where none of them can hold personal data.

    One expression for all: building it, and planning it, costs more than a text.
    """
    may_hold = reduce(Column.__or__, (_false_if_null(_holds_email(t) | _may_hold_number(t)) for t in texts))
    return F.when(may_hold, F.transform(F.array(*texts), lambda text: mask_free_text(text, key)))


def masked_identifiers(texts: Sequence[Column], key: bytes) -> Column:
    """`mask_identifier` of each text, as an array in their order; null where none of them is personal data."""
    may_hold = reduce(Column.__or__, (_false_if_null(_holds_email(t) | t.rlike(CARD_ALONE)) for t in texts))
    return F.when(may_hold, F.transform(F.array(*texts), lambda text: mask_identifier(text, key)))


def with_quoted_tokens(document: Column) -> Column:
    """JSON that went through `mask_free_text`, with quotes around tokens in the place of numbers without quotes."""
    # Text holds no such characters in JSON. Without the quotes inside of them, every second part is a text.
    plain = F.replace(F.replace(document, F.lit(r"\\"), F.lit("\x01")), F.lit(r"\""), F.lit("\x02"))
    parts = F.transform(
        F.split(plain, '"', -1),
        lambda part, place: F.when(place % 2 == 0, F.regexp_replace(part, _BARE_TOKEN, '"$0"')).otherwise(part),
    )
    joined = F.array_join(parts, '"')
    quoted = F.replace(F.replace(joined, F.lit("\x02"), F.lit(r"\"")), F.lit("\x01"), F.lit(r"\\"))
    return F.when(document.rlike(rf"[:,\[]{_BARE_TOKEN}[,}}\]]"), quoted).otherwise(document)


def holds_personal(text: Column) -> Column:
    """Whether `mask_free_text` would change the text; false for null."""
    holds_card = F.exists(_card_candidates(text), lambda candidate: _mark(candidate) != "")
    holds_number = _may_hold_number(text) & (text.rlike(PHONE) | holds_card)
    return _false_if_null(_holds_email(text) | holds_number)


def _false_if_null(condition: Column) -> Column:
    return F.coalesce(condition, F.lit(False))


def _holds_email(text: Column) -> Column:
    return F.contains(text, F.lit("@")) & text.rlike(EMAIL)


def _may_hold_number(text: Column) -> Column:
    return (F.octet_length(text) >= SHORTEST_NUMBER_BYTES) & text.rlike(NUMBER_MAYBE)


def _replaced(
    text: Column, regex: str, kind: str, key: bytes, beside: Callable[[Column], Column] = lambda part: part
) -> Column:
    """Each match becomes its token; what lies before, between and behind the matches goes through `beside`."""
    tokens = F.transform(F.regexp_extract_all(text, F.lit(regex), F.lit(0)), lambda match: token(match, kind, key))
    # Split by the regex itself, Spark would compile it for each text anew.
    gaps = F.split(F.regexp_replace(text, regex, CUT), CUT, -1)
    # There is one gap more than there are tokens.
    pieces = F.zip_with(gaps, tokens, lambda gap, name: F.concat(beside(gap), F.coalesce(name, F.lit(""))))
    return F.array_join(pieces, "")


def _with_marks(text: Column) -> Column:
    """The text with a mark before each card number in it, also where one begins inside another."""
    marks = F.concat(F.array(F.lit("")), F.transform(_card_candidates(text), _mark))
    parts = F.split(F.regexp_replace(text, f"(?={CARD})", CUT), CUT, -1)
    return F.array_join(F.zip_with(marks, parts, lambda mark, part: F.concat(mark, part)), "")


def _card_candidates(text: Column) -> Column:
    # A match would hide those that begin inside it: each is looked for ahead of the place where it begins.
    return F.regexp_extract_all(text, F.lit(f"(?=({CARD}))"), F.lit(1))


def _mark(candidate: Column) -> Column:
    """The mark of the longest card number that the candidate begins with; empty where it begins with none."""
    of_lengths = (
        F.when(_is_luhn(F.regexp_extract(candidate, regex, 0)), CARD_MARKS[digits])
        for digits, regex in reversed(CARD_AT_START.items())
    )
    return F.coalesce(*of_lengths, F.lit(""))


def _is_luhn(number: Column) -> Column:
    return F.call_function("luhn_check", _digits(number))


def _digits(text: Column) -> Column:
    return F.regexp_replace(text, "[^0-9]", "")


def _normalised(value: Column, kind: str) -> Column:
    if kind == PHONE_KIND:
        return F.regexp_replace(_digits(value), "^00", "")
    if kind == CARD_KIND:
        return _digits(value)
    trimmed = F.btrim(value, F.lit(_WHITE_SPACE))
    return F.lower(trimmed) if kind == EMAIL_KIND else trimmed


def _bound(value: Column, use: Callable[[Column], Column]) -> Column:
    # Spark works an expression out again wherever it stands; the variable of a lambda is worked out once.
    return F.transform(F.array(value), use)[0]
