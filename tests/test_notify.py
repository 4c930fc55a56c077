"""What the lake tells by a webhook: how runs end, and what does not reconcile."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from lake.errors import SettingError, StreamError, UsageError
from lake.settings import Settings, describe, load_settings
from risklake.cli import app
from risklake.message import Message
from risklake.notify import inconsistency, resend, told
from risklake.webhook import Webhook
from tests.receiver import SECRET, Receiver, receiver

__all__ = ["receiver"]  # a fixture


def reached(settings: Settings, receiver: Receiver, **more: str) -> Settings:
    environment = {"LAKE_ROOT": settings.lake_root, "RISKLAKE_WEBHOOK_URL": receiver.address, **more}
    return load_settings(environment=environment)


def test_a_run_tells_how_it_ended_and_what_it_found(settings: Settings, receiver: Receiver) -> None:
    with told(reached(settings, receiver), "stream") as tell:
        tell(inconsistency("transactions", -2, {"lines": 10, "bronze": 12}))
    found, ended = receiver.received
    assert (found["kind"], found["title"]) == ("consistency", "transactions does not reconcile, by -2")
    assert (found["severity"], found["facts"]) == ("critical", {"lines": 10, "bronze": 12})
    assert (ended["kind"], ended["title"], ended["severity"]) == ("run", "stream finished", "")
    assert ended["facts"]["lake"] == "lake"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (StreamError("The stream silver_users stopped: the disk is full\n  at java…"), "the disk is full"),
        (ValueError("a value of somebody"), "ValueError"),
    ],
)
def test_a_run_that_fails_says_why_and_fails(
    settings: Settings, receiver: Receiver, error: BaseException, text: str
) -> None:
    with pytest.raises(type(error)), told(reached(settings, receiver), "stream"):
        raise error
    [message] = receiver.received
    assert (message["title"], message["severity"]) == ("stream failed", "critical")
    assert message["text"].endswith(text)
    assert "java" not in message["text"]
    assert "somebody" not in json.dumps(message)


def test_a_run_that_is_stopped_is_no_failure(settings: Settings, receiver: Receiver) -> None:
    with pytest.raises(KeyboardInterrupt), told(reached(settings, receiver), "stream"):
        raise KeyboardInterrupt
    assert [(message["title"], message["severity"]) for message in receiver.received] == [("stream was stopped", "")]


def test_without_a_webhook_a_run_tells_nobody(settings: Settings) -> None:
    with told(settings, "stream") as tell:
        tell(inconsistency("transactions", 1, {}))
    assert not settings.local_path().exists()


def test_what_could_not_be_delivered_is_sent_again_later(
    settings: Settings, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.answers = [404]
    with told(reached(settings, receiver), "marts"):
        pass
    letters = settings.local_path("logs", "undelivered.jsonl")
    kept = json.loads(letters.read_text(encoding="utf-8"))
    monkeypatch.setenv("LAKE_ROOT", settings.lake_root)
    monkeypatch.setenv("RISKLAKE_WEBHOOK_URL", receiver.address)
    refused = CliRunner().invoke(app, ["notify", "resend"])
    assert (refused.exit_code, refused.output.strip()) == (1, "0 messages were taken, 1 are left")
    assert json.loads(letters.read_text(encoding="utf-8")) == kept
    receiver.answers = [204]
    taken = CliRunner().invoke(app, ["notify", "resend"])
    assert (taken.exit_code, taken.output.strip()) == (0, "1 messages were taken, 0 are left")
    assert receiver.received[-1] == receiver.received[0]
    assert not letters.exists()
    assert CliRunner().invoke(app, ["notify", "resend"]).output.strip() == "0 messages were taken, 0 are left"
    # A call that was killed on the way has left them under another name.
    letters.with_suffix(".resending").write_text(json.dumps(kept) + "\n", encoding="utf-8")
    assert CliRunner().invoke(app, ["notify", "resend"]).output.strip() == "1 messages were taken, 0 are left"


def test_a_message_that_comes_while_others_are_sent_again_is_not_lost(
    settings: Settings, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = reached(settings, receiver)
    letters = settings.local_path("logs", "undelivered.jsonl")
    letters.parent.mkdir(parents=True)
    letters.write_text(json.dumps(Message("run", "first", "").as_dict()) + "\n", encoding="utf-8")
    sent: list[str] = []
    with letters.open("a", encoding="utf-8") as before:

        def send(webhook: Webhook, message: Message) -> None:
            sent.append(message.key)
            if message.key == "first":
                # A program that had the file open adds to it, and another opens it now.
                print(json.dumps(Message("run", "second", "").as_dict()), file=before, flush=True)
                letters.write_text(json.dumps(Message("run", "third", "").as_dict()) + "\n", encoding="utf-8")

        monkeypatch.setattr(Webhook, "send", send)
        assert resend(mine) == (2, 0)
    assert resend(mine) == (1, 0)
    assert sent == ["first", "second", "third"]
    assert list(letters.parent.iterdir()) == []


def test_a_line_that_is_no_message_is_put_aside_and_stops_no_other(
    settings: Settings, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = reached(settings, receiver)
    letters = settings.local_path("logs", "undelivered.jsonl")
    letters.parent.mkdir(parents=True)
    lines = [b"[]", b'{"kind": "run"}', json.dumps(Message("run", "whole", "").as_dict()).encode(), b'{"kind": "\xff']
    letters.write_bytes(b"\n".join(lines))
    assert resend(mine) == (1, 0)
    assert receiver.received[0]["key"] == "whole"
    assert "3 lines are no messages" in capsys.readouterr().out
    aside = letters.with_suffix(".unreadable")
    assert aside.read_bytes() == b"\n".join([*lines[:2], lines[3], b""])
    assert list(letters.parent.iterdir()) == [aside]
    assert resend(mine) == (0, 0)


def test_the_webhook_can_be_tried(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RISKLAKE_WEBHOOK_URL", receiver.address)
    monkeypatch.setenv("RISKLAKE_WEBHOOK_FORMAT", "slack")
    assert "took the message (format: slack)" in CliRunner().invoke(app, ["notify", "test"]).output
    assert "risklake can reach you" in receiver.received[0]["text"]
    receiver.answers = [403]
    ended = CliRunner().invoke(app, ["notify", "test"])
    assert isinstance(ended.exception, UsageError)
    assert "HTTP 403" in str(ended.exception)
    assert SECRET not in str(ended.exception)
    monkeypatch.delenv("RISKLAKE_WEBHOOK_URL")
    assert "Set RISKLAKE_WEBHOOK_URL" in str(CliRunner().invoke(app, ["notify", "test"]).exception)


@pytest.mark.parametrize(
    "address", ["http://example.org/x", "ftp://example.org/x", "hooks.slack.com/x", "http://localhost.example.org/x"]
)
def test_an_address_that_anybody_could_read_on_the_way_is_refused(address: str) -> None:
    with pytest.raises(SettingError, match="must begin with https://") as error:
        load_settings(environment={"RISKLAKE_WEBHOOK_URL": address})
    assert address not in str(error.value)


def test_the_address_is_shown_to_nobody(receiver: Receiver) -> None:
    settings = load_settings(environment={"RISKLAKE_WEBHOOK_URL": receiver.address})
    shown: dict[str, Any] = {row["name"]: row["value"] for row in describe(settings)}
    assert shown["webhook_url"] == "********"
    assert SECRET not in repr(settings)
    assert {row["name"]: row["value"] for row in describe(load_settings(environment={}))}["webhook_url"] == ""
    with pytest.raises(SettingError, match="is a secret"):
        load_settings({"webhook_url": receiver.address}, environment={})
