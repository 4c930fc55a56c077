"""What e-mail addresses, payment card numbers and phone numbers look like: Java regular expressions.

Each is bounded in length and begins only where a word does, so that the time grows with the length of the text and with
nothing else. Spaces and dashes include the non-breaking ones that documents bring along.
"""

from __future__ import annotations

_SPACE, _DASH = " \u00a0\u202f", "\\-\u2010\u2011\u2013"
_GAP = f"[{_SPACE}{_DASH}]"
# Scripts with case set off words by spaces; in others (Chinese, Korean, Thai) a letter beside a number is usual.
_WORD = r"\p{Lu}\p{Ll}\p{Lt}\p{N}_"
_HEX = "[0-9A-Fa-f]"
# In JSON text a line break is the letter n behind a backslash, and no part of the word behind it.
_ESCAPE = r"(?<=\\[bfnrt])"
_WORD_BEGINS = rf"(?:(?<![{_WORD}])|{_ESCAPE})"
_WORD_ENDS = rf"(?![{_WORD}])"
_DECIMAL = rf"\d{{1,15}}[.,]\d{{1,2}}(?!\d|[.{_SPACE}{_DASH}]\d)"
# A number does not go on in a date, a time or an amount that follows it.
_NUMBER_GOES_ON = rf"(?!\d{{4}}-\d\d-\d\d|\d\d?:\d\d|{_DECIMAL})"

_LETTER = r"\p{L}\p{M}\p{N}_"
_LABEL = rf"[{_LETTER}-]{{1,255}}+"
EMAIL = (
    rf"(?:(?<![{_LETTER}\\])|{_ESCAPE})[{_LETTER}+][{_LETTER}.+%'’-]{{0,255}}+@"
    rf"(?:{_LABEL}\.){{1,30}}(?:xn--[A-Za-z0-9-]{{2,59}}|[\p{{L}}\p{{M}}]{{2,63}})"
)

CARD_DIGITS = range(13, 20)
# No issuer has 20xx, so what begins with a date of this century is a time or an id. Behind a point stand decimals.
CARD_BEGINS = (
    rf"(?=[2-6]){_WORD_BEGINS}(?<!\d\.)(?<!{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-)"
    r"(?!20\d\d-?(?:0[1-9]|1[0-2])-?(?:0[1-9]|[12]\d|3[01]))"
)
CARD_ENDS = rf"{_WORD_ENDS}(?!\.\d)(?!-{_HEX}{{4}}-{_HEX}{{12}})"


def card_candidate(digits: str) -> str:
    """What may be a card number, of `digits` digits (such as `16` or `13,19`), between its begin and its end."""
    fewer = ",".join(str(int(number) - 1) for number in digits.split(","))
    return rf"[2-6](?:(?:[{_DASH}]|[{_SPACE}]{_NUMBER_GOES_ON})?\d){{{fewer}}}"


CARD = CARD_BEGINS + card_candidate("13,19") + CARD_ENDS

_OCTET = r"(?:[01]?\d?\d|2[0-4]\d|25[0-5])"
_NO_PHONE = "|".join(
    (
        rf"\+?{_DECIMAL}",
        rf"(?<=\d[{_SPACE}])\d{{3}}(?:[{_SPACE}]\d{{3}})*(?![{_SPACE}]?\d)",  # thousands of an amount
        rf"\d{{4}}(?:{_GAP}\d{{4}}){{3}}{_WORD_ENDS}",  # what is printed like a card
        rf"[0-3]\d[.{_SPACE}-][0-3]\d[.{_SPACE}-](?:19|20)\d\d(?!\d)",  # 01.02.2026
        rf"{_OCTET}(?:\.{_OCTET}){{3}}(?![.\d])",
        rf"\d{{8}}-\d{{4}}-{_HEX}{{4}}-",  # UUID
        "000",
    )
)
# Between two digits: the end of a bracket, a separator, the beginning of a bracket behind which more digits follow.
_BETWEEN = (
    rf"(?:(?<=\(\+?\d{{1,6}})\))?"
    rf"(?:(?:[{_SPACE}][{_DASH}]?[{_SPACE}]?|[{_DASH}][{_SPACE}]?){_NUMBER_GOES_ON}|\.)?"
    rf"(?:\((?=\d{{1,5}}\)[.{_SPACE}{_DASH}]{{0,3}}\d))?"
)
# A number written without separators ends at the first space, whatever digits follow.
_UNBROKEN = rf"(?:\+[1-9]\d{{9,14}}|00[1-9]\d{{7,14}}|0\d{{9,11}})(?!\d|[.{_DASH}]\d|[{_SPACE}]?\()"
_BROKEN = (
    rf"(?:\+[1-9](?:{_BETWEEN}\d){{7,14}}|00[1-9](?:{_BETWEEN}\d){{7,14}}|0(?=[\d)])(?:{_BETWEEN}\d){{8,11}})"
    rf"(?<![{_SPACE}]\d)(?!-\d)"
)
PHONE = (
    rf"(?=[0+(]){_WORD_BEGINS}(?<![{_WORD}]-)(?<!\d[.:/])(?<!\d{{3}}[{_SPACE}])(?!{_NO_PHONE})"
    rf"(?:\((?=\+?\d{{1,6}}\)))?(?:{_UNBROKEN}|{_BROKEN}){_WORD_ENDS}(?![.,]\d{{1,2}}(?!\d))"
)
