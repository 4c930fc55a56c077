"""Folders and files of a lake, wherever it lies; what is asked often of a local one goes without Hadoop."""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress
from datetime import UTC, datetime

from pyspark.sql import SparkSession


def make_folder(spark: SparkSession, path: str) -> None:
    """Make a folder of the lake, with those above it, unless it is there."""
    target = _hadoop_path(spark, path)
    _file_system(spark, target).mkdirs(target)


def empty_files(spark: SparkSession, path: str) -> list[tuple[str, datetime]]:
    """Names and modification times (UTC) of the files without a byte in a folder."""
    if "://" not in path:
        return _local_empty_files(path)
    target = _hadoop_path(spark, path)
    return [
        (status.getPath().getName(), datetime.fromtimestamp(status.getModificationTime() / 1000, UTC))
        for status in _file_system(spark, target).listStatus(target)
        if status.isFile() and status.getLen() == 0
    ]


def as_glob(path: str) -> str:
    """A path as a glob pattern that means itself only."""
    return re.sub(r"([\\*?\[\]{}])", r"\\\1", path)


def qualified(spark: SparkSession, path: str) -> str:
    """An address as Spark writes it in the paths of files."""
    target = _hadoop_path(spark, path)
    return str(_file_system(spark, target).makeQualified(target).toString())


def is_there(spark: SparkSession, path: str) -> bool:
    """Whether a file or folder exists."""
    target = _hadoop_path(spark, path)
    return bool(_file_system(spark, target).exists(target))


def folders_in(spark: SparkSession, path: str) -> list[str]:
    """Names of the folders in a folder, sorted; none if it does not exist."""
    return sorted(status.getPath().getName() for status in _entries(spark, path) if status.isDirectory())


def files_in(spark: SparkSession, path: str, suffix: str) -> list[str]:
    """Names in a folder that end in a suffix, sorted; none if it does not exist."""
    names = (status.getPath().getName() for status in _entries(spark, path))
    return sorted(name for name in names if name.endswith(suffix))


def _entries(spark: SparkSession, path: str):  # type: ignore[no-untyped-def]
    target = _hadoop_path(spark, path)
    system = _file_system(spark, target)
    return system.listStatus(target) if system.exists(target) else []


def _local_empty_files(folder: str) -> list[tuple[str, datetime]]:
    # Hadoop's list comes over object by object: minutes where a folder holds 100,000 files.
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            # One may be gone meanwhile, lead to nothing, or be dated beyond the years that Python knows.
            with suppress(OSError, OverflowError, ValueError):
                state = entry.stat()
                if stat.S_ISREG(state.st_mode) and state.st_size == 0:
                    found.append((entry.name, datetime.fromtimestamp(state.st_mtime_ns // 1_000_000 / 1000, UTC)))
    return found


def _hadoop_path(spark: SparkSession, path: str):  # type: ignore[no-untyped-def]
    return spark._jvm.org.apache.hadoop.fs.Path(path)  # type: ignore[union-attr]


def _file_system(spark: SparkSession, path):  # type: ignore[no-untyped-def]
    return path.getFileSystem(spark._jsparkSession.sessionState().newHadoopConf())
