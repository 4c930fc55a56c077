"""Reads inbox files line by line inside Spark's Python workers.

Spark's own text source stops the stream at a damaged gzip file, or with `ignoreCorruptFiles` loses it without a
count, and knows no line numbers. This reader gives each line its position, and a file that cannot be taken an entry
that says why: at least one row for each file, and at most one entry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import pyarrow as pa
from pyspark.sql.types import LongType, StringType, StructField, StructType, TimestampType

from lake.inbox import CSV_SUFFIXES, MAX_HEADER_BYTES
from spark_jobs.file_content import Content, ListedFile, open_listed, plain
from spark_jobs.line_splitting import Run, csv_header, csv_records, json_lines
from spark_jobs.read_errors import CSV_REFUSED, EMPTY_FILE, HEADER_TOO_LONG, NO_RECORD

OUTPUT = StructType(
    [
        StructField("feed", StringType()),
        StructField("line", StringType()),
        StructField("source_file", StringType()),
        StructField("line_number", LongType()),
        StructField("file_modified_at", TimestampType()),
        StructField("read_error", StringType()),
        StructField("header", StringType()),
    ]
)

_BATCH_BYTES = 4 << 20
_BATCH_LINES = 20_000

ReadFiles = Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]


def reader_of(csv_feeds: frozenset[str]) -> ReadFiles:
    """For `mapInArrow`: from one row a file (`path`, `modificationTime`, `length`) to one row a line (`OUTPUT`).

    A file's feed is the name of its folder; CSV is taken for `csv_feeds`, where `header` goes with each record.
    A `line_number` of 0 stands for the file as a whole.
    """

    def read_files(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for path, size, modified_us in zip(
                batch.column("path").to_pylist(),
                batch.column("length").to_pylist(),
                # As numbers: a file may be dated beyond the years that Python knows.
                batch.column("modificationTime").cast(pa.int64()).to_pylist(),
                strict=True,
            ):
                yield from _rows(ListedFile(path, size, modified_us), csv_feeds)

    return read_files


def _rows(file: ListedFile, csv_feeds: frozenset[str]) -> Iterator[pa.RecordBatch]:
    is_csv = file.name.endswith(CSV_SUFFIXES)
    if is_csv and file.feed not in csv_feeds:
        yield _entry(file, CSV_REFUSED)
        return
    try:
        stream = open_listed(file)
    except OSError as error:
        yield _entry(file, plain(error))
        return
    with stream:
        yield from _content_rows(file, Content(stream, file), is_csv)


def _content_rows(file: ListedFile, content: Content, is_csv: bool) -> Iterator[pa.RecordBatch]:
    header, without_rows = None, EMPTY_FILE
    blocks = iter(content)
    if is_csv:
        header, number, blocks = csv_header(blocks)
        if len(header) > MAX_HEADER_BYTES:
            yield _entry(file, content.error() or HEADER_TOO_LONG)
            return
        runs = csv_records(blocks, header, number)
        without_rows = NO_RECORD if header else EMPTY_FILE
    else:
        runs = json_lines(blocks)
    rows = 0
    for batch in _batches(file, header, runs):
        rows += batch.num_rows
        yield batch
    if error := content.error() or (None if rows else without_rows):
        yield _entry(file, error)


def _batches(file: ListedFile, header: bytes | None, runs: Iterable[Run]) -> Iterator[pa.RecordBatch]:
    # The name and the header are repeated in each row.
    most_lines = min(_BATCH_LINES, _BATCH_BYTES // len(file.path + str(header)))
    numbers: list[int] = []
    lines: list[bytes | None] = []
    errors: list[str | None] = []
    size = 0
    for run in runs:
        for start in range(0, len(run.lines), most_lines):
            part = run.lines[start : start + most_lines]
            numbers += run.numbers[start : start + most_lines]
            lines += part
            errors += [run.error] * len(part)
            size += sum(map(len, part))
            if size >= _BATCH_BYTES or len(lines) >= most_lines:
                yield _arrow(file, header, numbers, lines, errors)
                numbers, lines, errors, size = [], [], [], 0
    if lines:
        yield _arrow(file, header, numbers, lines, errors)


def _entry(file: ListedFile, error: str) -> pa.RecordBatch:
    return _arrow(file, None, [0], [None], [error])


def _arrow(
    file: ListedFile,
    header: bytes | None,
    numbers: list[int],
    lines: list[bytes | None],
    errors: list[str | None],
) -> pa.RecordBatch:
    def repeated(value: object, type_: pa.DataType) -> pa.Array:
        return pa.repeat(pa.scalar(value, type_), len(lines))

    return pa.RecordBatch.from_arrays(
        [
            repeated(file.feed, pa.string()),
            # A view, not a cast: bytes that are no UTF-8 must reach bronze unchanged too.
            pa.array(lines, pa.binary()).view(pa.string()),
            repeated(file.name, pa.string()),
            pa.array(numbers, pa.int64()),
            repeated(file.modified_us, pa.int64()).cast(pa.timestamp("us", tz="UTC")),
            pa.array(errors, pa.string()),
            repeated(header, pa.binary()).view(pa.string()),
        ],
        names=OUTPUT.names,
    )
