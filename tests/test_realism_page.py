"""The realism report as people and programs get it: the page, the tables, and one line where it cannot be made."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from generator.command import generate as generate_command
from generator.public_sets import PUBLIC_SETS
from generator.realism import SPECS, Figure, Realism, measure, shown
from generator.realism_command import describe_run
from generator.realism_page import render
from lake.errors import UsageError
from tests.generated import made, truth_of


@pytest.fixture(scope="module")
def inbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("lake"), rows=20_000, days=28, users=800, merchants=300)


@pytest.fixture(scope="module")
def realism(inbox: Path) -> Realism:
    return measure(inbox, truth_of(inbox))


def refusal(inbox: Path) -> str:
    with pytest.raises(UsageError) as refused:
        describe_run(inbox, as_json=False)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_a_folder_without_a_run_is_refused_in_one_line(tmp_path: Path) -> None:
    assert "holds no generated run" in refusal(tmp_path / "inbox")
    assert f"`risklake generate --out {tmp_path / 'inbox'}`" in refusal(tmp_path / "inbox")


def test_a_run_that_was_stopped_is_refused_in_one_line(tmp_path: Path) -> None:
    class StoppedError(Exception):
        pass

    def stop(done: int, total: int) -> None:
        raise StoppedError

    with pytest.raises(StoppedError):
        made(tmp_path, progress=stop)
    assert "was stopped before its end: call the same `risklake generate` again" in refusal(tmp_path / "inbox")


def test_a_run_without_the_users_is_refused_in_one_line(tmp_path: Path) -> None:
    made(tmp_path, feeds=("transactions",))
    assert "made without the feed users: generate it into another folder" in refusal(tmp_path / "inbox")


@pytest.mark.parametrize("spoil", [Path.unlink, lambda file: file.write_bytes(b"\x1f\x8bcut")], ids=["gone", "cut"])
def test_a_file_that_cannot_be_read_back_is_named_in_one_line(tmp_path: Path, spoil: Callable[[Path], Any]) -> None:
    file = sorted((made(tmp_path) / "transactions").iterdir())[3]
    spoil(file)
    assert f"{file} cannot be read back" in refusal(tmp_path / "inbox")


def test_the_page_stands_alone_and_shows_every_figure(realism: Realism) -> None:
    page = render(realism)
    for outside in ("http", "<script", "src=", "href=", "url(", "@import", "<link"):
        assert outside not in page
    assert page.count("<svg") == 5
    for spec in SPECS.values():
        assert spec.meaning.replace("'", "&#39;") in page
    for public in PUBLIC_SETS:
        assert f"{public.payments:,}" in page


def test_the_page_escapes_whatever_a_run_was_called_with(realism: Realism) -> None:
    page = render(replace(realism, arguments={**realism.arguments, "end": "<script>alert(1)</script>"}))
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_a_figure_out_of_range_is_said_first(realism: Realism) -> None:
    wrong = tuple(replace(f, value=0.5) if f.name == "fraud_share" else f for f in realism.figures)
    page = render(replace(realism, figures=wrong))
    assert "1 out of range" in page
    assert "payments that are frauds: 50.0 %, wanted 0.2 to 0.9 %." in page


@pytest.mark.parametrize(
    ("wanted", "value", "is_within", "text"),
    [
        ((5.0, 9.0), 5.0, True, "5 to 9"),
        ((5.0, 9.0), 9.1, False, "5 to 9"),
        ((1.1, None), 1.0, False, "over 1.1"),
        ((None, 0.3), 0.2, True, "under 0.3"),
        ((5.0, 9.0), None, None, "5 to 9"),
        (None, 3.0, None, ""),
    ],
)
def test_a_figure_is_within_what_is_wanted_or_not_or_unknown(
    wanted: Any, value: float | None, is_within: bool | None, text: str
) -> None:
    figure = Figure("name", "meaning", value, "times", wanted, {})
    assert figure.is_within is is_within
    assert figure.wanted_text == text


def test_values_are_shown_in_their_units() -> None:
    assert shown(0.00505, "share") == "0.505 %"
    assert shown(0.4961, "share") == "49.6 %"
    assert shown(8.28, "days") == "8.3"
    assert shown(11.0, "count") == "11"
    assert shown(None, "share") == "–"


def test_public_sets_have_only_figures_that_are_measured_too() -> None:
    assert {public.name for public in PUBLIC_SETS} == {"ulb", "ieee_cis", "sparkov"}
    for public in PUBLIC_SETS:
        assert set(public.figures) <= set(SPECS)
        assert public.figure("fraud_share") == public.frauds / public.payments
        assert public.source


def test_the_command_prints_the_table_and_the_way_to_the_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = made(tmp_path)
    describe_run(folder, as_json=False)
    printed = capsys.readouterr().out
    assert "Realism, measured on 3,000 payments" in printed
    assert "card_testing" in printed
    assert printed.endswith(f"Report: {truth_of(folder) / 'realism.html'}\n")
    assert (truth_of(folder) / "realism.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert list(truth_of(folder).glob(".*")) == []


def test_the_command_gives_a_program_the_same_figures(tmp_path: Path) -> None:
    folder = made(tmp_path)
    app = typer.Typer()
    app.command()(generate_command)
    result = CliRunner().invoke(app, ["--describe", "--out", str(folder), "--json"])
    found = json.loads(result.stdout)
    assert set(found["figures"]) == set(SPECS)
    assert found["figures"]["fraud_share"]["wanted"] == [0.002, 0.009]
    assert found["figures"]["fraud_share"]["value"] == measure(folder, truth_of(folder))["fraud_share"].value
    assert found["figures"]["fraud_share"]["public"]["ulb"] == 492 / 284_807
    assert found["rows"] == found["measured"] == 3000
    assert found["page"] == str(truth_of(folder) / "realism.html")
