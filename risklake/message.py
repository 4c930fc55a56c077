"""What the lake tells its people: one message, and the line of JSON that it is kept as."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True)
class Message:
    """What is told: of which kind (`alert`, `run`, `consistency`), how severe, a title, a text, and facts by name.

    `key` is the same when the same is told twice, so that a receiver can tell.
    """

    kind: str
    key: str
    title: str
    text: str = ""
    severity: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def as_dict(self) -> dict[str, Any]:
        """As the format `json` sends it."""
        return {
            "source": "risklake",
            "kind": self.kind,
            "key": self.key,
            "severity": self.severity,
            "title": self.title,
            "text": self.text,
            "facts": self.facts,
            "at": self.at.isoformat(timespec="seconds"),
        }

    def as_line(self, **more: Any) -> str:
        """As a line of a file, with more fields if wanted."""
        return json.dumps(self.as_dict() | more, default=str) + "\n"


def read_message(line: str) -> Message | None:
    """The message of a line; None if it holds none."""
    names = ("kind", "key", "title", "text", "severity", "facts")
    try:
        found = json.loads(line)
        return Message(**{name: found[name] for name in names}, at=datetime.fromisoformat(found["at"]))
    except (ValueError, KeyError, TypeError):
        return None
