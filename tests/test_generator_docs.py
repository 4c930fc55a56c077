"""What docs/generator.md says of the generator is what the code says."""

from __future__ import annotations

from pathlib import Path

import pytest

from generator.attacks import ATTACKS
from generator.chaos import ADDED, CHANGED, COPIED, SPOILERS

TEXT = (Path(__file__).resolve().parent.parent / "docs" / "generator.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ATTACKS)
def test_each_attack_has_its_row_with_the_words_of_its_function(name: str) -> None:
    scenario = ATTACKS[name]
    words = " ".join((scenario.attack.__doc__ or "").split("\n\n")[0].split())
    assert f"| `{name}` | {scenario.share:.0%} → {scenario.later:.0%} | {words} |" in TEXT


def test_each_kind_of_chaos_stands_with_its_like() -> None:
    assert {*CHANGED, *COPIED, *ADDED} == set(SPOILERS)
    for kinds in (CHANGED, COPIED, ADDED):
        assert f"| {', '.join(f'`{kind}`' for kind in kinds)} |" in TEXT
