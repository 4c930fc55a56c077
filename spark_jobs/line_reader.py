"""Reads inbox files line by line inside Spark's Python workers.

Spark's own text source stops the stream at a damaged gzip file, or with `ignoreCorruptFiles` loses it without a
count, and knows no line numbers. This reader gives each line its position, and a damaged file an entry that says so.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import BinaryIO, cast

import pyarrow as pa
from pyspark.sql.types import LongType, StringType, StructField, StructType, TimestampType

# What `read_error` says of a file without lines.
EMPTY_FILE = "The file is empty"

OUTPUT = StructType(
    [
        StructField("line", StringType()),
        StructField("source_file", StringType()),
        StructField("line_number", LongType()),
        StructField("file_modified_at", TimestampType()),
        StructField("read_error", StringType()),
    ]
)

_BLOCK_BYTES = 1 << 20
_BATCH_BYTES = 4 << 20
_BATCH_LINES = 20_000

# (line number, line, error); a line number of 0 stands for the file as a whole.
Entry = tuple[int, bytes | None, str | None]


def read_files(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """For `mapInArrow`: from one row a file (`path`, `modificationTime`) to one row a line (schema `OUTPUT`)."""
    for batch in batches:
        for path, modified in zip(
            batch.column("path").to_pylist(), batch.column("modificationTime").to_pylist(), strict=True
        ):
            yield from _file_batches(path, modified)


def entries(stream: BinaryIO, *, gzipped: bool) -> Iterator[Entry]:
    """The lines of one file, split at newlines only; ends in an entry without a line where reading failed."""
    number = 0
    rest: list[bytes] = []
    try:
        for block in _blocks(stream, gzipped=gzipped):
            first, *others = block.split(b"\n")
            rest.append(first)
            for following in others:
                number += 1
                yield number, b"".join(rest), None
                rest = [following]
    except (OSError, EOFError, zlib.error) as error:
        if any(rest):
            number += 1
            yield number, b"".join(rest), None
        yield 0, None, _plain(error)
        return
    if any(rest):
        yield number + 1, b"".join(rest), None
    elif number == 0:
        yield 0, None, EMPTY_FILE


def _file_batches(path: str, modified: datetime) -> Iterator[pa.RecordBatch]:
    name = path.rsplit("/", 1)[-1]
    pending: list[Entry] = []
    size = 0
    for entry in _file_entries(path, name):
        pending.append(entry)
        size += len(entry[1] or b"")
        if size >= _BATCH_BYTES or len(pending) >= _BATCH_LINES:
            yield _arrow(pending, name, modified)
            pending, size = [], 0
    if pending:
        yield _arrow(pending, name, modified)


def _file_entries(path: str, name: str) -> Iterator[Entry]:
    try:
        stream = _open(path)
    except OSError as error:
        yield 0, None, _plain(error)
        return
    with stream:
        yield from entries(stream, gzipped=name.endswith(".gz"))


def _open(path: str) -> BinaryIO:
    if path.startswith("file:"):
        return open("/" + path.removeprefix("file:").lstrip("/"), "rb")  # noqa: PTH123 (the caller closes it)
    from pyarrow import fs

    # Hadoop's name for S3 is s3a, Arrow's is s3; both take credentials and endpoint from the AWS environment.
    system, key = fs.FileSystem.from_uri(path.replace("s3a://", "s3://", 1))
    return cast(BinaryIO, system.open_input_stream(key, compression=None))


def _blocks(stream: BinaryIO, *, gzipped: bool) -> Iterator[bytes]:
    if not gzipped:
        while block := stream.read(_BLOCK_BYTES):
            yield block
        return
    with gzip.GzipFile(fileobj=stream) as unzipped:
        # read1 hands over what could be unpacked before a damaged place; read would drop it.
        while block := unzipped.read1(_BLOCK_BYTES):
            yield block


def _arrow(rows: list[Entry], name: str, modified: datetime) -> pa.RecordBatch:
    numbers, lines, errors = zip(*rows, strict=True)
    count = len(rows)
    return pa.RecordBatch.from_arrays(
        [
            # A view, not a cast: bytes that are no UTF-8 must reach bronze unchanged too.
            pa.array(lines, pa.binary()).view(pa.string()),
            pa.array([name] * count, pa.string()),
            pa.array(numbers, pa.int64()),
            pa.array([modified] * count, pa.timestamp("us", tz="UTC")),
            pa.array(errors, pa.string()),
        ],
        names=OUTPUT.names,
    )


def _plain(error: BaseException) -> str:
    # The operating system's text may hold a path of this machine; its name for the fault does not.
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
