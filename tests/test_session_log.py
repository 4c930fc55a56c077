"""Where Spark's Java process logs: one file a lake, which does not grow for ever."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lake import session


def say(log: Path, words: str) -> None:
    """Let a child process complain."""
    with session._stderr_into(log):
        subprocess.run([sys.executable, "-c", f"import sys; sys.stderr.write({words!r})"], check=True)


def test_what_a_process_complains_of_is_added_to_the_file(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "logs" / "spark.log"
    say(log, "one ")
    say(log, "two")
    os.write(2, b"of its own")
    assert log.read_text(encoding="utf-8") == "one two"
    assert capfd.readouterr().err == "of its own"


def test_a_large_file_is_put_aside_and_only_the_last_one_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "_MOST_BYTES_OF_LOG", 3)
    log = tmp_path / "spark.log"
    for words in ("first", "second", "old", "new"):
        say(log, words)
    assert log.read_text(encoding="utf-8") == "oldnew"
    assert (tmp_path / "spark.log.1").read_text(encoding="utf-8") == "second"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["spark.log", "spark.log.1"]
