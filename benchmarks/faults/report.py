"""What the harness prints: kills by point and place, tables that differ, and what became of the other faults."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from benchmarks.faults.findings import Finding
from benchmarks.faults.points import POINTS
from benchmarks.faults.rounds import Record
from benchmarks.faults.verdict import Verdict
from lake.terminal import console


def show_kills(record: Record) -> None:
    """A table of points and kills."""
    table = Table("point", "meaning", "kills", "where", title="Kills", title_justify="left", title_style="bold")
    counted = record.by_point()
    for point in POINTS:
        places = counted.get(point.name, {})
        where = ", ".join(f"{place} {count}" for place, count in places.items())
        table.add_row(point.name, point.meaning, str(sum(places.values())), where)
    console.print(table)
    amid = sum(bool(strike.amid) for strike in record.strikes)
    console.print(
        f"{len(record.strikes)} kills, {amid} of them amid a micro-batch; {record.unharmed} rounds ended before their "
        "point",
        highlight=False,
    )


def show_verdict(verdict: Verdict, complaints: list[str]) -> None:
    """The tables that differ, or how much was found equal."""
    for said in (*complaints, *verdict.unsound):
        console.print(f"[red]{escape(said)}[/]", highlight=False)
    if verdict.differences:
        table = Table("table", "rows", "only in the reference", "only in the killed lake", "such as")
        for found in verdict.differences:
            examples = "; ".join(f"{side}: {key}" for side, keys in found.examples.items() for key in keys[:1])
            figures = (verdict.rows.get(found.table, 0), found.only_reference, found.only_killed)
            table.add_row(found.table, *(f"{figure:,}" for figure in figures), escape(examples))
        console.print(table)
    if verdict.is_equal and not complaints:
        filled = {name: rows for name, rows in verdict.rows.items() if rows}
        console.print(
            f"[green]0 lost, 0 doubled, 0 misrouted[/]: {len(filled)} tables with {sum(filled.values()):,} rows are "
            "equal, both lakes reconcile",
            highlight=False,
        )


def show_finding(finding: Finding) -> None:
    """One line a fault, and the verdict where it is not good."""
    mark = "[yellow]skipped" if finding.is_skipped else "[green]good" if finding.is_good else "[bold red]bad"
    console.print(f"{finding.name}: {mark}[/]: {escape(finding.said)}", highlight=False, soft_wrap=True)
    if finding.verdict and not finding.verdict.is_equal:
        show_verdict(finding.verdict, [])
