"""Dates and times as people write them: from text such as `31.01.2026` or `Jan 31, 2026` to a timestamp (UTC).

A date alone is its midnight UTC. A time of day stands behind the date and names its zone: `2026-01-31T23:59:59Z`, with
`T` or a blank between, seconds and up to nine decimals optional (from the seventh on cut off), zone `Z`, `+07:00`,
`+0700` or `+07`. What has two readings is refused, never guessed; white space around a text is ignored.
"""

from __future__ import annotations

import re

from pyspark.sql import Column
from pyspark.sql import functions as F

MONTHS = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip

# Patterns: `\d` is 0 to 9 only; white space is possessive, so that a hostile text costs little.
_BLANKS = " \t\n\r\u00a0\u202f"
_GAP = rf"[{_BLANKS}]*+"
_DAY = r"(?:0?[1-9]|[12]\d|3[01])"
_MONTH = r"(?:0?[1-9]|1[0-2])"
_NAME = rf"(?i:{'|'.join(f'{name[:3]}(?:{name[3:]})?' for name in MONTHS)})"
_TIME = r"[Tt ](?<time>\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)"
_ZONE = r"(?<zone>[Zz]|[+-]\d\d(?::?\d\d)?)"

# Most producers write so, and Spark's own cast reads it.
_ISO_DAY = r"^\d{4}-\d\d-\d\d\z"
_FULL = r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)\z"

_SHORT_NAME = rf"(?={_NAME}[ ])(?<month>[A-Za-z]{{3}})[A-Za-z]*+"
# The day comes first with dots, after the twelfth, and where it is the same as the month.
_DAY_FIRST = r"(?=\d\d?\.|(?:1[3-9]|2\d|3[01])[-/]|0?(?<same>\d\d?)[-/]0?\k<same>[-/])"
_STYLES = (
    r"(?<year>\d{4})(?<mark>[-/]?)(?<month>\d\d)\k<mark>(?<day>\d\d)",
    rf"{_DAY_FIRST}(?<day>{_DAY})(?<mark>[-./])(?<month>{_MONTH})\k<mark>(?<year>\d{{4}})",
    rf"(?<month>{_MONTH})(?<mark>[-/])(?<day>1[3-9]|2\d|3[01])\k<mark>(?<year>\d{{4}})",
    rf"(?<day>{_DAY}) +{_SHORT_NAME} +(?<year>\d{{4}})",
    rf"{_SHORT_NAME} +(?<day>{_DAY}), *(?<year>\d{{4}})",
)
# Java wants another name for each group of a pattern.
_DATE = "|".join(re.sub(r"(\(\?<|\\k<)([a-z]+)>", rf"\g<1>\g<2>{n}>", style) for n, style in enumerate(_STYLES))
_PARTS = ["".join(f"${{{part}{n}}}" for n in range(len(_STYLES))) for part in ("year", "month", "day")]
_REWRITTEN = f"{'-'.join(_PARTS)}T${{time}}${{zone}}"
# X, XX and XXX are Java's letters for zones written as +07, +0700 and +07:00.
_FORMAT = "yyyy-[MMM][M]-d'T'HH:mm[:ss][.SSSSSSSSS][XXX][XX][X]"

_TWO_READINGS = "|".join(
    (
        rf"(?!0?(\d\d?)([-/])0?\1\2){_MONTH}([-/]){_MONTH}\3\d{{4}}",
        r"\d\d?([-/.])\d\d?\4\d\d",
        rf"{_DAY} +{_NAME} +\d\d",
        rf"{_NAME} +{_DAY}, *\d\d",
    )
)


def time_value(text: Column) -> Column:
    """The moment as a timestamp (UTC, microseconds); null where `time_fault` names a fault.

    With dots the day comes first; with slashes or dashes the text is read only where one reading is a date. Names of
    months are English, whole or their first three letters, in any case.
    """
    # A text that is no date becomes `--T`, and so null.
    rewritten = F.regexp_replace(text, rf"(?s)^{_GAP}(?:{_DATE})(?:{_TIME}{_ZONE})?{_GAP}\z|.+", _REWRITTEN)
    # Without a zone Spark would take the session's.
    with_time = F.regexp_replace(rewritten, r"T\z", "T00:00Z")
    return (
        F.when(text.rlike(_FULL), text.try_cast("timestamp"))
        .when(text.rlike(_ISO_DAY), F.concat(text, F.lit("T00:00:00Z")).try_cast("timestamp"))
        .otherwise(F.try_to_timestamp(with_time, F.lit(_FORMAT)))
    )


def time_fault(text: Column) -> Column:
    """Why `time_value` is null for a text: `ambiguous_date` (also a year of two digits), `no_time_zone` (right but
    for that) or `unreadable_date`; else null.
    """
    is_refused = time_value(text).isNull() & text.isNotNull()
    in_utc = F.concat(F.rtrim(text, F.lit(_BLANKS)), F.lit("Z"))
    return F.when(
        is_refused,
        F.when(text.rlike(rf"^{_GAP}(?:{_TWO_READINGS})(?:{_TIME}{_ZONE}?)?{_GAP}\z"), "ambiguous_date")
        .when(time_value(in_utc).isNotNull(), "no_time_zone")
        .otherwise("unreadable_date"),
    )
