"""Personal data in text becomes keyed tokens: equal values give equal tokens, and without the key none can be told.

All of it runs in Spark itself, without Python. A text that cannot hold personal data costs one look at it.
"""

from __future__ import annotations

from collections.abc import Callable

from pyspark.sql import Column
from pyspark.sql import functions as F

from spark_jobs.keyed_hash import hmac_sha256
from spark_jobs.personal_patterns import CARD, CARD_BEGINS, CARD_DIGITS, CARD_ENDS, EMAIL, PHONE, card_candidate

EMAIL_KIND, CARD_KIND, PHONE_KIND = "email", "card", "phone"
_TOKEN_DIGITS = 32
# Nothing shorter, in bytes, holds nine digits.
_SHORTEST_NUMBER = 9
# What `str.strip` takes off.
_WHITE_SPACE = "".join(chr(code) for code in range(0x3001) if chr(code).isspace())


def token(value: Column, kind: str, key: bytes) -> Column:
    """`<kind>_<32 hex digits>`: the first half of HMAC-SHA256(key, `<kind>:<normalised value>`); null for null.

    Normalised: an `email` is trimmed and lower-cased; of a `card` and a `phone` only the digits 0 to 9 count, of a
    phone without a leading 00; anything else is trimmed.
    """
    digest = hmac_sha256(F.concat(F.lit(f"{kind}:"), _normalised(value.cast("string"), kind)), key)
    return F.concat(F.lit(f"{kind}_"), F.substring(digest, 1, _TOKEN_DIGITS))


def mask_free_text(text: Column, key: bytes) -> Column:
    """The text with each e-mail address, payment card number and phone number replaced by its token; null for null.

    Where they overlap, e-mail addresses go first, then cards, then phones. All else stays as it is.
    """
    without_phones = _replacing(PHONE, PHONE_KIND, key, lambda rest: rest)

    def without_cards(rest: Column) -> Column:
        return _bound(_cards_of(rest), lambda cards: _replacing(cards, CARD_KIND, key, without_phones)(rest))

    masked = _replacing(EMAIL, EMAIL_KIND, key, without_cards)(text)
    return F.when(_is_suspicious(text), masked).otherwise(text)


def mask_identifier(text: Column, key: bytes) -> Column:
    """The identifier, or its token where it contains an e-mail address or is a card number; null for null."""
    bare = F.btrim(text, F.lit(_WHITE_SPACE))
    is_card = bare.rlike(rf"\A{CARD}\z") & _is_luhn(bare)
    return (
        F.when(F.contains(text, F.lit("@")) & text.rlike(EMAIL), token(text, EMAIL_KIND, key))
        .when(_may_hold_number(text) & is_card, token(text, CARD_KIND, key))
        .otherwise(text)
    )


def holds_personal(text: Column) -> Column:
    """Whether `mask_free_text` would change the text; false for null."""
    is_found = text.rlike(EMAIL) | text.rlike(PHONE) | (F.size(_cards(text)) > 0)
    return F.when(_is_suspicious(text), is_found).otherwise(F.lit(False))


def _is_suspicious(text: Column) -> Column:
    return F.contains(text, F.lit("@")) | (_may_hold_number(text) & text.rlike(f"{PHONE}|{CARD}"))


def _may_hold_number(text: Column) -> Column:
    return F.octet_length(text) >= _SHORTEST_NUMBER


def _replacing(
    pattern: Column | str, kind: str, key: bytes, beside: Callable[[Column], Column]
) -> Callable[[Column], Column]:
    """Replaces what matches by its token, and passes what lies before, between and behind to `beside`."""
    regex = F.lit(pattern) if isinstance(pattern, str) else pattern

    def replaced(text: Column) -> Column:
        found = F.regexp_extract_all(text, regex, F.lit(0))
        # There is one gap more than there are matches.
        pieces = F.zip_with(
            F.split(text, regex, -1),
            found,
            lambda gap, match: F.concat(beside(gap), F.coalesce(token(match, kind, key), F.lit(""))),
        )
        return F.array_join(pieces, "")

    return replaced


def _cards_of(text: Column) -> Column:
    """A regular expression for the card numbers in this text, the longest first; for none, one that never matches."""
    return F.concat(
        F.lit(f"{CARD_BEGINS}(?:"),
        F.array_join(F.array_append(_cards(text), F.lit("(?!)")), "|"),
        F.lit(f"){CARD_ENDS}"),
    )


def _cards(text: Column) -> Column:
    # A match hides what begins inside it; looking ahead, each number is found wherever it begins and ends.
    found = [
        F.regexp_extract_all(text, F.lit(f"(?=({CARD_BEGINS}{card_candidate(str(count))}{CARD_ENDS}))"), F.lit(1))
        for count in reversed(CARD_DIGITS)
    ]
    numbers = F.when(text.rlike(CARD), F.array_distinct(F.flatten(F.array(*found)))).otherwise(
        F.array().cast("array<string>")
    )
    return F.filter(numbers, _is_luhn)


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
    # Spark would work out an expression again wherever it is used; a variable of a lambda is worked out once.
    return F.transform(F.array(value), use)[0]
