"""Money as people write it: what is read, what is refused, and a plain reader beside Spark's."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal

import pytest
from babel.numbers import get_currency_precision
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F

from lake.codes import currencies
from spark_jobs.amounts import SYMBOLS, amount_currency, amount_fault, amount_value
from spark_jobs.reasons import OF_FIELDS

# Each amount and the currency that is named, with texts that say so.
READ: dict[tuple[str, str | None], list[str]] = {
    ("1250000", "IDR"): ["Rp 1.250.000", "Rp1.250.000,00", "rp 1250000", "IDR 1,250,000.00"],
    ("1250", "IDR"): ["Rp 1.250", "Rp. 1.250", "IDR 1,250"],
    ("500", "IDR"): ["Rp.500", "Rp 500"],
    ("1250", "USD"): ["$1,250.00", "$1,250", "USD 1250", "1250 USD", "US$1.250"],
    ("12.5", "USD"): ["US$ 12.50", "$12.5"],
    ("1250", "EUR"): ["1.250,00 €", "€1,250", "€1.250"],
    ("12.5", "EUR"): ["12,50€", "\u00a0€ 12,50\u00a0"],
    ("0.5", "EUR"): ["€.50"],
    ("0.99", "GBP"): ["£0.99"],
    ("1200", "JPY"): ["¥1200"],
    ("1250.5", "BRL"): ["R$ 1.250,50"],
    ("1250.5", "ZAR"): ["R 1 250,50"],
    ("1250", "CHF"): ["CHF 1'250.00", "CHF 1’250.00"],
    ("125000.5", "INR"): ["₹1,25,000.50"],
    ("125000000", None): ["12,50,00,000"],
    ("1250000", None): ["1250000", "1,250,000", "1.250.000", "1\u202f250\u202f000,00"],
    ("1250", None): ["1 250,00", "1\u00a0250,00", "1 250", "1.25E+3", "1.250e3"],
    ("1250.5", None): ["1250.5", "1250,50"],
    ("12.5", None): ["12,50", "+12.50", " \t12.5\n"],
    ("-12.5", None): ["(12.50)", "-12.50", "−12.50", "12.50-", "- 12,50", "( 12.50 )"],
    ("-5", "USD"): ["-$5", "$-5", "$ (5)", "($5)", "$5-", "-5 USD", "5- USD", "(5) USD"],
    ("1000", None): ["1E+3", "1e3"],
    ("10000000000", None): ["1.0E10"],
    # Rounded half up, away from 0.
    ("0.0001", None): ["0.00005", "0,00005"],
    ("-0.0001", None): ["-0.00005", "-0,00005"],
    ("0", None): ["0", "0.00004999999999999999999999999999999999999999999999", "1E-400"],
    ("99999999999999.9999", None): ["99999999999999.99994", "99.999.999.999.999,9999"],
    # These have one reading, for three decimals or for none: no group begins with 0 or follows more than three digits.
    ("1.25", "KWD"): ["KWD 1.2500", "1.25 KWD"],
    ("1250", "KWD"): ["KWD 1,250.000", "1250 KWD"],
    ("0.125", "USD"): ["$0.125"],
    ("0.125", None): ["0.125"],
    ("1250.125", None): ["1250.125", "1,250.125"],
}

REFUSED: dict[str, list[str]] = {
    "unreadable_amount": [
        *("", " ", "abc", "-", ".", "$", "USD", "NaN", "Infinity", "null", "1e5 €", "1 E5", "0x10", "5%", "2026-01-05"),
        *("12.50.1", "1,25,0", "1.2.3,4,5", "1.250.00", "1,250,0000", "123,25,000", "0,250,000", "1.25.000", "1 25"),
        *("1'250’000", "1 250\u00a0000", "1,250,000,50", "1..5", "5.", "12,-"),
        *("--5", "-5-", "(-5)", "(5", "5)", ")5(", "((5))", "5-5", "5+", "() 5"),
        *("12,50 €$", "€ 5 $", "USD 5 EUR", "$5 EUR", "USD 5 USD", "usd 5", "XYZ 5", "5 kr"),
        *("١٢", "１２", "१२.५०"),
        *("9" * 101, "9" * 100_000, "1,111" + ",111" * 50_000, " " * 100_000, "(" * 100_000, "1,11" * 50_000),
    ],
    "ambiguous_amount": ["1.250", "1,250", " -1.250 ", "(999,999)", "KWD 1.250", "1,250 BHD", "IQD 1.250"],
    "out_of_range": ["9" * 15, "99999999999999.99995", "$100,000,000,000,000", "9" * 40, "-1E14", "1E999"],
}

# JSON numbers, as Spark gives their text.
NUMBERS: dict[str, str] = {
    "1.255": "1.255",
    "1.250": "1.25",
    "-1.255": "-1.255",
    "1250.5": "1250.5",
    "1E+3": "1000",
    "1.0E10": "10000000000",
    "1.5E-5": "0",
}
REFUSED_NUMBERS = {"1E15": "out_of_range", "Infinity": "out_of_range", "-Infinity": "out_of_range"}

GOOD = [(text, amount, currency) for (amount, currency), texts in READ.items() for text in texts]
BAD = [(text, code) for code, texts in REFUSED.items() for text in texts]


def read(spark: SparkSession, texts: Sequence[str | None], is_number: bool | None = False) -> list[Row]:
    """What Spark makes of the texts, in their order and in one job."""
    rows = spark.createDataFrame(
        [(place, text, is_number) for place, text in enumerate(texts)], "place int, text string, is_number boolean"
    )
    columns = F.col("text"), F.col("is_number")
    return (
        rows.select(
            "place",
            amount_value(*columns).alias("value"),
            amount_currency(*columns).alias("currency"),
            amount_fault(*columns).alias("fault"),
        )
        .orderBy("place")
        .collect()
    )


@pytest.fixture(scope="module")
def verdicts(spark: SparkSession) -> dict[str, Row]:
    """Every text of this module, read in one go."""
    texts = [case[0] for case in (*GOOD, *BAD)]
    return dict(zip(texts, read(spark, texts), strict=True))


@pytest.fixture(scope="module")
def numbers(spark: SparkSession) -> dict[str, Row]:
    texts = [*NUMBERS, *REFUSED_NUMBERS]
    return dict(zip(texts, read(spark, texts, is_number=True), strict=True))


@pytest.mark.parametrize(("text", "amount", "currency"), GOOD)
def test_an_amount_is_read_with_its_currency(
    verdicts: dict[str, Row], text: str, amount: str, currency: str | None
) -> None:
    assert list(verdicts[text])[1:] == [Decimal(amount), currency, None]


@pytest.mark.parametrize(("text", "code"), BAD, ids=[f"{code}: {text[:20]}" for text, code in BAD])
def test_what_cannot_be_read_is_refused(verdicts: dict[str, Row], text: str, code: str) -> None:
    assert (verdicts[text]["value"], verdicts[text]["fault"]) == (None, code)


@pytest.mark.parametrize("text", NUMBERS)
def test_a_json_number_is_never_ambiguous(numbers: dict[str, Row], text: str) -> None:
    assert list(numbers[text])[1:] == [Decimal(NUMBERS[text]).quantize(Decimal("0.0001")), None, None]


@pytest.mark.parametrize("text", REFUSED_NUMBERS)
def test_a_json_number_beyond_all_money_is_refused(numbers: dict[str, Row], text: str) -> None:
    assert (numbers[text]["value"], numbers[text]["fault"]) == (None, REFUSED_NUMBERS[text])


def test_null_has_no_value_no_currency_and_no_fault(spark: SparkSession) -> None:
    assert list(read(spark, [None])[0])[1:] == [None, None, None]
    assert list(read(spark, [None], is_number=True)[0])[1:] == [None, None, None]


def test_a_value_of_unknown_type_is_read_as_text(spark: SparkSession) -> None:
    assert [row["fault"] for row in read(spark, ["1.250", "1.25"], is_number=None)] == ["ambiguous_amount", None]


def test_a_text_that_is_no_amount_names_no_currency(verdicts: dict[str, Row]) -> None:
    assert [verdicts[text]["currency"] for text in ("12,50 €$", "USD", "XYZ 5")] == [None, None, None]


def test_every_currency_is_read_by_its_code_and_its_symbol(spark: SparkSession) -> None:
    named = {code: code for code in currencies()} | SYMBOLS
    rows = read(spark, [f"{name} 1.250" for name in named] + [f"-5{name}" for name in named])
    assert [row["currency"] for row in rows] == [*named.values()] * 2
    # In these a coin is a thousandth or less, so three digits may be decimals.
    unclear = {code for name, code in named.items() if get_currency_precision(code) > 2} | {"IQD"}
    assert {row["currency"] for row in rows if row["fault"]} == unclear
    assert {row["value"] for row in rows if not row["fault"]} == {Decimal(1250), Decimal(-5)}


def test_every_code_has_words() -> None:
    assert set(REFUSED) <= set(OF_FIELDS)


def in_lakhs(digits: str) -> str:
    head, tail = digits[:-3], digits[-3:]
    pairs = [head[max(0, end - 2) : end] for end in range(len(head), 0, -2)][::-1]
    return ",".join([*pairs, tail])


def readings(text: str) -> tuple[Decimal | None, Decimal | None]:
    """A plain reader: the amount where groups of digits write exactly this text, and where digits alone do."""
    grouped = plain = None
    for point in ("", ".", ","):
        whole, decimals = text.rsplit(point, 1) if point and point in text else (text, "0")
        if decimals.isdigit() and (whole.isdigit() or (whole == "" and point != "" and point in text)):
            plain = Decimal(f"{whole or 0}.{decimals}")
        for mark in {".", ",", "'", " "} - {point}:
            digits = whole.replace(mark, "")
            if mark in whole and digits.isdigit() and decimals.isdigit():
                written = f"{int(digits):,}".replace(",", mark)
                if whole == written or (mark == "," and whole == in_lakhs(str(int(digits)))):
                    grouped = Decimal(f"{digits}.{decimals}")
    return grouped, plain


PIECES = ["0", "1", "12", "25", "250", "000", ".", ".", ",", ",", "'", " "]


@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.tuples(st.sampled_from(["", "€"]), st.lists(st.sampled_from(PIECES), min_size=1, max_size=7)),
        min_size=200,
        max_size=200,
    )
)
def test_any_text_is_read_as_a_plain_reader_reads_it(spark: SparkSession, drawn: list[tuple[str, list[str]]]) -> None:
    written = [(symbol, "".join(pieces).strip()) for symbol, pieces in drawn]
    rows = read(spark, [symbol + text for symbol, text in written])
    for (symbol, text), row in zip(written, rows, strict=True):
        grouped, plain = readings(text)
        if grouped is not None and plain is not None and not symbol:
            assert (row["value"], row["fault"]) == (None, "ambiguous_amount"), text
        elif grouped is None and plain is None:
            assert (row["value"], row["fault"]) == (None, "unreadable_amount"), text
        else:
            amount = (plain if grouped is None else grouped).quantize(Decimal("0.0001"), ROUND_HALF_UP)
            fits = amount < 10**14
            assert (row["value"], row["fault"]) == ((amount, None) if fits else (None, "out_of_range")), text


# The mark between groups, and last the one before the decimals.
STYLES = [".", ",", ",.", ".,", " ,", "\u00a0,", "\u202f,", "'.", "’.", "lakhs."]
SIGNS = ["{}", "-{}", "−{}", "({})", "{}-"]
NAMES = {"{}": None, "€{}": "EUR", "{} €": "EUR", "Rp {}": "IDR", "IDR {}": "IDR", "{}\u00a0VND": "VND", "$ {}": "USD"}


@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.tuples(
            st.integers(0, 10**14 - 1) | st.integers(0, 10**5),
            st.sampled_from(["", "0", "5", "00", "07", "50", "0001", "9999"]),
            *map(st.sampled_from, (STYLES, SIGNS, list(NAMES))),
        ),
        min_size=200,
        max_size=200,
    )
)
def test_an_amount_written_in_any_style_is_read_back(
    spark: SparkSession, drawn: list[tuple[int, str, str, str, str]]
) -> None:
    written = []
    for whole, decimals, style, sign, name in drawn:
        groups = in_lakhs(str(whole)) if style == "lakhs." else f"{whole:,}".replace(",", style[:-1])
        text = groups + (style[-1] + decimals if decimals else "")
        amount = Decimal(f"{whole}.{decimals or 0}") * (1 if sign == "{}" else -1)
        is_unclear = name == "{}" and re.fullmatch(r"\d{1,3}[.,]\d{3}", text)
        expected = (None, None, "ambiguous_amount") if is_unclear else (amount, NAMES[name], None)
        written.append((name.format(sign.format(text)), expected))
    for (text, expected), row in zip(written, read(spark, [text for text, _ in written]), strict=True):
        assert (row["value"], row["currency"], row["fault"]) == expected, text
