"""The benchmark of random orders delivers every line once, in another order, in pieces of many sizes."""

from __future__ import annotations

from pathlib import Path
from random import Random

from benchmarks.parity import cut, delivery, disturbed


def test_lines_are_late_by_chance_and_none_is_lost_or_doubled() -> None:
    lines = [str(n) for n in range(2000)]
    found = disturbed(lines, Random(3))
    assert sorted(found, key=int) == lines
    late = [n - int(line) for n, line in enumerate(found)]
    assert max(late) > 300
    assert sum(abs(by) <= 30 for by in late) > 1000


def test_pieces_hold_all_lines_in_order_and_have_many_sizes() -> None:
    lines = [str(n) for n in range(50_000)]
    pieces = list(cut(lines, Random(1)))
    assert [line for _, piece in pieces for line in piece] == lines
    assert pieces[0][0] == 0 < pieces[1][0] < pieces[-1][0] < 1
    sizes = [len(piece) for _, piece in pieces]
    assert min(sizes) < 200 < 2000 < max(sizes)


def test_a_seed_gives_the_same_delivery_and_another_one_another(tmp_path: Path) -> None:
    def made(name: str, seed: int) -> list[tuple[str, list[str]]]:
        return list(delivery(tmp_path / name / "inbox", events=300, seed=seed, random=Random(seed)))

    first = made("a", 1)
    assert first == made("b", 1)
    assert first != made("c", 2)
    assert {feed for feed, _ in first} == {"transactions", "orders", "disputes"}
    assert sum(len(lines) for feed, lines in first if feed == "transactions") >= 300
