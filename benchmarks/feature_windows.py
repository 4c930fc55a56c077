"""What features cost on millions of payments: `python -m benchmarks.feature_windows --events 4000000`.

Once with all users alike, and once with one who makes a tenth of all payments: all features at once, as a comparison
computes them; those of micro-batches as a running stream computes them, with what it keeps in memory; and the same read
from silver each time, as a drain does. Nothing is written but silver, so that the windows alone are measured.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from statistics import median
from typing import Annotated

import typer
from pyspark.sql import DataFrame, SparkSession
from rich.table import Table

from benchmarks.figures import Folder, Out, place_of, tell, today
from benchmarks.great_lake import BEGIN, payments, rows_of
from benchmarks.processes import HarnessError, as_command
from lake import storage
from lake.feed_tables import silver_table
from lake.feeds import TRANSACTIONS
from lake.progress import Stages
from lake.session import build_session
from lake.settings import Settings, load_settings
from lake.terminal import console
from spark_jobs.feature_tables import EVENT_TABLES
from spark_jobs.features import changed
from spark_jobs.link_look_back import LinkLookBack
from spark_jobs.look_back import SOURCE, Batch
from spark_jobs.user_5m import INPUTS
from spark_jobs.user_look_back import UserLookBack

# What a user with a tenth of all payments may cost.
MOST_SKEW = 1.5
_WAYS = ("all_s", "micro_batch_s", "from_silver_s")


@dataclass(frozen=True)
class World:
    """Payments of `users` users over `days`, a share `hot` of them of one; then `batches` micro-batches of `rows`."""

    events: int
    days: int
    users: int
    batches: int
    rows: int
    rate: float
    hot: float = 0.0


def main(
    events: Annotated[int, typer.Option(help="Payments in silver", min=1000)] = 4_000_000,
    days: Annotated[int, typer.Option(help="Days that they are spread over", min=1)] = 30,
    users: Annotated[int, typer.Option(help="Users who pay", min=1)] = 100_000,
    hot: Annotated[float, typer.Option(help="Share of payments of the one user", min=0, max=0.9)] = 0.1,
    batches: Annotated[int, typer.Option(help="Micro-batches", min=2)] = 12,
    rows: Annotated[int, typer.Option(help="Payments in each", min=1)] = 2500,
    rate: Annotated[float, typer.Option(help="Payments a second in micro-batches", min=1)] = 500,
    folder: Folder = None,
    out: Out = None,
) -> None:
    """Time features with all users alike and with one busy user; exit code 1 if that costs too much."""
    stages, place = Stages(), place_of(folder, "feature-windows")
    found = {}
    for name, share in (("alike", 0.0), ("one_busy", hot)):
        settings = load_settings({"lake_root": str(place / name)}, environment={})
        spark = build_session(settings, "feature windows")
        with stages.stage(name):
            found[name] = measured(spark, settings, World(events, days, users, batches, rows, rate, share))
        spark.stop()
    ratios = {way: round(found["one_busy"][way] / found["alike"][way], 2) for way in _WAYS}
    _show(found, ratios)
    tell({"date": today(), "events": events, "users": users, "hot": hot, **found, "ratio": ratios}, out)
    if folder is None:
        shutil.rmtree(place)
    raise typer.Exit(max(ratios["all_s"], ratios["micro_batch_s"]) > MOST_SKEW)


def measured(spark: SparkSession, settings: Settings, world: World) -> dict[str, float]:
    """The seconds of each way, of a micro-batch the median."""
    storage.ensure_tables(spark, settings, [SOURCE])
    span = timedelta(days=world.days)
    _append(payments(spark, world.events, span, world.users, hot=world.hot), settings)
    silver = storage.read(spark, settings, SOURCE)
    whole = _seconds(lambda: [EVENT_TABLES[0].recompute(silver)])
    kept, read = [], []
    keeps, reads = _LookBacks(settings, keeps=True), _LookBacks(settings, keeps=False)
    for number in range(world.batches):
        batch = _batch(spark, settings, world, number)
        # Silver has been written once before.
        kept.append(_seconds(partial(keeps.around, batch, number + 2)))
        if number >= world.batches - 2:
            read.append(_seconds(partial(reads.around, batch, None)))
    # The first reads silver and makes the memory.
    return {
        "all_s": round(whole, 1),
        "micro_batch_s": round(median(kept[1:]), 2),
        "first_micro_batch_s": round(kept[0], 1),
        "from_silver_s": round(median(read), 1),
    }


class _LookBacks:
    """Both look backs of a stream of features."""

    def __init__(self, settings: Settings, *, keeps: bool) -> None:
        self._of_users, self._of_links = UserLookBack(settings, keeps=keeps), LinkLookBack(settings, keeps=keeps)

    def around(self, batch: Batch, version: int | None) -> list[DataFrame]:
        """The features of a micro-batch, and what it changes, not yet computed."""
        of_users, of_links = self._of_users.around(batch, version), self._of_links.around(batch, version)
        return [changed(of_users.rows), of_links.rows]


def _batch(spark: SparkSession, settings: Settings, world: World, number: int) -> Batch:
    first, apart = world.events + number * world.rows, timedelta(seconds=world.rows / world.rate)
    begin = BEGIN + timedelta(days=world.days) + number * apart
    new = payments(spark, world.rows, apart, world.users, first=first, begin=begin, hot=world.hot)
    _append(new, settings)
    batch = Batch.in_memory(rows_of(new, silver_table(TRANSACTIONS)).select(*INPUTS).localCheckpoint())
    if batch is None:
        raise HarnessError("A micro-batch has no payments")
    return batch


def _append(new: DataFrame, settings: Settings) -> None:
    storage.append(rows_of(new, silver_table(TRANSACTIONS)), settings, SOURCE)


def _seconds(make: Callable[[], list[DataFrame]]) -> float:
    began = time.monotonic()
    for frame in make():
        frame.write.format("noop").mode("overwrite").save()
    return time.monotonic() - began


def _show(found: dict[str, dict[str, float]], ratios: dict[str, float]) -> None:
    table = Table("", *found, "ratio", title="Seconds", title_justify="left")
    for way in _WAYS:
        table.add_row(way, *(f"{one[way]:,.2f}" for one in found.values()), f"{ratios[way]:.2f}")
    console.print(table)


if __name__ == "__main__":
    as_command(main, "feature_windows")
