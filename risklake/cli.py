"""The command `risklake`: thin verbs, one line for an error, exit codes that mean something."""

from __future__ import annotations

import sys
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from generator.command import EXAMPLES, generate
from lake.errors import InconsistentError, LakehouseError, MachineError, UsageError
from lake.settings import Settings, describe, load_settings

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

Lake = Annotated[Path | None, typer.Option("--lake", help="Folder of the lake; default LAKE_ROOT, or data/")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program")]
AsOf = Annotated[str | None, typer.Option(help="Last test day, YYYY-MM-DD; default: the last with known labels")]
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

    settings = _settings(
        lake, train_days=train_days, delay_days=delay_days, test_days=test_days, label_delay_days=label_delay_days
    )
    summary = whole_line.run_demo(settings, Stages(), given, _date(as_of))
    show_summary(summary, settings)
    _require_consistent(summary.status.is_consistent)


@app.command(epilog="Example: risklake stream --once")
def stream(
    once: Annotated[bool, typer.Option("--once", help="Take what lies in the inbox, then stop")] = False,
    lake: Lake = None,
) -> None:
    """Stream the inbox to bronze, silver, features and alerts, until stopped (SIGTERM or Ctrl-C)."""
    from lake.lease import require_free
    from lake.progress import Stages
    from lake.stopping import stopped_by_signals
    from risklake.streaming import drain, watch
    from spark_jobs.pipeline import JOBS

    settings, stages = _settings(lake), Stages()
    require_free(settings, list(JOBS))
    with stopped_by_signals() as stop:
        spark = _session(settings, "stream")
        drain(spark, settings, stages, stop) if once else watch(spark, settings, stages, stop)
        spark.stop()


app.command(epilog=EXAMPLES)(generate)


@app.command(epilog="Example: risklake marts")
def marts(lake: Lake = None) -> None:
    """Build and test the marts with dbt (the plain `dbt build` in dbt/ does the same)."""
    from lake.progress import Stages
    from risklake.marts import build_marts

    settings = _settings(lake)
    spark = _session(settings, "marts")
    with Stages().stage("marts", "models and tests") as update:
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
    from risklake.show import show_json, show_report

    settings = _settings(lake, train_days=train_days, delay_days=delay_days, test_days=test_days)
    last_day = _date(as_of)
    spark = _session(settings, "train")
    with Stages().stage("model"):
        report = training.run(spark, settings, as_of=last_day)
    spark.stop()
    show_json(report) if as_json else show_report(report, settings)


@app.command(epilog="Example: risklake report --as-of 2025-10-14 --json")
def report(as_of: AsOf = None, lake: Lake = None, as_json: AsJson = False) -> None:
    """Show the figures of a model report, and where its page lies."""
    from risklake.show import read_report, show_json, show_report

    settings = _settings(lake)
    found = read_report(settings, _date(as_of))
    show_json(found) if as_json else show_report(found, settings)


@app.command(epilog="Example: risklake status --json")
def status(
    lake: Lake = None,
    as_json: AsJson = False,
    parity: Annotated[bool, typer.Option(help="Recompute all features from silver and compare")] = True,
) -> None:
    """Reconcile the lake: lines in = bronze = silver + quarantined + duplicates, and features as recomputed."""
    from risklake.show import show_json, show_status
    from spark_jobs.reconciliation import measure_status

    settings = _settings(lake)
    if not settings.local_path().is_dir():
        raise UsageError(f"There is no lake at {settings.lake_root} yet. Run `risklake demo`, or `risklake stream`")
    spark = _session(settings, "status")
    measured = measure_status(spark, settings, with_parity=parity)
    spark.stop()
    show_json(measured.as_dict()) if as_json else show_status(measured)
    _require_consistent(measured.is_consistent)


@app.command(epilog="Example: risklake detection --labels my-transactions/labels.csv.gz --json")
def detection(
    labels: Annotated[
        Path | None, typer.Option(help="CSV file or folder with event_id, is_fraud, scenario; default: the generator's")
    ] = None,
    lake: Lake = None,
    as_json: AsJson = False,
) -> None:
    """Hold alerts and scores against the truth: how many of each attack there are, and what share is caught by what."""
    from risklake.detection import measure_detection
    from risklake.show import show_detection, show_json

    settings = _settings(lake)
    spark = _session(settings, "detection")
    found = measure_detection(spark, settings, labels)
    spark.stop()
    show_json(found.as_dict()) if as_json else show_detection(found)


@app.command(epilog='Example: risklake sql "select rule, count(*) from alerts.alerts group by rule" --json')
def sql(
    query: Annotated[str | None, typer.Argument(help="One statement; without it, the spark-sql shell opens")] = None,
    lake: Lake = None,
    as_json: AsJson = False,
    limit: Annotated[int, typer.Option(help="Most rows to show", min=1)] = 1000,
) -> None:
    """Ask the tables of the lake by their names."""
    from risklake.sql import open_shell, run_query

    settings = _settings(lake)
    spark = _session(settings, "sql")
    if query is None:
        open_shell(spark, settings)
    run_query(spark, query or "", as_json=as_json, limit=limit)
    spark.stop()


@app.command(epilog="Example: risklake config --json")
def config(lake: Lake = None, as_json: AsJson = False) -> None:
    """Show each setting, its value and where it came from."""
    from risklake.show import show_json, show_settings

    rows = describe(_settings(lake))
    show_json(rows) if as_json else show_settings(rows)


@app.command(epilog="Example: risklake reset --layer silver --yes")
def reset(
    layer: Annotated[str, typer.Option(help="bronze, silver, features, alerts or marts")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask")] = False,
    lake: Lake = None,
) -> None:
    """Drop a layer and those above it with their checkpoints; the next run rebuilds them from the layer below."""
    from risklake.reset import affected, drop

    settings = _settings(lake)
    folders = affected(settings, layer)
    if not folders:
        typer.echo(f"Nothing of {layer} or above lies in {settings.lake_root}.")
        return
    typer.echo("These go:")
    for folder in folders:
        typer.echo(f"  {folder.relative_to(settings.lake_root)}")
    # Nothing is lost (the layer below is kept), so a script needs no flag; a person is asked.
    if sys.stdin.isatty() and not yes:
        typer.confirm("Drop them?", abort=True)
    drop(settings, folders)
    typer.echo("Dropped. `risklake stream --once` (and `risklake marts`) rebuild them.")


@app.command(epilog="Example: risklake doctor --fix")
def doctor(
    fix: Annotated[bool, typer.Option("--fix", help="Install what can be installed without asking")] = False,
    lake: Lake = None,
    as_json: AsJson = False,
) -> None:
    """Check what the lakehouse needs of this machine."""
    from dataclasses import asdict

    from risklake import doctor as machine
    from risklake.show import show_findings, show_json

    settings = _settings(lake)
    if fix:
        machine.fix()
    findings = machine.check(settings)
    show_json([asdict(finding) for finding in findings]) if as_json else show_findings(findings)
    wrong = [finding for finding in findings if not finding.ok and finding.level == "error"]
    if wrong:
        raise MachineError(f"{len(wrong)} of {len(findings)} checks failed: {wrong[0].message}. {wrong[0].fix}")


def main() -> None:
    """Entry of the command: one line and an exit code for every error that a user can do something about."""
    try:
        app()
    except LakehouseError as error:
        typer.echo(f"risklake: {error}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        typer.echo("risklake: stopped", err=True)
        sys.exit(130)


def _settings(lake: Path | None, **flags: Any) -> Settings:
    return load_settings({"lake_root": str(lake) if lake else None, **flags})


def _session(settings: Settings, verb: str):  # type: ignore[no-untyped-def]
    from lake.session import build_session

    log = settings.local_path("logs", "spark.log") if settings.is_local else None
    return build_session(settings, f"risklake {verb}", log=log)


def _date(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError as error:
        raise UsageError(f"{text!r} is no date; write it as YYYY-MM-DD") from error


def _require_consistent(is_consistent: bool) -> None:
    if not is_consistent:
        raise InconsistentError(
            "The counts do not reconcile: see which above. Lines that still wait in the inbox are taken by "
            "`risklake stream --once`; after that, a difference is a defect"
        )


if __name__ == "__main__":
    main()
