"""What the lake tells its people by a webhook: runs that failed or ended, and lines that do not reconcile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lake.errors import LakehouseError, UsageError
from lake.settings import Settings
from lake.terminal import console
from risklake.message import Message, read_message
from risklake.webhook import Undelivered, Webhook, outbox

RUN, CONSISTENCY, TEST = "run", "consistency", "test"
_MOST_LETTERS = 500

Tell = Callable[[Message], None]


def webhook_of(settings: Settings) -> Webhook | None:
    """The configured webhook; None if there is none."""
    if not settings.webhook_url:
        return None
    return Webhook(settings.webhook_url, "" if settings.webhook_format == "auto" else settings.webhook_format)


def dead_letters(settings: Settings) -> Path:
    """Where messages stand that could not be delivered."""
    return settings.local_path("logs", "undelivered.jsonl")


@contextmanager
def telling(settings: Settings) -> Iterator[Tell]:
    """A function that tells what it is given for as long as the block lasts; without a webhook it tells nobody."""
    webhook = webhook_of(settings)
    place = dead_letters(settings) if webhook else Path()
    with outbox(webhook, place, settings.webhook_per_minute, _say) as tell:
        yield tell


@contextmanager
def told(settings: Settings, run: str) -> Iterator[Tell]:
    """Tell how a run ends that the block does; gives a function that tells other things meanwhile."""
    began = time.monotonic()

    def ended(title: str, **more: Any) -> Message:
        facts = {"lake": Path(settings.lake_root).name, "seconds": round(time.monotonic() - began)}
        return Message(RUN, f"{run} {datetime.now(UTC).isoformat(timespec='seconds')}", title, facts=facts, **more)

    with telling(settings) as tell:
        try:
            yield tell
        except KeyboardInterrupt:
            tell(ended(f"{run} was stopped"))
            raise
        except LakehouseError as error:
            tell(ended(f"{run} failed", severity="critical", text=_first_line(error)))
            raise
        except Exception as error:
            # What went wrong inside may quote data.
            tell(ended(f"{run} failed", severity="critical", text=type(error).__name__))
            raise
        tell(ended(f"{run} finished"))


def inconsistency(what: str, difference: int, counts: dict[str, Any]) -> Message:
    """Tells that a feed or table does not reconcile, with its counts."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    title = f"{what} does not reconcile, by {difference:+,}"
    return Message(CONSISTENCY, f"{what} {now}", title, severity="critical", facts=counts)


def send_test(settings: Settings) -> str:
    """Send one message to the configured webhook; gives its format. Raises `UsageError` if it is not taken."""
    webhook = _required(settings)
    message = Message(TEST, "test", "risklake can reach you", "This is the message of `risklake notify test`.")
    try:
        webhook.send(message)
    except Undelivered as error:
        raise UsageError(f"The webhook did not take the message: {error}. Look at RISKLAKE_WEBHOOK_URL") from error
    return webhook.format


def resend(settings: Settings) -> tuple[int, int]:
    """Send the messages again that could not be delivered; gives how many were taken, and how many are left.

    What is no message, such as a line that was torn by a kill, is put aside, and that is said.
    """
    webhook, file = _required(settings), dead_letters(settings)
    taken = 0
    left: list[str] = []
    unreadable: list[str] = []
    parts = _taken_away(file)
    for line in _lines_of(parts):
        message = read_message(line)
        if message is None:
            unreadable.append(line)
            continue
        try:
            webhook.send(message)
            taken += 1
        except Undelivered:
            left.append(line)
    _append(file, left)
    aside = file.with_suffix(".unreadable")
    _append(aside, unreadable)
    for part in parts:
        part.unlink()
    if unreadable:
        _say(f"{len(unreadable):,} lines are no messages; they stand in {aside}")
    return taken, len(left)


def _taken_away(file: Path) -> list[Path]:
    """The dead letters under names of their own, with those that a call that was killed has left there.

    A file is renamed, not read and removed: a program that runs meanwhile writes a new one.
    """
    if file.is_file():
        file.rename(file.with_name(f"{file.stem}.{time.time_ns()}.resending"))
    return sorted(file.parent.glob(f"{file.stem}*.resending"))


def _lines_of(parts: list[Path]) -> Iterator[str]:
    """The lines of some files, with what a program that had one open before still adds to it."""
    for part in parts:
        with part.open(encoding="utf-8", errors="surrogateescape") as lines:
            yield from (line.rstrip("\n") for line in lines if line.strip())


def _append(file: Path, lines: list[str]) -> None:
    if lines:
        with file.open("a", encoding="utf-8", errors="surrogateescape") as more:
            more.writelines(f"{line}\n" for line in lines)


def _required(settings: Settings) -> Webhook:
    webhook = webhook_of(settings)
    if webhook is None:
        raise UsageError("No webhook is set. Set RISKLAKE_WEBHOOK_URL in the environment or in `.env`")
    return webhook


def _first_line(error: BaseException) -> str:
    return ((str(error).strip() or type(error).__name__).splitlines()[0])[:_MOST_LETTERS]


def _say(text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)
