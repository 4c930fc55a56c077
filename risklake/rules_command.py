"""`risklake rules`: validate, test, columns, lists, backtest, diff."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from lake.errors import RuleError
from lake.terminal import console
from risklake.opening import AsJson, Lake, require_writable, session_for, settings_of

if TYPE_CHECKING:
    from lake.settings import Settings
    from spark_jobs.rules.lists import Snooze, ValueList
    from spark_jobs.rules.rule_set import RuleSet

app = typer.Typer(help="Rules: data in YAML files, checked and tried before they are used.", no_args_is_help=True)

File = Annotated[
    Path | None, typer.Argument(help="A rule file, or a folder of them; default: those in force (see risklake config)")
]

First = Annotated[str | None, typer.Option(help="First day, YYYY-MM-DD; default: the first of the lake")]
Watches = Annotated[str, typer.Option(help="Whose rules: those on transactions, or on orders")]
Last = Annotated[str | None, typer.Option(help="Last day, YYYY-MM-DD; default: the last of the lake")]


@app.command("validate", epilog="Example: risklake rules validate my-rules.yml")
def validate(file: File = None, as_json: AsJson = False) -> None:
    """Check a rule set without starting anything; exit code 6 with file, line and reason if it is wrong."""
    from risklake.show import show_json

    rules = _rules(file)[1]
    if as_json:
        thresholds = {feed: asdict(bounds) for feed, bounds in rules.thresholds.items()}
        content: dict[str, object] = {"rule_set": rules.version, "thresholds": thresholds}
        content |= {"rules": [rule.as_dict() for rule in rules.rules]}
        content |= {"lists": [one.as_dict() for one in rules.lists]}
        show_json(content | {"snoozes": [one.as_dict() for one in rules.snoozes]})
        return
    table = Table("rule", "watches", "state", "severity", "weight", "about", "cool-down", "condition")
    for rule in rules.rules:
        words = (rule.watches, rule.state, rule.severity, str(rule.weight), rule.entity, str(rule.cool_down))
        table.add_row(rule.name, *words, escape(rule.condition.text))
    console.print(table)
    for feed, bounds in rules.thresholds.items():
        line = f"{feed}: review from a score of {bounds.review_at}, block from {bounds.block_at}"
        console.print(line, highlight=False)
    values = sum(len(one.values) for one in rules.lists)
    counts = [f"{len(rules.lists)} lists of {values:,} values"] if rules.lists else []
    counts += [f"{len(rules.snoozes)} snoozes"] if rules.snoozes else []
    said = ", ".join([*counts, f"{len(rules.rules)} rules"])
    console.print(f"{said} are right. Rule set {rules.version}", highlight=False)


@app.command("test", epilog="Example: risklake rules test my-rules.yml")
def try_out(file: File = None) -> None:
    """Try each rule on the events under its `tests`; exit code 6 if one fires where it must not, or does not fire."""
    from lake.progress import Stages
    from spark_jobs.rules.examples import tried, without

    settings, rules = _rules(file)
    with Stages().stage("rules", "tests") as update:
        spark = session_for(settings, "rules")
        found = tried(spark, rules.rules)
        spark.stop()
        update(len(found), len(found))
    wrong = [one for one in found if not one.is_right]
    for one in wrong:
        values = ", ".join(f"{name} {value}" for name, value in one.example.values)
        did = "fires" if one.fired else "keeps quiet"
        console.print(f"[red]{one.rule.name} {did}[/] on {escape(values)}", highlight=False)
    if untried := without(rules.rules):
        console.print(f"Without tests on both sides: {', '.join(untried)}", highlight=False)
    if wrong:
        raise RuleError(f"{len(wrong)} of {len(found)} tests failed: change the condition or the test")
    console.print(f"{len(found)} tests of {len(rules.rules)} rules passed", highlight=False)


@app.command("columns", epilog="Example: risklake rules columns transactions")
def columns(
    feed: Annotated[str, typer.Argument(help="transactions, orders or disputes")] = "transactions",
    as_json: AsJson = False,
) -> None:
    """What a condition may use: the fields of an event and its features, with their kinds and meanings."""
    from lake.errors import UsageError
    from risklake.show import show_json
    from spark_jobs.rules import watched

    if feed not in watched.FEEDS:
        raise UsageError(f"No rule can watch {feed!r}; the feeds are {', '.join(watched.FEEDS)}")
    comments = {field.name: field.metadata["comment"] for field in watched.schema(feed).fields}
    rows = [(name, kind.value, comments[name]) for name, kind in watched.kinds(feed).items()]
    if as_json:
        show_json([{"column": name, "kind": kind, "meaning": meaning} for name, kind, meaning in rows])
        return
    table = Table("column", "kind", "meaning")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    console.print(table)


@app.command("lists", epilog="Example: risklake rules lists my-rules")
def lists(file: File = None, as_json: AsJson = False) -> None:
    """What lists and snoozes there are, and which of them are in force now."""
    from risklake.show import show_json

    rules, now = _rules(file)[1], datetime.now(UTC)
    if as_json:
        show_json(
            {
                "lists": [one.as_dict() | {"standing": one.validity.standing(now)} for one in rules.lists],
                "snoozes": [one.as_dict() | {"standing": one.validity.standing(now)} for one in rules.snoozes],
            }
        )
        return
    table = Table("what", "list, or snoozed rule", "on", "since", "until", "now", "reason")
    for one in rules.lists:
        _add_row(table, one.kind, one.name, f"{one.column}: {len(one.values):,} values", one, now)
    for snooze in rules.snoozes:
        _add_row(table, "snooze", snooze.rule or "all rules", snooze.on_text, snooze, now)
    if table.rows:
        console.print(table)
    console.print(f"{len(rules.lists)} lists and {len(rules.snoozes)} snoozes; times are UTC", highlight=False)


@app.command(
    "backtest", epilog="Example: risklake rules backtest my-rules --against spark_jobs/rules --html backtest.html"
)
def try_on_past_days(
    file: File = None,
    against: Annotated[Path | None, typer.Option(help="Another rule file or folder to compare with")] = None,
    since: First = None,
    until: Last = None,
    known_by: Annotated[str | None, typer.Option(help="Only labels reported by this day; default: all so far")] = None,
    blocked_since: Annotated[
        str | None,
        typer.Option(
            help="Leave out users of whom a fraud since this day had been reported before the day of a payment"
        ),
    ] = None,
    watches: Watches = "transactions",
    html: Annotated[Path | None, typer.Option(help="Also write one HTML page here")] = None,
    lake: Lake = None,
    as_json: AsJson = False,
) -> None:
    """Run a rule set over past events: what fires, precision, recall, money caught, false positives a day."""
    from lake.progress import Stages
    from risklake.backtest import backtest, events_of
    from risklake.backtest_page import page, show
    from risklake.show import show_json

    settings, rules = _rules(file, lake)
    sets = {"rules": rules} | ({"against": _rules(against, lake)[1]} if against else {})
    moment = _moment(known_by)
    require_writable(html)
    stages = Stages()
    with stages.stage("spark"):
        spark = session_for(settings, "backtest")
    with stages.stage("backtest", "rule sets") as update:
        events = events_of(spark, settings, _day(since), _day(until), moment, _day(blocked_since), watches=watches)
        found = {}
        for name, one in sets.items():
            found[name] = backtest(events, one)
            update(len(found), len(sets))
    spark.stop()
    if html:
        html.write_text(page(found), encoding="utf-8")
    if as_json:
        show_json({name: backtested.as_dict() for name, backtested in found.items()})
    else:
        for backtested in found.values():
            show(backtested)
    if html and not as_json:
        console.print(f"Page: {html}", highlight=False, soft_wrap=True)


@app.command("diff", epilog="Example: risklake rules diff spark_jobs/rules my-rules --since 2026-01-01")
def diff(
    before: Annotated[Path, typer.Argument(help="A rule file, or a folder of them")],
    after: Annotated[Path, typer.Argument(help="Another one")],
    since: First = None,
    until: Last = None,
    watches: Watches = "transactions",
    limit: Annotated[int, typer.Option(help="Most rows to show", min=1)] = 50,
    lake: Lake = None,
    as_json: AsJson = False,
) -> None:
    """List the alerts on past transactions or orders on which two rule sets differ."""
    from risklake.backtest import differing, events_of
    from risklake.show import show_json

    settings, ours = _rules(before, lake)
    theirs = _rules(after, lake)[1]
    spark = session_for(settings, "diff")
    events = events_of(spark, settings, _day(since), _day(until), watches=watches)
    rows = differing(events, ours, theirs).persist()
    count = rows.count()
    shown = [row.asDict() for row in rows.orderBy("event_time", "event_id", "rule").limit(limit).collect()]
    spark.stop()
    if as_json:
        show_json({"differing": count, "alerts": shown})
        return
    table = Table("time", "event", "rule", "before", "after", "reason")
    for row in shown:
        sides = [
            f"{row[f'state_{side}']}, {row[f'score_{side}']}, {row[f'decision_{side}']}"
            if row[f"state_{side}"]
            else "–"
            for side in ("before", "after")
        ]
        table.add_row(str(row["event_time"]), escape(row["event_id"]), row["rule"], *sides, escape(row["reason"]))
    if shown:
        console.print(table)
    console.print(f"{count:,} alerts differ; state, score and decision are shown", highlight=False)


def _add_row(table: Table, what: str, name: str, on: str, one: ValueList | Snooze, now: datetime) -> None:
    bounds = (str(bound or "") for bound in one.validity.as_dict().values())
    table.add_row(what, name, escape(on), *bounds, one.validity.standing(now), escape(one.reason))


def _day(text: str | None) -> date | None:
    from lake.errors import UsageError

    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise UsageError(f"{text!r} is no day: write it as 2026-01-31") from error


def _moment(text: str | None) -> datetime | None:
    """The end of a day."""
    day = _day(text)
    return datetime.combine(day, time.max, UTC) if day else None


def _rules(file: Path | None, lake: Path | None = None) -> tuple[Settings, RuleSet]:
    from spark_jobs.rules.files import load_rules

    settings = settings_of(lake, rules_file=str(file.resolve()) if file else None)
    return settings, load_rules(settings)
