"""Dates as people write them: what is read, what is refused, and Python's calendar beside Spark's."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F

from spark_jobs.dates import MONTHS, time_fault, time_value
from spark_jobs.reasons import OF_FIELDS

LAST_OF_JANUARY = [
    *("2026-01-31", "20260131", "2026/01/31", " 2026-01-31\n", "\u00a02026-01-31\u00a0"),
    *("31.01.2026", "31.1.2026", "31/01/2026", "01/31/2026", "31-01-2026", "01-31-2026", "31/1/2026"),
    *("31 Jan 2026", "31 January 2026", "31 JAN 2026", "31  january  2026"),
    *("Jan 31, 2026", "January 31, 2026", "jan 31,2026"),
]

READ: dict[str, datetime] = {text: datetime(2026, 1, 31) for text in LAST_OF_JANUARY} | {
    "05/05/2026": datetime(2026, 5, 5),
    "5-05-2026": datetime(2026, 5, 5),
    "01.02.2026": datetime(2026, 2, 1),
    "1 May 2026": datetime(2026, 5, 1),
    "29.02.2024": datetime(2024, 2, 29),
    "2026-01-31T23:59:59Z": datetime(2026, 1, 31, 23, 59, 59),
    "2026-01-31t23:59z": datetime(2026, 1, 31, 23, 59),
    "2026-01-31 23:59:59+07:00": datetime(2026, 1, 31, 16, 59, 59),
    "2026-01-31T23:59:59+0700": datetime(2026, 1, 31, 16, 59, 59),
    "2026-01-31T23:59+07": datetime(2026, 1, 31, 16, 59),
    "2026-01-31T23:59:59.5-07:30": datetime(2026, 2, 1, 7, 29, 59, 500_000),
    "2026-01-31T00:00:00.123456789Z": datetime(2026, 1, 31, 0, 0, 0, 123_456),
    "2026/01/31 10:00Z": datetime(2026, 1, 31, 10),
    "31 Jan 2026 10:00+07": datetime(2026, 1, 31, 3),
}

REFUSED: dict[str, list[str]] = {
    "ambiguous_date": [
        *("05/06/2026", "5/6/2026", "05-06-2026", "11/1/2026", "1/11/2026", "12/01/2026 10:00Z", "12/01/2026 10:00"),
        *("31/01/26", "31.01.26", "26-01-31", "31 Jan 26", "31 january 26", "Jan 31, 26", " 31.01.26 "),
    ],
    "no_time_zone": ["2026-01-31 23:59:59", "2026-01-31T23:59", "2026-01-31T23:59:59.123 ", "31.01.2026 23:59"],
    "unreadable_date": [
        *("", " ", "abc", "now", "today", "epoch", "2026", "2026-01", "12:00", "1767600000", "2026-01-31Z"),
        *("2026-02-30", "30.02.2026", "30 February 2026", "Feb 30, 2026", "29.02.2023", "20260230", "31/04/2026"),
        *("2026-02-30 10:00", "2026-02-30T10:00Z", "2026-13-01", "13/13/2026", "32/01/2026", "00/01/2026"),
        *("31/01-2026", "2026-0131", "2026/01-31", "2026-1-31", "31 01 2026", "31-Jan-2026", "Jan 31 2026"),
        *("31 Januar 2026", "31 Janu 2026", "31 janvier 2026", "Mai 5, 2026", "２０２６-01-31", "٣١/٠١/٢٠٢٦"),
        *("2026-01-31T25:00Z", "2026-01-31T25:00", "2026-01-31T10:60Z", "2026-01-31T10Z", "2026-01-31T10:00+19:00"),
        *("2026-01-31T10:00Z+07", "2026-01-31 10:00 UTC", "2026-01-31T10:00:00.1234567891Z", "2026-01-31 2026-01-31"),
        *(" " * 100_000 + "x", "1/" * 50_000, "jan " * 50_000),
    ],
}

BAD = [(text, code) for code, texts in REFUSED.items() for text in texts]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read(spark: SparkSession, texts: Sequence[str | None]) -> list[Row]:
    """What Spark makes of the texts, in their order and in one job; values in microseconds since 1970."""
    rows = spark.createDataFrame(list(enumerate(texts)), "place int, text string")
    value, fault = time_value(F.col("text")), time_fault(F.col("text"))
    return rows.select("place", F.unix_micros(value).alias("value"), fault.alias("fault")).orderBy("place").collect()


def micros(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


def midnight(day: date) -> int:
    return micros(datetime(day.year, day.month, day.day, tzinfo=UTC))


@pytest.fixture(scope="module")
def verdicts(spark: SparkSession) -> dict[str, Row]:
    """Every text of this module, read in one go."""
    texts = [*READ, *(text for text, _ in BAD)]
    return dict(zip(texts, read(spark, texts), strict=True))


@pytest.mark.parametrize("text", READ)
def test_a_date_or_time_is_read(verdicts: dict[str, Row], text: str) -> None:
    expected = micros(READ[text].replace(tzinfo=UTC))
    assert (verdicts[text]["value"], verdicts[text]["fault"]) == (expected, None)


@pytest.mark.parametrize(("text", "code"), BAD, ids=[f"{code}: {text[:35]}" for text, code in BAD])
def test_what_cannot_be_read_is_refused(verdicts: dict[str, Row], text: str, code: str) -> None:
    assert (verdicts[text]["value"], verdicts[text]["fault"]) == (None, code)


def test_null_has_no_value_and_no_fault(spark: SparkSession) -> None:
    assert [list(row)[1:] for row in read(spark, [None])] == [[None, None]]


def test_a_date_does_not_depend_on_the_zone_of_the_session(spark: SparkSession, verdicts: dict[str, Row]) -> None:
    spark.conf.set("spark.sql.session.timeZone", "Asia/Jakarta")
    try:
        assert [row["value"] for row in read(spark, list(READ))] == [verdicts[text]["value"] for text in READ]
    finally:
        spark.conf.set("spark.sql.session.timeZone", "UTC")


def test_every_code_has_words() -> None:
    assert set(REFUSED) <= set(OF_FIELDS)


def styles(day: date) -> list[str]:
    """The day in every style that has one reading."""
    name = MONTHS[day.month - 1]
    short, numbers = name[:3].title(), f"{day.day}.{day.month}.{day.year:04}"
    written = [day.isoformat(), f"{day:%Y%m%d}", f"{day:%Y/%m/%d}", f"{day:%d.%m.%Y}", numbers]
    written += [f"{day.day} {text} {day.year:04}" for text in (short, name, name.upper())]
    return written + [f"{text} {day.day:02}, {day.year:04}" for text in (short, name.title())]


def possible(year: int, month: int, day: int) -> set[date]:
    try:
        return {date(year, month, day)}
    except ValueError:
        return set()


@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.dates(date(1900, 1, 1), date(2199, 12, 31)), min_size=40, max_size=40))
def test_a_day_written_in_any_style_is_read_back(spark: SparkSession, days: list[date]) -> None:
    written = [(text, day) for day in days for text in styles(day)]
    for (text, day), row in zip(written, read(spark, [text for text, _ in written]), strict=True):
        assert (row["value"], row["fault"]) == (midnight(day), None), text


@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.tuples(
            st.integers(0, 33), st.integers(0, 33), st.integers(1900, 2199), st.sampled_from("/-"), st.booleans()
        ),
        min_size=200,
        max_size=200,
    )
)
def test_two_numbers_before_a_year_are_read_where_they_make_one_date(
    spark: SparkSession, drawn: list[tuple[int, int, int, str, bool]]
) -> None:
    texts = [mark.join([f"{a:0{1 + full}}", f"{b:0{1 + full}}", f"{year}"]) for a, b, year, mark, full in drawn]
    for text, row, (a, b, year, _, _) in zip(texts, read(spark, texts), drawn, strict=True):
        days = possible(year, a, b) | possible(year, b, a)
        if len(days) == 1:
            assert (row["value"], row["fault"]) == (midnight(*days), None), text
        else:
            assert (row["value"], row["fault"]) == (None, "ambiguous_date" if days else "unreadable_date"), text


ZONES = st.integers(-18 * 4, 18 * 4).map(lambda quarters: timezone(timedelta(minutes=15 * quarters)))


@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.tuples(
            st.datetimes(datetime(1900, 1, 2), datetime(2199, 12, 30), timezones=ZONES),
            st.sampled_from(["seconds", "milliseconds", "microseconds", "minutes"]),
            st.sampled_from("T "),
            st.booleans(),
        ),
        min_size=100,
        max_size=100,
    )
)
def test_a_time_with_its_zone_is_read_back_and_refused_without_it(
    spark: SparkSession, drawn: list[tuple[datetime, str, str, bool]]
) -> None:
    zoned = [moment.isoformat(sep=sep, timespec=spec) for moment, spec, sep, _ in drawn]
    texts = [
        text[:-3] + text[-2:] if is_basic else text for text, (_, _, _, is_basic) in zip(zoned, drawn, strict=True)
    ]
    rows = read(spark, texts + [text[:-6] for text in zoned])
    for text, plain, row in zip(texts, zoned, rows, strict=False):
        assert (row["value"], row["fault"]) == (micros(datetime.fromisoformat(plain)), None), text
    assert {row["fault"] for row in rows[len(texts) :]} == {"no_time_zone"}
