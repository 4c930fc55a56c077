"""`risklake rules`: validate, test, columns."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from lake.errors import RuleError
from lake.terminal import console
from risklake.opening import AsJson, session_for, settings_of

if TYPE_CHECKING:
    from lake.settings import Settings
    from spark_jobs.rules.rule_set import RuleSet

app = typer.Typer(help="Rules: data in YAML files, checked and tried before they are used.", no_args_is_help=True)

File = Annotated[
    Path | None, typer.Argument(help="A rule file, or a folder of them; default: those in force (see risklake config)")
]


@app.command("validate", epilog="Example: risklake rules validate my-rules.yml")
def validate(file: File = None, as_json: AsJson = False) -> None:
    """Check a rule set without starting anything; exit code 6 with file, line and reason if it is wrong."""
    from risklake.show import show_json

    rules = _rules(file)[1]
    if as_json:
        thresholds = {feed: asdict(bounds) for feed, bounds in rules.thresholds.items()}
        content = {"rule_set": rules.version, "thresholds": thresholds}
        show_json(content | {"rules": [rule.as_dict() for rule in rules.rules]})
        return
    table = Table("rule", "watches", "state", "severity", "weight", "about", "cool-down", "condition")
    for rule in rules.rules:
        words = (rule.watches, rule.state, rule.severity, str(rule.weight), rule.entity, str(rule.cool_down))
        table.add_row(rule.name, *words, escape(rule.condition.text))
    console.print(table)
    for feed, bounds in rules.thresholds.items():
        line = f"{feed}: review from a score of {bounds.review_at}, block from {bounds.block_at}"
        console.print(line, highlight=False)
    console.print(f"{len(rules.rules)} rules are right. Rule set {rules.version}", highlight=False)


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
    feed: Annotated[str, typer.Argument(help="transactions or orders")] = "transactions", as_json: AsJson = False
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


def _rules(file: Path | None) -> tuple[Settings, RuleSet]:
    from spark_jobs.rules.files import load_rules

    settings = settings_of(None, rules_file=str(file.resolve()) if file else None)
    return settings, load_rules(settings)
