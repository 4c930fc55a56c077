"""Money as people write it: from text such as `Rp 1.250.000`, `$1,250.00` or `(12,50 €)` to DECIMAL(18, 4).

What has two readings is refused, never guessed. Each function takes the text of a JSON value and `is_number`, which is
true where the value was a JSON number: a plain decimal, perhaps with an exponent, in which nothing is ambiguous. A null
`is_number` counts as false; a null text has neither value, currency nor fault.

`$` alone is taken for USD and `¥` alone for JPY, although other countries write them too; the amount does not depend on
it. A currency may be named once, by its code in capitals or a symbol, before the number or behind it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from itertools import groupby

from babel.numbers import get_currency_precision
from pyspark.sql import Column
from pyspark.sql import functions as F

from lake.codes import currencies
from lake.feed import MONEY

# Those that name one currency wherever they are written; `kr` and `Rs` do not.
SYMBOLS = {
    "$": "USD", "US$": "USD", "A$": "AUD", "CA$": "CAD", "HK$": "HKD", "MX$": "MXN", "NT$": "TWD", "NZ$": "NZD",
    "R$": "BRL", "S$": "SGD", "¥": "JPY", "JP¥": "JPY", "CN¥": "CNY", "€": "EUR", "£": "GBP", "₹": "INR",
    "Rp": "IDR", "RP": "IDR", "rp": "IDR", "RM": "MYR", "R": "ZAR", "zł": "PLN", "Kč": "CZK",
    "৳": "BDT", "฿": "THB", "₡": "CRC", "₦": "NGN", "₩": "KRW", "₪": "ILS", "₫": "VND", "₭": "LAK", "₮": "MNT",
    "₱": "PHP", "₲": "PYG", "₴": "UAH", "₵": "GHS", "₸": "KZT", "₺": "TRY", "₼": "AZN", "₽": "RUB", "₾": "GEL",
}  # fmt: skip

# Patterns: `\d` is 0 to 9 only, counts are bounded and white space is possessive, so that a hostile text costs little.
_SPACES = " \u00a0\u2007\u2009\u202f"
_GAP = rf"[\s{_SPACES}]*+"
_MARKS = f".,'’{_SPACES}"
_SIGNS = "-−+"

# One mark between all groups: of three digits, or as in India of two and at last of three. No group begins with 0.
_THOUSANDS = rf"(?<mark>[{_MARKS}])\d{{3}}(?:\k<mark>\d{{3}}){{0,30}}"
_LAKHS = r"(?<!\d{3})(?<comma>,)\d\d(?:,\d\d){0,40},\d{3}"
_WHOLE = rf"(?<whole>[1-9]\d{{0,2}}(?:{_THOUSANDS}|{_LAKHS})|\d{{0,100}})"
_NUMBER = rf"(?=[.,]?\d){_WHOLE}(?:(?!\k<mark>|\k<comma>)[.,](?<decimals>\d{{1,100}}))?"
# Either a group of thousands or three decimals.
_EITHER = r"[1-9]\d{0,2}[.,]\d{3}"

# Texts that Spark's own cast reads rightly: no mark but a point, and that not before three digits.
_PLAIN = r"^[-+]?\d{1,100}(?:\.(?:\d{1,2}|\d{4,99})|(?:\.\d{1,99})?[eE][-+]?\d{1,3})?\z"
_JSON_NUMBER = r"^-?(?:Infinity|\d{1,400}(?:\.\d{1,400})?(?:[eE][-+]?\d{1,3})?)\z"


def amount_value(text: Column, is_number: Column) -> Column:
    """The amount as DECIMAL(18, 4), rounded half up; null where `amount_fault` names a fault.

    `-12.50`, `12.50-` and `(12.50)` are below 0. Three digits behind the only separator are a group of thousands in a
    currency of at most two decimals (`Rp 1.250`), unless only decimals can stand there (`0.125`, `1250.125`).
    More than 100 digits on end are no amount.
    """
    spelled = F.translate(
        # A text that is no amount becomes `p`, and so null.
        F.regexp_replace(text, rf"(?s){_amount()}|.+", "${sign}${bracket}${whole}p${decimals}"),
        f"p(−{_MARKS}",
        ".--",
    )
    is_read = F.when(_is_plain(text, is_number), text.try_cast(MONEY))
    return is_read.when(~text.rlike(_ambiguous()), spelled.try_cast(MONEY))


def amount_currency(text: Column, is_number: Column) -> Column:
    """The ISO 4217 code that a text spelt as an amount names, `$` as USD and `¥` as JPY; null if it names none."""
    named = F.regexp_replace(text, rf"(?s){_amount()}|.+", "${before}${behind}")
    names = SYMBOLS | {code: code for code in currencies()}
    by_name = F.create_map(*(F.lit(part) for item in names.items() for part in item))
    return F.when(~_is_plain(text, is_number), by_name[named])


def amount_fault(text: Column, is_number: Column) -> Column:
    """Why `amount_value` is null for a text: `unreadable_amount`, `ambiguous_amount` or `out_of_range`; else null."""
    is_refused = amount_value(text, is_number).isNull() & text.isNotNull()
    return F.when(
        is_refused,
        F.when(_is_plain(text, is_number), "out_of_range")
        .when(text.rlike(_ambiguous()), "ambiguous_amount")
        .when(text.rlike(_amount()), "out_of_range")
        .otherwise("unreadable_amount"),
    )


def _is_plain(text: Column, is_number: Column) -> Column:
    return (is_number & text.rlike(_JSON_NUMBER)) | text.rlike(_PLAIN)


@cache
def _amount() -> str:
    return _framed(_one_of({*currencies(), *SYMBOLS}), _NUMBER)


@cache
def _ambiguous() -> str:
    # CLDR gives the dinar of Iraq no decimals, as in daily use; in ISO 4217 it has three.
    return _framed(_one_of({c for c in currencies() if get_currency_precision(c) > 2} | {"IQD"}), _EITHER)


def _framed(currency: str, number: str) -> str:
    """A pattern for a whole text: a number with at most one currency and one sign or pair of brackets."""
    other = f"[^{_SIGNS}()]*+"
    one_sign = rf"(?={other}(?:(?<sign>[{_SIGNS}])|(?<bracket>\(){other}\))?+{other}\z)"
    opened, closed = rf"[{_SIGNS}(]?{_GAP}", rf"{_GAP}[-−)]?{_GAP}"
    before = rf"(?=\D)(?<before>{currency})(?<named>)(?:(?<=Rp)\.)?{_GAP}{opened}"
    behind = rf"(?!\k<named>)(?=\D)(?<behind>{currency}){closed}"
    return rf"^{one_sign}{_GAP}{opened}(?:{before})?{number}{closed}(?:{behind})?\z"


def _one_of(words: Iterable[str]) -> str:
    """A pattern for any of the words, by first letter, so that a match tries few; the longest first."""
    by_letter = groupby(sorted(words), key=lambda word: word[0])
    choices = (
        re.escape(letter) + f"(?:{'|'.join(re.escape(word[1:]) for word in sorted(group, key=len, reverse=True))})"
        for letter, group in by_letter
    )
    return f"(?:{'|'.join(choices)})"
