"""Forgetting a user in the tables of the lake: what a row tells is replaced, the row stays."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructField

from lake import storage
from lake.feed_tables import bronze_table
from lake.feeds import FEEDS, USERS
from lake.settings import Settings
from risklake.clearing import Clearing, names_of
from risklake.person import GONE, USER_FIELDS, Person, is_free_text
from spark_jobs.hidden import hidden_text

_BRONZE = {bronze_table(feed).name for feed in FEEDS.values()}
_CHANGED_LINE = "source_file string, line_number long, line binary, header binary"
# A file is known by its name.
_NAMES_OF_FILES = ("source_file", "replay_file")
# Columns of sentences about the row, and columns that hold what producers wrote.
_SENTENCES = ("reason", "reasons", "note")
_WRITTEN = {field.name for feed in FEEDS.values() for field in feed.fields if is_free_text(field)} | {"rest"}
# Columns that name users beside other things.
_TELLING = ("missing", "fired_on")


def clear_table(spark: SparkSession, settings: Settings, name: str, person: Person) -> int:
    """Take the person out of a table; gives the number of changed rows."""
    if name in _BRONZE:
        return _clear_lines(spark, settings, name, person)
    rows = storage.read(spark, settings, name)
    condition, changes = _changes(rows, person)
    if name in (f"silver.{USERS.name}", f"silver.{USERS.name}_history"):
        # Another user's row may only name the person.
        others = ~_is_own(rows, person)
        changes |= {f.name: F.when(others, F.col(f.name)).otherwise(GONE) for f in USERS.fields if f.personal}
        changes["rest"] = F.when(others, changes["rest"])
    return storage.update_where(spark, settings, name, condition, changes) if changes else 0


def rows_that_tell(spark: SparkSession, settings: Settings, name: str, person: Person) -> int:
    """How many rows of a table `clear_table` would change."""
    rows = storage.read(spark, settings, name)
    if name in _BRONZE:
        return sum(1 for _ in _changed_lines(rows, person))
    return rows.where(_changes(rows, person)[0]).count()


def _clear_lines(spark: SparkSession, settings: Settings, name: str, person: Person) -> int:
    changed = list(_changed_lines(storage.read(spark, settings, name), person))
    if changed:
        # Bytes, since a line need not be UTF-8.
        lines = spark.createDataFrame(changed, _CHANGED_LINE)
        texts = {column: F.col(column).cast("string") for column in ("line", "header")}
        storage.merge_changes(lines.withColumns(texts), settings, name, only=list(texts))
    return len(changed)


def _changed_lines(rows: DataFrame, person: Person) -> Iterator[tuple[str, int, bytes | None, bytes | None]]:
    clearing = Clearing(person)
    maybe = hidden_text(person.maybe, "person")
    is_maybe = F.coalesce(F.rlike("line", maybe), F.lit(False)) | F.coalesce(F.rlike("header", maybe), F.lit(False))
    texts = [F.col(column).cast("binary").alias(column) for column in ("line", "header")]
    for row in rows.where(is_maybe).select("source_file", "line_number", *texts).toLocalIterator():
        line, header = (None if text is None else bytes(text) for text in (row["line"], row["header"]))
        cleared = _cleared_line(line, header, clearing)
        if cleared != (line, header):
            yield row["source_file"], row["line_number"], *cleared


def _cleared_line(line: bytes | None, header: bytes | None, clearing: Clearing) -> tuple[bytes | None, bytes | None]:
    if header is None:
        return None if line is None else clearing.line(line), None
    names, separator = names_of(header)
    record = None if line is None else clearing.record(line, names, separator)
    return record, clearing.record(header, (), separator)


def _changes(rows: DataFrame, person: Person) -> tuple[Column, dict[str, Column]]:
    """Which rows tell the person, and their columns without."""
    fields = [f for f in rows.schema.fields if "string" in f.dataType.simpleString() and f.name not in _NAMES_OF_FILES]
    users, is_own = _users(rows), _is_own(rows, person)
    told, changes = [], {}
    for field in fields:
        text = _as_text(field)
        cleared = _cleared(field.name, text, is_own, person)
        if field.name in users:
            cleared = F.when(_is_one_of(users[field.name], person.ids), person.token).otherwise(cleared)
        # Delta keeps the condition of an update in the log of the table, so nothing in it may show.
        told.append(F.rlike(text, hidden_text(person.maybe, "person")) & (cleared != text))
        is_text = isinstance(field.dataType, StringType)
        changes[field.name] = cleared if is_text else F.from_json(cleared, field.dataType.simpleString())
    return _any(told), changes


def _is_own(rows: DataFrame, person: Person) -> Column:
    return _any([_is_one_of(column, [*person.ids, person.token]) for column in _users(rows).values()])


def _users(rows: DataFrame) -> dict[str, Column]:
    """By column, the user that a row refers to in it; null where it refers to something else."""
    found = {name: F.col(name) for name in USER_FIELDS if name in rows.columns}
    if {"entity", "entity_id"} <= set(rows.columns):
        found["entity_id"] = F.when(F.col("entity").isin(USER_FIELDS), F.col("entity_id"))
    if {"feed", "event_key"} <= set(rows.columns):
        found["event_key"] = F.when(F.col("feed") == USERS.name, F.col("event_key"))
    return found


def _cleared(column: str, text: Column, is_own: Column, person: Person) -> Column:
    cleared = text
    if column in (*_TELLING, *_SENTENCES, *_WRITTEN):
        cleared = _replaced(cleared, person.in_json, f'$1"{person.token}"')
    if column in (*_SENTENCES, *_WRITTEN):
        cleared = _replaced(cleared, person.in_words, f"$1{person.token}")
        cleared = _replaced(cleared, person.distinctive, person.token)
        own = _replaced(cleared, person.as_value, f'"{person.token}"')
        own = _replaced(own, person.as_word, person.token) if column in _SENTENCES else own
        cleared = F.when(is_own, _replaced(own, person.names, GONE)).otherwise(cleared)
    return _replaced(cleared, person.contacts, GONE)


def _replaced(text: Column, pattern: str, by: str) -> Column:
    return F.regexp_replace(text, hidden_text(pattern, "person"), F.lit(by)) if pattern else text


def _is_one_of(column: Column, words: list[str]) -> Column:
    return F.coalesce(_any([column == hidden_text(word, "person") for word in words]), F.lit(False))


def _any(conditions: list[Column]) -> Column:
    return F.coalesce(reduce(Column.__or__, conditions, F.lit(False)), F.lit(False))


def _as_text(field: StructField) -> Column:
    column = F.col(f"`{field.name}`")
    return column if isinstance(field.dataType, StringType) else F.to_json(column)
