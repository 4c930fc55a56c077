"""What the harness of kills delivers, and how it lands in an inbox."""

from __future__ import annotations

from pathlib import Path

from benchmarks.faults.deliveries import Delivery, cut, deliveries
from benchmarks.faults.landing import Landing
from lake.inbox import is_visible


def put(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"")


def test_lines_are_cut_into_pieces_that_are_all_of_them_in_order() -> None:
    lines = [str(number).encode() for number in range(10)]
    assert [len(piece) for piece in cut(lines, 4)] == [3, 3, 3, 1]
    assert [line for piece in cut(lines, 4) for line in piece] == lines
    assert cut([], 4) == []


def test_deliveries_are_in_the_order_of_their_times_and_users_come_midway(tmp_path: Path) -> None:
    made = deliveries(tmp_path, files=20, rows=200, seed=7)
    times = [delivery.modified_ns for delivery in made]
    assert times == sorted(set(times))
    feeds = [delivery.feed for delivery in made]
    assert set(feeds) == {"users", "merchants", "transactions", "orders", "disputes"}
    assert 0.2 * len(feeds) < feeds.index("users") < 0.6 * len(feeds)
    names = [(delivery.feed, delivery.source.name) for delivery in made]
    assert len(set(names)) == len(names)
    assert all(is_visible(name) for _, name in names)
    assert sum(delivery.source.stat().st_size == 0 for delivery in made) == 2


def test_files_land_in_proportion_and_whole_or_on_purpose_in_halves(tmp_path: Path) -> None:
    source = tmp_path / "made" / "a.jsonl"
    source.parent.mkdir()
    source.write_bytes(b"one\ntwo\n")
    two = [Delivery("users", source, 10**18), Delivery("users", source.with_name("b.jsonl"), 2 * 10**18)]
    source.with_name("b.jsonl").write_bytes(b"")
    landing = Landing(tmp_path / "lake", two)
    landing.land_up_to(0.1)
    assert landing.landed == 0
    landing.land_up_to(0.1, at_least=1)
    landed = tmp_path / "lake" / "inbox" / "users" / "a.jsonl"
    assert (landed.read_bytes(), landed.stat().st_mtime_ns, landing.is_done) == (b"one\ntwo\n", 10**18, False)
    landing.land_up_to(1.0)
    assert landing.is_done
    broken = Landing(tmp_path / "broken", two[:1], is_in_place=True)
    broken.land_up_to(1.0)
    assert (tmp_path / "broken" / "inbox" / "users" / "a.jsonl").read_bytes() == b"one\n"
    put(tmp_path / "broken" / "checkpoints" / "bronze" / "commits" / "0")
    broken.finish()
    assert (tmp_path / "broken" / "inbox" / "users" / "a.jsonl").read_bytes() == b"one\ntwo\n"
