"""A server of messages that fails on purpose."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

SECRET = "T0KEN-that-nobody-may-read"


@dataclass
class Receiver:
    """A server that answers with these, the last one for ever, and keeps what it was given."""

    answers: list[int | tuple[int, dict[str, str]]] = field(default_factory=lambda: [204])
    received: list[dict[str, Any]] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    address: str = ""

    def answer(self, body: bytes) -> tuple[int, dict[str, str]]:
        self.received.append(json.loads(body))
        self.at.append(time.monotonic())
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return found if isinstance(found, tuple) else (found, {})


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    kept = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status, headers = kept.answer(self.rfile.read(int(self.headers["Content-Length"])))
            if status == 0:  # no answer at all
                self.connection.close()
                return
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    kept.address = f"http://127.0.0.1:{server.server_port}/hooks/{SECRET}"
    yield kept
    server.shutdown()
    server.server_close()
    thread.join()
