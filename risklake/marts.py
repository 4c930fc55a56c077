"""Builds and tests the marts: dbt inside this process, on this session."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from lake import storage
from lake.errors import MartsError
from lake.lease import leases
from lake.session import register_names
from lake.settings import Settings

PROJECT = Path(__file__).resolve().parent.parent / "dbt"

_ANSI = "spark.sql.ansi.enabled"

# Called with how many models and tests are done, and how many there are.
Report = Callable[[int, int | None], None]


@dataclass(frozen=True)
class MartsResult:
    """What `dbt build` did: models built and tests passed."""

    models: int
    tests: int


def build_marts(spark: SparkSession, settings: Settings, report: Report | None = None) -> MartsResult:
    """Run `dbt build` on the lake. Raises `MartsError` naming the models and tests that failed."""
    from dbt.cli.main import dbtRunner

    storage.ensure_tables(spark, settings)
    register_names(spark, settings)
    counter = _Counter(report or (lambda done, total: None))
    work = settings.local_path("logs", "dbt")
    command = [
        "--quiet",
        "--no-use-colors",
        "--log-path",
        str(work),
        "build",
        "--project-dir",
        str(PROJECT),
        "--profiles-dir",
        str(PROJECT),
        "--target-path",
        str(work / "target"),
    ]
    with leases(settings, ["marts"]), _lake_root(settings), _same_sql_afterwards(spark):
        outcome: Any = dbtRunner(callbacks=[counter.take]).invoke(command)
    _raise_failures(outcome, work)
    register_names(spark, settings)
    kinds = [result.node.resource_type for result in outcome.result.results]
    return MartsResult(models=kinds.count("model"), tests=kinds.count("test"))


class _Counter:
    """Counts finished nodes from dbt's events."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._done = 0

    def take(self, event: Any) -> None:
        if event.info.name in ("LogModelResult", "LogTestResult"):
            self._done += 1
            # dbt names the number of nodes differently for tests and for models.
            total = event.data.num_models if event.info.name == "LogTestResult" else event.data.total
            self._report(self._done, total)


@contextmanager
def _lake_root(settings: Settings) -> Iterator[None]:
    # dbt's project takes the lake from the environment, so that the plain `dbt` command works alike.
    before = os.environ.get("LAKE_ROOT")
    os.environ["LAKE_ROOT"] = settings.lake_root
    try:
        yield
    finally:
        if before is None:
            del os.environ["LAKE_ROOT"]
        else:
            os.environ["LAKE_ROOT"] = before


@contextmanager
def _same_sql_afterwards(spark: SparkSession) -> Iterator[None]:
    # dbt turns errors of SQL into nulls for its session, which is ours, and leaves it so.
    before = spark.conf.get(_ANSI, "true")
    try:
        yield
    finally:
        spark.conf.set(_ANSI, str(before))


def _raise_failures(outcome: Any, work: Path) -> None:
    if outcome.success:
        return
    if outcome.result is None or not hasattr(outcome.result, "results"):
        raise MartsError(f"dbt could not start: {_first_line(outcome.exception)}. Its log is {work / 'dbt.log'}")
    failed = [r for r in outcome.result.results if str(r.status) in ("error", "fail")]
    named = "; ".join(f"{r.node.name}: {_first_line(r.message)}" for r in failed)
    raise MartsError(f"{len(failed)} models or tests failed ({named}). The log is {work / 'dbt.log'}")


def _first_line(text: object) -> str:
    lines = [line.strip() for line in str(text or "no message").splitlines() if line.strip()]
    return " ".join(lines[:2])
