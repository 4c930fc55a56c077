"""Attacks: each a named function that adds fraudulent payments to honest life, which goes on unchanged.

Every attack takes the world, the honest payments, a generator and how many payments to aim at, and returns
about as many, in whole episodes. A new attack is one function and one line in `ATTACKS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from generator.honest import DECLINED_SHARE, methods
from generator.payments import (
    DAY_MS,
    MINUTE_MS,
    NO_DEVICE,
    Floats,
    Integers,
    Payments,
    priced,
    within_span,
)
from generator.places import IS_DISTANT, SHARE
from generator.world import DEVICES_EACH, NOBODY, World

FRAUD_SHARE = 0.005


class Attack(Protocol):
    """Shape of an attack; its further parameters have defaults."""

    def __call__(self, world: World, honest: Payments, rng: np.random.Generator, aim: float) -> Payments: ...


def card_testing(
    world: World,
    honest: Payments,
    rng: np.random.Generator,
    aim: float,
    *,
    probes: tuple[int, int] = (5, 15),
    hits: tuple[int, int] = (1, 3),
    gap_s: float = 25.0,
    probe_usd: float = 2.5,
    times_usual: float = 2.5,
) -> Payments:
    """A stolen card number, tried out online with `probes` small payments, then used for `hits` larger.

    `gap_s` is the mean pause in seconds, `probe_usd` the median probe in US dollars, `times_usual` the
    median of a hit in terms of what the victim usually pays.
    """
    episodes = round(aim / (sum(probes) / 2 + sum(hits) / 2))
    probe_count = rng.integers(probes[0], probes[1] + 1, episodes)
    size = probe_count + rng.integers(hits[0], hits[1] + 1, episodes)
    episode, turn = _episodes(size)
    user = _victims(world, episodes, rng)[episode]
    is_probe = turn < probe_count[episode]
    start_ms = rng.choice(honest.time_ms, episodes) + rng.integers(-3 * DAY_MS // 24, 3 * DAY_MS // 24, episodes)
    pause_ms = 1000 * rng.exponential(np.where(is_probe, gap_s, 3 * gap_s)) + 500
    shop = world.merchants.draw(episodes, rng, online=True)[episode]
    merchant = np.where(is_probe, shop, world.merchants.draw(len(user), rng, online=True))
    usd = np.where(
        is_probe, probe_usd * rng.lognormal(0.0, 0.7, len(user)), _times_usual(world, user, times_usual, rng)
    )
    elapsed_ms = _elapsed(pause_ms, turn)
    return _online(world, rng, user, merchant, usd, start_ms[episode] + elapsed_ms, device=2 * episode)


def account_takeover(
    world: World,
    honest: Payments,
    rng: np.random.Generator,
    aim: float,
    *,
    days: tuple[float, float] = (1.0, 2.0),
    extra_share: float = 1 / 3,
    times_usual: float = 3.0,
) -> Payments:
    """Somebody else pays online with the victim's account, from a new device, for `days` days.

    That makes about `extra_share` more payments than the victim's own in that time, at least two, with a
    median of `times_usual` times the usual amount.
    """
    tries = round(aim / 2)
    user = _victims(world, tries, rng)
    length_ms = (rng.uniform(*days, tries) * DAY_MS).clip(max=world.span_ms - 1).astype(np.int64)
    paid = np.bincount(honest.user, minlength=len(world.users.home))[user]
    size = rng.poisson(extra_share * paid * length_ms / world.span_ms).clip(2, 12)
    tries = int(np.searchsorted(np.cumsum(size), aim)) + 1 if tries else 0
    episode, _ = _episodes(size[:tries])
    user = user[episode]
    start_ms = rng.integers(0, world.span_ms - length_ms)
    time_ms = start_ms[episode] + (rng.random(len(user)) * length_ms[episode]).astype(np.int64)
    merchant = world.merchants.draw(len(user), rng, online=True)
    usd = _times_usual(world, user, times_usual, rng)
    return _online(world, rng, user, merchant, usd, time_ms, device=2 * episode + 1)


def impossible_travel(
    world: World,
    honest: Payments,
    rng: np.random.Generator,
    aim: float,
    *,
    minutes: tuple[float, float] = (3.0, 40.0),
    times_usual: float = 1.5,
) -> Payments:
    """A copied card used in a shop of a distant country, `minutes` minutes after its holder paid in one."""
    possible = np.flatnonzero(~honest.is_online & (honest.time_ms < world.span_ms - minutes[1] * MINUTE_MS))
    anchor = rng.choice(possible, min(round(aim), len(possible)), replace=False)
    user, count = honest.user[anchor], len(anchor)
    country = _distant_countries(world, honest.country[anchor], rng)
    local = world.merchants.draw_in(country, rng)
    return Payments(
        user=user,
        merchant=np.where(local == NOBODY, world.merchants.draw(count, rng), local),
        usd=priced(_times_usual(world, user, times_usual, rng)),
        country=country,
        time_ms=honest.time_ms[anchor] + (rng.uniform(*minutes, count) * MINUTE_MS).astype(np.int64),
        device=np.full(count, NO_DEVICE),
        method=honest.method[anchor],
        is_online=np.zeros(count, dtype=bool),
        is_declined=rng.random(count) < DECLINED_SHARE,
        scenario=np.zeros(count, dtype=np.int64),
    )


@dataclass(frozen=True)
class Scenario:
    """An attack and its share of all frauds."""

    attack: Attack
    share: float


ATTACKS: Mapping[str, Scenario] = {
    "card_testing": Scenario(card_testing, 0.35),
    "account_takeover": Scenario(account_takeover, 0.40),
    "impossible_travel": Scenario(impossible_travel, 0.25),
}
# What the number in `Payments.scenario` stands for; honest payments have no scenario.
SCENARIO_NAMES = ("", *ATTACKS)


def attacks(world: World, honest: Payments, rows: int, rng: np.random.Generator) -> Payments:
    """The frauds of all scenarios, about `FRAUD_SHARE` of `rows` events; none where `rows` is very small."""
    parts = []
    for number, scenario in enumerate(ATTACKS.values(), start=1):
        frauds = scenario.attack(world, honest, rng, scenario.share * FRAUD_SHARE * rows)
        frauds.scenario[:] = number
        parts.append(frauds)
    return Payments.together(parts)


def _victims(world: World, count: int, rng: np.random.Generator) -> Integers:
    return rng.choice(len(world.users.home), size=count, p=world.users.activity)


def _episodes(size: Integers) -> tuple[Integers, Integers]:
    # For each payment: which episode it belongs to, and its turn in it, from 0.
    episode = np.repeat(np.arange(len(size)), size)
    return episode, np.arange(len(episode)) - np.repeat(np.cumsum(size) - size, size)


def _elapsed(pause_ms: Floats, turn: Integers) -> Integers:
    total = np.cumsum(np.where(turn == 0, 0, pause_ms)).astype(np.int64)
    return total - total[np.arange(len(turn)) - turn]


def _times_usual(world: World, user: Integers, times: float, rng: np.random.Generator) -> Floats:
    return times * np.exp(world.users.log_usual[user]) * rng.lognormal(0.0, 0.6, len(user))


def _distant_countries(world: World, near: Integers, rng: np.random.Generator) -> Integers:
    # Weighted by residents; countries without merchants are taken only where all distant ones have none.
    has_merchants = np.isin(np.arange(len(SHARE)), world.merchants.country)
    weight = IS_DISTANT[near] * SHARE * np.where(has_merchants, 1.0, 1e-9)
    steps = np.cumsum(weight, axis=1)
    return (steps < rng.random((len(near), 1)) * steps[:, -1:]).sum(axis=1)


def _online(
    world: World,
    rng: np.random.Generator,
    user: Integers,
    merchant: Integers,
    usd: Floats,
    time_ms: Integers,
    *,
    device: Integers,
) -> Payments:
    # Devices of attackers are numbered after those of all users, so that none of them is known.
    count = len(user)
    return Payments(
        user=user,
        merchant=merchant,
        usd=priced(usd),
        country=world.merchants.country[merchant],
        time_ms=within_span(time_ms, world.span_ms),
        device=len(world.users.home) * DEVICES_EACH + device,
        method=methods(user, rng),
        is_online=np.ones(count, dtype=bool),
        is_declined=rng.random(count) < DECLINED_SHARE,
        scenario=np.zeros(count, dtype=np.int64),
    )
