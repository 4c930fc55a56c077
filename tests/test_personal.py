from __future__ import annotations

import json

import pytest
from pyspark.sql import Column, Row, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructField, StructType

from spark_jobs.personal import holds_personal, mask_free_text, mask_identifier, token, with_quoted_tokens
from tests.tokens import KEY, bare, filled, python_token

TEXT = StructType([StructField("text", StringType())])

# Free text in which brackets show what must become which token.
MASKED: dict[str, str] = {
    "an address alone": "<email:joe@mail.com>",
    "an address in a sentence": "Write to <email:joe@mail.com>.",
    "an address in another script": "Post an <email:bjørn@exämple.no>, bitte",
    "an address of a plus": "<email:joe+spark@mail.co.uk> ordered",
    "an address in capitals": "<email:Joe.O'Brien@MAIL.com>",
    "addresses in brackets and quotes": "<email:a@b.co>(<email:c@d.org>)'<email:e@f.net>'mailto:<email:g@h.de>?x=1",
    "a domain of digits and dashes": "<email:a@1-2.b_c.example>",
    "an address behind another, beside a comma": "<email:a@b.co>,<email:a@b.co>",
    "an address that begins like a phone": "<email:+4930123456789@mail.com>",
    "an address with a card before the at": "<email:4111111111111111@mail.com>",
    "an address behind a domain's backslash": "CORP\\<email:alice@corp.com>",
    "a card alone": "<card:4111111111111111>",
    "a card in groups": "paid with <card:4111 1111 1111 1111>, thanks",
    "a card of dashes": "<card:4111-1111-1111-1111>",
    "a card of non-breaking spaces": "<card:4111\u00a01111\u00a01111\u00a01111>",
    "a card of 13 digits": "<card:4222222222222>",
    "a card of 15 digits": "<card:3782 822463 10005>",
    "a card of 19 digits": "<card:6304000000000000000>",
    "a card of the series 2": "<card:2223003122003222>",
    "a card and its date": "<card:4111 1111 1111 1111> 12/27",
    "a card and its code": "<card:4111111111111111>,123,12/27",
    "a card behind a count": "2 x <card:4111111111111111>, 5 <card:5555 5555 5555 4444>",
    "a card behind a number of the same form": "2222 <card:4111 1111 1111 1111>",
    "two cards in a row": "<card:4111 1111 1111 1111> <card:5555 5555 5555 4444>",
    "a card before an amount": "<card:4111 1111 1111 1111> 12.50 EUR",
    "a card between letters that are not spaced": "卡号<card:4111111111111111>谢谢",
    "an international phone": "call <phone:+4930123456789>!",
    "an international phone of spaces": "<phone:+62 812 3456 7890>",
    "an international phone of brackets": "<phone:+1 (555) 123-4567> or <phone:(+49) 30 1234567>",
    "an international phone of all separators": "<phone:+49 (0) 30.123 - 4567>",
    "an international phone of 00": "<phone:0049 30 1234567>",
    "a national phone": "<phone:0301234567>",
    "a national phone of dashes": "<phone:0812-3456-7890>",
    "a national phone of points": "<phone:01.23.45.67.89>",
    "a national phone of brackets": "<phone:(030) 1234567>",
    "phones of groups": "<phone:555-123-4567>, <phone:(555) 123-4567>, <phone:1-800-555-0199>, <phone:212.555.0123>",
    "phones of groups in a row": "<phone:555-123-4567> <phone:555-987-6543>",
    "a mobile phone without its 0": "wa <phone:812-3456-7890>!",
    "a phone in brackets": "(<phone:0301234567>)",
    "a phone before a count": "<phone:0301234567> 2 pcs",
    "a phone before a time": "<phone:+49 30 1234567> 2026-01-05 10:00",
    "two phones": "<phone:0301234567> <phone:0309876543>/<phone:0301111111>, <phone:+4930123456789>",
    "a phone between letters that are not spaced": "전화<phone:0301234567>입니다",
    "all three": "<email:a@b.co> <card:4111111111111111> <phone:0301234567> <email:a@b.co>",
    "text of JSON": '{"a": "x\\n<phone:0301234567>\\n<email:bob@x.de>\\t<card:4111111111111111>"}',
    "separators of records": "\x1e<email:a@b.co>\x1ea\x1e\x1e<card:4111111111111111>\x1e",
    "characters beyond the first plane": "😀<email:a@b.co>😀<phone:0301234567>😀",
    "a line break": "a\r\n<email:a@b.co>\n\n<phone:0301234567>\n",
}

# Free text that must stay as it is.
KEPT: dict[str, str] = {
    "an empty text": "",
    "a word": "approved",
    "times": "2026-01-05T10:00:00.123456789Z 20260105T100000Z 2026-01-05T17:00:00+0700 2026",
    "days": "2026-01-05 2026-01-06 2026-01-07, 01.02.2026 12:30, 20260105 20260106",
    "a time without separators": "20260105100000 20260105100000123",
    "amounts": "12.50 1,234,567.89 1.234.567.890,12 0.123456789012 -0,5 EUR 1000000000",
    "amounts of spaces": "1 000 000 000 12 034 567 890",
    "amounts with a sign": "+12345678.90 -12345678.90 +1.234.567,89",
    "amounts with leading zeros": "012345678.50",
    "a number that computers print": "0.30000000000000004 4.111111111111111E15 12.4111111111111111",
    "UUIDs": "550e8400-e29b-41d4-a716-446655440000 01234567-8901-4111-8111-012345678901",
    "UUIDs of digits": "44665544-0000-4111-4111-111111111111 41111111-1111-1111-8111-411111111111",
    "IP addresses": "10.0.0.1 192.168.001.001 010.020.030.040 2001:0db8:85a3:0000:0000:8a2e:0370:7334",
    "ids": "o20260101-000000123 20260101-000000123 v1234567890 u000123 m0301234567 ab-0301234567 x_4111111111111111",
    "an id that contains a card": "o4111111111111111 4111111111111111x",
    "milliseconds since 1970": "1767600000000 1767600000000000",
    "a number that is no card": "4111111111111112",
    "numbers in groups that are no cards": "4111 1111 1111 1112, 4000 0000 0000 0001, 0111 1111 1111 1112",
    "a card of another issuer": "7111111111111116",
    "a card of 12 and one of 20 digits": "411111111116 41111111111111111114",
    "groups that are no phone": "155-123-4567, 555-123-456, 555-123-45678, x555-123-4567, 555-123-4567-8",
    "groups behind a point": "3.212.555.0123 712-34-5678 8123-456-7890",
    "short numbers": "+1234567, 01234567, 4711, 0800",
    "numbers with leading zeros": "000000123 0000001234",
    "no addresses": "@joe joe@ joe@localhost a@1.2.3.4 a @ b.co @b.co a@.co",
    "tokens": "email_0123456789abcdef0123456789abcdef card_41111111111111114111111111111111",
    "separators alone": "+-().  -- ((( \x1e",
}

# Identifiers with the kind of token that they become, or None.
IDENTIFIERS: dict[str, tuple[str | None, str | None]] = {
    "null": (None, None),
    "an id": ("o20260101-000000123", None),
    "an empty one": ("", None),
    "a phone": ("+4930123456789", None),
    "an address": ("Joe@mail.com", "email"),
    "an address within": ("user:joe@mail.com:7", "email"),
    "no address": ("joe@home", None),
    "a card": ("4111111111111111", "card"),
    "a card in groups": (" 4111 1111-1111 1111 ", "card"),
    "a card within": ("pm-4111111111111111", None),
    "a card and more": ("4111111111111111 12/27", None),
    "two cards": ("4111111111111111 4111111111111111", None),
    "no card": ("4111111111111112", None),
    "a time": ("20260105100000", None),
}


def rows_of(spark: SparkSession, texts: list[str | None], **columns: Column) -> list[Row]:
    named = [column.alias(name) for name, column in columns.items()]
    return spark.createDataFrame([(text,) for text in texts], TEXT).select("text", *named).collect()


@pytest.fixture(scope="module")
def masked(spark: SparkSession) -> dict[str | None, Row]:
    """Every free text of this module, masked in one go."""
    text = F.col("text")
    columns = {"masked": mask_free_text(text, KEY), "holds": holds_personal(text)}
    return {row["text"]: row for row in rows_of(spark, [None, *map(bare, MASKED.values()), *KEPT.values()], **columns)}


@pytest.mark.parametrize("name", MASKED)
def test_what_is_personal_becomes_its_token_and_all_else_stays(masked: dict[str | None, Row], name: str) -> None:
    row = masked[bare(MASKED[name])]
    assert row["masked"] == filled(MASKED[name])
    assert row["holds"] is True


@pytest.mark.parametrize("name", KEPT)
def test_what_only_looks_personal_stays_as_it_is(masked: dict[str | None, Row], name: str) -> None:
    row = masked[KEPT[name]]
    assert row["masked"] == KEPT[name]
    assert row["holds"] is False


def test_null_stays_null_and_holds_nothing(masked: dict[str | None, Row]) -> None:
    assert masked[None]["masked"] is None
    assert masked[None]["holds"] is False


def test_what_is_masked_holds_nothing_personal_any_more(spark: SparkSession) -> None:
    rows = rows_of(spark, [filled(template) for template in MASKED.values()], holds=holds_personal(F.col("text")))
    assert [row["text"] for row in rows if row["holds"]] == []


def test_a_card_number_without_quotes_becomes_a_text_of_json_and_texts_stay_as_they_are(spark: SparkSession) -> None:
    card = python_token("4111111111111111", "card")
    documents = {
        '{"a":4111111111111111}': {"a": card},
        '{"a":[1,4111111111111111,{"b":-4111111111111111}]}': {"a": [1, card, {"b": f"-{card}"}]},
        r'{"a":"say \"x:4111111111111111,","b":"\\","c":4111111111111111}': {
            "a": f'say "x:{card},', "b": "\\", "c": card,
        },
        '{"a":"x:4111111111111111,"}': {"a": f"x:{card},"},
        '{"a":4111111111111112}': {"a": 4111111111111112},
    }  # fmt: skip
    masked = with_quoted_tokens(mask_free_text(F.col("text"), KEY))
    rows = rows_of(spark, [*documents, None], masked=masked)
    assert [json.loads(row["masked"]) for row in rows[:-1]] == list(documents.values())
    assert rows[-1]["masked"] is None


def test_an_identifier_becomes_the_token_of_the_whole_or_stays(spark: SparkSession) -> None:
    rows = rows_of(spark, [text for text, _ in IDENTIFIERS.values()], masked=mask_identifier(F.col("text"), KEY))
    wanted = {
        name: python_token(text, kind) if text is not None and kind else text
        for name, (text, kind) in IDENTIFIERS.items()
    }
    assert {name: row["masked"] for name, row in zip(IDENTIFIERS, rows, strict=True)} == wanted


def test_an_address_has_one_token_as_a_value_in_a_text_and_as_an_identifier(spark: SparkSession) -> None:
    text = F.col("text")
    [row] = rows_of(
        spark,
        [" JOE@mail.com"],
        value=token(text, "email", KEY),
        text_masked=mask_free_text(text, KEY),
        identifier=mask_identifier(text, KEY),
    )
    assert row["value"] == row["identifier"] == row["text_masked"].strip() == python_token("joe@mail.com", "email")


SAME: list[tuple[str, str, str]] = [
    ("email", " Joe@Mail.com\n", "joe@mail.com"),
    ("card", "4111 1111-1111 1111", "4111111111111111"),
    ("phone", "+49 (30) 123-4567", "0049301234567"),
    ("phone", "0049 30 1234567", "+49301234567"),
    ("account", "\tDE89 3704 ", "DE89 3704"),
]

DIFFERENT: list[tuple[str, str, str]] = [
    ("email", "joe@mail.com", "jo@mail.com"),
    ("phone", "+49301234567", "0301234567"),
    ("account", "de89", "DE89"),
]


def test_writings_of_one_value_have_one_token_and_other_values_another(spark: SparkSession) -> None:
    for kind, one, other in SAME + DIFFERENT:
        first, second = rows_of(spark, [one, other], token=token(F.col("text"), kind, KEY))
        assert (first["token"] == second["token"]) == ((kind, one, other) in SAME), (kind, one, other)


def test_one_value_has_other_tokens_for_another_kind_and_another_key(spark: SparkSession) -> None:
    text = F.col("text")
    columns = {"a": token(text, "card", KEY), "b": token(text, "phone", KEY), "c": token(text, "card", KEY + b"!")}
    [row] = rows_of(spark, ["4111111111111111"], **columns)
    assert len({digits.split("_")[1] for digits in row[1:]}) == 3
