"""What `risklake generate --describe` prints: the figures of realism for people, or for a program."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from rich.table import Column, Table
from rich.text import Text

from generator.public_sets import PUBLIC_SETS
from generator.realism import Realism, measure, shown
from generator.realism_page import scenarios, write_page
from lake.progress import Stages
from lake.terminal import console


def describe_run(folder: Path, as_json: bool) -> None:
    """Measure the run whose inbox is `folder`, write its page beside the truth, and print the figures.

    Raises `UsageError` where there is no finished run, or where its files cannot be read.
    """
    truth = folder.parent / "truth"
    stages = Stages()
    with stages.stage("describe", "payments") as update:
        realism = measure(folder, truth, progress=update)
    page = write_page(realism, truth)
    if as_json:
        json.dump({**realism.as_dict(), "page": str(page)}, sys.stdout, allow_nan=False)
        sys.stdout.write("\n")
        return
    console.print(figure_table(realism))
    console.print(scenario_table(realism))
    console.print(f"Report: {page}", highlight=False, soft_wrap=True)


def figure_table(realism: Realism) -> Table:
    """The figures beside what is wanted of them and what the public sets have."""
    part = "" if realism.measured == realism.rows else f" of {realism.rows:,}"
    found = Table(
        "figure",
        Column("value", justify="right", no_wrap=True),
        Column("wanted", justify="right", no_wrap=True),
        "",
        *(Column(public.short, justify="right") for public in PUBLIC_SETS),
        title=f"Realism, measured on {realism.measured:,}{part} payments, {realism.frauds:,} of them frauds",
        title_justify="left",
        title_style="bold",
    )
    marks = {True: "[green]ok[/]", False: "[red]out[/]", None: ""}
    for figure in realism.figures:
        public = (shown(value, figure.unit) for value in figure.public.values())
        meaning = Text(figure.meaning)
        if figure.note:
            meaning.append(f"\n{figure.note}", style="dim")
        value = shown(figure.value, figure.unit)
        found.add_row(meaning, value, figure.wanted_text, marks[figure.is_within], *public)
    return found


def scenario_table(realism: Realism) -> Table:
    """The share of frauds by scenario, and how it drifts."""
    columns = [Column(name, justify="right") for name in ("of all frauds", "of the first third", "of the last third")]
    found = Table("scenario", *columns, title="Frauds by scenario", title_justify="left", title_style="bold")
    for name, *shares in scenarios(realism):
        found.add_row(name, *(shown(share, "share") for share in shares))
    return found
