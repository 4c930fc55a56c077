"""The store that lists Delta's logs by names first gives what Delta's own gives, and says where it is missing."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from lake import log_store
from lake.errors import MachineError
from lake.session import build_session
from lake.settings import Settings
from risklake import java
from risklake.doctor import spark_home

FOLDER = "a log % of 'Łódź' #1/_delta_log"


def listed(spark: SparkSession, store: str, path: Path) -> list[tuple[Any, ...]]:
    jvm, hadoop = spark._jvm, spark._jsc.hadoopConfiguration()
    chosen = getattr(jvm.risklake if store == log_store.CLASS else jvm.io.delta.storage, store.rsplit(".", 1)[1])
    found = chosen(hadoop).listFrom(jvm.org.apache.hadoop.fs.Path(str(path)), hadoop)
    files = []
    while found.hasNext():
        file = found.next()
        files.append((file.getPath().toString(), file.getLen(), file.getModificationTime(), file.isDirectory()))
    return files


@pytest.fixture
def log(tmp_path: Path) -> Path:
    folder = tmp_path / FOLDER
    (folder / "_sidecars").mkdir(parents=True)
    (folder / "_last_checkpoint").write_text("{}")
    for version in range(12):
        for name in (f"{version:020}.json", f".{version:020}.json.crc", f"{version:020}.crc"):
            (folder / name).write_text(name * version)
    (folder / f".{3:020}.json.77.tmp").touch()
    return folder


@pytest.mark.parametrize(
    ("first", "count"),
    [(f"{0:020}.json", 25), (f"{7:020}.", 12), (f"{11:020}.json", 3), ("_", 2), (".0", 27), ("z", 0)],
)
def test_the_files_from_a_name_on_are_those_of_deltas_own_store(
    spark: SparkSession, log: Path, first: str, count: int
) -> None:
    found = listed(spark, log_store.CLASS, log / first)
    assert len(found) == count
    assert found == listed(spark, "io.delta.storage.LocalLogStore", log / first)


def test_a_log_that_is_not_there_is_told_as_such(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"FileNotFoundException: No such file or directory: .*nowhere/_delta_log"):
        listed(spark, log_store.CLASS, tmp_path / "nowhere" / "_delta_log" / "0")


def test_a_file_in_the_place_of_a_log_is_not_an_empty_log(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "_delta_log").touch()
    with pytest.raises(Exception, match=r"IOException: The names in .*_delta_log cannot be read"):
        listed(spark, log_store.CLASS, tmp_path / "_delta_log" / "0")


def test_the_sessions_of_this_environment_use_it(spark: SparkSession, settings: Settings) -> None:
    home = spark_home()
    assert home is not None
    assert log_store.is_built(home)
    assert spark.conf.get(log_store.SETTING) == log_store.CLASS
    assert not log_store.is_lacking(spark)
    delta = spark._jvm.org.apache.spark.sql.delta.storage
    chosen = delta.DelegatingLogStore(spark._jsc.hadoopConfiguration()).getDelegate(
        spark._jvm.org.apache.hadoop.fs.Path(settings.local_path().as_uri())
    )
    assert chosen.logStoreImpl().getClass().getName() == log_store.CLASS


def test_a_spark_that_is_told_to_use_it_and_lacks_it_says_what_to_do(
    spark: SparkSession, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_store, "CLASS", "risklake.NoSuchStore")
    assert not log_store.is_lacking(spark), "it is told to use another one"
    monkeypatch.setattr(log_store, "SETTING", "spark.risklake.tried")
    monkeypatch.setattr(spark, "stop", lambda: None)
    spark.conf.set("spark.risklake.tried", "risklake.NoSuchStore")
    try:
        with pytest.raises(MachineError, match=r"risklake\.NoSuchStore, which this Spark does not have. Run `make"):
            build_session(settings)
    finally:
        spark.conf.unset("spark.risklake.tried")


def test_a_change_of_the_source_is_compiled_anew_and_the_older_class_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, chosen = spark_home(), java.find_usable()
    assert home is not None
    assert chosen is not None
    other = tmp_path / "spark"
    (other / "jars").mkdir(parents=True)
    for jar in (home / "jars").glob("*.jar"):
        if not jar.name.startswith("risklake"):
            (other / "jars" / jar.name).symlink_to(jar)
    program = chosen.home / "bin" / "java"
    assert not log_store.is_built(other)
    log_store.build(other, program)
    (first,) = (other / "jars").glob("risklake-*")
    source = tmp_path / "NamesFirstLogStore.scala"
    shutil.copyfile(log_store.SOURCE, source)
    monkeypatch.setattr(log_store, "SOURCE", source)
    source.write_text(source.read_text() + "// changed\n")
    assert not log_store.is_built(other)
    log_store.build(other, program)
    (second,) = (other / "jars").glob("risklake-*")
    assert first != second
    source.write_text("class Half {")
    with pytest.raises(MachineError, match=r"NamesFirstLogStore.scala could not be compiled: (.|\n)*error"):
        log_store.build(other, program)
    assert list((other / "jars").glob("risklake-*")) == [second]
