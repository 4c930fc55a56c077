from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from spark_jobs.csv_lines import csv_object, csv_objects
from tests.reading import rows_and_headers


@pytest.mark.parametrize(
    ("header", "record", "expected"),
    {
        "all values are text": ("a,b", "1,true", {"a": "1", "b": "true"}),
        "an empty value is null": ("a,b,c", ",,", {"a": None, "b": None, "c": None}),
        "an empty value in quotes is text": ("a,b,c", '"",,""', {"a": "", "b": None, "c": ""}),
        "also before a carriage return": ("a,b", '"x,y",""\r', {"a": "x,y", "b": ""}),
        "empty values in values are no values": ("a,b", '"x,"",""y",', {"a": 'x,","y', "b": None}),
        "a doubled quote is one": ("a", '"say ""x"""', {"a": 'say "x"'}),
        "newlines and separators in quotes": ("a,b", '"x\ny,z",1', {"a": "x\ny,z", "b": "1"}),
        "a quote inside a value is a quote": ("a,b", '27" wide,1', {"a": '27" wide', "b": "1"}),
        "semicolons, where the header has them": ("a;b", "1,5;2", {"a": "1,5", "b": "2"}),
        "the ends of lines of Windows": ("a,b\r", "1,2\r", {"a": "1", "b": "2"}),
        "a byte order mark": ("\ufeffa,b", "1,2", {"a": "1", "b": "2"}),
        "names and values in quotes": ('"a b","c"', '"ü","😀"', {"a b": "ü", "c": "😀"}),
        "spaces stay": ("a,b", " 1 ,2", {"a": " 1 ", "b": "2"}),
    }.values(),
)
def test_a_record_becomes_the_object_that_it_means(header: str, record: str, expected: dict[str, str | None]) -> None:
    line = csv_object(header, record)
    assert line is not None
    assert json.loads(line) == expected
    assert list(json.loads(line)) == list(expected)


@pytest.mark.parametrize(
    ("header", "record"),
    {
        "too few values": ("a,b", "1"),
        "too many": ("a,b", "1,2,3"),
        "an empty line": ("a", ""),
        "a repeated name": ("a,a", "1,2"),
        "an empty name": ("a,", "1,2"),
        "an empty name in quotes": ('a,""', "1,2"),
        "no names": ("", ""),
        "an open quote": ("a,b", '1,"2'),
        "an open quote in the header": ('a,"b', "1,2"),
        "something behind quotes": ("a,b", '"1"x,2'),
        "a carriage return inside": ("a,b", "1\r2,3"),
        "a value beyond reason": ("a,b", "1," + "x" * 200_000),
    }.values(),
)
def test_what_cannot_be_said_for_certain_is_none(header: str, record: str) -> None:
    assert csv_object(header, record) is None


text = st.text(st.characters(codec="utf-8"), max_size=8)


@settings(deadline=None)
@given(st.lists(st.none() | text, min_size=1, max_size=5), st.sampled_from([",", ";"]))
def test_what_is_written_in_quotes_comes_back_and_null_stays_null(values: list[str | None], separator: str) -> None:
    header = separator.join(f"c{n}" for n in range(len(values)))
    quoted = ("" if value is None else '"' + value.replace('"', '""') + '"' for value in values)
    record = separator.join(quoted)
    line = csv_object(header, record)
    if len(values) == 1 and (values == [None] or separator == ";"):
        # An empty line holds no value; a header of one name has no separator.
        assert line is None or json.loads(line) == {"c0": values[0]}
    else:
        assert line is not None
        assert json.loads(line) == {f"c{n}": value for n, value in enumerate(values)}


def test_arrays_give_null_for_null_and_for_bytes_that_are_no_text() -> None:
    headers = pa.array(["a,b", None, "a,b", "a,b"])
    records = pa.array([b"1,2", b"1,2", None, b"\xff,2"]).view(pa.string())
    assert csv_objects(headers, records).to_pylist() == ['{"a":"1","b":"2"}', None, None, None]


def test_a_file_of_records_becomes_lines_of_json_in_spark(spark: SparkSession, tmp_path: Path) -> None:
    path = tmp_path / "users" / "f.csv"
    path.parent.mkdir()
    path.write_bytes(b'user_id;name\r\nu1;"Ann\nLee"\r\nu2;\r\nu3\r\n')
    texts = [(str(header, "utf-8"), str(row.line, "utf-8")) for row, header in rows_and_headers(path) if header]
    as_json = F.arrow_udf(csv_objects, "string")
    found = spark.createDataFrame(texts, "header string, line string").select(as_json("header", "line")).collect()
    assert [row[0] for row in found] == ['{"user_id":"u1","name":"Ann\\nLee"}', '{"user_id":"u2","name":null}', None]
