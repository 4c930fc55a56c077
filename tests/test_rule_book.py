"""A rule set is taken anew when its file changes, and only if what the file says is right."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest

from lake.errors import RuleError
from lake.settings import load_settings
from spark_jobs.rules.book import RuleBook
from tests.rule_text import GOOD


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "rules.yml"
    put(file, GOOD)
    return file


@pytest.fixture
def book(file: Path) -> RuleBook:
    return RuleBook(load_settings({"rules_file": str(file)}, environment={}, folder=file.parent))


def put(file: Path, text: str, *, age: float = 10) -> None:
    """Write a file as it lies there after some seconds."""
    file.write_text(text, encoding="utf-8")
    os.utime(file, (time.time() - age,) * 2)


def test_a_right_change_is_in_force_at_the_next_look(
    file: Path, book: RuleBook, caplog: pytest.LogCaptureFixture
) -> None:
    before = book.current()
    assert book.current() is before
    put(file, GOOD.replace("> 1", "> 2") + GOOD.replace("many", "more").replace("rules:\n", "").lstrip("\n"), age=5)
    after = book.current()
    assert [rule.condition.text for rule in after.rules] == ["txn_count_5m > 2", "txn_count_5m > 1"]
    assert caplog.messages == [f"rules changed: set {after.version} is in force; new: more; changed: many"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD.replace("txn_count_5m >", "txn_cuont_5m >"), "`txn_cuont_5m` is no column"),
        (GOOD.replace("txn_count_5m > 1", "__import__('os').system('id') = 0"), "rules.yml, line 3, rule `many`"),
        (GOOD.replace("> 1", "> 1; drop table alerts.alerts"), "must be one expression"),
        ("rules: [", "is not valid YAML"),
    ],
)
def test_a_wrong_change_is_said_once_and_leaves_the_old_set_in_force(
    file: Path, book: RuleBook, caplog: pytest.LogCaptureFixture, text: str, message: str
) -> None:
    before = book.current()
    put(file, text, age=5)
    assert book.current() is before
    assert book.current() is before
    [said] = caplog.messages
    assert said.startswith(f"rules refused, set {before.version} stays in force: ")
    assert message in said
    put(file, GOOD.replace("low", "high"), age=4)
    assert [rule.severity for rule in book.current().rules] == ["high"]


def test_a_file_that_goes_away_leaves_the_old_set_in_force(
    file: Path, book: RuleBook, caplog: pytest.LogCaptureFixture
) -> None:
    before = book.current()
    file.unlink()
    assert book.current() is before
    assert book.current() is before
    assert len(caplog.messages) == 1
    put(file, GOOD)
    assert book.current() == before


@pytest.mark.parametrize("look", ["iterdir", "is_dir"])
@pytest.mark.parametrize("number", [errno.EACCES, errno.ESTALE])
def test_a_folder_that_cannot_be_listed_leaves_the_old_set_in_force(
    file: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, look: str, number: int
) -> None:
    book = RuleBook(load_settings({"rules_file": str(file.parent)}, environment={}, folder=file.parent))
    before = book.current()

    def fail(_: Path) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr(Path, look, fail)
        assert book.current() is before
        assert book.current() is before
    [said] = caplog.messages
    assert f"The rules at {file.parent} cannot be read ({os.strerror(number)})" in said
    put(file, GOOD.replace("low", "high"), age=5)
    assert [rule.severity for rule in book.current().rules] == ["high"]


def test_a_file_that_has_just_been_changed_is_left_until_it_rests(file: Path, book: RuleBook) -> None:
    before = book.current()
    put(file, "rules: []", age=0)
    assert book.current() is before
    os.utime(file, (time.time() - 1,) * 2)
    assert book.current().rules == ()


def test_a_comment_is_no_change(file: Path, book: RuleBook, caplog: pytest.LogCaptureFixture) -> None:
    put(file, "# why\n" + GOOD, age=5)
    assert [rule.line for rule in book.current().rules] == [4]
    assert caplog.messages == []


def test_the_first_set_must_be_right(tmp_path: Path) -> None:
    put(tmp_path / "rules.yml", "rules: [")
    with pytest.raises(RuleError, match="is not valid YAML"):
        RuleBook(load_settings({"rules_file": str(tmp_path / "rules.yml")}, environment={}, folder=tmp_path))
