"""Turns of the micro-batches of one program."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from lake.storage import turns
from lake.storage.turns import Turns, turns_of


def waiting(turns_of: Turns, count: int) -> None:
    """Wait until so many threads wait for a turn."""
    deadline = time.monotonic() + 10
    while len(turns_of._waiting) < count:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def in_order(ranks: list[int], pause: Callable[[], None] = lambda: None) -> list[int]:
    """The order in which threads of these ranks get their turn, which come one after the other while one is busy."""
    mine, done = Turns(), []

    def work(rank: int) -> None:
        with mine.turn(rank):
            done.append(rank)

    threads = [threading.Thread(target=work, args=(rank,)) for rank in ranks]
    with mine.turn(0):
        for number, thread in enumerate(threads, start=1):
            thread.start()
            waiting(mine, number)
            pause()
    for thread in threads:
        thread.join(10)
    return done


def test_of_those_that_wait_the_highest_rank_comes_first() -> None:
    assert in_order([1, 0, 4, 2]) == [4, 2, 1, 0]


def test_one_that_has_waited_long_comes_before_a_higher_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "PATIENCE_SECONDS", 0.01)
    assert in_order([0, 4], pause=lambda: time.sleep(0.1)) == [0, 4]


def test_what_nobody_waits_for_keeps_the_line_to_the_alerts_not_waiting() -> None:
    entered = threading.Event()

    def work() -> None:
        with turns_of(0).turn(0):
            entered.set()

    thread = threading.Thread(target=work)
    with turns_of(-1).turn(-1):
        thread.start()
        assert entered.wait(10)
    thread.join(10)
    assert turns_of(-1) is turns_of(-2)
    assert turns_of(0) is turns_of(3)


def test_only_one_works_at_a_time_and_a_failure_gives_the_turn_on() -> None:
    mine, busy, most = Turns(), 0, 0

    def work() -> None:
        nonlocal busy, most
        with suppress(ValueError), mine.turn(0):
            busy += 1
            most = max(most, busy)
            time.sleep(0.01)
            busy -= 1
            raise ValueError("broken")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert (most, mine._running, mine._waiting) == (1, 0, [])
