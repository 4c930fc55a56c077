"""One Spark session for the whole suite, a lake of its own for each test, and builders that name only what matters."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from lake import storage
from lake.inbox import land_lines
from lake.session import build_session
from lake.settings import Settings, load_settings
from lake.storage.streams import FACTORY_MODE
from tests.silver_lines import GOOD


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with tests of minutes come first: begun last, one would keep one process at work and the other waiting."""
    long = {item.path for item in items if item.get_closest_marker("end_to_end")}
    items.sort(key=lambda item: item.path not in long)


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    root = tmp_path_factory.mktemp("session") / "lake"
    session = build_session(load_settings({"lake_root": str(root)}, environment={}), "tests")
    # As streams with little to do: what a test asks costs less than generating and compiling code for it. The real
    # commands of the end-to-end tests have Spark's default.
    session.conf.set(FACTORY_MODE, "NO_CODEGEN")
    yield session
    session.stop()


@pytest.fixture(scope="session")
def empty_tables(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake whose tables are made and hold nothing; a copy of it costs less than making them again."""
    root = tmp_path_factory.mktemp("template") / "lake"
    storage.ensure_tables(spark, load_settings({"lake_root": str(root)}, environment={}))
    return root


@pytest.fixture
def settings(tmp_path: Path, request: pytest.FixtureRequest) -> Settings:
    """A lake of the test's own; with empty tables where the test also asks for Spark."""
    if "spark" in request.fixturenames:
        shutil.copytree(request.getfixturevalue("empty_tables"), tmp_path / "lake")
    return load_settings({"lake_root": str(tmp_path / "lake")}, environment={}, folder=tmp_path)


def transaction_line(event_id: str = "e1", **fields: Any) -> str:
    """The line of a transaction; a field set to None is left out."""
    named = GOOD | {"event_id": event_id} | fields
    return json.dumps({key: value for key, value in named.items() if value is not None})


@pytest.fixture
def transaction() -> Callable[..., str]:
    """Builds the line of a transaction."""
    return transaction_line


@pytest.fixture
def land(settings: Settings) -> Callable[..., Path]:
    """Puts lines into the inbox of the test's lake."""

    def put(lines: list[str], name: str = "a.jsonl", feed: str = "transactions") -> Path:
        return land_lines(lines, settings.local_path("inbox", feed), name)

    return put
