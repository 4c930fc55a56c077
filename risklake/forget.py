"""Forgetting a user: the name, e-mail, phone and id go from every table and file of the lake, and a search proves it.

Rows stay, so that every count still holds; what told whose they are is replaced by a token that cannot be turned back.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructField

from lake import storage
from lake.catalog import FILES, TABLES
from lake.errors import UsageError
from lake.feed_tables import bronze_table
from lake.feeds import USERS
from lake.inbox import land_blocks, open_file
from lake.masking_key import masking_key
from lake.settings import Settings
from spark_jobs import pipeline
from spark_jobs.archive import ARCHIVE
from spark_jobs.csv_lines import csv_object
from spark_jobs.hidden import hidden_text
from spark_jobs.personal import mask_identifier

GONE = "forgotten"
# Folders of files that are no tables.
_TEXT_FOLDERS = ("logs", "reports", "truth", "models")

# Called with what was done, and how much there is.
Report = Callable[[float, float | None], None]


@dataclass(frozen=True)
class Person:
    """Who is forgotten: the id as producers wrote it and as silver holds it, and personal values that were found.

    `everywhere` are values that tell the person wherever they stand (e-mail, phone), `own` those that only do so in
    lines of the person (a name is shared by many).
    """

    user_id: str
    silver_id: str
    token: str
    everywhere: tuple[str, ...]
    own: tuple[str, ...]

    @property
    def id_pattern(self) -> str:
        """A regular expression for the id, not as a part of a longer one."""
        ids = "|".join(re.escape(word) for word in sorted({self.user_id, self.silver_id}))
        return rf"(?<![\w-])(?:{ids})(?![\w-])"


@dataclass(frozen=True)
class Trace:
    """Where something of the person is still found: a table or a file, and how many rows or files."""

    place: str
    count: int


def find_person(spark: SparkSession, settings: Settings, user_id: str) -> Person:
    """Gather what the lake's raw lines tell of a user. Raises `UsageError` for an id that it has never seen."""
    silver_id = _silver_id(spark, settings, user_id)
    token = f"{GONE}_{_digest(spark, settings, user_id)}"
    everywhere, own = set(), set()
    name = bronze_table(USERS).name
    if storage.exists(spark, settings, name):
        lines = storage.read(spark, settings, name).where(F.col("line").rlike(_id_pattern(user_id)))
        for row in lines.select("line", "header").toLocalIterator():
            found = _object(row["line"], row["header"])
            if found.get(USERS.key) == user_id:
                everywhere |= {str(found[f.name]) for f in _personal("email", "phone") if found.get(f.name)}
                own |= {str(found[f.name]) for f in _personal("name") if found.get(f.name)}
    person = Person(user_id, silver_id, token, tuple(sorted(everywhere)), tuple(sorted(own)))
    if not everywhere and not traces(spark, settings, person):
        raise UsageError(f"Nothing in {settings.lake_root} names the user {user_id!r}: nothing to forget")
    return person


def forget(spark: SparkSession, settings: Settings, person: Person, report: Report) -> dict[str, int]:
    """Replace the person in files and tables; gives the changed rows and lines by place.

    The same call again does what an earlier one, cut off, has left. Call it with the leases of all jobs in hand, when
    the streams have taken all that there is: what they have not read in older versions of a table is deleted.
    """
    changed: dict[str, int] = {}
    files = list(_files(settings))
    names = storage.tables_on_disk(spark, settings)
    for number, file in enumerate(files, start=1):
        lines = _forget_in_file(spark, settings, file, person)
        if lines:
            changed[str(file.relative_to(settings.lake_root))] = lines
        report(number, len(files) + len(names))
    for number, name in enumerate(names, start=len(files) + 1):
        rows = _forget_in_table(spark, settings, name, person)
        if rows:
            changed[name] = rows
        report(number, len(files) + len(names))
    # The streams go past these changes: the files of older versions, which they would have to read, are deleted.
    pipeline.drain_holding_leases(spark, settings)
    for name in names:
        if name in TABLES and TABLES[name].changes_often:
            storage.purge(spark, settings, name)
        # The rows as they were stand in files of older versions, perhaps since a call that was cut off.
        if storage.has_old_files(settings, name, len(storage.data_files(spark, settings, name))):
            storage.vacuum(spark, settings, name, 0)
    return changed


def traces(spark: SparkSession, settings: Settings, person: Person) -> list[Trace]:
    """Everywhere that the person is still found: rows of tables (all columns), and any file by its bytes."""
    found = []
    for name in storage.tables_on_disk(spark, settings):
        rows = storage.read(spark, settings, name)
        count = rows.where(_tells(F.to_json(F.struct("*")), person)).count()
        if count:
            found.append(Trace(name, count))
    wanted = re.compile("|".join([person.id_pattern, *map(re.escape, _spellings(person.everywhere))]).encode())
    for file in _files(settings, all_of_them=True):
        if _holds(file, wanted):
            found.append(Trace(str(file.relative_to(settings.lake_root)), 1))
    return found


def _forget_in_table(spark: SparkSession, settings: Settings, name: str, person: Person) -> int:
    rows = storage.read(spark, settings, name)
    texts = [f for f in rows.schema.fields if "string" in f.dataType.simpleString()]
    told = [_tells(_as_text(field), person) for field in texts]
    if not told:
        return 0
    condition = told[0]
    for other in told[1:]:
        condition = condition | other
    condition = F.coalesce(condition, F.lit(False))
    changes = {field.name: _without(field, person) for field in texts}
    if name in (f"silver.{USERS.name}", f"silver.{USERS.name}_history"):
        changes |= {f.name: F.lit(GONE) for f in USERS.fields if f.personal} | {"rest": F.lit(None).cast("string")}
    return storage.update_where(spark, settings, name, condition, changes)


def _without(field: StructField, person: Person) -> Column:
    text = _as_text(field)
    is_own = text.rlike(person.id_pattern)
    pieces = "|".join(map(re.escape, _spellings(person.everywhere)))
    all_pieces = "|".join(map(re.escape, _spellings((*person.everywhere, *person.own))))
    cleared = F.regexp_replace(text, pieces, GONE) if pieces else text
    own = F.regexp_replace(text, all_pieces, GONE) if all_pieces else text
    replaced = F.when(is_own, F.regexp_replace(own, person.id_pattern, person.token)).otherwise(cleared)
    return replaced if isinstance(field.dataType, StringType) else F.from_json(replaced, field.dataType.simpleString())


def _tells(text: Column, person: Person) -> Column:
    # Delta keeps the condition of an update in the log of the table.
    pattern = "|".join([person.id_pattern, *map(re.escape, _spellings(person.everywhere))])
    return F.rlike(text, hidden_text(pattern, "person"))


def _as_text(field: StructField) -> Column:
    column = F.col(f"`{field.name}`")
    return column if isinstance(field.dataType, StringType) else F.to_json(column)


def _forget_in_file(spark: SparkSession, settings: Settings, file: Path, person: Person) -> int:
    wanted = re.compile("|".join([person.id_pattern, *map(re.escape, _spellings(person.everywhere))]).encode())
    if not _holds(file, wanted):
        return 0
    status, changed = file.stat(), 0
    own_id, everywhere = re.compile(person.id_pattern.encode()), _spellings(person.everywhere)

    def blocks() -> Iterator[bytes]:
        nonlocal changed
        with open_file(file) as lines:
            for line in lines:
                is_own = own_id.search(line) is not None
                cleared = line
                for word in (*everywhere, *_spellings(person.own)) if is_own else everywhere:
                    cleared = cleared.replace(word.encode(), GONE.encode())
                cleared = own_id.sub(person.token.encode(), cleared)
                changed += cleared != line
                yield cleared

    land_blocks(blocks(), file)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    _note_size(spark, settings, file)
    return changed


def _note_size(spark: SparkSession, settings: Settings, file: Path) -> None:
    if storage.exists(spark, settings, FILES.name):
        is_it = (F.col("feed") == file.parent.name) & (F.col("source_file") == file.name)
        storage.update_where(spark, settings, FILES.name, is_it, {"bytes": F.lit(file.stat().st_size).cast("long")})


def _files(settings: Settings, *, all_of_them: bool = False) -> Iterator[Path]:
    """Files of the lake that hold lines or text; or every file, those of Delta's logs included, but not its data."""
    folders = (
        [settings.local_path()]
        if all_of_them
        else [settings.local_path(name) for name in ("inbox", ARCHIVE, *_TEXT_FOLDERS)]
    )
    for folder in folders:
        for file in sorted(folder.rglob("*")) if folder.is_dir() else ():
            if file.is_file() and not file.is_symlink() and file.suffix not in (".parquet", ".crc"):
                yield file


def _holds(file: Path, wanted: re.Pattern[bytes]) -> bool:
    try:
        with open_file(file) as lines:
            return any(wanted.search(line) for line in lines)
    except (OSError, EOFError):
        # A damaged gzip: what cannot be unpacked tells nobody anything.
        return wanted.search(file.read_bytes()) is not None


def _spellings(values: Iterable[str]) -> list[str]:
    """Values as they stand in text and in JSON, the longest first."""
    found = {spelled for v in values for spelled in (v, json.dumps(v)[1:-1], json.dumps(v, ensure_ascii=False)[1:-1])}
    return sorted(found, key=len, reverse=True)


def _id_pattern(user_id: str) -> str:
    return rf"(?<![\w-]){re.escape(user_id)}(?![\w-])"


def _personal(*kinds: str):  # type: ignore[no-untyped-def]
    return [field for field in USERS.fields if field.personal in kinds]


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


def _digest(spark: SparkSession, settings: Settings, user_id: str) -> str:
    import hashlib
    import hmac

    return hmac.new(masking_key(settings), f"{GONE}:{user_id}".encode(), hashlib.sha256).hexdigest()[:16]


def _one(spark: SparkSession, user_id: str) -> DataFrame:
    return spark.createDataFrame([(user_id,)], "user_id string")
