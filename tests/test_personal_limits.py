"""What masking must withstand: long texts made to slow it down, and looks at its key."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable

import pytest
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructField, StructType

from spark_jobs.personal import mask_free_text, mask_identifier, token
from tests.tokens import KEY, python_token

MEGABYTE = 1 << 20
TEXT = StructType([StructField("text", StringType())])

# Each a megabyte of what an expression might try again and again. None holds anything personal.
HOSTILE = {
    "digits": "4",
    "groups of a digit": "1 ",
    "zeros and dashes": "0-",
    "brackets": "(0)",
    "plus signs": "+",
    "a local part of points": "a.",
    "domains without end": "a@b.",
    "at signs": "@",
}


@pytest.mark.timeout(300)
def test_a_megabyte_of_what_almost_matches_is_left_as_it_is_in_a_moment(spark: SparkSession) -> None:
    texts = [part * (MEGABYTE // len(part)) + "@" for part in HOSTILE.values()]
    text = F.col("text")
    is_kept = (mask_free_text(text, KEY) == text) & (mask_identifier(text, KEY) == text)
    rows = spark.createDataFrame([(text,) for text in texts], TEXT).select(is_kept.alias("kept")).collect()
    assert [name for name, row in zip(HOSTILE, rows, strict=True) if not row["kept"]] == []


@pytest.mark.timeout(300)
def test_a_megabyte_of_personal_data_is_masked_to_the_last_value(spark: SparkSession) -> None:
    parts = {"email": "joe@mail.com", "phone": "0301234567", "card": "4111 1111 1111 1111"}
    counts = {kind: MEGABYTE // len(value) // 4 for kind, value in parts.items()}
    texts = [" ".join([value] * counts[kind]) for kind, value in parts.items()]
    rows = spark.createDataFrame([(text,) for text in texts], TEXT).select(mask_free_text(F.col("text"), KEY))
    wanted = [" ".join([python_token(value, kind)] * counts[kind]) for kind, value in parts.items()]
    # Compared one by one: a report on the difference of megabytes would take all memory.
    masked = [row[0] for row in rows.collect()]
    assert [kind for kind, text, right in zip(parts, masked, wanted, strict=True) if text != right] == []


def forms_of(key: bytes) -> list[str]:
    """The key, and what HMAC makes of it, as a text may show them: in lower case."""
    block = (hashlib.sha256(key).digest() if len(key) > 64 else key).ljust(64, b"\0")
    padded = [bytes(byte ^ pad for byte in block) for pad in (0x36, 0x5C)]
    shown = [form for secret in (key, block, *padded) for form in (secret.hex(), base64.b64encode(secret).decode())]
    return [form.lower() for form in (*shown, key.decode())]


def planned(frame: DataFrame) -> str:
    return frame._jdf.queryExecution().toString()


def explained(mode: str) -> Callable[[DataFrame], str]:
    return lambda frame: frame.sparkSession._jvm.PythonSQLUtils.explainString(frame._jdf.queryExecution(), mode)


def as_json(frame: DataFrame) -> str:
    execution = frame._jdf.queryExecution()
    return execution.analyzed().toJSON() + execution.optimizedPlan().toJSON() + execution.executedPlan().toJSON()


def error_of(action: Callable[[DataFrame], object]) -> Callable[[DataFrame], str]:
    def failed(frame: DataFrame) -> str:
        with pytest.raises(Exception) as raised:  # noqa: PT011
            action(frame)
        assert raised.value._origin is not None, "raised by Spark itself"
        return f"{raised.value} {raised.value!r} {raised.value._origin.toString()}"

    return failed


LOOKS: dict[str, Callable[[DataFrame], str]] = {
    "the plans": planned,
    "explain": explained("extended"),
    "explain in parts": explained("formatted"),
    "the generated code": explained("codegen"),
    "the plans as JSON": as_json,
    "a column that is missing": error_of(lambda frame: frame.select("nowhere")),
    "another count of columns": error_of(lambda frame: frame.union(frame.select(F.lit(1), F.lit(2)))),
    "another type": error_of(lambda frame: frame.select(F.sqrt(F.array(frame.columns[0])))),
    "a failing cast": error_of(lambda frame: frame.select(F.col(frame.columns[0]).cast("int")).collect()),
    "an assertion": error_of(lambda frame: frame.select(F.assert_true(F.col(frame.columns[0]) == "")).collect()),
}

MASKS: dict[str, Callable[[Column, bytes], Column]] = {
    "token": lambda text, key: token(text, "email", key),
    "mask_free_text": mask_free_text,
    "mask_identifier": mask_identifier,
}


@pytest.fixture
def texts(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame([("joe@mail.com 0301234567",)], TEXT)


@pytest.mark.parametrize("mask", MASKS)
def test_the_key_is_seen_in_no_plan_name_error_or_log(
    texts: DataFrame, mask: str, capfd: pytest.CaptureFixture[str]
) -> None:
    secret = b"the key that nobody sees"
    column = MASKS[mask](F.col("text"), secret)
    frame = texts.select(column.alias("masked"))
    shown = {name: look(frame) for name, look in LOOKS.items()}
    # The same where the expression has no name of its own.
    shown |= {"the name of a column": str(texts.select(column).columns), "repr": repr(column)}
    shown["an assertion on it"] = error_of(lambda frame: frame.select(F.assert_true(column == "")).collect())(texts)
    shown["standard output and error"] = "".join(capfd.readouterr())
    assert [(name, form) for name, text in shown.items() for form in forms_of(secret) if form in text.lower()] == []
    assert "joe" not in shown["another type"]


def test_a_key_in_a_literal_would_be_seen(texts: DataFrame) -> None:
    secret = b"the key that is seen".ljust(64, b"\0")
    frame = texts.select(F.sha2(F.concat(F.lit(secret), F.col("text").cast("binary")), 256).alias("masked"))
    for name in ("the plans", "explain", "a column that is missing", "another count of columns"):
        assert any(form in LOOKS[name](frame).lower() for form in forms_of(secret)), name
