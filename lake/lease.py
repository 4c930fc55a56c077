"""One writer a table: a lease that the operating system takes back when its holder dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import TextIO

from lake.catalog import SHARED
from lake.errors import LeaseError
from lake.settings import Settings


@contextmanager
def leases(settings: Settings, names: list[str]) -> Iterator[None]:
    """Hold the leases of these jobs of a lake, or raise `LeaseError` naming the process that does.

    On a local file system Delta's commits exclude each other within one process only; two that write the same table
    would overwrite each other's commits. An object store excludes by itself, so there nothing is held.
    """
    with ExitStack() as stack:
        if settings.is_local:
            for name in names:
                stack.enter_context(_lease(settings, name))
        yield


@contextmanager
def turn(settings: Settings, name: str) -> Iterator[None]:
    """Wait until no other program is at this work on this lake, and keep the others waiting meanwhile."""
    if not settings.is_local:
        yield
        return
    with _file(settings, name) as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def turn_of_table(settings: Settings, name: str) -> AbstractContextManager[None]:
    """What holds off other programs that write a table. Most tables have one writer, whose lease does."""
    return turn(settings, name) if name in SHARED else nullcontext()


def require_free(settings: Settings, names: list[str]) -> None:
    """Raise `LeaseError` now if another program holds one of these leases, before anything slow is begun."""
    with leases(settings, names):
        pass


def are_free(settings: Settings, names: list[str]) -> bool:
    """Whether no other program holds one of these leases."""
    try:
        require_free(settings, names)
    except LeaseError:
        return False
    return True


@contextmanager
def _lease(settings: Settings, name: str) -> Iterator[None]:
    with _file(settings, name) as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            held.seek(0)
            holder = held.read().strip() or "unknown"
            raise LeaseError(
                f"Another program (process {holder}) is already running `{name}` on {settings.lake_root}: one writer "
                "a table. Stop it first, or use another LAKE_ROOT"
            ) from error
        held.truncate(0)
        held.write(str(os.getpid()))
        held.flush()
        yield


def _file(settings: Settings, name: str) -> TextIO:
    file = settings.local_path("checkpoints", f".{name}.lease")
    file.parent.mkdir(parents=True, exist_ok=True)
    return file.open("a+", encoding="utf-8")
