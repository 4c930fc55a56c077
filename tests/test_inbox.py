from __future__ import annotations

import os
import socket
from contextlib import chdir
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession

from lake import storage
from lake.inbox import count_lines, is_visible, visible_files
from lake.settings import Settings, load_settings
from risklake.streaming import strangers
from spark_jobs import pipeline
from spark_jobs.bronze import inbox_files
from spark_jobs.read_errors import CSV_REFUSED, LINK

# Names that a file system takes and that mean something else in an address, a pattern or a shell.
NAMES = [
    "a b", "q'u\"o", "new\nline", "cr\r", "100%", "%20", "a%20b", "h#x", "q?x", "ü", "u\u0308", "😀", "-lead", "[a]",
    "a", "{b}", "st*r", "back\\slash", "co:lon", "file:x", "a+b", "a&b=c;d,e", "~t", "$x", "`b`", "a|b", "<a>", " lead",
    "a.", "\u2028", "x._COPYING_", "a=b",
]  # fmt: skip


def fill(folder: Path) -> dict[str, int]:
    """All that a folder of transactions may hold; gives the rows that each file must have in bronze."""
    folder.mkdir(parents=True)
    for name in NAMES:
        (folder / f"{name}.jsonl").write_text(f"{name!r}\n")
    (folder / "empty.jsonl").touch()
    (folder / "wrong feed.csv").write_text("a,b\n1,2\n3,4\n")
    # None of these is a file of the feed.
    for name in ("_a=b.jsonl", "_b.jsonl", ".c.jsonl", "d.txt", "e.JSONL", ".jsonl"):
        (folder / name).write_text("no line\n")
    (folder / os.fsdecode(b"b\xff.jsonl")).write_text("no line\n")
    for name in ("folder.jsonl", "day=1", "below"):
        (folder / name).mkdir()
        (folder / name / "inside.jsonl").write_text("no line\n")
    os.mkfifo(folder / "pipe.jsonl")
    # A socket's address may have 108 characters.
    with socket.socket(socket.AF_UNIX) as server, chdir(folder):
        server.bind("socket.jsonl")
    for name, target in {"link": "d.txt", "link-to-empty": "empty.jsonl", "link-to-folder": "below"}.items():
        (folder / f"{name}.jsonl").symlink_to(target)
    (folder / "link-to-nothing.jsonl").symlink_to("nothing")
    (folder / "link-to-itself.jsonl").symlink_to("link-to-itself.jsonl")
    others = ["empty.jsonl", "wrong feed.csv", "link.jsonl", "link-to-empty.jsonl"]
    return dict.fromkeys([f"{name}.jsonl" for name in NAMES] + others, 1)


def test_a_file_is_visible_by_its_name() -> None:
    assert all(map(is_visible, ["a.json", "a.jsonl", "a.json.gz", "a.jsonl.gz", "a.csv", "a.csv.gz", "[a] %20.csv"]))
    hidden = [
        ".a.json",
        "_a.json",
        "_a=b.json",
        "a.JSON",
        "a.txt",
        "a.gz",
        "json",
        "a.json\n",
        os.fsdecode(b"\xff.json"),
    ]
    assert not any(map(is_visible, hidden))


def test_only_files_are_visible_and_links_to_files(tmp_path: Path) -> None:
    expected = fill(tmp_path / "transactions")
    assert [file.name for file in visible_files(tmp_path / "transactions")] == sorted(expected)
    assert visible_files(tmp_path / "nothing") == []


def test_what_no_stream_reads_is_named_in_letters_that_can_be_printed(tmp_path: Path) -> None:
    lake = load_settings({"lake_root": str(tmp_path)}, environment={})
    fill(lake.local_path("inbox", "transactions"))
    lake.local_path("inbox", "transactions", "_SUCCESS").write_bytes(b"")
    names = [name.removeprefix("inbox/transactions/") for name in strangers(lake)]
    assert {
        "pipe.jsonl",
        "folder.jsonl",
        "link-to-nothing.jsonl",
        "d.txt",
        "day=1",
        "b\ufffd.jsonl",
        "_b.jsonl",
    } <= set(names)
    assert "".join(names).encode("utf-8")
    assert not {"a.jsonl", "link.jsonl", ".c.jsonl", "_SUCCESS"} & set(names)


def test_the_stream_reads_every_name_once_and_passes_over_what_is_no_file(
    spark: SparkSession, settings: Settings
) -> None:
    expected = fill(settings.local_path("inbox", "transactions"))
    pipeline.run(spark, settings, continuous=False, jobs=["bronze"])
    found = storage.read(spark, settings, "bronze.transactions").collect()
    assert sorted(row["source_file"] for row in found) == sorted(expected)
    assert sum(map(count_lines, visible_files(settings.local_path("inbox", "transactions")))) == len(found)
    lines = {row["source_file"]: row["line"] for row in found}
    assert {f"{name}.jsonl": repr(name) for name in NAMES}.items() <= lines.items()
    errors = {row["source_file"]: row["read_error"] for row in found}
    assert (errors["link.jsonl"], errors["wrong feed.csv"]) == (LINK, CSV_REFUSED)


def test_a_file_that_vanishes_before_it_is_read_does_not_stop_the_stream(
    spark: SparkSession, settings: Settings, tmp_path: Path
) -> None:
    folder = settings.local_path("inbox", "transactions")
    folder.mkdir(parents=True)
    for name in ("gone.jsonl", "stays.jsonl"):
        (folder / name).write_text("a line\n")
    found: list[str] = []

    def write(batch: DataFrame, _: int) -> None:
        (folder / "gone.jsonl").unlink()
        found.extend(Path(row["path"]).name for row in batch.select("path").collect())

    stream = inbox_files(spark, settings).writeStream.foreachBatch(write).trigger(availableNow=True)
    assert stream.option("checkpointLocation", str(tmp_path / "checkpoint")).start().awaitTermination(120)
    assert found == ["stays.jsonl"]


def test_files_without_a_byte_are_found_by_name_and_time(spark: SparkSession, tmp_path: Path) -> None:
    fill(tmp_path / "f")
    os.utime(tmp_path / "f" / "empty.jsonl", ns=(0, 1_500_999_999))
    found = dict(storage.empty_files(spark, str(tmp_path / "f")))
    assert set(found) == {"empty.jsonl", "link-to-empty.jsonl"}
    assert found["empty.jsonl"].timestamp() == pytest.approx(1.500)
    # Hadoop's list, as for an object store, says the same.
    assert dict(storage.empty_files(spark, f"file://{tmp_path / 'f'}")).items() >= found.items()
