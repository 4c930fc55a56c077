"""The house rules that a machine can see."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from lake.catalog import TABLES
from lake.dictionary import FILE, dictionary
from lake.feed import Feed
from lake.feeds import FEEDS
from lake.table import Table

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("generator", "lake", "ml", "risklake", "spark_jobs")
# Everybody may import `lake`; only the command line may import the others.
ALLOWED = {name: {"lake", name} for name in PACKAGES} | {"risklake": set(PACKAGES)}


def modules() -> Iterator[Path]:
    for package in PACKAGES:
        yield from (ROOT / package).rglob("*.py")


@pytest.mark.parametrize("file", list(modules()), ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_follow_the_data(file: Path) -> None:
    package = file.relative_to(ROOT).parts[0]
    imported = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        imported |= {name.split(".")[0] for name in names} & set(PACKAGES)
    assert imported <= ALLOWED[package]


def test_no_module_shadows_the_standard_library_or_delta() -> None:
    taken = set(sys.stdlib_module_names) | {"delta", "pyspark", "dbt"}
    assert [file.name for file in modules() if file.stem in taken] == []


def test_no_module_is_a_dustbin() -> None:
    assert [file.name for file in modules() if file.stem in {"utils", "helpers", "common", "misc"}] == []


def test_there_is_no_python_under_dbt() -> None:
    assert list((ROOT / "dbt").rglob("*.py")) == []


@pytest.mark.parametrize("table", list(TABLES.values()), ids=lambda table: table.name)
def test_every_table_says_its_grain_and_every_column_its_meaning(table: Table) -> None:
    assert table.meaning
    assert table.grain.startswith("one row")
    assert set(table.keys) <= set(table.column_names)
    assert set(table.partition_by) <= set(table.column_names)
    assert [column.name for column in table.columns if not column.comment] == []
    assert len(set(table.column_names)) == len(table.columns)
    assert (ROOT / table.written_by).is_file()


# Columns that stand beside the fields of a feed on their way through silver.
WORKING_COLUMNS = {
    *("line", "header", "json", "rest", "faults", "line_fault", "verdict", "is_held", "missing", "event_date"),
    *("content_hash", "source_file", "line_number", "arrived_at", "arrival_date", "file_modified_at", "read_error"),
    *("valid_from", "valid_to", "is_current", "held_hash", "held_file", "held_line"),
}


@pytest.mark.parametrize("feed", list(FEEDS.values()), ids=lambda feed: feed.name)
def test_every_feed_names_its_key_and_event_time_and_refers_to_reference_feeds(feed: Feed) -> None:
    assert {feed.key, feed.event_time or feed.key} <= set(feed.field_names)
    assert all(FEEDS[name].is_reference for name in feed.references.values())
    assert set(feed.value_names) & WORKING_COLUMNS == set()
    assert all(f.falls_back_on in (None, *feed.field_names) for f in feed.fields)


def test_the_data_dictionary_is_what_the_catalog_says() -> None:
    assert FILE.read_text(encoding="utf-8") == dictionary(), "run `make docs`"


@pytest.mark.parametrize("model", sorted((ROOT / "dbt" / "models").rglob("*.sql")), ids=lambda model: model.stem)
def test_every_dbt_model_has_a_description_and_described_columns(model: Path) -> None:
    declared = yaml.safe_load(model.with_suffix(".yml").read_text(encoding="utf-8"))["models"]
    assert [entry["name"] for entry in declared] == [model.stem]
    assert declared[0]["description"]
    assert all(column.get("description") for column in declared[0]["columns"])


@pytest.mark.parametrize("mart", sorted((ROOT / "dbt" / "models" / "marts").glob("*.sql")), ids=lambda mart: mart.stem)
def test_every_mart_says_its_grain_and_tests_its_key(mart: Path) -> None:
    text = mart.with_suffix(".yml").read_text(encoding="utf-8")
    assert "Grain: one row" in text
    assert "unique" in text


def test_no_test_asserts_nothing() -> None:
    idle = []
    for file in (ROOT / "tests").glob("test_*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                source = ast.unparse(node)
                if not any(word in source for word in ("assert", "raises", "check", "expect")):
                    idle.append(node.name)
    assert idle == []
