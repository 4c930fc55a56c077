"""The attacks by name, how their mix drifts, and those that are planned for a whole span.

A new attack is one function and one line in `ATTACKS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from generator.card_attacks import (
    TAKEOVER_SHARE,
    account_takeover,
    card_testing,
    impossible_travel,
    merchant_compromise,
    night_spree,
)
from generator.episodes import FRAUD_SHARE, Window
from generator.payments import DAY_MS, Integers, Payments, nothing
from generator.shop_attacks import bot_repeats, bulk_at_night, coordinated_buying, dear_at_night, scripted_sequence
from generator.world import World

MONTH_MS = 30 * DAY_MS


class Attack(Protocol):
    """Shape of an attack; its further parameters have defaults."""

    def __call__(
        self, world: World, window: Window, rng: np.random.Generator, aim: float, *, victims: Integers | None = None
    ) -> Payments: ...


@dataclass(frozen=True)
class Scenario:
    """An attack and its share of all frauds, which drifts from `share` to `later` over half a year and back.

    `is_nightly` says that it keeps to the night.
    """

    attack: Attack
    share: float
    later: float
    is_nightly: bool = False


ATTACKS: Mapping[str, Scenario] = {
    "card_testing": Scenario(card_testing, 0.26, 0.12),
    "account_takeover": Scenario(account_takeover, TAKEOVER_SHARE, 0.30),
    "merchant_compromise": Scenario(merchant_compromise, 0.14, 0.26),
    "impossible_travel": Scenario(impossible_travel, 0.12, 0.08),
    "night_spree": Scenario(night_spree, 0.07, 0.07, is_nightly=True),
    "bot_repeats": Scenario(bot_repeats, 0.05, 0.05),
    "scripted_sequence": Scenario(scripted_sequence, 0.04, 0.06),
    "coordinated_buying": Scenario(coordinated_buying, 0.04, 0.04),
    "bulk_at_night": Scenario(bulk_at_night, 0.01, 0.01, is_nightly=True),
    "dear_at_night": Scenario(dear_at_night, 0.01, 0.01, is_nightly=True),
}
# What the number in `Payments.scenario` stands for; honest payments have no scenario.
SCENARIO_NAMES = ("", *ATTACKS)


def share_of(name: str, time_ms: float) -> float:
    """An attack's share of all frauds at a time of the span: back and forth within a year."""
    scenario = ATTACKS[name]
    drift = (1 - np.cos(2 * np.pi * time_ms / (12 * MONTH_MS))) / 2
    return scenario.share + float(drift) * (scenario.later - scenario.share)


def planned_attacks(world: World, rows: int, rng: np.random.Generator) -> Payments:
    """The attacks among `rows` payments of the span: frauds, about `FRAUD_SHARE` of all, and honest payments that
    belong to them. Few or none where `rows` is very small. In time order."""
    parts = []
    for start_ms in range(0, world.span_ms, MONTH_MS):
        window = (start_ms, min(start_ms + MONTH_MS, world.span_ms))
        here = FRAUD_SHARE * rows * (window[1] - window[0]) / world.span_ms
        for number, (name, scenario) in enumerate(ATTACKS.items(), start=1):
            aim = share_of(name, sum(window) / 2) * here
            if rng.random() < aim:
                made = scenario.attack(world, window, rng, aim)
                parts.append(replace(made, scenario=made.scenario * number))
    return Payments.together([nothing(), *parts]).in_time_order()
