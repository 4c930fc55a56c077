"""Fixtures for all tests: one Spark session, and the settings of an empty lake."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from lake.session import build_session
from lake.settings import Settings, load_settings


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """One session for the whole run."""
    session = build_session(load_settings({"lake_root": str(tmp_path_factory.mktemp("lake"))}), "tests")
    yield session
    session.stop()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of an empty lake of the test's own."""
    return load_settings({"lake_root": str(tmp_path / "lake")}, environment={})
