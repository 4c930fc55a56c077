"""The language of conditions: what is taken, what is refused and how it is said, and that it means what SQL means."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from itertools import product
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType

from lake.errors import RuleError
from spark_jobs.rules.columns import column
from spark_jobs.rules.functions import FUNCTIONS, Kind
from spark_jobs.rules.language import MOST_CHARACTERS, parsed

KNOWN = {"count": Kind.NUMBER, "amount": Kind.NUMBER, "country": Kind.TEXT, "is_new": Kind.TRUTH, "at": Kind.TIME}


@pytest.fixture(scope="module")
def rows(spark: SparkSession) -> DataFrame:
    """Every mixture of a few values and nulls."""
    at = datetime(2026, 1, 5, 3, 30, tzinfo=UTC)
    made = [
        (count, amount, country, is_new, at)
        for count in (None, 0, 3)
        for amount in (None, Decimal("2.5000"), Decimal("-3.0000"))
        for country in (None, "DE", "d_%")
        for is_new in (None, True, False)
    ]
    schema = "count bigint, amount decimal(18,4), country string, is_new boolean, at timestamp"
    return spark.createDataFrame(made, schema).coalesce(1).cache()


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("count >= 3 and coalesce(country, '') <> 'DE'", ("count", "country")),
        ("not is_new or is_new is null", ("is_new",)),
        ("amount between 1 and 2.5", ("amount",)),
        ("country in ('DE', 'FR') and count not in (1, -2)", ("country", "count")),
        ("case when is_new then amount else 0 end > 1e3", ("is_new", "amount")),
        ("country like '%a%b%' and country not like '%_%'", ("country",)),
        ("hour(at) < 4 and country like 'D%' and country not like '_E'", ("at", "country")),
        ("round(amount / nullif(count, 0), 2) > least(count, amount, 7)", ("amount", "count")),
        ("is_new = (count > 1) -- a comment", ("is_new", "count")),
    ],
)
def test_a_condition_knows_its_columns_in_their_order(text: str, columns: tuple[str, ...]) -> None:
    assert parsed(text, KNOWN).columns == columns


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must be one expression"),
        ("count >", r"the condition `count >` cannot be read near `>` \(character 7\)"),
        ("count > 1 and", "cannot be read near `and`"),
        ("conut > 1", "`conut` is no column; did you mean `count`"),
        ("zzz > 1", "`zzz` is no column; known: count, amount"),
        ("count", "gives a number, not true or false"),
        ("country = 3", "`country` is text and `3` is a number"),
        ("coalesce(count, country) = 3", "`count` is a number and `country` is text"),
        ("country > 'DE'", "only numbers and times have an order"),
        ("1 < count < 5", "`1 < count` is true or false and `5` is a number"),
        ("at > at > at", "`at > at` is true or false and `at` is a time"),
        ("count > 1e", "`1e` is no number here: write it as 100, 2.5 or 1e6"),
        ("count > 1 and amount", "`amount` is a number, where true or false is needed"),
        ("count = null", "is never true: write `is null`"),
        ("count in (amount)", "must be a list of values that are written down"),
        ("country like country", "after `like` comes a text"),
        (r"country like 'a\\'", "a backslash has no place"),
        ("country like '%a%b%c%'", "after `like` there are 4 %; at most 3 are taken"),
        ("country not ilike '%%%%'", "after `like` there are 4 %"),
        ("country like '%a_%b%'", "after `like` there are 3 %; at most 2 are taken beside _"),
        (f"country like '{'%a' * 60}%b'", "after `like` there are 61 %"),
        ("round(amount, count) > 1", "the second value is a whole number"),
        ("round(amount, 2, zzz) > 1", "`round` takes no `zzz`"),
        ("round(amount, 2, count) > 1", "`round` takes no `count`"),
        ("length(country, zzz) > 1", "`length` takes no `zzz`"),
        ("length(country, country, zzz) > 1", "`length` takes no `country`"),
        ("floor(amount to zzz) > 1", "`floor` takes no `zzz`"),
        ("floor(amount, 2) > 1", "`floor` takes one value"),
        ("amount between symmetric 2 and 1", "`between` has the lower bound first"),
        ("hour(count) < 4", "`count` is a number, where a time is needed"),
        ("silver.count > 1", "a column is named without a table"),
        ("country rlike '(a+)+$'", "no part of the rule language"),
        ("__import__('os').system('id') = 0", "no part of the rule language|cannot be read"),
        ("reflect('java.lang.Runtime', 'getRuntime') is null", "no part of the rule language"),
        ("java_method('java.lang.System', 'exit', 1) is null", "no part of the rule language"),
        ("count > 1; drop table alerts.alerts", "must be one expression"),
        ("count > 1) or (1 = 1", "cannot be read"),
        ("(select max(count) from silver.users) > 1", "no part of the rule language"),
        ("exists (select 1)", "no part of the rule language"),
        ("count > 1 union select 1", "cannot be read|must be one|no part"),
        ("sum(count) > 1", "no part of the rule language"),
        ("rand() > 0.5", "no part of the rule language"),
        ("cast(country as int) > 1", "no part of the rule language"),
        ("count::string = '1'", "no part of the rule language"),
        ("x -> x + 1", "no part of the rule language"),
        ("${count} > 1", "no part of the rule language"),
        ("count > interval 1 day", "no part of the rule language"),
        ("count > " + "9" * 19, "is no number here"),
        ("amount > 0.1234567891", "at most 18 digits before the point and 9 behind it"),
        ("country = '" + "x" * 300 + "'", "too long"),
        (" and ".join(["is_new"] * 160), "parts; at most 300"),
        ("(" * 900 + "is_new" + ")" * 900, "nested too deeply: it has 900 brackets within each other; at most 30"),
        ("(" * 31 + "is_new" + ")" * 31, "nested too deeply"),
        ("1; " + "(" * 31 + "is_new" + ")" * 31, "nested too deeply"),
        ("not " * 200 + "is_new", "nested too deeply"),
        ("country (count) > 1", r"`country\(` is no part of the rule language"),
        ("`date`(count) > 1", r"`date\(` is no part of the rule language"),
        ("from at @ from at @ 1", "cannot be read"),
        ("count[0] > 1", r"`\[` is no part of the rule language"),
        ("is_new or " * 300 + "is_new", f"at most {MOST_CHARACTERS:,} are taken"),
    ],
)
def test_what_is_no_condition_is_refused_with_the_reason(text: str, message: str) -> None:
    with pytest.raises(RuleError, match=message) as error:
        parsed(text, KNOWN)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 300


# Each of these was 2^28 steps, or more minutes than anybody waits.
@pytest.mark.timeout(20)
@pytest.mark.parametrize("opening", ["double(", "date (", "Decimal(\n", "struct(", "double[", "time(abs(", "-(char("])
def test_names_of_types_that_are_nested_are_refused_at_once(opening: str) -> None:
    closing = "".join({"(": ")", "[": "]"}.get(c, "") for c in reversed(opening))
    with pytest.raises(RuleError, match="is no part of the rule language"):
        parsed(f"{opening * 14}1{closing * 14} > 0", KNOWN)
    with pytest.raises(RuleError, match=r"no part of the rule language|nested too deeply"):
        parsed(f"{opening * 35}1{closing * 35} > 0", KNOWN)


def test_brackets_may_be_nested_thirty_deep() -> None:
    assert parsed("(" * 30 + "is_new" + ")" * 30, KNOWN).columns == ("is_new",)
    assert parsed("abs(" * 30 + "count" + ")" * 30 + " > 0", KNOWN).columns == ("count",)


@pytest.mark.parametrize("text", ["not(is_new)or(is_new)", "count in(1)and(is_new)", "case when(is_new)then(true)end"])
def test_a_word_may_stand_right_before_a_bracket(text: str) -> None:
    assert "is_new" in parsed(text, KNOWN).columns


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60) | st.text(alphabet="count>()'=and ;-/*.,\\\"`$@[]{}1%", max_size=60))
def test_any_text_is_a_condition_or_refused(text: str) -> None:
    with suppress(RuleError):
        assert set(parsed(text, KNOWN).columns) <= set(KNOWN)


def test_arithmetic_without_a_result_is_a_missing_value_and_no_failure(rows: DataFrame) -> None:
    texts = ["amount / count > 0", "amount % count >= 0", "count * 999999999999999999 * 9 > 0", "-count - 1 < 0"]
    found = rows.select(*(column(parsed(text, KNOWN)).alias(f"c{n}") for n, text in enumerate(texts)), "count")
    of_zero = {row["c0"] for row in found.collect() if row["count"] == 0}
    assert of_zero == {None}
    assert {row["c2"] for row in found.collect() if row["count"] == 3} == {None}


def test_no_null_that_may_be_written_makes_a_condition_fail(rows: DataFrame) -> None:
    texts = [
        "case when null then true else is_new end", "case when (null) then true else is_new end", "null and null",
        "null or is_new", "not null", "if(null, true, is_new)", "(null) is true", "null is null", "null is not null",
        "case when is_new then null end", "case when is_new then null end is null", "coalesce(null, is_new)",
        "coalesce(null, null) is null", "nullif(null, 3) > 1", "abs(null) > 1", "null + null > 1", "-null > 1",
        "greatest(null, null) > 1", "round(null) > 1", "hour(null) > 1", "lower(null) = 'a'", "null like 'a'",
        "(case when is_new then null end) and is_new", "case when coalesce(null, null) then true else is_new end",
        "case when case when is_new then null end then true else false end",
        "null in (1)", "null between 1 and 2", "length(null) > 1", "null",
    ]  # fmt: skip
    taken = []
    for text in texts:
        with suppress(RuleError):
            taken.append((text, parsed(text, KNOWN)))
    assert taken
    for text, condition in taken:
        assert rows.select(column(condition).alias("found")).schema["found"].dataType == BooleanType(), text


def test_no_number_that_may_be_written_makes_a_comparison_fail(rows: DataFrame) -> None:
    great = ["999999999999999999.999999999", "-999999999999999999.999999999", "1e999", "1e-999", ".000000001"]
    values = ["count", "amount", "amount * amount * amount", "amount / 3", "count * 1e300", "round(amount, 38)"]
    wide = rows.withColumn("amount", F.col("amount").cast("decimal(28,4)"))
    signs = ("<", ">=", "=", "<>", "<=>")
    texts = [f"{value} {sign} {number}" for value in values for number in great for sign in signs]
    texts += [f"{value} in ({great[0]}, 1)" for value in values]
    texts += [f"greatest({value}, {number}) * {great[0]} > 0" for value in values for number in great]
    for asked in (rows, wide):
        found = asked.select(*(column(parsed(text, KNOWN)).alias(f"c{n}") for n, text in enumerate(texts))).collect()
        assert len(found) == rows.count()


numbers = st.recursive(
    st.sampled_from(["count", "amount", "0", "3", "2.5", "-1"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*"]), inner).map(lambda p: f"({p[0]} {p[1]} {p[2]})"),
        st.tuples(st.sampled_from(["coalesce", "greatest", "least", "nullif"]), inner, inner).map(
            lambda p: f"{p[0]}({p[1]}, {p[2]})"
        ),
        inner.map(lambda value: f"abs({value})"),
        inner.map(lambda value: f"round({value}, 1)"),
    ),
    max_leaves=3,
)
truths = st.recursive(
    st.one_of(
        st.sampled_from(["is_new", "true", "country = 'DE'", "country in ('DE', 'X')", "country like 'D%'"]),
        st.sampled_from(["country not like '_E'", "country ilike 'de'", "hour(at) = 3", "minute(at) <> 30"]),
        st.tuples(numbers, st.sampled_from(["=", "<>", "<", "<=", ">", ">=", "<=>"]), numbers).map(
            lambda p: f"{p[0]} {p[1]} {p[2]}"
        ),
        numbers.map(lambda value: f"{value} is null"),
        numbers.map(lambda value: f"{value} between -1 and 2.5"),
        numbers.map(lambda value: f"{value} not in (0, 2.5)"),
    ),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda p: f"({p[0]}) {p[1]} ({p[2]})"),
        inner.map(lambda value: f"not ({value})"),
        inner.map(lambda value: f"({value}) is true"),
        inner.map(lambda value: f"({value}) is not null"),
        st.tuples(inner, inner).map(lambda p: f"if({p[0]}, {p[1]}, is_new)"),
        st.tuples(inner, inner).map(lambda p: f"case when {p[0]} then {p[1]} else false end"),
    ),
    max_leaves=4,
)


# Many conditions an example, as one question to Spark takes a second; so smaller examples would cost minutes.
@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
@given(texts=st.lists(truths, min_size=40, max_size=60))
def test_a_condition_means_what_spark_sql_means_by_it(rows: DataFrame, texts: list[str]) -> None:
    ours = [column(parsed(text, KNOWN)).alias(f"ours_{n}") for n, text in enumerate(texts)]
    theirs = [F.expr(text).cast("boolean").alias(f"theirs_{n}") for n, text in enumerate(texts)]
    for row in rows.select("*", *ours, *theirs).collect():
        differing = [text for n, text in enumerate(texts) if row[f"ours_{n}"] != row[f"theirs_{n}"]]
        assert differing == [], row


def test_the_documents_list_every_function() -> None:
    text = (Path(__file__).parent.parent / "docs" / "rules.md").read_text(encoding="utf-8")
    [line] = [line for line in text.splitlines() if line.startswith("| functions |")]
    assert set(re.findall(r"`(\w+)`", line)) == {function.name for function in FUNCTIONS.values()}


def test_a_pattern_means_what_spark_means_by_it(spark: SparkSession) -> None:
    texts = [None, *("".join(letters) for size in range(6) for letters in product("aB", repeat=size))]
    rows = spark.createDataFrame([(text,) for text in texts], "country string")
    patterns = ["".join(signs) for size in range(1, 5) for signs in product("ab%", repeat=size)]
    asked = [f"country {word} '{one}'" for one in patterns if one.count("%") <= 3 for word in ("like", "not ilike")]
    same = [column(parsed(text, KNOWN)).eqNullSafe(F.expr(text)).alias(f"c{n}") for n, text in enumerate(asked)]
    found = rows.select(*(F.bool_and(one).alias(text) for one, text in zip(same, asked, strict=True))).collect()[0]
    assert [text for text in asked if not found[text]] == []
