"""What of a value may be shown outside bronze: its shape."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

from lake.feed import Feed

EXCERPT_LENGTH = 300
_SHOWN_LENGTH = 40


def shape(text: Column) -> Column:
    """The shape of a value, at most 40 characters: letters as x, digits as 9, so `12,50` becomes `99,99`."""
    shown = F.when(F.length(text) > _SHOWN_LENGTH, F.concat(F.substring(text, 1, _SHOWN_LENGTH), F.lit("…")))
    return _masked(shown.otherwise(text))


def excerpt(line: Column, feed: Feed) -> Column:
    """The start of a line with the feed's own field names in the clear and everything else as its shape."""
    names = "|".join(feed.field_names)
    tokens = F.regexp_extract_all(F.substring(line, 1, EXCERPT_LENGTH), F.lit(rf'(?s)"(?:{names})"\s*:|.'), F.lit(0))
    return F.array_join(
        F.transform(tokens, lambda token: F.when(F.length(token) > 1, token).otherwise(_masked(token))), ""
    )


def _masked(text: Column) -> Column:
    letters_hidden = F.regexp_replace(text, r"\p{L}", "x")
    digits_hidden = F.regexp_replace(letters_hidden, r"\p{N}", "9")
    # Control characters would break a terminal or a page; they are shown as a full stop.
    return F.regexp_replace(digits_hidden, r"\p{Cntrl}", ".")
