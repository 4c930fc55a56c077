"""From a line to JSON values that still know their type, and the reasons why a line as a whole is refused."""

from __future__ import annotations

from uuid import uuid4

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StringType

from lake.feed import Feed
from spark_jobs.csv_lines import csv_objects
from spark_jobs.read_errors import EMPTY_FILE, LINE_TOO_LONG, NO_RECORD
from spark_jobs.reasons import fault

# Another one in each program, so that no producer can write it into a line.
_END = f"the line ends {uuid4().hex}"


def parse(lines: DataFrame, feed: Feed) -> DataFrame:
    """Add `json` (a struct of variants, one a declared field), `rest` (unknown fields as JSON) and `line_fault`.

    Variants keep apart the number 12.5 and the text "12.5"; `from_json` does not, and reads "12,50" as 1250.
    """
    # Spark reads the first value of a text and ignores what stands behind it. In a list with a last word, a second
    # value or trailing words make the line malformed; so does a bracket that closes the list, and leaves the word out.
    document = F.try_parse_json(F.concat(F.lit("["), _as_json(feed), F.lit(f',"{_END}"]')))
    whole = lines.withColumn("document", document)
    value = F.try_variant_get("document", "$[0]", "variant")
    is_ended = F.try_variant_get("document", "$[1]", "string") == _END
    alone = F.coalesce(is_ended, F.lit(False)) & F.try_variant_get("document", "$[2]", "variant").isNull()
    fields = ", ".join(f"{name}: variant" for name in feed.field_names)
    opened = whole.withColumn("json", F.try_variant_get(value, "$", f"struct<{fields}>"))
    return (
        opened.withColumn("rest", _rest(F.try_variant_get(value, "$", "map<string, variant>"), feed))
        .withColumn("line_fault", _line_fault(alone))
        .drop("document")
    )


def _as_json(feed: Feed) -> Column:
    """The line as JSON; null where it is no text, or a record of CSV that does not fit its header."""
    text = F.when(F.is_valid_utf8("line"), F.regexp_replace("line", "^\ufeff", ""))
    if not feed.is_reference:
        return text
    from_csv = F.arrow_udf(csv_objects, StringType())  # type: ignore[call-overload]
    return F.when(F.col("header").isNull(), text).otherwise(from_csv("header", "line"))


def _rest(fields: Column, feed: Feed) -> Column:
    known = F.array(*map(F.lit, feed.field_names))
    # Most lines have no other field; only for those that do, the map is filtered (which Spark does not compile).
    has_more = F.size(F.array_except(F.map_keys(fields), known)) > 0
    return F.when(has_more, F.to_json(F.map_filter(fields, lambda key, _: ~key.isin(feed.field_names))))


def _line_fault(alone: Column) -> Column:
    return (
        F.when(F.col("read_error").isin(EMPTY_FILE, NO_RECORD), fault("empty_file"))
        .when(F.col("read_error") == LINE_TOO_LONG, fault("line_too_long"))
        .when(F.col("read_error").isNotNull(), fault("unreadable_file", text=F.col("read_error")))
        .when(F.trim("line", F.lit(" \t\r")) == "", fault("empty_line"))
        .when(~F.is_valid_utf8("line"), fault("not_utf8"))
        .when(F.col("document").isNull() & F.col("header").isNotNull(), fault("malformed_csv"))
        .when(F.col("document").isNull() | ~alone, fault("malformed_json"))
        .when(F.col("json").isNull(), fault("not_an_object"))
    )
