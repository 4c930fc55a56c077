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
from spark_jobs.rules.files import read_rules
from spark_jobs.rules.rule_set import RuleSet
from tests.rule_text import ALLOW, GOOD


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


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each time that rule files are read."""
    made: list[int] = []

    def counted(files: list[Path]) -> RuleSet:
        made.append(len(files))
        return read_rules(files)

    monkeypatch.setattr("spark_jobs.rules.book.read_rules", counted)
    return made


def test_a_refused_file_is_read_again_only_when_it_changes(
    file: Path, book: RuleBook, reads: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    before, wrong = book.current(), GOOD.replace("> 1", ">")
    reads.clear()
    put(file, wrong, age=9)
    assert [book.current() for _ in range(3)] == [before] * 3
    assert len(reads) == 1
    put(file, wrong, age=8)
    assert [book.current() for _ in range(3)] == [before] * 3
    assert len(reads) == 2
    assert len(caplog.messages) == 1
    put(file, GOOD.replace("low", "high"), age=7)
    assert [rule.severity for rule in book.current().rules] == ["high"]
    put(file, wrong, age=6)
    book.current()
    assert [line.startswith("rules refused") for line in caplog.messages] == [True, False, True]


def test_a_list_that_was_refused_is_taken_when_its_values_come_or_change(
    file: Path, book: RuleBook, reads: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    book.current()
    reads.clear()
    put(file, GOOD + ALLOW.replace("values: [u1, u7]", "file: vips.txt"), age=9)
    assert book.current().lists == ()
    put(file.with_name("vips.txt"), "\x07\n", age=8)
    assert [book.current().lists for _ in range(3)] == [()] * 3
    assert len(reads) == 2
    assert len(caplog.messages) == 2
    put(file.with_name("vips.txt"), "u1\n", age=7)
    assert [one.values for one in book.current().lists] == [{"u1"}]


def test_a_file_that_could_not_be_read_is_tried_again_though_it_looks_the_same(
    file: Path, book: RuleBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = book.current()
    put(file, GOOD.replace("low", "high"), age=5)

    def fail(*_: object, **__: object) -> str:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    for look in ("read_text", "glob"):
        with monkeypatch.context() as patched:
            patched.setattr(Path, look, fail)
            assert book.current() is before
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
