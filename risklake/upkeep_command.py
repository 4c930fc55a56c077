"""Verbs that keep a lake in order: care, evolve, forget, reset, doctor."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from lake.errors import InconsistentError, MachineError, UsageError
from lake.terminal import printable
from risklake.opening import AsJson, Lake, session_for, settings_of


def add_to(app: typer.Typer) -> None:
    """Make the verbs of this module part of a command line."""
    app.command(epilog="Example: risklake care")(care)
    app.command(epilog="Example: risklake evolve")(evolve)
    app.command(epilog="Example: risklake forget u000123")(forget)
    app.command(epilog="Example: risklake reset --layer silver --yes")(reset)
    app.command(epilog="Example: risklake doctor --fix")(doctor)


def care(lake: Lake = None) -> None:
    """Compact tables, delete old files, and lines that have outlived `retention_days` with all that was made of them.

    A running stream does so itself, every `upkeep_minutes`.
    """
    from lake.lease import leases, require_free
    from lake.progress import Stages
    from risklake.streaming import rows_gone
    from spark_jobs.care import care as care_for
    from spark_jobs.pipeline import JOBS

    settings = settings_of(lake)
    jobs = list(JOBS)
    require_free(settings, jobs)
    spark = session_for(settings, "care")
    with leases(settings, jobs), Stages().stage("care", "tables") as update:
        done = care_for(spark, settings, update)
    spark.stop()
    before, after = sum(table.files_before for table in done), sum(table.files_after for table in done)
    typer.echo(f"{len(done)} tables: {before:,} files before, {after:,} after{rows_gone(done)}")


def evolve(lake: Lake = None) -> None:
    """Add the columns that a newer version declares to the tables of the lake; rows that are there hold null."""
    from lake import storage
    from lake.catalog import TABLES
    from lake.lease import leases
    from risklake.reset import JOBS

    settings = settings_of(lake)
    with leases(settings, list(JOBS)):
        spark = session_for(settings, "evolve")
        for name in (name for name in storage.tables_on_disk(spark, settings) if name in TABLES):
            for column in storage.add_missing_columns(spark, settings, name):
                typer.echo(f"{name}: {column} added")
        spark.stop()
    typer.echo("Every table has the declared columns.")


def forget(
    user: Annotated[str, typer.Argument(help="The user's id, as producers write it")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask")] = False,
    lake: Lake = None,
    as_json: AsJson = False,
) -> None:
    """Take a user's name, e-mail, phone and id out of every table and file of the lake, and search for what is left."""
    from dataclasses import asdict

    from lake.lease import leases
    from lake.progress import Stages
    from risklake import case_messages, quarantine
    from risklake import forget as forgetting
    from risklake.notify import telling
    from risklake.reset import JOBS
    from risklake.show import show_json
    from spark_jobs.pipeline import drain_holding_leases

    settings, stages = settings_of(lake), Stages()
    # Whoever reads the person's rows now would write them again after they are gone.
    with leases(settings, [*JOBS, quarantine.LEASE]):
        spark = session_for(settings, "forget")
        with stages.stage("streams"):
            drain_holding_leases(spark, settings)
            with telling(settings) as tell:
                case_messages.catch_up(spark, settings, tell)
        person = forgetting.find_person(spark, settings, user)
        if sys.stdin.isatty() and not yes:
            typer.confirm(f"Forget {user} in {settings.lake_root}? This cannot be undone", abort=True)
        with stages.stage("forget", "tables and files") as update:
            changed = forgetting.forget(spark, settings, person, update)
        with stages.stage("search"):
            left = forgetting.traces(spark, settings, person)
        spark.stop()
    if as_json:
        show_json({"token": person.token, "changed": changed, "traces": [asdict(trace) for trace in left]})
    else:
        for place, count in changed.items():
            typer.echo(printable(f"{place}: {count:,} changed"))
        typer.echo(f"{user} is {person.token} from now on; the search of all tables and files found {len(left)} traces")
    if left:
        found = ", ".join(f"{trace.place} ({trace.count:,})" for trace in left)
        raise InconsistentError(f"Traces of {user} are left in {found}: run it again, or look there")


def reset(
    layer: Annotated[str, typer.Option(help="bronze, silver, features, alerts or marts")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask")] = False,
    lake: Lake = None,
) -> None:
    """Drop a layer and those above it with their checkpoints; the next run rebuilds them from the layer below."""
    from risklake.reset import LOWEST, affected, drop

    settings = settings_of(lake)
    folders = affected(settings, layer)
    if layer == LOWEST and not yes and not sys.stdin.isatty():
        raise UsageError(
            "With bronze, lines are lost whose files lie in neither inbox nor archive: say --yes to drop it"
        )
    if not folders:
        typer.echo(f"Nothing of {layer} or above lies in {settings.lake_root}.")
        return
    typer.echo("These go:")
    for folder in folders:
        typer.echo(f"  {folder.relative_to(settings.lake_root)}")
    if layer == LOWEST:
        typer.echo("Files of the archive go back to the inbox. Lines of files that lie in neither are lost.")
    # Otherwise nothing is lost (the layer below is kept), so a script needs no flag; a person is asked.
    if sys.stdin.isatty() and not yes:
        typer.confirm("Drop them?", abort=True)
    drop(settings, folders)
    typer.echo("Dropped. `risklake stream --once` (and `risklake marts`) rebuild them.")


def doctor(
    fix: Annotated[bool, typer.Option("--fix", help="Install what can be installed without asking")] = False,
    lake: Lake = None,
    as_json: AsJson = False,
) -> None:
    """Check what the lakehouse needs of this machine."""
    from dataclasses import asdict

    from risklake import doctor as machine
    from risklake.show import show_findings, show_json

    settings = settings_of(lake)
    if fix:
        machine.fix()
    findings = machine.check(settings)
    show_json([asdict(finding) for finding in findings]) if as_json else show_findings(findings)
    wrong = [finding for finding in findings if not finding.ok and finding.level == "error"]
    if wrong:
        raise MachineError(f"{len(wrong)} of {len(findings)} checks failed: {wrong[0].message}. {wrong[0].fix}")
