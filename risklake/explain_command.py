"""`risklake explain`: in the terminal, as JSON, or as a page."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from lake.terminal import console
from risklake.opening import AsJson, Lake, require_writable, session_for, settings_of

if TYPE_CHECKING:
    from risklake.explain import Explanation

_MOST_PARTS = 8
_MOST_EVENTS = 10
_SHOWN_OF_EVENTS = ("seconds_before", "event_id", "user_id", "amount", "amount_numeric", "currency", "country",
                    "merchant_id", "product_id", "quantity", "channel", "status")  # fmt: skip


def explain(
    asked: Annotated[str, typer.Argument(metavar="EVENT_ID", help="An event, or a line as feed/file:number")],
    html: Annotated[Path | None, typer.Option(help="Also write one HTML page here")] = None,
    raw: Annotated[bool, typer.Option("--raw", help="The lines themselves, personal data unmasked")] = False,
    lake: Lake = None,
    as_json: AsJson = False,
) -> None:
    """Say why an event was or was not flagged: lines, features, rules, model, alerts and marts."""
    from lake.errors import UsageError
    from risklake import explain as explaining
    from risklake.show import show_json

    settings = settings_of(lake)
    if not settings.local_path().is_dir():
        raise UsageError(f"There is no lake at {settings.lake_root} yet. Run `risklake demo`, or `risklake stream`")
    require_writable(html)
    spark = session_for(settings, "explain")
    found = explaining.explain(spark, settings, asked, raw=raw)
    spark.stop()
    if html:
        from risklake.explain_page import page

        html.write_text(page(found), encoding="utf-8")
    show_json(asdict(found)) if as_json else show(found)
    if html and not as_json:
        console.print(f"Page: {html}", highlight=False, soft_wrap=True)


def show(found: Explanation) -> None:
    """The explanation in the terminal, what matters most first."""
    from risklake.explain_page import fate

    decision = f"; the rules in force say {found.decision}, score {found.score} of 100" if found.decision else ""
    console.print(f"[bold]{escape(found.asked)}[/] ({found.feed}): {fate(found)}{decision}", highlight=False)
    for line in found.lines:
        place = f"{line['feed']}/{line['source_file']}:{line['line_number']}"
        console.print(f"\n{line['fate']}: {place}, arrived {line['arrived_at']}", highlight=False, markup=False)
        for reason in line["reasons"]:
            console.print(f"  {reason['code']}: {reason['message']}", highlight=False, markup=False)
        console.print(f"  {line['text']}", highlight=False, markup=False, soft_wrap=True)
    if found.rules:
        rules = [_rule_row(rule) for rule in found.rules]
        _table("Rules", ("rule", "", "state", "weight", "its values, and the reason"), rows=rules)
    _show_models(found)
    if found.features:
        rows = [(one["name"], one["value"], one["unit"]) for one in found.features]
        _table("Features", ("feature", "value", "unit"), rows=rows)
    _show_windows(found)
    for title, facts in (("Alerts", found.alerts), ("Cases", found.cases), ("Dispositions", found.dispositions)):
        _show_facts(title, facts)
    for title, row in (("What the rules made of the order", found.order), ("In the marts", found.mart)):
        if row:
            _table(title, ("column", "value"), rows=list(row.items()))


def _show_windows(found: Explanation) -> None:
    """For each key one table: the newest events of its longest window, each with the shortest that it lies in."""
    for key in dict.fromkeys(window["key"] for window in found.windows):
        windows = [window for window in found.windows if window["key"] == key]
        counts = ", ".join(f"{window['count']:,} in {window['window']}" for window in windows)
        inside = windows[-1]["events"][:_MOST_EVENTS]
        # What is the same in all of them stands above.
        shown = [name for name in _SHOWN_OF_EVENTS if name not in key.split(", ")]
        names = [name for name in shown if any(one.get(name) is not None for one in inside)]
        rows = [(_shortest(one, windows), *(one[name] for name in names)) for one in inside]
        _table(f"Events of the same {key}: {counts}", ("inside", *names), rows=rows)


def _shortest(event: dict[str, Any], windows: list[dict[str, Any]]) -> str:
    return next(str(window["window"]) for window in windows if event in window["events"])


def _rule_row(rule: dict[str, Any]) -> tuple[Any, ...]:
    values = ", ".join(f"{name} = {'missing' if value is None else value}" for name, value in rule["inputs"].items())
    held = f"held back by {rule['held_by']}" if rule["held_by"] else None
    said = "\n".join(part for part in (values, rule["reason"], held) if part)
    return rule["name"], "FIRES" if rule["fires"] else "quiet", rule["state"], rule["weight"], said


def _show_models(found: Explanation) -> None:
    for one in found.models:
        parts = [(part["feature"], part["value"], f"{part['log_odds']:+.3f}") for part in one["parts"][:_MOST_PARTS]]
        _table(f"{one['version']}: score {one['score']:.4f}", ("feature", "value", "log-odds of fraud"), rows=parts)


def _show_facts(title: str, facts: list[dict[str, Any]]) -> None:
    wanted = (
        "case_id",
        "rule",
        "rules",
        "state",
        "held_by",
        "severity",
        "score",
        "decision",
        "label",
        "note",
        "decided_at",
        "reason",
    )
    names = tuple(name for name in wanted if facts and name in facts[0])
    if facts:
        _table(title, names, rows=[tuple(one[name] for name in names) for one in facts])


def _table(title: str, names: tuple[str, ...], *, rows: list[tuple[Any, ...]]) -> None:
    from risklake.explain_page import shown

    console.print()
    if not rows:
        console.print(f"[bold]{escape(title)}[/]", highlight=False)
        return
    table = Table(*names, title=escape(title), title_justify="left", title_style="bold")
    for row in rows:
        table.add_row(*(escape(shown(value)) for value in row))
    console.print(table)
