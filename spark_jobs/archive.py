"""Finished files: those whose lines all stand in bronze leave the inbox for the archive, by the day they arrived."""

from __future__ import annotations

from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lake import storage
from lake.feed import Feed
from lake.feed_tables import bronze_table
from lake.feeds import FEEDS
from lake.settings import Settings
from spark_jobs.inventory import Entry, Inventory

ARCHIVE = "archive"


def archive_finished(spark: SparkSession, settings: Settings, inventory: Inventory) -> int:
    """Move the finished files of an inventory to `archive/<feed>/<day>/`; gives their number.

    A file is finished when bronze holds as many rows of it as lines were counted in it. One that changed since stays.
    """
    changed = set(inventory.changed)
    moved = 0
    for feed in FEEDS.values():
        lying = [entry for key, entry in inventory.lying.items() if key[0] == feed.name and key not in changed]
        if lying and storage.exists(spark, settings, bronze_table(feed).name):
            moved += _archive(spark, settings, feed, lying)
    return moved


def _archive(spark: SparkSession, settings: Settings, feed: Feed, entries: list[Entry]) -> int:
    lying = spark.createDataFrame(
        [(entry.source_file, entry.lines) for entry in entries], "source_file string, lines long"
    )
    bronze = storage.read(spark, settings, bronze_table(feed).name).join(
        F.broadcast(lying), on="source_file", how="inner"
    )
    taken = bronze.groupBy("source_file", "lines").agg(F.count("*").alias("rows"), F.min("arrival_date").alias("day"))
    moved = 0
    for row in taken.where("rows = lines").collect():
        target = settings.local_path(ARCHIVE, feed.name, str(row["day"])) / row["source_file"]
        moved += _move(settings.local_path("inbox", feed.name) / row["source_file"], target)
    return moved


def _move(file: Path, target: Path) -> int:
    if target.exists() or not file.exists():
        return 0
    target.parent.mkdir(parents=True, exist_ok=True)
    file.rename(target)
    return 1
