"""What is printed of data, which may hold characters that steer a terminal."""

from __future__ import annotations

from io import StringIO

import pytest
from pyspark.sql import SparkSession
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from lake.terminal import Terminal, printable
from risklake.sql import run_query

HOSTILE = "a\x1b[31m\x1b]0;title\x07\x9b2J\r\u202ebox"
SHOWN = "a\ufffd[31m\ufffd]0;title\ufffd\ufffd2J\ufffd\ufffdbox"


def printed(*shown: object, **how: object) -> str:
    text = StringIO()
    Terminal(file=text, width=200).print(*shown, **how)  # type: ignore[arg-type]
    return text.getvalue()


def test_text_without_such_characters_stays_as_it_is() -> None:
    for text in ("", "Rp 1.250.000 – Sití, 卡号 😀", "two\nlines\tand a tab"):
        assert printable(text) == text


@pytest.mark.parametrize("soft_wrap", [False, True])
def test_a_text_steers_no_terminal(soft_wrap: bool) -> None:
    assert printed(HOSTILE, markup=False, highlight=False, soft_wrap=soft_wrap) == SHOWN + "\n"


def test_a_cell_of_a_table_steers_no_terminal() -> None:
    table = Table("file")
    table.add_row(escape(HOSTILE))
    assert SHOWN in printed(table)
    assert "\x1b" not in printed(table)


def test_bars_and_colours_still_reach_the_terminal() -> None:
    text = StringIO()
    terminal = Terminal(file=text, force_terminal=True, width=80)
    with Progress(console=terminal) as bar:
        bar.add_task(HOSTILE, total=2)
    terminal.print("[red]bad")
    assert "\x1b[31mbad" in text.getvalue()
    assert "\x1b[?25l" in text.getvalue(), "the cursor is hidden meanwhile"
    assert "\x1b]0;title" not in text.getvalue()


def test_names_and_values_of_a_query_are_no_markup(spark: SparkSession, capsys: pytest.CaptureFixture[str]) -> None:
    run_query(spark, "select '[/] of [red]' as `[bold]`", as_json=False, limit=1)
    said = capsys.readouterr().out
    assert "[/] of [red]" in said
    assert "[bold]" in said
