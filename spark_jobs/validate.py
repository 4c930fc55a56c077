"""Validation of each field by its kind: a rule gives the code of its fault or null, beside the typed value."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lake.codes import countries, currencies
from lake.feeds import MONEY, Feed, Field, Kind
from spark_jobs.reasons import EARLIEST, FAULT_TYPE, MAX_IDENTIFIER_LENGTH, MAX_TEXT_LENGTH, fault

_DATE_TIME = r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?"
_ZONE = r"([Zz]|[+-]\d{2}(:?\d{2})?)"
_NUMBERS = r"^(BIGINT|DECIMAL|DOUBLE|FLOAT|INT|SMALLINT|TINYINT)"


@dataclass(frozen=True)
class Checked:
    """A field's text, its typed value (meaningful where it has no fault) and the code of its fault, or null."""

    name: str
    text: Column
    value: Column
    code: Column


def opened(parsed: DataFrame, feed: Feed) -> DataFrame:
    """Add the text and the JSON type of each field of the struct `json`, so that each is worked out once a line."""
    texts = {_text_of(name): F.col(f"json.{name}").cast("string") for name in feed.field_names}
    types = {_type_of(name): F.schema_of_variant(F.col(f"json.{name}")) for name in feed.field_names}
    return parsed.withColumns(texts | types)


def check(field: Field, feed: Feed) -> Checked:
    """Validate one field of `opened` lines; needs `arrived_at` beside it for times."""
    text, kind = F.col(_text_of(field.name)), F.col(_type_of(field.name))
    value = _typed(field, text)
    is_absent = kind.isNull() | (kind == "VOID")
    missing = F.lit("missing_field" if field.required else None).cast("string")
    code = F.when(is_absent, missing).otherwise(_fault_of_content(field, feed, text, kind, value))
    return Checked(field.name, text, value.alias(field.name), code)


def checked_lines(lines: DataFrame, checked: list[Checked]) -> DataFrame:
    """Add the typed values and `faults` to opened lines: the line's own, or those of its fields in their order."""
    # The codes become columns first: Spark compiles them so, and filters the faults of bad lines only.
    coded = lines.withColumns({_code_of(c.name): c.code for c in checked})
    codes = {c.name: F.col(_code_of(c.name)) for c in checked}
    of_fields = F.array(*(fault(codes[c.name], c.name, c.text) for c in checked))
    found = (
        F.when(F.col("line_fault").isNotNull(), F.array("line_fault"))
        .when(F.coalesce(*codes.values()).isNotNull(), F.filter(of_fields, lambda item: item["code"].isNotNull()))
        .otherwise(F.array().cast(f"array<{FAULT_TYPE}>"))
    )
    return coded.select(*lines.columns, *(c.value for c in checked), found.alias("faults"))


def _typed(field: Field, text: Column) -> Column:
    if field.kind is Kind.MONEY:
        return text.try_cast(MONEY)
    if field.kind is Kind.INTEGER:
        exact = text.try_cast("decimal(20, 4)")
        return F.when(exact == F.floor(exact), exact.try_cast("int"))
    if field.kind is Kind.TIME:
        # Spark reads +07:00, but not +0700 or +07.
        zoned = F.regexp_replace(text, r"([+-]\d{2})(\d{2})$", "$1:$2")
        return F.regexp_replace(zoned, r"([+-]\d{2})$", "$1:00").try_cast("timestamp")
    return text


def _fault_of_content(field: Field, feed: Feed, text: Column, kind: Column, value: Column) -> Column:
    if field.kind in (Kind.MONEY, Kind.INTEGER):
        return _number(kind, value)
    not_text = F.when(kind != "STRING", "not_text")
    if field.kind is Kind.TIME:
        return _time(not_text, feed, text, value)
    if field.kind is Kind.COUNTRY:
        return not_text.when(~text.isin(*countries()), "unknown_country")
    if field.kind is Kind.CURRENCY:
        return not_text.when(~text.isin(*currencies()), "unknown_currency")
    if field.choices:
        return not_text.when(~text.isin(*field.choices), "not_allowed")
    has_control = text.rlike(r"\p{Cntrl}")
    if field.kind is Kind.IDENTIFIER:
        is_bad = (F.length(text) > MAX_IDENTIFIER_LENGTH) | (F.trim(text) == "") | has_control
        return not_text.when(is_bad, "bad_identifier")
    return not_text.when((F.length(text) > MAX_TEXT_LENGTH) | has_control, "bad_text")


def _number(kind: Column, value: Column) -> Column:
    return (
        F.when(~kind.rlike(_NUMBERS), "not_a_number").when(value.isNull(), "out_of_range").when(value < 0, "negative")
    )


def _time(not_text: Column, feed: Feed, text: Column, value: Column) -> Column:
    latest = F.col("arrived_at") + F.make_dt_interval(F.lit(feed.max_future_days))
    return (
        not_text.when(text.rlike(f"^{_DATE_TIME}$"), "no_time_zone")
        .when(~text.rlike(f"^{_DATE_TIME}{_ZONE}$") | value.isNull(), "unreadable_time")
        .when(value > latest, "time_in_future")
        .when(value < F.lit(EARLIEST).cast("timestamp"), "time_too_old")
    )


def _text_of(name: str) -> str:
    return f"{name}__text"


def _code_of(name: str) -> str:
    return f"{name}__code"


def _type_of(name: str) -> str:
    return f"{name}__type"
