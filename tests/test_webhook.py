"""Delivery of messages, against a server that fails on purpose."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from risklake import webhook
from risklake.message import Message
from risklake.spool import Spool
from risklake.webhook import DISCORD, JSON, SLACK, Outbox, Undelivered, Webhook, digest, outbox, payload
from tests.receiver import SECRET, Receiver, receiver

__all__ = ["receiver"]  # a fixture


def hook(receiver: Receiver, **changes: Any) -> Webhook:
    return Webhook(receiver.address, **{"pause_seconds": 0.01, "timeout_seconds": 2.0, **changes})


def alert(number: int = 1, **changes: Any) -> Message:
    return Message(**{"kind": "alert", "key": f"e{number}", "title": f"alert {number}", "severity": "high", **changes})


def test_a_message_arrives_once_with_all_that_it_says(receiver: Receiver) -> None:
    hook(receiver).send(alert(text="why", facts={"user": "u1"}))
    [got] = receiver.received
    assert got.pop("at")
    assert got == {
        "source": "risklake", "kind": "alert", "key": "e1", "severity": "high", "title": "alert 1", "text": "why",
        "facts": {"user": "u1"},
    }  # fmt: skip


@pytest.mark.parametrize("failure", [500, 502, 503, 408, 0])
def test_a_receiver_that_is_busy_is_tried_again(receiver: Receiver, failure: int) -> None:
    receiver.answers = [failure, failure, 204]
    hook(receiver).send(alert())
    assert [got["key"] for got in receiver.received] == ["e1"] * 3


def test_a_receiver_says_how_long_to_wait(receiver: Receiver) -> None:
    receiver.answers = [(429, {"Retry-After": "1"}), 204]
    hook(receiver).send(alert())
    first, second = receiver.at
    assert second - first >= 0.9


@pytest.mark.parametrize(
    ("answer", "reason", "tries"), [(404, "HTTP 404", 1), (400, "HTTP 400", 1), (503, "HTTP 503", 5)]
)
def test_what_is_not_taken_has_a_reason(receiver: Receiver, answer: int, reason: str, tries: int) -> None:
    receiver.answers = [answer]
    with pytest.raises(Undelivered, match=reason):
        hook(receiver).send(alert())
    assert len(receiver.received) == tries


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    receiver.answers = [(302, {"Location": receiver.address + "/elsewhere"})]
    with pytest.raises(Undelivered, match="HTTP 302"):
        hook(receiver).send(alert())
    assert len(receiver.received) == 1


def test_the_address_stands_in_no_log_no_error_and_no_file(
    receiver: Receiver, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    receiver.answers = [500]
    said: list[str] = []
    with caplog.at_level(logging.WARNING):
        for address in (receiver.address, f"http://127.0.0.1:1/hooks/{SECRET}"):
            box = Outbox(Webhook(address, pause_seconds=0.01), tmp_path / "dead.jsonl", 60, said.append)
            box.put(alert())
            box.close()
    letters = (tmp_path / "dead.jsonl").read_text(encoding="utf-8")
    assert [json.loads(line)["undelivered"] for line in letters.splitlines()] == ["HTTP 500", "NewConnectionError"]
    everything = [*said, *caplog.messages, *capfd.readouterr(), letters, repr(Webhook(receiver.address))]
    assert len(said) == 2
    assert not any(SECRET in text for text in everything)


def test_a_kill_costs_no_message_that_was_given_on_its_way(receiver: Receiver, tmp_path: Path) -> None:
    receiver.answers = [(429, {"Retry-After": "60"})]
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom risklake.message import Message\n"
        "from risklake.webhook import Outbox, Webhook\n"
        "box = Outbox(Webhook(sys.argv[1]), Path(sys.argv[2]), 60, print)\n"
        "for number in range(3): box.put(Message('alert', f'e{number}', 'one', severity='high'))\n"
        "print('given', flush=True)\ntime.sleep(600)\n"
    )
    command = [sys.executable, "-c", program, receiver.address, str(tmp_path / "dead.jsonl")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "given\n"
        with outbox(hook(receiver), tmp_path / "dead.jsonl", 60, print):
            pass  # what a living program has on its way is its own
        other.kill()
    [left] = tmp_path.iterdir()
    with left.open("a", encoding="utf-8") as file:
        file.write('{"kind": "torn')
    receiver.answers, receiver.received[:] = [204], []
    with outbox(hook(receiver), tmp_path / "dead.jsonl", 60, print) as send:
        send(alert(7))
    assert [got["key"] for got in receiver.received] == ["e0", "e1", "e2", "e7"]
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_no_half_of_a_message_among_those_that_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool, write = Spool(tmp_path), os.write
    spool.add(alert(1))
    with monkeypatch.context() as full:
        # As the system does: what fits in is written.
        full.setattr(os, "write", lambda descriptor, line: write(descriptor, line[:9]))
        with pytest.raises(OSError, match="No space left"):
            spool.add(alert(2))
    spool.add(alert(3))
    spool.close()
    assert [message.key for message in Spool(tmp_path).adopted()] == ["e1", "e3"]


def test_what_can_be_neither_delivered_nor_written_is_tried_again(receiver: Receiver, tmp_path: Path) -> None:
    receiver.answers = [404, 204]
    (tmp_path / "no folder").touch()
    said: list[str] = []
    with outbox(hook(receiver), tmp_path / "no folder" / "dead.jsonl", 60, said.append) as send:
        send(alert())
    assert [got["key"] for got in receiver.received] == ["e1", "e1"]
    assert len(said) == 1
    assert "nor could they be written to" in said[0]


def test_messages_are_sent_though_nobody_reads_what_the_program_says(receiver: Receiver, tmp_path: Path) -> None:
    def say(text: str) -> None:
        raise SystemExit(1)

    receiver.answers = [404, 204]
    with outbox(hook(receiver), tmp_path / "dead.jsonl", 60, say) as send:
        send(alert(1))
        send(alert(2))
    assert [got["key"] for got in receiver.received] == ["e1", "e2"]


def test_nobody_waits_for_a_slow_receiver_and_the_end_sends_what_waits(receiver: Receiver, tmp_path: Path) -> None:
    receiver.answers = [(429, {"Retry-After": "1"}), 204]
    began = time.monotonic()
    with outbox(hook(receiver), tmp_path / "dead.jsonl", 60, print) as send:
        for number in range(3):
            send(alert(number))
        assert time.monotonic() - began < 0.5
    assert [got["key"] for got in receiver.received] == ["e0", "e0", "e1", "e2"]
    assert not (tmp_path / "dead.jsonl").exists()


def test_more_than_a_minute_takes_become_one_message(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "_MINUTE", 1.0)
    with outbox(hook(receiver), tmp_path / "dead.jsonl", 2, print) as send:
        for number in range(40):
            send(alert(number))
            if number < 2:
                time.sleep(0.2)
    assert [got["key"] for got in receiver.received] == ["e0", "e1", "e2+37"]
    last = receiver.received[-1]
    assert last["title"] == "38 messages"
    assert last["text"].splitlines()[0] == "high alert 2"
    assert last["text"].splitlines()[-1] == "and 28 more"
    assert receiver.at[2] - receiver.at[0] >= 0.9


def test_each_message_of_a_lost_digest_is_a_dead_letter(receiver: Receiver, tmp_path: Path) -> None:
    receiver.answers = [404]
    said: list[str] = []
    box = Outbox(hook(receiver), tmp_path / "logs" / "dead.jsonl", 60, said.append)
    for number in range(9):
        box.put(alert(number))
    box.close()
    keys = [json.loads(line)["key"] for line in (tmp_path / "logs" / "dead.jsonl").read_text().splitlines()]
    assert sorted(keys) == sorted(f"e{number}" for number in range(9))
    assert "`risklake notify resend` sends them again" in said[0]


def test_without_a_webhook_nothing_is_sent(tmp_path: Path) -> None:
    with outbox(None, tmp_path / "dead.jsonl", 60, print) as send:
        send(alert())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("address", "form", "expected"),
    [
        ("https://discord.com/api/webhooks/1/x", "", DISCORD),
        ("https://hooks.slack.com/services/x", "", SLACK),
        ("https://example.org/x", "", JSON),
        ("https://chat.example.org/x", SLACK, SLACK),
        ("https://discord.com.example.org/x", "", JSON),
    ],
)
def test_the_format_is_that_of_the_host_or_as_it_is_set(address: str, form: str, expected: str) -> None:
    assert Webhook(address, form).format == expected


def test_what_comes_from_events_cannot_mention_or_format_anything() -> None:
    message = alert(title="@everyone <!channel> *bold* & `x`", facts={"user": "<@U1>"})
    discord = payload(message, DISCORD)
    assert discord["allowed_mentions"] == {"parse": []}
    assert r"\*bold\* & \`x\`" in discord["content"]
    slack = payload(message, SLACK)
    assert "&lt;!channel&gt;" in slack["text"]
    assert "user: &lt;@U1&gt;" in slack["text"]


@pytest.mark.parametrize(("form", "key", "limit"), [(DISCORD, "content", 2000), (SLACK, "text", 4000)])
def test_a_long_message_is_cut_to_what_the_receiver_takes(form: str, key: str, limit: int) -> None:
    text = payload(alert(text="<" * 9000), form)[key]
    assert len(text) == limit
    assert text.endswith("…")


def test_a_digest_of_several_kinds_says_so() -> None:
    found = digest([alert(1), alert(2, kind="run", severity="")])
    assert (found.kind, found.title, found.text) == ("digest", "2 messages", "high alert 1\nalert 2")


def test_one_that_is_just_being_sent_when_the_program_ends_is_a_dead_letter_too(
    receiver: Receiver, tmp_path: Path
) -> None:
    receiver.answers = [(429, {"Retry-After": "3"}), 404]
    box = Outbox(hook(receiver), tmp_path / "dead.jsonl", 60, print)
    box.put(alert(1))
    box.put(alert(2))
    box.close(patience_seconds=0.5)
    box._thread.join(10)
    letters = (tmp_path / "dead.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["key"] for line in letters] == ["e1", "e2"]
