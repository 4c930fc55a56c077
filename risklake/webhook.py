"""Delivery of messages to a webhook: formats, retries, a limit a minute, and a file for what could not be delivered.

The address is a secret: whoever knows it can post. It stands in no log, no error and no file.
"""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import HTTPError, MaxRetryError
from urllib3.util import Retry, Timeout

from risklake.message import Message
from risklake.spool import Spool

DISCORD, SLACK, JSON = FORMS = ("discord", "slack", "json")
_HOSTS = {"discord.com": DISCORD, "discordapp.com": DISCORD, "hooks.slack.com": SLACK}
_MOST_LETTERS = {DISCORD: 2_000, SLACK: 4_000}
# More that wait at once become one message.
_MOST_SINGLE = 5
_MOST_NAMED = 10
_MINUTE = 60.0

# The receiver may be busy, or too many messages came: worth another try.
_TRY_AGAIN = (408, 425, 429, 500, 502, 503, 504)

# It tells of each further try, with the path of the address.
logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)


class Undelivered(Exception):  # noqa: N818 (an outcome that is handled here, never shown)
    """A message that was not taken, and why, without the address."""


@dataclass(frozen=True)
class Webhook:
    """A webhook and how it is spoken to; `send` tries several times before it gives up."""

    address: str = field(repr=False)
    form: str = ""
    retries: int = 4
    pause_seconds: float = 0.5
    timeout_seconds: float = 10.0

    @property
    def format(self) -> str:
        """The format of the receiver: as given, or as its host tells."""
        return self.form or _HOSTS.get(urlsplit(self.address).hostname or "", JSON)

    def send(self, message: Message) -> None:
        """Deliver a message. Raises `Undelivered` with the reason when all tries have failed."""
        patience = Retry(
            total=self.retries,
            redirect=0,
            status_forcelist=_TRY_AGAIN,
            allowed_methods=None,
            backoff_factor=self.pause_seconds,
            backoff_jitter=self.pause_seconds / 2,
            retry_after_max=int(_MINUTE),
            raise_on_status=False,
            raise_on_redirect=False,
        )
        try:
            answer = urllib3.request(
                "POST",
                self.address,
                body=json.dumps(payload(message, self.format), default=str).encode(),
                headers={"Content-Type": "application/json", "User-Agent": "risklake"},
                retries=patience,
                timeout=Timeout(total=self.timeout_seconds),
            )
        except HTTPError as error:
            # Its text holds the address.
            cause = error.reason if isinstance(error, MaxRetryError) and error.reason else error
            raise Undelivered(type(cause).__name__) from None
        if not 200 <= answer.status < 300:
            raise Undelivered(f"HTTP {answer.status}")


def payload(message: Message, form: str) -> dict[str, Any]:
    """A message as a receiver of a format takes it. What comes from events is escaped, and mentions nobody."""
    if form == JSON:
        return message.as_dict()
    lines = [f"{message.severity.upper()}: {message.title}" if message.severity else message.title, message.text]
    lines += [f"{name}: {value}" for name, value in message.facts.items()]
    escape = _slack if form == SLACK else _discord
    text = "\n".join(escape(line) for line in lines if line)
    limit = _MOST_LETTERS[form]
    text = text if len(text) <= limit else text[: limit - 1] + "…"
    return {"text": text} if form == SLACK else {"content": text, "allowed_mentions": {"parse": []}}


def digest(messages: Sequence[Message]) -> Message:
    """Many messages as one."""
    named = [f"{message.severity} {message.title}".strip() for message in messages[:_MOST_NAMED]]
    more = [f"and {len(messages) - _MOST_NAMED:,} more"] if len(messages) > _MOST_NAMED else []
    kinds = sorted({message.kind for message in messages})
    return Message(
        kind=kinds[0] if len(kinds) == 1 else "digest",
        key=f"{messages[0].key}+{len(messages) - 1}",
        title=f"{len(messages):,} messages",
        text="\n".join([*named, *more]),
    )


class Outbox:
    """Messages on their way, sent by a thread of its own, so that nobody waits for a receiver.

    At most `per_minute` are sent in a minute; if more wait, they become one. What cannot be delivered is written to
    the file `dead_letters`, one JSON object a line, and said by `say`. Until then they stand in a file beside it, from
    where the next outbox takes what a killed program has left.
    """

    def __init__(self, webhook: Webhook, dead_letters: Path, per_minute: int, say: Callable[[str], None]) -> None:
        self._webhook, self._dead_letters, self._per_minute, self._say = webhook, dead_letters, per_minute, say
        self._waiting: deque[Message] = deque()
        self._going: list[Message] = []
        self._sent_at: deque[float] = deque()
        self._changed = threading.Condition()
        self._spool = Spool(dead_letters.parent)
        self._waiting.extend(self._spool.adopted())
        self._is_closed = self._is_over = False
        self._thread = threading.Thread(target=self._run, name="webhook", daemon=True)
        self._thread.start()

    def put(self, message: Message) -> None:
        """Give a message on its way; returns at once."""
        with self._changed:
            # Where the disk is full, it can be sent all the same.
            with suppress(OSError):
                self._spool.add(message)
            self._waiting.append(message)
            self._changed.notify()

    def close(self, patience_seconds: float = 30.0) -> None:
        """Send what waits, if it can be sent within some seconds; the rest goes to the dead letters."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join(patience_seconds)
        with self._changed:
            # One that is just being sent may arrive as well: rather twice than never.
            left, self._is_over = [*self._going, *self._waiting], True
            self._waiting.clear()
        if self._bury(left, "the program ended"):
            self._spool.clear()
        self._spool.close()

    def _run(self) -> None:
        while messages := self._next():
            message = messages[0] if len(messages) == 1 else digest(messages)
            reason = ""
            try:
                self._webhook.send(message)
            except Undelivered as error:
                reason = str(error)
            with self._changed:
                is_mine, self._going = not self._is_over, []
            is_done = not reason or not is_mine or self._bury(messages, reason)
            with self._changed:
                if not is_done:
                    self._waiting.extendleft(reversed(messages))
                elif not self._waiting and not self._is_over:
                    self._spool.clear()

    def _next(self) -> list[Message]:
        """The messages that are sent next, when there are some and their time has come; none after the end."""
        with self._changed:
            while not self._waiting or (pause := self._pause()) > 0:
                if self._is_closed and not self._waiting:
                    return []
                self._changed.wait(pause if self._waiting else None)
            self._sent_at.append(time.monotonic())
            count = 1 if len(self._waiting) <= _MOST_SINGLE else len(self._waiting)
            self._going = [self._waiting.popleft() for _ in range(count)]
            return self._going

    def _pause(self) -> float:
        now = time.monotonic()
        while self._sent_at and now - self._sent_at[0] >= _MINUTE:
            self._sent_at.popleft()
        return 0.0 if len(self._sent_at) < self._per_minute else _MINUTE - (now - self._sent_at[0])

    def _bury(self, messages: Sequence[Message], reason: str) -> bool:
        """Write messages to the dead letters. Whether that could be done."""
        if not messages:
            return True
        lines = [message.as_line(undelivered=reason) for message in messages]
        said = f"{len(messages):,} messages could not be delivered ({reason}); "
        try:
            self._dead_letters.parent.mkdir(parents=True, exist_ok=True)
            with self._dead_letters.open("a", encoding="utf-8") as file:
                file.write("".join(lines))
        except OSError as error:
            self._complain(f"{said}nor could they be written to {self._dead_letters} ({error.strerror})")
            return False
        self._complain(f"{said}they stand in {self._dead_letters}. `risklake notify resend` sends them again")
        return True

    def _complain(self, said: str) -> None:
        # Where nobody reads any more what the program prints, messages are sent all the same.
        with suppress(Exception, SystemExit):
            self._say(said)


@contextmanager
def outbox(
    webhook: Webhook | None, dead_letters: Path, per_minute: int, say: Callable[[str], None]
) -> Iterator[Callable[[Message], None]]:
    """A function that gives messages on their way for as long as the block lasts; without a webhook it does nothing."""
    if webhook is None:
        yield lambda message: None
        return
    box = Outbox(webhook, dead_letters, per_minute, say)
    try:
        yield box.put
    finally:
        box.close()


def _slack(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _discord(text: str) -> str:
    return re.sub(r"([\\*_~`|>#\[\]])", r"\\\1", text)
