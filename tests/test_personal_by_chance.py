"""Texts made by chance, of which plain Python knows what must become of them."""

from __future__ import annotations

import hmac
import re
import string
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructField, StructType

from spark_jobs.keyed_hash import hmac_sha256
from spark_jobs.personal import holds_personal, mask_free_text, token
from tests.tokens import KEY, bare, filled, is_luhn, python_token

# Each example is a batch of texts and one job of Spark: few examples, many texts.
by_batches = settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)
TEXT = StructType([StructField("text", StringType())])
KEYS = [b"k" * 16, b"k" * 64, b"k" * 65, bytes(range(200)), KEY]


def batches(texts: st.SearchStrategy[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(texts, min_size=20, max_size=60)


def results(spark: SparkSession, texts: list[str], *columns: Column) -> list[tuple[Any, ...]]:
    rows = spark.createDataFrame([(text,) for text in texts], TEXT).select(*columns).collect()
    return [tuple(row) for row in rows]


@pytest.fixture(scope="module")
def masking(spark: SparkSession) -> Column:
    return mask_free_text(F.col("text"), KEY).alias("masked")


@pytest.fixture(scope="module")
def hashing(spark: SparkSession) -> list[Column]:
    return [hmac_sha256(F.col("text"), key).alias(f"key_{number}") for number, key in enumerate(KEYS)]


@given(texts=batches(st.text(st.characters(codec="utf-8"), max_size=80)))
@by_batches
def test_a_keyed_hash_is_that_of_python_for_short_long_and_binary_keys(
    spark: SparkSession, hashing: list[Column], texts: list[str]
) -> None:
    wanted = [tuple(hmac.new(key, text.encode(), "sha256").hexdigest() for key in KEYS) for text in texts]
    assert results(spark, texts, *hashing) == wanted


# Letters that every version of Unicode lower-cases alike.
values = st.text(st.characters(max_codepoint=0x52F, exclude_categories=["Cn", "Cs"]), max_size=30)


@given(texts=batches(st.one_of(values, st.from_regex(r"\s{0,2}[+0-9 ()-]{0,20}\s{0,2}", fullmatch=True))))
@by_batches
def test_a_token_is_that_of_python_for_every_kind(spark: SparkSession, texts: list[str]) -> None:
    kinds = ["email", "card", "phone", "account"]
    columns = [token(F.col("text"), kind, KEY).alias(kind) for kind in kinds]
    assert results(spark, texts, *columns) == [tuple(python_token(text, kind) for kind in kinds) for text in texts]


digits = st.text(string.digits, min_size=1)


def with_check_digit(number: str) -> str:
    return next(number + check for check in string.digits if is_luhn(number + check))


def holds_numbers_only(text: str) -> bool:
    """Whether nothing looks like a date behind a space (1121-11-11), a part of a UUID or a phone: none is a card's."""
    phone = r"[2-9]\d\d-\d{3}-\d{4}|8\d\d-\d{3,4}-\d{4,5}"
    return re.search(rf" \d{{4}}-\d\d-\d\d|\d{{8}}-\d{{4}}-\d{{4}}-|-\d{{4}}-\d{{12}}|{phone}", text) is None


@st.composite
def cards(draw: st.DrawFn) -> str:
    # No issuer begins with 20.
    number = draw(st.from_regex(r"(2[1-9]|[3-6][0-9])[0-9]{10,16}", fullmatch=True))
    separators = draw(st.lists(st.sampled_from(["", "", "", " ", "-"]), min_size=20, max_size=20))
    written = "".join(digit + gap for digit, gap in zip(with_check_digit(number), separators, strict=False))
    card = written.rstrip(" -")
    assume(holds_numbers_only(card))
    return card


@st.composite
def wrong_cards(draw: st.DrawFn) -> str:
    number = with_check_digit(draw(st.from_regex(r"[3-6][0-9]{14}", fullmatch=True)))
    return number[:-1] + str((int(number[-1]) + draw(st.integers(1, 9))) % 10)


word = r"[a-zøäé用]"
personal = st.one_of(
    st.from_regex(rf"{word}{{1,8}}([.+_-]{word}{{1,5}})?@({word}{{1,8}}\.){{1,2}}[a-zä]{{2,6}}", fullmatch=True).map(
        lambda address: f"<email:{address}>"
    ),
    cards().map(lambda number: f"<card:{number}>"),
    st.from_regex(r"\+[1-9][0-9]( [0-9]{2,3}){2} [0-9]{2,4}", fullmatch=True).map(lambda phone: f"<phone:{phone}>"),
    st.from_regex(r"0[1-9][0-9]([ -][0-9]{3}){2}", fullmatch=True).map(lambda phone: f"<phone:{phone}>"),
    st.from_regex(r"\(0[1-9][0-9]\) [0-9]{6,8}", fullmatch=True).map(lambda phone: f"<phone:{phone}>"),
)
innocent = st.one_of(
    st.sampled_from(["", "ok", "Größe", "naïve", "你好", "😀", "\x1e", "12:30", "-5", "3 pcs", "a@b", "#1"]),
    st.datetimes().map(lambda moment: moment.isoformat() + "Z"),
    st.datetimes().map(lambda moment: f"{moment:%Y-%m-%d %H:%M:%S}"),
    st.uuids().map(str),
    st.ip_addresses().map(str),
    st.decimals(0, 10**9, places=2).map(str),
    st.decimals(0, 10**9, places=2).map(lambda amount: f"{amount:,}"),
    st.floats(0, 1e9).map(str),
    st.integers(0, 10**9).map(lambda number: f"o20260101-{number:09d}"),
    st.integers(10**12, 2 * 10**12 - 1).map(str),
    st.integers(0, 10**10).map(lambda number: f"v{number}"),
    wrong_cards(),
)
glue = st.sampled_from([", ", "; ", "\n", " und ", " | ", '", "', "\t", " / "])


@st.composite
def templates(draw: st.DrawFn) -> str:
    parts = draw(st.lists(st.one_of(personal, innocent), max_size=5))
    return "".join(part + draw(glue) for part in parts)


@given(texts=batches(templates()))
@by_batches
def test_what_is_put_into_a_text_is_found_and_all_around_it_stays(
    spark: SparkSession, masking: Column, texts: list[str]
) -> None:
    holds = holds_personal(F.col("text")).alias("holds")
    wanted = [(filled(text), filled(text) != bare(text)) for text in texts]
    assert results(spark, [bare(text) for text in texts], masking, holds) == wanted


def cards_masked(text: str) -> str:
    """Text of digits, letters, spaces and dashes, masked letter by letter: from the left, the longest number first."""
    done, place = "", 0
    while place < len(text):
        ends = [
            end
            for end in range(len(text), place, -1)
            if (place == 0 or not text[place - 1].isalnum()) and is_card(text[place:end], text[end : end + 1])
        ]
        done += python_token(text[place : ends[0]], "card") if ends else text[place]
        place = ends[0] if ends else place + 1
    return done


def is_card(part: str, following: str) -> bool:
    number = part.replace(" ", "").replace("-", "")
    separators = "".join("." if letter.isdigit() else letter for letter in part)
    is_formed = number.isdigit() and not separators.startswith((" ", "-")) and not separators.endswith((" ", "-"))
    is_spaced_once = not any(pair in separators for pair in ("  ", "--", " -", "- "))
    is_long = 13 <= len(number) <= 19 and number[0] in "23456"
    return is_formed and is_spaced_once and is_long and not following.isalnum() and is_luhn(number)


# Without 0, no phone begins but one of groups; one digit makes many valid numbers that overlap.
crowded = st.one_of(
    st.text("456 ", min_size=13, max_size=50),
    st.text("4 ", min_size=13, max_size=60),
    st.text("123456789 -x", min_size=13, max_size=50),
    st.lists(cards().map(lambda number: number.replace("0", "5")), max_size=4).map(" ".join),
).filter(holds_numbers_only)


@given(texts=batches(crowded))
@by_batches
def test_overlapping_numbers_are_taken_from_the_left_and_the_longest_first(
    spark: SparkSession, masking: Column, texts: list[str]
) -> None:
    assert results(spark, texts, masking) == [(cards_masked(text),) for text in texts]
