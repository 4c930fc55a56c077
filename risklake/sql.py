"""SQL on the lake: one statement, or the shell that comes with Spark."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

from pyspark.errors import AnalysisException, ParseException
from pyspark.sql import SparkSession
from rich.markup import escape
from rich.table import Table

from lake import storage
from lake.errors import MachineError, UsageError
from lake.roles import role_statements
from lake.session import registration_statements
from lake.settings import Settings
from lake.terminal import console


def run_query(spark: SparkSession, query: str, *, as_json: bool, limit: int) -> None:
    """Run one statement and print its rows, as a table or as one JSON object a line."""
    try:
        result = spark.sql(query.rstrip().rstrip(";"))
        rows = result.limit(limit).toJSON().collect() if as_json else result.limit(limit).collect()
    except (AnalysisException, ParseException) as error:
        raise UsageError(" ".join(str(error).split(";")[0].split())) from error
    if as_json:
        for row in rows:
            print(row)  # noqa: T201
        return
    table = Table(*map(escape, result.columns), header_style="bold")
    for row in rows:
        table.add_row(*("null" if value is None else escape(str(value)) for value in row))
    console.print(table)


def shell_statements(spark: SparkSession, settings: Settings, role: str | None) -> list[str]:
    """What the shell runs before its first prompt: the tables of the lake are named, and the views of a role made."""
    named = registration_statements(settings, storage.tables_on_disk(spark, settings))
    return [*named, *(role_statements(spark, settings, role) if role else ())]


def open_shell(spark: SparkSession, settings: Settings, role: str | None) -> NoReturn:
    """Become `spark-sql`, with the tables of the lake named, and the views of a role."""
    statements = shell_statements(spark, settings, role)
    spark.stop()
    shell = Path(sys.executable).with_name("spark-sql")
    if not shell.is_file():
        raise MachineError(f"{shell} is missing. Run `make setup`")
    with tempfile.NamedTemporaryFile("w", suffix=".sql", delete=False, encoding="utf-8") as start:
        start.write(";\n".join(statements) + ";\n")
    os.execv(shell, [str(shell), "-i", start.name])  # noqa: S606 (replaces this process; no shell string)
