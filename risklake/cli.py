"""The command `risklake`: thin verbs, one line for an error, exit codes that mean something."""

from __future__ import annotations

import os
import sys
import time
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from generator.command import EXAMPLES, generate
from lake.errors import InconsistentError, LakehouseError, UsageError
from lake.settings import describe
from lake.terminal import printable
from risklake import (
    alerts_command,
    explain_command,
    features_command,
    notify_command,
    quarantine_command,
    rules_command,
    upkeep_command,
)
from risklake.opening import AsJson, Lake, session_for, settings_of

if TYPE_CHECKING:
    from lake.settings import Settings
    from spark_jobs.reconciliation import Status

app = typer.Typer(
    name="risklake",
    help="A Spark Structured Streaming lakehouse for payment fraud and revenue risk.",
    epilog="Start with: risklake demo     Exit codes: 0 done, 1 failed, 2 wrong use or setting, 3 machine, 4 input, "
    "5 in use, 6 rules, 7 inconsistent, 8 stream, 9 marts, 10 model.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

AsOf = Annotated[str | None, typer.Option(help="Last test day, YYYY-MM-DD; default: the last with known labels")]
_LOST = "Lines or features are lost, counted twice or differ: see which above. That is a defect, please report it"
Days = Annotated[int | None, typer.Option(help="Days; default from the settings (7)")]


@app.command(epilog="Example: risklake demo --input my-transactions --lake /tmp/lake")
def demo(
    given: Annotated[
        Path | None,
        typer.Option(
            "--input", help="Folder with events/*.jsonl[.gz] and labels.csv[.gz]; default: generated transactions"
        ),
    ] = None,
    lake: Lake = None,
    as_of: AsOf = None,
    train_days: Days = None,
    delay_days: Days = None,
    test_days: Days = None,
    label_delay_days: Annotated[int | None, typer.Option(help="Days from a fraud to its chargeback (7)")] = None,
) -> None:
    """Run the whole line: files, streams, marts, model, report, and a summary that reconciles."""
    from lake.progress import Stages
    from risklake import demo as whole_line
    from risklake.show import show_summary

    settings = settings_of(
        lake, train_days=train_days, delay_days=delay_days, test_days=test_days, label_delay_days=label_delay_days
    )
    summary = whole_line.run_demo(settings, Stages(), given, _date(as_of))
    show_summary(summary, settings)
    _require_consistent(summary.status, settings)


@app.command(epilog="Example: risklake stream --once")
def stream(
    once: Annotated[bool, typer.Option("--once", help="Take what lies in the inbox, then stop")] = False,
    lake: Lake = None,
) -> None:
    """Stream the inbox to bronze, silver, features and alerts, until stopped (SIGTERM or Ctrl-C)."""
    from lake.lease import require_free
    from lake.progress import Stages
    from lake.stopping import stopped_by_signals
    from risklake.notify import told
    from risklake.prometheus import served_figures
    from risklake.show import show_feeds
    from risklake.streaming import drain, watch
    from spark_jobs.pipeline import JOBS
    from spark_jobs.reconciliation import close_run

    settings, stages = settings_of(lake), Stages()
    require_free(settings, list(JOBS))
    with told(settings, "stream") as tell, stopped_by_signals() as stop, served_figures(settings) as figures:
        spark = session_for(settings, "stream")
        if once:
            drain(spark, settings, stages, stop, figures, tell)
        else:
            watch(spark, settings, stages, stop, figures, tell)
        with stages.stage("check"):
            closed = close_run(spark, settings)
        spark.stop()
        show_feeds(closed)
        if closed.has_difference:
            raise InconsistentError(_LOST)


app.command(epilog=EXAMPLES)(generate)
app.add_typer(quarantine_command.app, name="quarantine")
app.add_typer(alerts_command.app, name="alerts")
app.add_typer(features_command.app, name="features")
app.add_typer(rules_command.app, name="rules")
app.add_typer(notify_command.app, name="notify")
app.command(epilog="Example: risklake explain 4f1c0a8e --html why.html")(explain_command.explain)
upkeep_command.add_to(app)


@app.command(epilog="Example: risklake marts")
def marts(lake: Lake = None) -> None:
    """Build and test the marts with dbt (the plain `dbt build` in dbt/ does the same)."""
    from lake.progress import Stages
    from risklake.marts import build_marts
    from risklake.notify import told

    settings = settings_of(lake)
    spark = session_for(settings, "marts")
    with told(settings, "marts"), Stages().stage("marts", "models and tests") as update:
        result = build_marts(spark, settings, lambda done, total: update(done, total))
    typer.echo(f"{result.models} models built, {result.tests} tests passed")
    spark.stop()


@app.command(epilog="Example: risklake train --as-of 2025-10-14 --train-days 21 --test-days 10")
def train(
    as_of: AsOf = None,
    train_days: Days = None,
    delay_days: Days = None,
    test_days: Days = None,
    lake: Lake = None,
    as_json: AsJson = False,
) -> None:
    """Train the fraud baseline, judge it, and write the report."""
    from lake.progress import Stages
    from ml import train as training
    from risklake.notify import told
    from risklake.show import show_json, show_report

    settings = settings_of(lake, train_days=train_days, delay_days=delay_days, test_days=test_days)
    last_day = _date(as_of)
    spark = session_for(settings, "train")
    with told(settings, "train"), Stages().stage("model"):
        report = training.run(spark, settings, as_of=last_day)
    spark.stop()
    show_json(report) if as_json else show_report(report, settings)


@app.command(epilog="Example: risklake report --as-of 2025-10-14 --json")
def report(as_of: AsOf = None, lake: Lake = None, as_json: AsJson = False) -> None:
    """Show the figures of a model report, and where its page lies."""
    from risklake.show import read_report, show_json, show_report

    settings = settings_of(lake)
    found = read_report(settings, _date(as_of))
    show_json(found) if as_json else show_report(found, settings)


@app.command(epilog="Examples: risklake status --json     risklake status --watch 5")
def status(
    lake: Lake = None,
    as_json: AsJson = False,
    parity: Annotated[bool, typer.Option(help="Recompute all features from silver and compare")] = True,
    watch: Annotated[int | None, typer.Option(help="Show only the streams, again every so many seconds", min=1)] = None,
) -> None:
    """Reconcile the lake: lines in = bronze = silver + quarantined + duplicates, and features as recomputed."""
    from lake.stopping import stopped_by_signals
    from risklake.show import show_json, show_status
    from risklake.show_streams import show_streams
    from risklake.watching import watch_streams
    from spark_jobs.reconciliation import measure_status
    from spark_jobs.stream_status import latest_progress

    settings = settings_of(lake)
    if not settings.local_path().is_dir():
        raise UsageError(f"There is no lake at {settings.lake_root} yet. Run `risklake demo`, or `risklake stream`")
    if watch and as_json:
        raise UsageError("--watch shows a table that refreshes itself; leave out --json, or --watch")
    spark = session_for(settings, "status")
    if watch:
        with stopped_by_signals() as stop:
            watch_streams(spark, settings, watch, stop)
        spark.stop()
        return
    measured = measure_status(spark, settings, with_parity=parity)
    streams = latest_progress(spark, settings)
    spark.stop()
    if as_json:
        show_json(measured.as_dict() | {"streams": streams})
    else:
        show_status(measured)
        show_streams(streams)
    _require_consistent(measured, settings)


@app.command(
    epilog="Examples: risklake detection --labels my-transactions/labels.csv.gz --json     "
    "risklake detection --watches orders"
)
def detection(
    labels: Annotated[
        Path | None, typer.Option(help="CSV file or folder with event_id, is_fraud, scenario; default: the generator's")
    ] = None,
    watches: Annotated[str, typer.Option(help="Alerts on what: transactions, or orders")] = "transactions",
    lake: Lake = None,
    as_json: AsJson = False,
) -> None:
    """Hold alerts and scores against the truth: how many of each attack there are, and what share is caught by what."""
    from risklake.detection import measure_detection
    from risklake.show import show_detection, show_json

    settings = settings_of(lake)
    spark = session_for(settings, "detection")
    found = measure_detection(spark, settings, labels, watches)
    spark.stop()
    show_json(found.as_dict()) if as_json else show_detection(found)


@app.command(epilog='Example: risklake sql "select rule, count(*) from alerts.alerts group by rule" --json')
def sql(
    query: Annotated[str | None, typer.Argument(help="One statement; without it, the spark-sql shell opens")] = None,
    lake: Lake = None,
    as_json: AsJson = False,
    limit: Annotated[int, typer.Option(help="Most rows to show", min=1)] = 1000,
    role: Annotated[
        str | None, typer.Option(help="Name the views of a role (analyst, investigator), such as analyst.users")
    ] = None,
) -> None:
    """Ask the tables of the lake by their names."""
    from lake.roles import ROLES, register_views
    from risklake.sql import open_shell, run_query

    if role is not None and role not in ROLES:
        raise UsageError(f"There is no role {role!r}. The roles are {', '.join(ROLES)}")
    settings = settings_of(lake)
    spark = session_for(settings, "sql")
    if query is None:
        open_shell(spark, settings, role)
    if role is not None:
        register_views(spark, settings, role)
    run_query(spark, query or "", as_json=as_json, limit=limit)
    spark.stop()


@app.command(epilog="Example: risklake config --json")
def config(lake: Lake = None, as_json: AsJson = False) -> None:
    """Show each setting, its value and where it came from."""
    from risklake.show import show_json, show_settings

    rows = describe(settings_of(lake))
    show_json(rows) if as_json else show_settings(rows)


def main() -> None:
    """Entry of the command: one line and an exit code for every error that a user can do something about."""
    # Spark hands over times in the zone of this process, and every time that is shown is of UTC.
    os.environ["TZ"] = "UTC"
    time.tzset()
    try:
        app()
    except LakehouseError as error:
        typer.echo(printable(f"risklake: {error}"), err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        typer.echo("risklake: stopped", err=True)
        sys.exit(130)


def _date(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError as error:
        raise UsageError(f"{text!r} is no date; write it as YYYY-MM-DD") from error


def _require_consistent(status: Status, settings: Settings) -> None:
    from lake.lease import are_free
    from spark_jobs.pipeline import JOBS

    if status.has_difference:
        raise InconsistentError(_LOST)
    if not status.is_consistent and are_free(settings, list(JOBS)):
        raise InconsistentError(
            "Lines wait that no running stream will take: see how many above. `risklake stream --once` takes them"
        )


if __name__ == "__main__":
    main()
