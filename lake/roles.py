"""Views for roles: what an analyst and what an investigator may see, written in SQL beside this module."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from pyspark.sql import SparkSession

from lake import storage
from lake.session import quoted
from lake.settings import Settings

FOLDER = Path(__file__).with_name("views")
_VIEW, _NOTHING = "create or replace view ", "nothing"
ROLES = tuple(sorted(file.stem for file in FOLDER.glob("*.sql")))


def view_statements(role: str) -> Iterator[tuple[list[str], str]]:
    """Each view of a role, and each function that they use: what tables it needs, and the statement that makes it."""
    for part in (FOLDER / f"{role}.sql").read_text(encoding="utf-8").split(";"):
        needs = re.search(r"^-- needs: (.+)$", part, re.MULTILINE)
        if needs:
            names = [name.strip() for name in needs[1].split(",")]
            yield [name for name in names if name != _NOTHING], part[needs.end() :].strip()


def role_statements(spark: SparkSession, settings: Settings, role: str) -> list[str]:
    """SQL that makes the views of a role in a schema of its name, as far as their tables are there.

    Views are definitions, not copies: who may read them is decided by who may read the folders below them, so lock
    `bronze` for all but investigators.
    """
    schema = f"create schema if not exists `{role}` location '{quoted(settings.path('views', role))}'"
    views = [
        statement
        for needs, statement in view_statements(role)
        if all(storage.exists(spark, settings, name) for name in needs)
    ]
    return [schema, *views]


def register_views(spark: SparkSession, settings: Settings, role: str) -> list[str]:
    """Make the views of a role in this session; gives their names."""
    schema, *views = role_statements(spark, settings, role)
    for statement in (schema, *views):
        spark.sql(statement)
    return [statement.split()[4] for statement in views if statement.startswith(_VIEW)]
