"""Runs of the generator as its users make them: stopped and gone on, refused in one line, alike in any process."""

from __future__ import annotations

import gzip
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

import pytest

import generator.landing
import generator.plan
import generator.write
from generator.chaos import SPOILERS, parse_chaos
from generator.places import CURRENCIES
from generator.write import FEEDS, generate
from lake.errors import MachineError, UsageError
from lake.inbox import visible_files
from tests.generated import labels_of

END = date(2026, 1, 31)
ALL_CHAOS = dict.fromkeys(SPOILERS, 0.02)
SMALL: dict[str, Any] = {"rows": 600, "days": 5, "users": 30, "merchants": 20, "seed": 7, "end": END}
DECIMALS = {currency.code: currency.decimals for currency in CURRENCIES}


def test_the_same_arguments_give_the_same_bytes_in_one_process_and_in_two(tmp_path: Path) -> None:
    for name, processes in (("a", 1), ("b", 2)):
        generate(tmp_path / name / "inbox", chaos=ALL_CHAOS, processes=processes, **SMALL)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*"))
    assert {file.parts[1] for file in files if file.parts[0] == "inbox"} == set(FEEDS)
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_progress_ends_with_all_payments_written(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    generate(tmp_path / "inbox", progress=lambda done, total: calls.append((done, total)), **SMALL)
    assert calls[-1] == (600, 600)
    assert calls == sorted(calls)


def test_a_run_that_was_stopped_goes_on_and_ends_alike(tmp_path: Path) -> None:
    class StoppedError(Exception):
        pass

    def stop(done: int, total: int) -> None:
        if done > 200:
            raise StoppedError

    whole = generate(tmp_path / "whole" / "inbox", chaos=ALL_CHAOS, **SMALL)
    inbox = tmp_path / "stopped" / "inbox"
    with pytest.raises(StoppedError):
        generate(inbox, chaos=ALL_CHAOS, progress=stop, **SMALL)
    written = {file: file.stat().st_mtime_ns for file in visible_files(inbox / "transactions")}
    assert 0 < len(written) < len(whole.lines["transactions"])
    assert generate(inbox, chaos=ALL_CHAOS, **SMALL) == whole
    assert {file: file.stat().st_mtime_ns for file in written} == written, "whole files are not written again"
    for file in (path for path in (tmp_path / "whole").rglob("*.gz")):
        assert file.read_bytes() == (tmp_path / "stopped" / file.relative_to(tmp_path / "whole")).read_bytes()


def test_a_stop_at_any_moment_leaves_only_whole_files(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "generator", "--out", str(tmp_path / "inbox"), "--rows", "400000", "--days", "8"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("inbox/transactions/*.gz")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    files = visible_files(tmp_path / "inbox" / "transactions")
    assert files
    for file in files:
        assert gzip.decompress(file.read_bytes()).endswith(b"\n")


def test_a_second_run_with_the_same_arguments_may_write_again(tmp_path: Path) -> None:
    first = generate(tmp_path / "inbox", **SMALL)
    assert generate(tmp_path / "inbox", **SMALL) == first


def test_files_of_another_run_are_not_replaced(tmp_path: Path) -> None:
    generate(tmp_path / "inbox", **SMALL)
    before = labels_of(tmp_path / "inbox")
    with pytest.raises(UsageError, match="of another run: give another --out"):
        generate(tmp_path / "inbox", **{**SMALL, "seed": 8})
    assert labels_of(tmp_path / "inbox") == before


def test_a_disk_that_is_nearly_full_is_refused_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generator.landing, "SPARE_BYTES", 10**15)
    with pytest.raises(MachineError, match="GB free, and 600 payments take up to"):
        generate(tmp_path / "inbox", **SMALL)
    assert visible_files(tmp_path / "inbox" / "transactions") == []


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"rows": 0}, "rows is 0, and must be at least 1"),
        ({"days": 0}, "days is 0"),
        ({"users": -1}, "users is -1"),
        ({"merchants": 0}, "merchants is 0"),
        ({"seed": -3}, "seed is -3"),
        ({"days": 100_000}, "days is 100000"),
        ({"end": date(9000, 1, 1)}, "end is 9000-01-01, in the future"),
        ({"chaos": {"late": -0.1}}, "share of late is -0.1"),
        ({"chaos": {"late": 1.5}}, "share of late is 1.5"),
        ({"chaos": {"late": float("nan")}}, "share of late is nan"),
        ({"chaos": {"late": 0.6, "drifted": 0.6}}, "late, out_of_order, drifted together are 1.2"),
        ({"chaos": {"mud": 0.1}}, "mud is no kind of chaos: choose from late, out_of_order"),
        ({"feeds": ["rumours"]}, "rumours is no feed: choose from users"),
    ],
)
def test_a_wrong_argument_is_refused_with_one_line(tmp_path: Path, wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError) as refused:
        generate(tmp_path / "inbox", **{**SMALL, **wrong})
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "inbox").exists()


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(UsageError, match="cannot be written"):
        generate(tmp_path / "file" / "inbox", **SMALL)


@pytest.mark.parametrize("text", ["late", "late=", "late=much", "=0.1", "mud=0.1", "late=2"])
def test_chaos_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_chaos(text)


def test_chaos_is_read_from_text() -> None:
    assert parse_chaos(" late=0.01, duplicate=0.003,") == {"late": 0.01, "duplicate": 0.003}
    assert parse_chaos("") == {}


def test_the_command_says_what_it_wrote_and_refuses_in_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "generator", "--out", str(tmp_path / "inbox"), "--end", "2026-01-31"]
    good = subprocess.run([*command, "--rows", "500"], capture_output=True, text=True, check=True)
    assert good.stdout.startswith("500 payments, ")
    bad = subprocess.run([*command, "--rows", "0"], capture_output=True, text=True, check=False)
    assert bad.returncode == UsageError.exit_code
    assert bad.stderr.endswith("generator: rows is 0, and must be at least 1: give for instance --rows 100\n")
    assert "Traceback" not in bad.stderr
