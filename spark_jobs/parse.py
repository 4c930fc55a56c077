"""From a line to JSON values that still know their type, and the reasons why a line as a whole is refused."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lake.feeds import Feed
from spark_jobs.line_reader import EMPTY_FILE

# A reason's fields, as in `silver.quarantine`.
REASON_TYPE = "struct<code: string, field: string, message: string>"


def reason(code: str, field: str | None, message: Column | str) -> Column:
    """One reason: a stable code, the field at fault (null for the line) and a message in words."""
    text = F.lit(message) if isinstance(message, str) else message
    return F.struct(
        F.lit(code).alias("code"), F.lit(field).cast("string").alias("field"), text.cast("string").alias("message")
    )


def parse(lines: DataFrame, feed: Feed) -> DataFrame:
    """Add `json` (a struct of variants, one a declared field), `rest` (unknown fields as JSON) and `line_reason`.

    Variants keep apart the number 12.5 and the text "12.5"; `from_json` does not, and reads "12,50" as 1250.
    """
    # Inside brackets a second value or trailing words on the line make it malformed, instead of being ignored.
    text = F.when(F.is_valid_utf8("line"), F.regexp_replace("line", "^\ufeff", ""))
    document = F.try_parse_json(F.concat(F.lit("["), text, F.lit("]")))
    whole = lines.withColumn("document", document)
    value = F.try_variant_get("document", "$[0]", "variant")
    alone = F.try_variant_get("document", "$[1]", "variant").isNull()
    fields = ", ".join(f"{name}: variant" for name in feed.field_names)
    opened = whole.withColumn("json", F.try_variant_get(value, "$", f"struct<{fields}>"))
    return (
        opened.withColumn("rest", _rest(F.try_variant_get(value, "$", "map<string, variant>"), feed))
        .withColumn("line_reason", _line_reason(alone))
        .drop("document")
    )


def _rest(fields: Column, feed: Feed) -> Column:
    unknown = F.map_filter(fields, lambda key, _: ~key.isin(feed.field_names))
    return F.when(F.size(unknown) > 0, F.to_json(unknown))


def _line_reason(alone: Column) -> Column:
    malformed = F.col("document").isNull() | ~alone
    return (
        F.when(F.col("read_error") == EMPTY_FILE, reason("empty_file", None, "The file holds no line"))
        .when(
            F.col("read_error").isNotNull(),
            reason("unreadable_file", None, F.concat(F.lit("The file could not be read on: "), "read_error")),
        )
        .when(F.trim("line") == "", reason("empty_line", None, "The line is empty"))
        .when(~F.is_valid_utf8("line"), reason("not_utf8", None, "The line is not UTF-8"))
        .when(
            malformed,
            reason("malformed_json", None, "The line is not one JSON object: cut off, or followed by something else"),
        )
        .when(F.col("json").isNull(), reason("not_an_object", None, "The line is JSON, but not an object"))
    )
