"""How long an explanation takes in a great lake: `python -m benchmarks.explain --events 22000000`.

The tables that a lake of so many payments would have are written as they stand after years of streaming and care; then
events drawn by chance are explained in a session that has explained some before. A lake that is in `--folder` already
is taken as it is.
"""

from __future__ import annotations

import shutil
import time
from datetime import timedelta
from random import Random
from statistics import median
from typing import Annotated

import typer
from pyspark.sql import SparkSession

from benchmarks.figures import Folder, Out, place_of, tell, today
from benchmarks.great_lake import id_of, payments, rows_of
from benchmarks.processes import HarnessError, as_command
from lake import storage
from lake.catalog import USER_5M
from lake.feed_tables import bronze_table, silver_table
from lake.feeds import TRANSACTIONS
from lake.progress import Stages
from lake.session import build_session
from lake.settings import Settings, load_settings
from risklake.explain import explain

_WARM = 3


def main(
    events: Annotated[int, typer.Option(help="Payments in the lake", min=1000)] = 22_000_000,
    days: Annotated[int, typer.Option(help="Days that they are spread over", min=1)] = 180,
    users: Annotated[int, typer.Option(help="Users who pay", min=1)] = 500_000,
    asked: Annotated[int, typer.Option(help="Events to explain", min=1)] = 12,
    folder: Folder = None,
    out: Out = None,
) -> None:
    """Write a great lake, and time explanations of some of its events."""
    stages, place = Stages(), place_of(folder, "explain")
    settings = load_settings({"lake_root": str(place / "lake")}, environment={})
    spark = build_session(settings, "explain")
    if not settings.local_path().is_dir():
        with stages.stage("write"):
            write(spark, settings, events=events, days=days, users=users)
    seconds = []
    with stages.stage("explain", "events", total=asked + _WARM) as update:
        for number, event_id in enumerate(drawn(events, asked + _WARM), 1):
            seconds.append(seconds_of(spark, settings, event_id))
            update(number)
    spark.stop()
    counted = seconds[_WARM:]
    figures = {
        "date": today(),
        "events": events,
        "days": days,
        "users": users,
        "first_s": round(seconds[0], 2),
        "median_s": round(median(counted), 2),
        "longest_s": round(max(counted), 2),
    }
    tell(figures, out)
    if folder is None:
        shutil.rmtree(place)


def write(spark: SparkSession, settings: Settings, *, events: int, days: int, users: int) -> None:
    """Write the tables of a lake that holds so many payments."""
    storage.ensure_tables(spark, settings)
    rows = payments(spark, events, timedelta(days=days), users)
    for table in (bronze_table(TRANSACTIONS), silver_table(TRANSACTIONS), USER_5M):
        storage.append(rows_of(rows, table), settings, table.name)


def seconds_of(spark: SparkSession, settings: Settings, event_id: str) -> float:
    """The seconds that it takes to explain an event. Raises `HarnessError` if a part is missing."""
    began = time.monotonic()
    found = explain(spark, settings, event_id)
    seconds = time.monotonic() - began
    whole = found.event and found.lines[0]["text"] and found.features and found.windows and found.rules
    if not whole:
        raise HarnessError(f"The explanation of {event_id} lacks a part: {found}")
    return seconds


def drawn(events: int, count: int) -> list[str]:
    """Ids of some of so many payments, the same each time."""
    return [id_of(number) for number in Random(7).sample(range(events), count)]  # noqa: S311


if __name__ == "__main__":
    as_command(main, "explain")
