"""Validation of each field by its kind: a rule gives its reason or null, and the typed value where there is none."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lake.codes import countries, currencies
from lake.feeds import MONEY, Feed, Field, Kind
from spark_jobs.mask import shape
from spark_jobs.parse import REASON_TYPE, reason

EARLIEST = "2000-01-01"
MAX_IDENTIFIER_LENGTH = 256
MAX_TEXT_LENGTH = 4096

_DATE_TIME = r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?"
_ZONE = r"([Zz]|[+-]\d{2}(:?\d{2})?)"
_NUMBERS = r"^(BIGINT|DECIMAL|DOUBLE|FLOAT|INT|SMALLINT|TINYINT)"


@dataclass(frozen=True)
class Checked:
    """A field's typed value, meaningful where its reason is null, and its reason."""

    name: str
    value: Column
    reason: Column


def opened(parsed: DataFrame, feed: Feed) -> DataFrame:
    """Add the text and the JSON type of each field of the struct `json`, so that each is worked out once a line."""
    texts = {_text_of(name): F.col(f"json.{name}").cast("string") for name in feed.field_names}
    types = {_type_of(name): F.schema_of_variant(F.col(f"json.{name}")) for name in feed.field_names}
    return parsed.withColumns(texts | types)


def check(field: Field, feed: Feed) -> Checked:
    """Validate one field of `opened` lines; needs `arrived_at` beside it for times."""
    value = _Value(field.name)
    typed = _typed(field, value)
    problem = F.when(value.is_absent, _missing(field, value)).otherwise(_content(field, feed, value, typed))
    return Checked(field.name, typed.alias(field.name), problem)


def reasons(checked: list[Checked]) -> Column:
    """Every reason of a line, in the order of the fields: the line's own, or those of its fields."""
    of_fields = F.array_compact(F.array(*(c.reason for c in checked)))
    return F.when(F.col("line_reason").isNotNull(), F.array("line_reason")).otherwise(of_fields)


class _Value:
    """A field of the opened line: its text, its JSON type and its shape for messages."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.text = F.col(_text_of(name))
        self.type = F.col(_type_of(name))
        self.shape = shape(self.text)

    @property
    def is_absent(self) -> Column:
        return self.type.isNull() | (self.type == "VOID")

    def reason(self, code: str, *message: Column | str) -> Column:
        parts = [F.lit(part) if isinstance(part, str) else part for part in message]
        return reason(code, self.name, F.concat(*parts))


def _text_of(name: str) -> str:
    return f"{name}__text"


def _type_of(name: str) -> str:
    return f"{name}__type"


def _missing(field: Field, value: _Value) -> Column:
    if field.required:
        return value.reason("missing_field", f"{field.name} is missing or null")
    return F.lit(None).cast(REASON_TYPE)


def _content(field: Field, feed: Feed, value: _Value, typed: Column) -> Column:
    if field.kind in (Kind.MONEY, Kind.INTEGER):
        return F.coalesce(_wrong_type(value, _NUMBERS, "a JSON number, such as 12.50"), _number(value, typed))
    wrong_type = _wrong_type(value, "^STRING$", "text in quotes")
    if field.kind is Kind.TIME:
        return F.coalesce(wrong_type, _time(feed, value, typed))
    if field.kind is Kind.COUNTRY:
        return F.coalesce(wrong_type, _code(value, countries(), "unknown_country", "an ISO 3166 code such as ID"))
    if field.kind is Kind.CURRENCY:
        return F.coalesce(wrong_type, _code(value, currencies(), "unknown_currency", "an ISO 4217 code such as IDR"))
    if field.choices:
        return F.coalesce(wrong_type, _code(value, field.choices, "not_allowed", "one of " + ", ".join(field.choices)))
    longest = MAX_IDENTIFIER_LENGTH if field.kind is Kind.IDENTIFIER else MAX_TEXT_LENGTH
    return F.coalesce(wrong_type, _text(value, longest, may_be_empty=field.kind is Kind.TEXT))


def _typed(field: Field, value: _Value) -> Column:
    if field.kind is Kind.MONEY:
        return value.text.try_cast(MONEY)
    if field.kind is Kind.INTEGER:
        exact = value.text.try_cast("decimal(20, 4)")
        return F.when(exact == F.floor(exact), exact.try_cast("int"))
    if field.kind is Kind.TIME:
        # Spark reads +07:00, but not +0700 or +07.
        zoned = F.regexp_replace(value.text, r"([+-]\d{2})(\d{2})$", "$1:$2")
        return F.regexp_replace(zoned, r"([+-]\d{2})$", "$1:00").try_cast("timestamp")
    return value.text


def _wrong_type(value: _Value, accepted: str, wanted: str) -> Column:
    found = F.lower(F.regexp_extract(value.type, r"^(\w+)", 1))
    return F.when(
        ~value.type.rlike(accepted),
        value.reason("wrong_type", f"{value.name} is of type ", found, " (", value.shape, f"); it must be {wanted}"),
    )


def _number(value: _Value, typed: Column) -> Column:
    return F.when(
        typed.isNull(), value.reason("out_of_range", f"{value.name} ", value.shape, " is too large, or not whole")
    ).when(typed < 0, value.reason("negative", f"{value.name} ", value.shape, " is below 0"))


def _time(feed: Feed, value: _Value, typed: Column) -> Column:
    without_zone = value.text.rlike(f"^{_DATE_TIME}$")
    unreadable = ~value.text.rlike(f"^{_DATE_TIME}{_ZONE}$") | typed.isNull()
    latest = F.col("arrived_at") + F.make_dt_interval(F.lit(feed.max_future_days))
    return (
        F.when(without_zone, value.reason("no_time_zone", f"{value.name} has no time zone: write Z or +07:00"))
        .when(
            unreadable,
            value.reason(
                "unreadable_time", f"{value.name} ", value.shape, " is no ISO 8601 time such as 2026-01-31T23:59:59Z"
            ),
        )
        .when(
            typed > latest,
            value.reason(
                "time_in_future", f"{value.name} lies more than {feed.max_future_days} d after the line's arrival"
            ),
        )
        .when(
            typed < F.lit(EARLIEST).cast("timestamp"),
            value.reason("time_too_old", f"{value.name} lies before {EARLIEST}"),
        )
    )


def _code(value: _Value, codes: tuple[str, ...], code: str, wanted: str) -> Column:
    return F.when(~value.text.isin(*codes), value.reason(code, f"{value.name} ", value.shape, f" is not {wanted}"))


def _text(value: _Value, longest: int, *, may_be_empty: bool) -> Column:
    bad = (F.length(value.text) > longest) | value.text.rlike(r"\p{Cntrl}")
    if not may_be_empty:
        bad = bad | (F.trim(value.text) == "")
    return F.when(
        bad,
        value.reason(
            "bad_text", f"{value.name} is empty, longer than {longest} characters, or holds control characters"
        ),
    )
