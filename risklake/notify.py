"""What the lake tells its people by a webhook: runs that failed or ended, and lines that do not reconcile."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lake.errors import LakehouseError, UsageError
from lake.settings import Settings
from lake.terminal import console
from risklake.webhook import Message, Undelivered, Webhook, outbox

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
def told(settings: Settings, run: str) -> Iterator[Tell]:
    """Tell how a run ends that the block does; gives a function that tells other things meanwhile."""
    began = time.monotonic()

    def ended(title: str, **more: Any) -> Message:
        facts = {"lake": Path(settings.lake_root).name, "seconds": round(time.monotonic() - began)}
        return Message(RUN, f"{run} {datetime.now(UTC).isoformat(timespec='seconds')}", title, facts=facts, **more)

    webhook = webhook_of(settings)
    place = dead_letters(settings) if webhook else Path()
    with outbox(webhook, place, settings.webhook_per_minute, _say) as tell:
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
    """Send the messages again that could not be delivered; gives how many were taken, and how many are left."""
    webhook, file = _required(settings), dead_letters(settings)
    # Taken away first, as a program that runs meanwhile writes a new one; a call that was killed has left it there.
    mine = file.with_suffix(".resending")
    if file.is_file():
        with mine.open("a", encoding="utf-8") as gathered:
            gathered.write(file.read_text(encoding="utf-8"))
        file.unlink()
    if not mine.is_file():
        return 0, 0
    left: list[str] = []
    lines = mine.read_text(encoding="utf-8").splitlines()
    for line in lines:
        try:
            webhook.send(_message(json.loads(line)))
        except Undelivered:
            left.append(line)
    if left:
        with file.open("a", encoding="utf-8") as again:
            again.writelines(f"{line}\n" for line in left)
    mine.unlink()
    return len(lines) - len(left), len(left)


def _message(found: dict[str, Any]) -> Message:
    names = ("kind", "key", "title", "text", "severity", "facts")
    return Message(**{name: found[name] for name in names}, at=datetime.fromisoformat(found["at"]))


def _required(settings: Settings) -> Webhook:
    webhook = webhook_of(settings)
    if webhook is None:
        raise UsageError("No webhook is set. Set RISKLAKE_WEBHOOK_URL in the environment or in `.env`")
    return webhook


def _first_line(error: BaseException) -> str:
    return ((str(error).strip() or type(error).__name__).splitlines()[0])[:_MOST_LETTERS]


def _say(text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)
