"""Opens one inbox file inside a Python worker and gives its content in blocks, within limits, whatever it is.

Links are not followed and pipes do not block. A packed file is unpacked up to the limits of `lake.inbox`.
"""

from __future__ import annotations

import errno
import gzip
import os
import stat
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, cast

from lake.inbox import BOMB_BYTES, BOMB_LINES, BOMB_RATIO, READ_BYTES
from spark_jobs.read_errors import CHANGED, LINK, NOT_A_FILE, TOO_MANY_BYTES, TOO_MANY_LINES, VANISHED

_LOCAL = "file:"


@dataclass(frozen=True)
class ListedFile:
    """A file as Spark's file source lists it: its address (as it is, not URI-encoded), size and modification time."""

    path: str
    size: int
    modified_us: int

    @property
    def name(self) -> str:
        """The file's name as it is on disk."""
        return self.path.rsplit("/", 1)[-1]

    @property
    def feed(self) -> str:
        """The name of the file's folder."""
        return self.path.rsplit("/", 2)[-2]


def open_listed(file: ListedFile) -> BinaryIO:
    """The file's bytes as they are stored. Raises `OSError`; `plain` says it in words."""
    if file.path.startswith(_LOCAL):
        return _open_local("/" + file.path.removeprefix(_LOCAL).lstrip("/"))
    from pyarrow import fs

    # Hadoop's name for S3 is s3a, Arrow's is s3; both take credentials and endpoint from the AWS environment.
    scheme, _, rest = file.path.replace("s3a://", "s3://", 1).partition("://")
    authority, _, key = rest.partition("/")
    # Only what stands before the key is an address; the key is taken as it is, with spaces, `%` and `#`.
    system, root = fs.FileSystem.from_uri(f"{scheme}://{authority}/")
    return cast(BinaryIO, system.open_input_stream(f"{root.rstrip('/')}/{key}", compression=None))


class Content:
    """What an open file holds. Iterating gives blocks of about READ_BYTES until it ends, or cannot be read on.

    Afterwards `error()` says what was wrong, or gives None.
    """

    def __init__(self, stream: BinaryIO, file: ListedFile) -> None:
        self._stream, self._file = stream, file
        self._stored_bytes_read = 0
        self._is_at_end = False
        self._fault: str | None = None

    def __iter__(self) -> Iterator[bytes]:
        """The blocks. A gzip file may be many small ones joined together, so parts are gathered."""
        parts: list[bytes] = []
        size = 0
        for part in self._parts():
            parts.append(part)
            size += len(part)
            if size >= READ_BYTES:
                yield b"".join(parts)
                parts, size = [], 0
        if parts:
            yield b"".join(parts)

    def error(self) -> str | None:
        """Why the file was not read on, or that it is no longer as it was listed."""
        return CHANGED if self._has_changed() else self._fault

    def read(self, size: int = -1) -> bytes:
        """Bytes of the file as they are stored, counted."""
        found = self._stream.read(size)
        self._stored_bytes_read += len(found)
        return found

    def _parts(self) -> Iterator[bytes]:
        try:
            if self._file.name.endswith(".gz"):
                yield from self._unpacked()
            else:
                while block := self.read(READ_BYTES):
                    yield block
                self._is_at_end = True
        except (OSError, EOFError, zlib.error) as error:
            self._fault = plain(error)

    def _unpacked(self) -> Iterator[bytes]:
        bytes_left, lines_left = max(BOMB_BYTES, BOMB_RATIO * self._file.size), max(BOMB_LINES, self._file.size)
        with gzip.GzipFile(fileobj=cast(BinaryIO, self)) as unzipped:
            # read1 hands over what could be unpacked before a damaged place; read would drop it.
            while block := unzipped.read1(READ_BYTES):
                newlines = block.count(b"\n")
                most = _end_of_line(block, lines_left) if newlines >= lines_left else len(block)
                if len(block) > min(most, bytes_left):
                    yield block[: min(most, bytes_left)]
                    self._fault = TOO_MANY_LINES if most < bytes_left else TOO_MANY_BYTES
                    return
                yield block
                bytes_left, lines_left = bytes_left - len(block), lines_left - newlines
        self._is_at_end = True

    def _has_changed(self) -> bool:
        if self._is_at_end and self._stored_bytes_read != self._file.size:
            return True
        if not self._file.path.startswith(_LOCAL):
            return False
        now = os.fstat(self._stream.fileno())
        # Spark lists milliseconds.
        listed = (self._file.size, self._file.modified_us // 1000)
        return (now.st_size, now.st_mtime_ns // 1_000_000) != listed


def plain(error: BaseException) -> str:
    """What went wrong, without a path of this machine, which the operating system's text may hold."""
    if isinstance(error, FileNotFoundError):
        return VANISHED
    if isinstance(error, OSError) and error.errno == errno.ELOOP:
        return LINK
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def _open_local(path: str) -> BinaryIO:
    # Without O_NONBLOCK opening a pipe would wait for its writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    raise OSError(errno.EINVAL, NOT_A_FILE)


def _end_of_line(block: bytes, number: int) -> int:
    """Where so many lines of a block end."""
    end = 0
    for _ in range(number):
        end = block.index(b"\n", end) + 1
    return end
