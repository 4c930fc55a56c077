"""Why a line is refused: stable codes, and what each says to a person.

A line carries short faults (code, field, text of the value) through the stream; they become reasons, with a message
and the value's shape, only where a line is quarantined.
"""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

from spark_jobs.mask import shape
from spark_jobs.read_errors import LINE_TOO_LONG

EARLIEST = "2000-01-01"
# Accounts and shops may be older than what can be paid with.
EARLIEST_WRITTEN = "1900-01-01"
MAX_IDENTIFIER_LENGTH = 256
MAX_TEXT_LENGTH = 4096

FAULT_TYPE = "struct<code: string, field: string, text: string>"
REASON_TYPE = "struct<code: string, field: string, message: string>"

# What is said of a line as a whole; an unreadable file adds what the operating system or gzip said.
OF_LINES = {
    "empty_file": "The file holds no line",
    "unreadable_file": "The file could not be read on",
    "empty_line": "The line is empty",
    "line_too_long": LINE_TOO_LONG,
    "not_utf8": "The line is not UTF-8",
    "malformed_json": "The line is not one JSON object: cut off, or followed by something else",
    "malformed_csv": "The record has not as many values as the header has names, or quotes that do not close",
    "not_an_object": "The line is JSON, but not an object",
    "altered_duplicate": "An earlier line has this id and other content",
}

# What is said of a field, after its name and the shape of its value.
OF_FIELDS = {
    "missing_field": "is missing or null",
    "not_a_number": "is no JSON number, such as 12.50 (without quotes, with a point)",
    "unreadable_amount": "is no amount of money, such as 1250.50, 1.250,50 € or Rp 1.250.000",
    "ambiguous_amount": "may mean thousands or three decimals: write 1250.00 or 1.2500 instead",
    "not_text": 'is no JSON text, such as "abc" (in quotes)',
    "out_of_range": "is too large, or not whole",
    "negative": "is below 0",
    "unknown_country": "is no ISO 3166 alpha-2 code, such as ID",
    "unknown_currency": "is no ISO 4217 code, such as IDR",
    "not_allowed": "is none of the values that this field may have",
    "no_time_zone": "has no time zone: write Z or +07:00 behind it",
    "unreadable_time": "is no ISO 8601 time, such as 2026-01-31T23:59:59Z",
    "unreadable_date": "is no date, such as 2026-01-31, 31.01.2026, 31 Jan 2026 or 2026-01-31T23:59:59Z",
    "ambiguous_date": "can be read as more than one date: write the year first and whole, such as 2026-01-31",
    "time_in_future": "lies too far after the arrival of the line",
    "time_too_old": f"lies before {EARLIEST} (accounts, shops and the like: {EARLIEST_WRITTEN})",
    "unknown_reference": "refers to nothing that has arrived; the line is taken up when it does",
    "bad_identifier": f"is empty, longer than {MAX_IDENTIFIER_LENGTH} characters, or holds control characters",
    "bad_text": f"is longer than {MAX_TEXT_LENGTH} characters, or holds control characters",
}


def fault(code: Column | str, field: str | None = None, text: Column | None = None) -> Column:
    """One fault: its code, the field (null for the line as a whole), and the value that is at fault."""
    return F.struct(
        (F.lit(code) if isinstance(code, str) else code).alias("code"),
        F.lit(field).cast("string").alias("field"),
        (F.lit(None) if text is None else text).cast("string").alias("text"),
    )


def reasons(faults: Column) -> Column:
    """From faults to the reasons of `silver.quarantine`."""
    said = F.create_map(*(F.lit(part) for item in (OF_LINES | OF_FIELDS).items() for part in item))

    def reason(item: Column) -> Column:
        text = said[item["code"]]
        of_line = F.concat_ws(": ", text, item["text"])
        of_field = F.concat_ws(" ", item["field"], shape(item["text"]), text)
        message = F.when(item["field"].isNull(), of_line).otherwise(of_field)
        return F.struct(item["code"].alias("code"), item["field"].alias("field"), message.alias("message"))

    return F.transform(faults, reason)
