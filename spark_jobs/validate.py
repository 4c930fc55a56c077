"""Validation of each field by its kind: a rule gives the code of its fault or null, beside the typed value."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pyspark.sql import Column
from pyspark.sql import functions as F

from lake.codes import countries, currencies
from lake.feed import MONEY, Feed, Field, Kind
from spark_jobs.amounts import amount_currency, amount_fault, amount_value
from spark_jobs.dates import time_fault, time_value
from spark_jobs.personal import masked_identifiers, masked_texts, token, with_quoted_tokens
from spark_jobs.reasons import (
    EARLIEST,
    EARLIEST_WRITTEN,
    FAULT_TYPE,
    MAX_IDENTIFIER_LENGTH,
    MAX_TEXT_LENGTH,
    fault,
)

_DATE_TIME = r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?"
_ZONE = r"([Zz]|[+-]\d{2}(:?\d{2})?)"
_NUMBERS = r"^(BIGINT|DECIMAL|DOUBLE|FLOAT|INT|SMALLINT|TINYINT)"


# All texts of a line that are masked alike, beside each other.
_TEXTS, _IDENTIFIERS = "texts__masked", "identifiers__masked"


@dataclass(frozen=True)
class Checked:
    """A field's text, its typed values by the columns of silver (meaningful where it has no fault), and the code of
    its fault, or null. `fills` says whether a value is taken from another field where the line has none."""

    name: str
    text: Column
    values: dict[str, Column]
    code: Column
    fills: bool = False


def steps(feed: Feed, key: bytes) -> list[dict[str, Column]]:
    """The columns to add to `parse`d lines, step by step: in the end the typed values, personal data as tokens of the
    masking key, and `faults`: the line's own, or those of its fields in their order.

    Each step refers to the columns of the steps before it, so that nothing is worked out twice a line.
    """
    checked = [_check(field, feed, key) for field in feed.fields]
    # Fields that fall back on others refer to these by their names.
    plain = {name: value for c in checked if not c.fills for name, value in c.values.items()}
    filled = {name: value for c in checked if c.fills for name, value in c.values.items()}
    # The codes become columns first: Spark compiles them so, and filters the faults of bad lines only.
    codes = {_code_of(c.name): c.code for c in checked}
    found = [_opened(feed), _masked_together(feed, key), codes, plain | {"faults": _faults(checked)}, filled]
    return [step for step in found if step]


def _opened(feed: Feed) -> dict[str, Column]:
    """The text and the JSON type of each field of the struct `json`."""
    texts = {_text_of(name): F.col(f"json.{name}").cast("string") for name in feed.field_names}
    types = {_type_of(name): F.schema_of_variant(F.col(f"json.{name}")) for name in feed.field_names}
    return texts | types


def _masked_together(feed: Feed, key: bytes) -> dict[str, Column]:
    """All texts that may hold personal data, masked, beside each other."""
    free = [F.col(_text_of(field.name)) for field in feed.fields if _is_free_text(field)]
    masked = {_TEXTS: masked_texts([*free, F.col("rest")], key)}
    identifiers = [F.col(_text_of(field.name)) for field in feed.fields if _is_identifier(field)]
    if identifiers:
        masked[_IDENTIFIERS] = masked_identifiers(identifiers, key)
    return masked


def masked_rest() -> Column:
    """The undeclared fields of lines that have taken the `steps`, personal data in them as tokens."""
    return F.coalesce(with_quoted_tokens(F.element_at(_TEXTS, -1)), F.col("rest"))


def _check(field: Field, feed: Feed, key: bytes) -> Checked:
    """Validate one field of `_opened` lines; needs `arrived_at` beside it for times."""
    text, kind = F.col(_text_of(field.name)), F.col(_type_of(field.name))
    is_absent = kind.isNull() | (kind == "VOID")
    missing = F.lit("missing_field" if field.required else None).cast("string")
    code = F.when(is_absent, missing).otherwise(_fault_of_content(field, feed, text, kind))
    return Checked(field.name, text, _values(field, feed, text, kind, key), code, fills=field.falls_back_on is not None)


def _faults(checked: list[Checked]) -> Column:
    """The faults of a line, or those of its fields, whose codes are columns."""
    codes = {c.name: F.col(_code_of(c.name)) for c in checked}
    of_fields = F.array(*(fault(codes[c.name], c.name, c.text) for c in checked))
    return (
        F.when(F.col("line_fault").isNotNull(), F.array("line_fault"))
        .when(F.coalesce(*codes.values()).isNotNull(), F.filter(of_fields, lambda item: item["code"].isNotNull()))
        .otherwise(F.array().cast(f"array<{FAULT_TYPE}>"))
    )


def _values(field: Field, feed: Feed, text: Column, kind: Column, key: bytes) -> dict[str, Column]:
    """The values of a field by the columns of silver, personal data as tokens."""
    if field.keeps_text:
        is_number = kind.rlike(_NUMBERS)
        return {
            field.name: _masked(field, feed, text),
            f"{field.name}_numeric": amount_value(text, is_number),
            f"{field.name}_currency": amount_currency(text, is_number),
        }
    value = _typed(field, text, kind)
    if field.personal:
        value = token(value, field.personal, key)
    elif _is_identifier(field) or _is_free_text(field):
        value = _masked(field, feed, text)
    if field.falls_back_on:
        value = F.coalesce(value, F.col(field.falls_back_on))
    return {field.name: value if field.default is None else F.coalesce(value, F.lit(field.default))}


def _is_identifier(field: Field) -> bool:
    return field.kind is Kind.IDENTIFIER and not field.personal


def _is_free_text(field: Field) -> bool:
    return field.keeps_text or (field.kind is Kind.TEXT and not field.choices and not field.personal)


def _masked(field: Field, feed: Feed, text: Column) -> Column:
    """The masked text of a field, out of those that stand beside each other; most lines have nothing to mask."""
    together, kind = (_IDENTIFIERS, _is_identifier) if _is_identifier(field) else (_TEXTS, _is_free_text)
    place = [other.name for other in feed.fields if kind(other)].index(field.name)
    return F.coalesce(F.col(together)[place], text)


def _typed(field: Field, text: Column, kind: Column) -> Column:
    if field.kind is Kind.MONEY:
        return text.try_cast(MONEY)
    if field.kind is Kind.WRITTEN_MONEY:
        return amount_value(text, kind.rlike(_NUMBERS))
    if field.kind is Kind.WRITTEN_TIME:
        return time_value(text)
    if field.kind is Kind.INTEGER:
        exact = text.try_cast("decimal(38, 18)")
        return F.when(exact == F.floor(exact), exact.try_cast("int"))
    if field.kind is Kind.TIME:
        # Spark reads +07:00, but not +0700 or +07.
        zoned = F.regexp_replace(text, r"([+-]\d{2})(\d{2})$", "$1:$2")
        return F.regexp_replace(zoned, r"([+-]\d{2})$", "$1:00").try_cast("timestamp")
    return text


def _fault_of_content(field: Field, feed: Feed, text: Column, kind: Column) -> Column:
    value = _typed(field, text, kind)
    not_text = F.when(kind != "STRING", "not_text")
    if field.kind in (Kind.MONEY, Kind.INTEGER):
        return _number(kind, value)
    if field.kind is Kind.WRITTEN_MONEY:
        is_number = kind.rlike(_NUMBERS)
        return F.when(~is_number & (kind != "STRING"), "unreadable_amount").otherwise(amount_fault(text, is_number))
    if field.kind is Kind.TIME:
        return _time(not_text, feed, text, value)
    if field.kind is Kind.WRITTEN_TIME:
        return not_text.when(time_fault(text).isNotNull(), time_fault(text)).otherwise(
            _out_of_time(feed, value, EARLIEST if _is_event_time(field, feed) else EARLIEST_WRITTEN)
        )
    return _fault_of_text(field, not_text, text)


def _fault_of_text(field: Field, not_text: Column, text: Column) -> Column:
    if field.kind is Kind.COUNTRY:
        return not_text.when(~_is_one_of(field, countries()), "unknown_country")
    if field.kind is Kind.CURRENCY:
        return not_text.when(~_is_one_of(field, currencies()), "unknown_currency")
    if field.choices:
        return not_text.when(~text.isin(*field.choices), "not_allowed")
    has_control = text.rlike(r"\p{Cntrl}")
    if field.kind is Kind.IDENTIFIER:
        is_bad = (F.length(text) > MAX_IDENTIFIER_LENGTH) | (F.trim(text) == "") | has_control
        return not_text.when(is_bad, "bad_identifier")
    return not_text.when((F.length(text) > MAX_TEXT_LENGTH) | has_control, "bad_text")


def _is_one_of(field: Field, codes: Iterable[str]) -> Column:
    # As text of SQL: hundreds of literals one by one take a third of a second.
    return F.expr(f"`{_text_of(field.name)}` in ({', '.join(repr(code) for code in sorted(codes))})")


def _number(kind: Column, value: Column) -> Column:
    return (
        F.when(~kind.rlike(_NUMBERS), "not_a_number").when(value.isNull(), "out_of_range").when(value < 0, "negative")
    )


def _time(not_text: Column, feed: Feed, text: Column, value: Column) -> Column:
    return (
        not_text.when(text.rlike(f"^{_DATE_TIME}$"), "no_time_zone")
        .when(~text.rlike(f"^{_DATE_TIME}{_ZONE}$") | value.isNull(), "unreadable_time")
        .otherwise(_out_of_time(feed, value, EARLIEST))
    )


def _is_event_time(field: Field, feed: Feed) -> bool:
    """Whether the time of the event is that of the field, where the line has no other."""
    return any(field.name == other.falls_back_on for other in feed.fields if other.name == feed.event_time)


def _out_of_time(feed: Feed, value: Column, earliest: str) -> Column:
    latest = F.col("arrived_at") + F.make_dt_interval(F.lit(feed.max_future_days))
    return F.when(value > latest, "time_in_future").when(value < F.lit(earliest).cast("timestamp"), "time_too_old")


def _text_of(name: str) -> str:
    return f"{name}__text"


def _code_of(name: str) -> str:
    return f"{name}__code"


def _type_of(name: str) -> str:
    return f"{name}__type"
