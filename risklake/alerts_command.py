"""`risklake alerts`: cases, the alerts in them, and what was found out."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Column, Table

from lake.errors import UsageError
from lake.settings import Settings
from lake.terminal import console
from risklake.opening import AsJson, Lake, session_for, settings_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

app = typer.Typer(help="Alerts: cases to look at, why they are there, and what was found out.", no_args_is_help=True)

_CASE_COLUMNS = ("case_id", "severity", "score", "entity_id", "began_at", "alerts", "rules", "disposition", "reason")
_ALERT_COLUMNS = ("event_time", "event_id", "rule", "state", "severity", "score", "decision", "reason")
_HELD_COLUMNS = ("event_time", "event_id", "rule", "state", "entity_id", "severity", "held_by", "reason")
Limit = Annotated[int, typer.Option(help="Most rows to show", min=1)]


@app.command("cases", epilog="Example: risklake alerts cases --severity high --limit 20")
def cases(
    severity: Annotated[str | None, typer.Option(help="Only this severity or a higher one")] = None,
    state: Annotated[str, typer.Option(help="open, closed or all")] = "open",
    limit: Limit = 50,
    lake: Lake = None,
    as_json: AsJson = False,
) -> None:
    """List cases, the riskiest first: alerts on one user, device or product that belong together."""
    from pyspark.sql import functions as F

    from risklake.dispositions import STATES, cases_with_state
    from spark_jobs.rules.rule_set import SEVERITIES

    _one_of("severity", severity, SEVERITIES)
    _one_of("state", state, STATES)
    settings, spark = _open(lake, "alerts.cases")
    found = cases_with_state(spark, settings)
    if state != "all":
        found = found.where(F.col("disposition").isNull() == F.lit(state == "open"))
    if severity:
        names = list(SEVERITIES)
        found = found.where(F.col("severity").isin(names[names.index(severity) :]))
    _show(found.orderBy(F.desc("score"), F.desc("last_at"), "case_id").limit(limit), _CASE_COLUMNS, as_json)
    spark.stop()


@app.command("show", epilog="Example: risklake alerts show c1f0a9c0ffee1234")
def show(
    found_by: Annotated[str, typer.Argument(metavar="ID", help="A case, or an event with alerts")],
    lake: Lake = None,
    as_json: AsJson = False,
) -> None:
    """Show the alerts of a case, or of one event, with their reasons."""
    from lake import storage
    from risklake.dispositions import events_of

    settings, spark = _open(lake, "alerts.alerts")
    found = events_of(spark, settings, found_by)
    alerts = storage.read(spark, settings, "alerts.alerts").where(found.condition())
    _show(alerts.orderBy("event_time", "event_id", "rule"), _ALERT_COLUMNS, as_json)
    spark.stop()


@app.command("held", epilog="Example: risklake alerts held --limit 20")
def held(limit: Limit = 50, lake: Lake = None, as_json: AsJson = False) -> None:
    """List alerts that an allow list or a snooze holds back, the newest first."""
    from pyspark.sql import functions as F

    from lake import storage
    from spark_jobs.rules.held import HELD

    settings, spark = _open(lake, "alerts.alerts")
    alerts = storage.read(spark, settings, "alerts.alerts").where(F.col("state").isin(*HELD))
    _show(alerts.orderBy(F.desc("event_time"), "event_id", "rule").limit(limit), _HELD_COLUMNS, as_json)
    spark.stop()


@app.command("close", epilog="Example: risklake alerts close c1f0a9c0ffee1234 --as fraud --note 'called the holder'")
def close(
    found_by: Annotated[str, typer.Argument(metavar="ID", help="A case, or an event with alerts")],
    label: Annotated[str, typer.Option("--as", help="fraud or genuine")],
    note: Annotated[str | None, typer.Option(help="Why, in words")] = None,
    lake: Lake = None,
) -> None:
    """Close a case or an event as fraud or genuine; the model learns from it."""
    from risklake import dispositions

    settings, spark = _open(lake, "alerts.alerts")
    closed = dispositions.close(spark, settings, found_by, label, note)
    spark.stop()
    what = f"case {closed.case_id}" if closed.case_id else "event"
    console.print(f"{what} with {len(closed.events):,} events closed as {label}", highlight=False)


def _open(lake: Any, table: str) -> tuple[Settings, SparkSession]:
    from lake import storage

    settings = settings_of(lake)
    spark = session_for(settings, "alerts")
    if not storage.exists(spark, settings, table):
        raise UsageError(f"The lake {settings.lake_root} has no {table} yet. Run `risklake stream --once`")
    return settings, spark


def _one_of(name: str, value: str | None, allowed: Any) -> None:
    if value is not None and value not in allowed:
        raise UsageError(f"--{name} is {value!r}; it must be one of {', '.join(allowed)}")


def _show(rows: DataFrame, columns: tuple[str, ...], as_json: bool) -> None:
    from risklake.show import show_json

    found = [row.asDict() for row in rows.select(*columns).collect()]
    if as_json:
        show_json(found)
        return
    # An id that is cut off names nothing.
    ids = {"case_id", "event_id", "rule"}
    table = Table(*(Column(name, no_wrap=name in ids) for name in columns), header_style="bold")
    for row in found:
        table.add_row(*(_cell(row[column]) for column in columns))
    console.print(table)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    # A reason may hold what rich would take for its markup.
    return escape(", ".join(value) if isinstance(value, list) else str(value))
