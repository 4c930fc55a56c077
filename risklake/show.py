"""What the command line prints: tables for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from datetime import date
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from lake.errors import UsageError
from lake.settings import Settings
from lake.terminal import console
from risklake.show_streams import freshness_line

if TYPE_CHECKING:
    from risklake.demo import Summary
    from risklake.detection import Detection
    from risklake.doctor import Finding
    from spark_jobs.reconciliation import Status

# Of an attack, the rules that see most of it.
_RULES_SHOWN = 3


def show_json(value: Any) -> None:
    """Print strict JSON on stdout."""
    json.dump(value, sys.stdout, indent=2, allow_nan=False, default=str)
    sys.stdout.write("\n")


def show_feeds(status: Status) -> None:
    """Where every line stands, feed by feed."""
    names = ("lines", "bronze", "silver", "quarantined", "duplicates", "waiting", "orphans")
    feeds = Table(
        "feed",
        *(_right("lines in" if name == "lines" else name) for name in names),
        "",
        title="Where every line stands",
        title_justify="left",
        title_style="bold",
    )
    for feed, counts in status.feeds.items():
        mark = f"[yellow]{counts.on_their_way:,} on their way[/]" if counts.on_their_way else "[green]consistent[/]"
        if counts.difference:
            mark = f"[red]inconsistent ({counts.difference:+,})[/]"
        feeds.add_row(feed, *(f"{getattr(counts, name):,}" for name in names), mark)
    console.print(feeds)
    for name, features in status.features.items():
        if features.difference:
            console.print(f"[red]features.{name}: inconsistent ({features.difference:+,})[/]", highlight=False)
    for name in status.changed_files:
        console.print(
            f"[yellow]{escape(name)} changed after it was taken:[/] what is new was not read. Put it in again under "
            "a new name; repeated lines are counted as duplicates",
            highlight=False,
        )


def show_status(status: Status) -> None:
    """The reconciliation, the alerts and the quarantine of a lake."""
    show_feeds(status)
    for name, features in status.features.items():
        one = status.parity.get(name)
        compared = "not compared"
        if one:
            compared = f"{one.compared:,} compared with a batch recomputation, {one.differing:,} differing"
        console.print(f"features.{name}: {features.rows:,} rows; {compared}", highlight=False, soft_wrap=True)
    _counts("Open alerts by rule", "rule", status.alerts)
    _counts("Quarantine by reason", "reason", status.quarantine)
    _counts("Undeclared fields", "field", status.unknown_fields)
    console.print(freshness_line(status.freshness_s), highlight=False, soft_wrap=True)


def show_report(report: dict[str, Any], settings: Settings) -> None:
    """The figures of each model beside the base rate, and where the page lies."""
    models = Table(
        "model",
        _right("average precision"),
        _right("95 % interval"),
        _right("AUC"),
        *(_right(f"card precision at {k}") for k in ("20", "100")),
        title=f"Model, tested on {report['test'][0]} to {report['test'][1]}: base rate "
        f"{report['base_rate']:.4f} ({report['test_frauds']:,} of {report['test_events']:,})",
        title_justify="left",
        title_style="bold",
    )
    for name, figures in report["models"].items():
        low, high = figures.get("average_precision_ci") or (None, None)
        at = figures.get("card_precision_at") or {}
        promoted = " [green](promoted)[/]" if name == report["promoted"] else ""
        models.add_row(
            f"{name}{promoted}",
            _figure(figures["average_precision"]),
            f"{_figure(low)} - {_figure(high)}",
            _figure(figures["auc"]),
            _figure(at.get("20")),
            _figure(at.get("100")),
        )
    console.print(models)
    if report["promoted"] is None:
        console.print(f"No model is promoted: {report.get('why', 'see the report')}", highlight=False)
    console.print(
        f"Report: {settings.path('reports', 'model-' + report['as_of'] + '.html')}", highlight=False, soft_wrap=True
    )


def show_detection(found: Detection) -> None:
    """What is caught of each attack, and the price of it: alerts on honest events."""
    has_model = found.watches == "transactions"
    table = Table(
        "attack",
        _right("payments" if has_model else found.watches),
        _right("any rule"),
        *((_right("scored"), _right("model")) if has_model else ()),
        "mostly by",
        title=f"What is caught: base rate {found.base_rate:.4f}",
        title_justify="left",
        title_style="bold",
    )
    for row in found.scenarios:
        if not row.scenario:
            table.add_section()
        table.add_row(
            row.scenario or "(honest)",
            f"{row.transactions:,}",
            _share(row.by_any_rule, row.transactions),
            *((f"{row.scored:,}", _share(row.by_model, row.scored)) if has_model else ()),
            "\n".join(f"{rule} {row.by_rule[rule]:,}" for rule in row.most_by(_RULES_SHOWN)),
        )
    console.print(table)
    if found.rules:
        console.print(_by_rule(found))
    if has_model:
        model = f"{_figure(found.model_precision)} ({found.model_version})" if found.model_version else "no scores yet"
        words = f"Precision of the model's riskiest 1 % of what it scored: {model}"
        console.print(words, highlight=False, soft_wrap=True)
    if found.missing:
        console.print(f"{found.missing:,} labelled events are not in silver (yet)", highlight=False)


def _by_rule(found: Detection) -> Table:
    """What each rule alerts on."""
    table = Table("rule", *map(_right, ("frauds", "honest", "precision")), title="By rule", title_justify="left")
    for rule in found.rules:
        honest = sum(row.by_rule[rule] for row in found.scenarios if not row.scenario)
        frauds = sum(row.by_rule[rule] for row in found.scenarios) - honest
        table.add_row(rule, f"{frauds:,}", f"{honest:,}", _figure(found.precision(rule)))
    return table


def show_summary(summary: Summary, settings: Settings) -> None:
    """The end of a demo."""
    show_status(summary.status)
    if summary.report:
        show_report(summary.report, settings)
    else:
        console.print(f"[yellow]No model report:[/] {summary.why_no_report}", highlight=False)
    stages = ", ".join(f"{name} {seconds:.0f}" for name, seconds in summary.seconds.items())
    console.print(f"Seconds: {stages}; {sum(summary.seconds.values()):.0f} in all", highlight=False, soft_wrap=True)
    console.print(
        'Next: open the report above in a browser, ask `risklake sql "select * from '
        'marts.mart_risk_monitoring" --limit 20`, or `make notebook`.',
        highlight=False,
        soft_wrap=True,
    )
    if settings.local_path("truth", "labels").is_dir():
        console.print("What is caught of each attack: `risklake detection`", highlight=False)


def read_report(settings: Settings, as_of: date | None) -> dict[str, Any]:
    """A written model report. Raises `UsageError` if there is none."""
    name = f"model-{as_of}.json" if as_of else "latest.json"
    file = settings.local_path("reports", name)
    if not file.is_file():
        raise UsageError(f"There is no report {file}. Run `risklake train`")
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def show_settings(rows: list[dict[str, str]]) -> None:
    """Each setting with its value, source and meaning."""
    table = Table("setting", "value", "from", "environment", "meaning", header_style="bold")
    for row in rows:
        table.add_row(row["name"], row["value"], row["source"], row["variable"], row["meaning"])
    console.print(table)


def show_findings(findings: list[Finding]) -> None:
    """What the doctor found, with the fix where something is wrong."""
    table = Table("check", "", "finding", "fix", header_style="bold")
    for finding in findings:
        mark = "[green]ok[/]" if finding.ok else ("[red]error[/]" if finding.level == "error" else "[yellow]warning[/]")
        table.add_row(finding.name, mark, finding.message, "" if finding.ok else finding.fix)
    console.print(table)


def _counts(title: str, name: str, counts: dict[str, int]) -> None:
    if not counts:
        return
    table = Table(name, _right("count"), title=title, title_justify="left", title_style="bold")
    for key, count in sorted(counts.items(), key=lambda item: -item[1]):
        table.add_row(escape(key), f"{count:,}")
    console.print(table)


def _right(name: str) -> Any:
    from rich.table import Column

    return Column(name, justify="right")


def _share(part: int, whole: int) -> str:
    # One decimal for the few among many; a share of few is a count anyway.
    return f"{part:,} ({part / whole:.1%})" if whole else "-"


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
