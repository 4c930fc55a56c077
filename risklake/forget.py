"""Forgetting a user: the name, e-mail, phone and id go from every table and file of the lake, and a search proves it.

Rows stay, so that every count still holds; what told whose they are is replaced by a token that cannot be turned back.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lake import storage
from lake.catalog import FILES, TABLES
from lake.errors import UsageError
from lake.feed_tables import bronze_table
from lake.feeds import USERS
from lake.lease import turn, turn_of_table
from lake.masking_key import masking_key
from lake.settings import Settings
from risklake import case_messages
from risklake.clearing import Clearing
from risklake.forget_files import DAMAGED, clear_file, files_that_tell, files_with_text
from risklake.forget_tables import clear_table, rows_that_tell
from risklake.person import GONE, Person, any_of, tells_anywhere
from spark_jobs import pipeline
from spark_jobs.csv_lines import csv_object
from spark_jobs.hidden import hidden_text
from spark_jobs.personal import mask_identifier

# Called with what was done, and how much there is.
Report = Callable[[float, float | None], None]


@dataclass(frozen=True)
class Trace:
    """Where something of the person is still found: a table or a file, and how many rows or files."""

    place: str
    count: int


def find_person(spark: SparkSession, settings: Settings, user_id: str) -> Person:
    """Gather what the lake's raw lines tell of a user. Raises `UsageError` for an id that it has never seen."""
    silver_id = _silver_id(spark, settings, user_id)
    token = f"{GONE}_{_digest(settings, user_id)}"
    everywhere: set[str] = set()
    own: set[str] = set()
    name = bronze_table(USERS).name
    if storage.exists(spark, settings, name):
        maybe = F.rlike(F.col("line"), hidden_text(any_of([user_id]), "person"))
        for row in storage.read(spark, settings, name).where(maybe).select("line", "header").toLocalIterator():
            found = _object(row["line"], row["header"])
            if str(found.get(USERS.key)) == user_id:
                for kind, value in _personal(found):
                    (everywhere if tells_anywhere(kind, value) else own).add(value)
    person = Person(user_id, silver_id, token, tuple(sorted(everywhere)), tuple(sorted(own)))
    if not everywhere and not traces(spark, settings, person):
        raise UsageError(f"Nothing in {settings.lake_root} names the user {user_id!r}: nothing to forget")
    return person


def forget(spark: SparkSession, settings: Settings, person: Person, report: Report) -> dict[str, int]:
    """Replace the person in files and tables; gives the changed rows and lines by place.

    The same call again does what an earlier one, cut off, has left. Call it with the leases of all jobs in hand, when
    the streams have taken all that there is, and all cases are told: what they have not read in older versions of a
    table is deleted.

    What counts as the person stands in `risklake.person`. Names of files (`source_file`) are never changed, since files
    are known by them, and models hold nothing of a user.
    """
    changed: dict[str, int] = {}
    clearing, files = Clearing(person), files_with_text(settings)
    # The raw lines of users last: they tell what else belongs to the person, should this be cut off.
    names = sorted(storage.tables_on_disk(spark, settings), key=lambda name: name == bronze_table(USERS).name)
    for number, file in enumerate(files, start=1):
        lines, is_damaged = clear_file(file, clearing, partial(_note_size, spark, settings))
        if lines:
            changed[f"{file.relative_to(settings.lake_root)}{DAMAGED if is_damaged else ''}"] = lines
        report(number, len(files) + len(names))
    for number, name in enumerate(names, start=len(files) + 1):
        with turn_of_table(settings, name):
            rows = clear_table(spark, settings, name, person)
        if rows:
            changed[name] = rows
        report(number, len(files) + len(names))
    # The streams go past these changes: the files of older versions, which they would have to read, are deleted.
    pipeline.drain_holding_leases(spark, settings)
    # Nobody is told of a case because its user has another name now.
    case_messages.catch_up(spark, settings, lambda message: None)
    for name in names:
        with turn_of_table(settings, name):
            _delete_older(spark, settings, name)
    return changed


def traces(spark: SparkSession, settings: Settings, person: Person) -> list[Trace]:
    """Everywhere that the person is still found: what `forget` would change, and any other file of the lake."""
    found = []
    for name in storage.tables_on_disk(spark, settings):
        count = rows_that_tell(spark, settings, name, person)
        if count:
            found.append(Trace(name, count))
    files = files_that_tell(settings, Clearing(person))
    return found + [Trace(str(file.relative_to(settings.lake_root)), 1) for file in files]


def _delete_older(spark: SparkSession, settings: Settings, name: str) -> None:
    """Delete the rows as they were: in files of older versions, perhaps since a call that was cut off."""
    if name in TABLES and TABLES[name].changes_often:
        storage.purge(spark, settings, name)
    if storage.has_old_files(settings, name, len(storage.data_files(spark, settings, name))):
        storage.vacuum(spark, settings, name, 0)


def _note_size(spark: SparkSession, settings: Settings, file: Path, size: int) -> None:
    """Note the size that a file of the inbox is about to have, so that it does not look changed."""
    if file.parent.parent == settings.local_path("inbox") and storage.exists(spark, settings, FILES.name):
        is_it = (F.col("feed") == file.parent.name) & (F.col("source_file") == file.name)
        with turn(settings, FILES.name):
            storage.update_where(spark, settings, FILES.name, is_it, {"bytes": F.lit(size).cast("long")})


def _personal(found: dict[str, object]) -> list[tuple[str, str]]:
    """The kinds and values of name, e-mail and phone in a line of a user."""
    named = [field for field in USERS.fields if field.personal in ("name", "email", "phone")]
    return [(str(field.personal), str(found[field.name])) for field in named if found.get(field.name)]


def _object(line: str | None, header: str | None) -> dict[str, object]:
    text = line if header is None or line is None else csv_object(header, line)
    try:
        found = json.loads(text or "null")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _silver_id(spark: SparkSession, settings: Settings, user_id: str) -> str:
    one = _one(spark, user_id).select(mask_identifier(F.col("user_id"), masking_key(settings)))
    return str(one.collect()[0][0])


def _digest(settings: Settings, user_id: str) -> str:
    return hmac.new(masking_key(settings), f"{GONE}:{user_id}".encode(), hashlib.sha256).hexdigest()[:16]


def _one(spark: SparkSession, user_id: str) -> DataFrame:
    return spark.createDataFrame([(user_id,)], "user_id string")
