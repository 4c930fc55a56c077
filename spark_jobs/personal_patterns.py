"""What e-mail addresses, payment card numbers and phone numbers look like, as regular expressions of Java.

Each part is bounded, so that the time grows with the length of the text and with nothing else. Where these go further
than a reader would expect, it is to leave times, amounts and ids alone, which are digits and separators as well.
"""

from __future__ import annotations

# With the non-breaking ones, and the hyphens and dashes that word processors put in their place.
_SPACE, _DASH = " \u00a0\u202f", "\\-\u2010\u2011\u2013"
_HEX = "[0-9A-Fa-f]"

# Scripts with case set words off by spaces; in the others (Chinese, Korean, Thai) letters stand beside numbers.
_WORD = r"\p{Lu}\p{Ll}\p{Lt}\p{N}_"
# In JSON text a line break is written as a letter behind a backslash: no part of the word that follows.
_BEHIND_ESCAPE = r"(?<=\\[bfnrt])"
_WORD_BEGINS = rf"(?:(?<![{_WORD}])|{_BEHIND_ESCAPE})"
_WORD_ENDS = rf"(?![{_WORD}])"

_DECIMAL = rf"\d{{1,15}}[.,]\d{{1,2}}(?!\d|[.{_SPACE}{_DASH}]\d)"
# A date, a time or an amount behind a space is not the rest of a card or phone number.
_GOES_ON = rf"(?!\d{{4}}-\d\d-\d\d|\d\d?:\d\d|{_DECIMAL})"

# A local part of up to 128 characters (twice what the standard allows), and a domain that ends in letters.
_LETTER = r"\p{L}\p{M}\p{N}_"
EMAIL = (
    rf"(?:(?<![{_LETTER}])(?!(?<=\\)[bfnrt])|{_BEHIND_ESCAPE})[{_LETTER}+][{_LETTER}.+%'’-]{{0,127}}+"
    rf"@(?:[{_LETTER}-]{{1,255}}+\.){{1,30}}(?:xn--[A-Za-z0-9-]{{2,59}}|[\p{{L}}\p{{M}}]{{2,63}})"
)

CARD_DIGITS = range(13, 20)
# No issuer has 20xx: what begins with a date of this century is a time or an id. Behind a point stand decimals, and
# digits alone may fill the groups of a UUID.
_CARD_BEGINS = (
    rf"(?=[2-6]){_WORD_BEGINS}(?<!\d\.)(?<!{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-)"
    r"(?!20\d\d-?(?:0[1-9]|1[0-2])-?(?:0[1-9]|[12]\d|3[01]))"
)
_CARD_ENDS = rf"{_WORD_ENDS}(?!\.\d)(?!-{_HEX}{{4}}-{_HEX}{{12}})"


def _card(fewest: int, most: int) -> str:
    return rf"[2-6](?:(?:[{_DASH}]|[{_SPACE}]{_GOES_ON})?\d){{{fewest - 1},{most - 1}}}{_CARD_ENDS}"


# The longest that may be a card number; which shorter ones it begins with, the others say. Luhn's check comes later.
CARD = _CARD_BEGINS + _card(CARD_DIGITS[0], CARD_DIGITS[-1])
CARD_ALONE = rf"\A\s*+{CARD}\s*+\z"
CARD_AT_START = {digits: rf"\A{_card(digits, digits)}" for digits in CARD_DIGITS}

# A separator of records, at which texts are cut; with a letter for the count of digits it marks a card number, in
# which others may begin.
CUT = "\x1e"
CARD_MARKS = {digits: CUT + chr(ord("a") + digits - CARD_DIGITS[0]) for digits in CARD_DIGITS}
MARKED_CARD = "|".join(
    rf"{mark}\d(?:[{_SPACE}{_DASH}]?(?:{CUT}[a-z])?\d){{{digits - 1}}}" for digits, mark in CARD_MARKS.items()
)

_OCTET = r"(?:[01]?\d?\d|2[0-4]\d|25[0-5])"
_NO_PHONE = "|".join(
    (
        rf"\+?{_DECIMAL}",
        rf"(?<=\d[{_SPACE}])\d{{3}}(?:[{_SPACE}]\d{{3}})*(?![{_SPACE}]?\d)",  # the thousands of an amount
        rf"\d{{4}}(?:[{_SPACE}{_DASH}]\d{{4}}){{3}}{_WORD_ENDS}",  # printed as cards are
        rf"[0-3]\d[.{_SPACE}-][0-3]\d[.{_SPACE}-](?:19|20)\d\d(?!\d)",  # 01.02.2026
        rf"{_OCTET}(?:\.{_OCTET}){{3}}(?![.\d])",
        rf"\d{{8}}-\d{{4}}-{_HEX}{{4}}-",  # UUID
    )
)
# Within an id, behind a decimal point or a colon of a time, or in a row of groups; but always behind another phone.
_PHONE_BEGINS = (
    rf"(?=[0+(]){_WORD_BEGINS}(?:(?<=\G.)|(?<![{_WORD}]-)(?<!\d[.:])(?<!\d{{3}}[{_SPACE}]))(?!{_NO_PHONE})"
    r"(?:\((?=\+?\d{1,6}\)))?"
)
# Between two digits: the end of a bracket, a separator, the beginning of a bracket behind which more digits follow.
_BETWEEN = (
    r"(?:(?<=\(\+?\d{1,6})\))?"
    rf"(?:(?:[{_SPACE}][{_DASH}]?[{_SPACE}]?|[{_DASH}][{_SPACE}]?){_GOES_ON}|\.)?"
    rf"(?:\((?=\d{{1,5}}\)[.{_SPACE}{_DASH}]{{0,3}}\d))?"
)
# A whole number without separators ends at the first space, whatever digits follow.
_UNBROKEN = rf"(?:\+[1-9]\d{{9,14}}|00[1-9]\d{{7,14}}|0[1-9]\d{{8,10}})(?!\d|[.{_DASH}]\d|[{_SPACE}]?\()"
_BROKEN = "|".join(
    rf"{prefix}(?:{_BETWEEN}\d){{{fewest},{most}}}"
    for prefix, fewest, most in ((r"\+[1-9]", 7, 14), ("00[1-9]", 6, 14), (r"0(?=[1-9)])", 8, 11))
)
_PREFIXED = rf"{_PHONE_BEGINS}(?:{_UNBROKEN}|(?:{_BROKEN})(?<![{_SPACE}]\d)(?!-\d)){_WORD_ENDS}(?![.,]\d{{1,2}}(?!\d))"
# Without a prefix a number tells by its groups only: those of North America, and mobile phones that leave out their 0.
_GROUPED = (
    rf"{_WORD_BEGINS}(?:(?<=\G.)|(?<![{_WORD}]-)(?<!\d[.:])(?<!\d{{3}}[{_SPACE}]))"
    rf"(?:(?:1[{_SPACE}.-])?(?:\([2-9]\d\d\)[{_SPACE}]?|[2-9]\d\d[.-])\d{{3}}[.-]\d{{4}}|8\d\d-\d{{3,4}}-\d{{4,5}})"
    rf"{_WORD_ENDS}(?![.-]\d)"
)
PHONE = f"(?:{_PREFIXED}|{_GROUPED})"

# A cheap look: all card and phone numbers begin like this, and most text nowhere does. No shorter text holds one.
NUMBER_MAYBE = rf"[0-9+(][0-9.+(){_SPACE}{_DASH}]{{8}}"
SHORTEST_NUMBER_BYTES = 9
