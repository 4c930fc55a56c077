"""`risklake quarantine`: group, list, waiting, show, export and replay."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from lake.settings import Settings
from lake.terminal import console
from risklake.opening import AsJson, Lake, session_for, settings_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

app = typer.Typer(
    help="Rejected lines: what stands there and why, and mended ones on their way back.", no_args_is_help=True
)

OfFeed = Annotated[str | None, typer.Option("--feed", help="Only lines of this feed")]
OfCode = Annotated[str | None, typer.Option("--code", help="Only lines with this reason, such as not_a_number")]
Most = Annotated[int, typer.Option("--limit", help="Most lines to show", min=1)]


@app.command("group", epilog="Example: risklake quarantine group --feed transactions")
def group(feed: OfFeed = None, code: OfCode = None, lake: Lake = None, as_json: AsJson = False) -> None:
    """Count the lines by feed, reason and field."""
    from risklake.quarantine import entries, groups

    settings, spark = _open(lake)
    rows = [row.asDict() for row in groups(entries(spark, settings, feed=feed, code=code)).collect()]
    spark.stop()
    _print(rows, ["feed", "code", "field", "lines", "released", "last_arrived_at", "example"], as_json)


@app.command("list", epilog="Example: risklake quarantine list --code not_a_number --limit 20")
def list_lines(
    feed: OfFeed = None,
    code: OfCode = None,
    limit: Most = 50,
    lake: Lake = None,
    as_json: AsJson = False,
) -> None:
    """List rejected lines, masked, the newest first."""
    from pyspark.sql import functions as F

    from risklake.quarantine import entries

    settings, spark = _open(lake)
    found = entries(spark, settings, feed=feed, code=code)
    newest = found.orderBy(F.desc("arrived_at"), "feed", "source_file", "line_number").limit(limit).collect()
    spark.stop()
    rows = [
        {
            "id": _id_of(row),
            "codes": ", ".join(reason["code"] for reason in row["reasons"]),
            "released": row["released_at"],
            "excerpt": row["excerpt"],
        }
        for row in newest
    ]
    _print(rows, ["id", "codes", "released", "excerpt"], as_json)


@app.command("waiting", epilog="Example: risklake quarantine waiting --feed transactions")
def list_waiting(
    feed: OfFeed = None,
    limit: Most = 50,
    lake: Lake = None,
    as_json: AsJson = False,
) -> None:
    """List good lines that wait for a user, merchant or product, the oldest first (setting `orphans`)."""
    from risklake.quarantine import waiting

    settings, spark = _open(lake)
    found = waiting(spark, settings, feed=feed).limit(limit).collect()
    spark.stop()
    rows = [
        {
            "id": _id_of(row),
            "event": row["event_key"],
            "missing": ", ".join(f"{one['field']} {one['key']}" for one in row["missing"]),
            "arrived_at": row["arrived_at"],
        }
        for row in found
    ]
    _print(rows, ["id", "event", "missing", "arrived_at"], as_json)


@app.command("show", epilog="Example: risklake quarantine show transactions/a.jsonl:17 --raw")
def show(
    line: Annotated[str, typer.Argument(help="feed/file:number, as `list` prints it")],
    raw: Annotated[bool, typer.Option("--raw", help="Also the line itself, personal data unmasked")] = False,
    lake: Lake = None,
    as_json: AsJson = False,
) -> None:
    """Show one line and every reason why it was rejected."""
    from lake.errors import UsageError
    from risklake.quarantine import LineId, entries, raw_lines

    line_id = LineId.parse(line)
    settings, spark = _open(lake)
    of_feed = entries(spark, settings, feed=line_id.feed)
    this = of_feed.where((of_feed.source_file == line_id.source_file) & (of_feed.line_number == line_id.line_number))
    found = this.collect()
    text = [content for _, _, content in raw_lines(spark, settings, this)] if raw and found else []
    spark.stop()
    if not found:
        raise UsageError(f"{line_id} is not in quarantine. `risklake quarantine list` shows what is")
    rows = [
        {"code": reason["code"], "field": reason["field"] or "", "message": reason["message"]}
        for reason in found[0]["reasons"]
    ]
    _print(rows, ["code", "field", "message"], as_json)
    if not as_json:
        console.print(f"Arrived {found[0]['arrived_at']}; released: {found[0]['released_at'] or 'no'}", highlight=False)
        console.print(text[0] if text else found[0]["excerpt"], highlight=False, markup=False, soft_wrap=True)


@app.command("export", epilog="Example: risklake quarantine export mend.jsonl --code not_a_number")
def export_lines(
    target: Annotated[Path, typer.Argument(help="File to write; holds the lines unmasked")],
    feed: OfFeed = None,
    code: OfCode = None,
    lake: Lake = None,
) -> None:
    """Write rejected lines to a file, to be mended by hand or by a program."""
    from risklake.quarantine import entries, export

    settings, spark = _open(lake)
    count = export(spark, settings, entries(spark, settings, feed=feed, code=code), target)
    spark.stop()
    console.print(
        f"{count:,} lines in {target}, unmasked: mend `line` in each, then `risklake quarantine replay {target}`"
    )


@app.command("replay", epilog="Example: risklake quarantine replay mend.jsonl")
def replay_lines(
    fixed: Annotated[Path, typer.Argument(help="File that `export` wrote, with the lines mended")], lake: Lake = None
) -> None:
    """Put mended lines into the inbox, each at most once; the next stream takes them."""
    from risklake.quarantine import replay

    settings, spark = _open(lake)
    done = replay(spark, settings, fixed)
    spark.stop()
    console.print(
        f"{done.landed:,} lines put into the inbox ({', '.join(done.files) or 'no file'}); "
        f"{done.released_before:,} had been released before and were left alone",
        highlight=False,
    )


def _open(lake: Path | None) -> tuple[Settings, SparkSession]:
    from lake import storage

    settings = settings_of(lake)
    spark = session_for(settings, "quarantine")
    storage.ensure_tables(spark, settings)
    return settings, spark


def _id_of(row: Any) -> str:
    from risklake.quarantine import LineId

    return str(LineId(row["feed"], row["source_file"], row["line_number"]))


def _print(rows: list[dict[str, Any]], columns: list[str], as_json: bool) -> None:
    from risklake.show import show_json

    if as_json:
        show_json(rows)
        return
    table = Table(*columns, header_style="bold")
    for row in rows:
        table.add_row(*(_cell(row[column]) for column in columns))
    console.print(table)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    # An excerpt may hold what rich would take for its markup.
    return f"{value:,}" if isinstance(value, int) else escape(str(value))
