"""Messages on their way, kept in a file until they have been sent, so that a kill costs none of them."""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from risklake.message import Message, read_message

_NAME = "waiting-{}.jsonl"


class Spool:
    """The file of one program in a folder of several; locked for as long as the program lives.

    There is no file before there is a message, nor after a clean end.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder
        self._file: BinaryIO | None = None

    def adopted(self) -> list[Message]:
        """What programs that were killed have left, which is this program's from now on."""
        found: list[Message] = []
        for path in sorted(self._folder.glob(_NAME.format("*"))):
            # Its program lives, or another one adopts it.
            with suppress(BlockingIOError, FileNotFoundError), path.open(encoding="utf-8", errors="replace") as left:
                fcntl.flock(left, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if not os.fstat(left.fileno()).st_nlink:
                    continue
                # A line that was torn by the kill is none that anybody was promised.
                messages = [message for message in map(read_message, left) if message]
                found += messages
                with suppress(OSError):  # where the disk is full, they stay there too, and may be sent twice
                    for message in messages:
                        self.add(message)
                    path.unlink(missing_ok=True)
        return found

    def add(self, message: Message) -> None:
        """Keep a message; it is on the disk when this returns. Raises `OSError` if it cannot be, and keeps nothing."""
        if self._file is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file = self._locked(_NAME.format(f"{os.getpid()}-{id(self):x}"))
        descriptor, line = self._file.fileno(), message.as_line().encode()
        size = os.fstat(descriptor).st_size
        try:
            # Not buffered: of a full disk no half of a line is left behind, here or when the file is closed.
            if os.write(descriptor, line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, size)
            raise

    def clear(self) -> None:
        """All messages have arrived, or stand elsewhere."""
        if self._file is not None:
            self._file.truncate(0)

    def close(self) -> None:
        """End; a file that still holds messages stays for the next program."""
        if self._file is None:
            return
        if os.fstat(self._file.fileno()).st_size == 0:
            self._path.unlink(missing_ok=True)
        self._file.close()
        self._file = None

    def _locked(self, name: str) -> BinaryIO:
        """A new file that nobody else has seen before it was locked."""
        hidden, self._path = self._folder / f".{name}", self._folder / name
        file = hidden.open("ab")
        fcntl.flock(file, fcntl.LOCK_EX)
        hidden.rename(self._path)
        return file
