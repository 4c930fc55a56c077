"""Attacks on cards and accounts.

An attack takes the world, a window of time, a generator and how many payments to aim at, and returns about as many, in
whole episodes; with `victims`, one episode each. It adds to honest life, which goes on unchanged.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from generator.episodes import (
    FRAUD_SHARE,
    NIGHT,
    Window,
    as_many,
    elapsed,
    episode_count,
    episodes,
    moments,
    online_merchants,
    paid_online,
    regulars_of,
    times_the_usual,
    victims_of,
)
from generator.payments import DAY_MS, HONEST, MINUTE_MS, NO_DEVICE, Integers, Payments, within
from generator.places import IS_DISTANT, SHARE, UTC_OFFSET_MS
from generator.world import NOBODY, SHOP, World, dayparts

# Of all frauds at first; a takeover needs it to know how much the victims pay themselves.
TAKEOVER_SHARE = 0.26


def card_testing(
    world: World,
    window: Window,
    rng: np.random.Generator,
    aim: float,
    *,
    probes: tuple[int, int] = (5, 15),
    hits: tuple[int, int] = (1, 3),
    gap_s: float = 25.0,
    probe_usd: float = 2.5,
    times_usual: float = 2.5,
    victims: Integers | None = None,
) -> Payments:
    """A stolen card number, tried out online with `probes` small payments, then used for `hits` larger.

    `gap_s` is the mean pause in seconds, `probe_usd` the median probe in US dollars, `times_usual` the median of a
    hit in terms of what the victim usually pays.
    """
    count = episode_count(aim, sum(probes) / 2 + sum(hits) / 2, rng)
    victim = victims_of(world, window, count, rng) if victims is None else victims
    probe_count = rng.integers(probes[0], probes[1] + 1, len(victim))
    size = probe_count + rng.integers(hits[0], hits[1] + 1, len(victim))
    episode, turn = episodes(size)
    user = victim[episode]
    is_probe = turn < probe_count[episode]
    pause_ms = 1000 * rng.exponential(np.where(is_probe, gap_s, 3 * gap_s)) + 500
    time_ms = moments(world, victim, window, rng)[episode] + elapsed(pause_ms, turn)
    shop = online_merchants(world, time_ms[turn == 0], rng)[episode]
    merchant = np.where(is_probe, shop, online_merchants(world, time_ms, rng))
    usd = np.where(
        is_probe, probe_usd * rng.lognormal(0.0, 0.7, len(user)), times_the_usual(world, user, times_usual, rng)
    )
    return paid_online(world, window, rng, user, merchant, usd, time_ms, episode)


def account_takeover(
    world: World,
    window: Window,
    rng: np.random.Generator,
    aim: float,
    *,
    days: tuple[float, float] = (1.0, 4.0),
    extra_share: float = 1 / 3,
    times_usual: float = 3.0,
    victims: Integers | None = None,
) -> Payments:
    """Somebody else pays online with the victim's account, from a new device, for `days` days.

    That makes about `extra_share` of all events of that time, at least two, with a median of `times_usual` times the
    usual amount.
    """
    user = victims_of(world, window, max(1, round(aim)), rng) if victims is None else victims
    length_ms = (rng.uniform(*days, len(user)) * DAY_MS).clip(max=window[1] - window[0] - 1).astype(np.int64)
    own = world.users.activity[user] * aim / (FRAUD_SHARE * TAKEOVER_SHARE)
    size = rng.poisson(extra_share / (1 - extra_share) * own * length_ms / (window[1] - window[0])).clip(2, 12)
    if victims is None:
        user, length_ms, size = as_many(aim, size, user, length_ms)
    episode, _ = episodes(size)
    start_ms = rng.integers(window[0], window[1] - length_ms)
    time_ms = start_ms[episode] + (rng.random(len(episode)) * length_ms[episode]).astype(np.int64)
    merchant = online_merchants(world, time_ms, rng)
    usd = times_the_usual(world, user[episode], times_usual, rng)
    return paid_online(world, window, rng, user[episode], merchant, usd, time_ms, episode)


def merchant_compromise(
    world: World,
    window: Window,
    rng: np.random.Generator,
    aim: float,
    *,
    uses: tuple[int, int] = (1, 3),
    days: tuple[float, float] = (7.0, 21.0),
    victims: Integers | None = None,
) -> Payments:
    """The cards that regulars of one merchant used there are copied, and for weeks each is used `uses` times elsewhere.

    Amounts are what the victims usually pay; what they have in common is the merchant.
    """
    size = rng.integers(uses[0], uses[1] + 1, max(1, round(aim)) if victims is None else len(victims))
    if victims is None:
        (size,) = as_many(aim, size)
    user = _regulars_of_leaks(world, len(size), rng) if victims is None else victims
    length_ms = min(rng.uniform(*days) * DAY_MS, window[1] - window[0])
    start_ms = window[0] + rng.random() * (window[1] - window[0] - length_ms)
    episode, _ = episodes(size)
    time_ms = (start_ms + rng.random(len(episode)) * length_ms).astype(np.int64)
    merchant = online_merchants(world, time_ms, rng)
    usd = times_the_usual(world, user[episode], 1.0, rng)
    return paid_online(world, window, rng, user[episode], merchant, usd, time_ms, episode)


def night_spree(
    world: World,
    window: Window,
    rng: np.random.Generator,
    aim: float,
    *,
    payments: tuple[int, int] = (4, 9),
    gap_min: float = 6.0,
    times_usual: float = 1.6,
    victims: Integers | None = None,
) -> Payments:
    """A stolen card used in local shops between midnight and four, every few minutes, until it is blocked."""
    count = episode_count(aim, sum(payments) / 2, rng)
    victim = victims_of(world, window, count, rng) if victims is None else victims
    size = rng.integers(payments[0], payments[1] + 1, len(victim))
    episode, turn = episodes(size)
    user = victim[episode]
    pause_ms = rng.exponential(gap_min * MINUTE_MS, len(episode)) + 20_000
    time_ms = moments(world, victim, window, rng, NIGHT)[episode] + elapsed(pause_ms, turn)
    time_ms = within(time_ms, *window)
    return _in_store(world, window, rng, user, world.location(user, time_ms), time_ms, times_usual)


def impossible_travel(
    world: World,
    window: Window,
    rng: np.random.Generator,
    aim: float,
    *,
    minutes: tuple[float, float] = (3.0, 40.0),
    times_usual: float = 1.5,
    victims: Integers | None = None,
) -> Payments:
    """A copied card used in a shop of a distant country, `minutes` minutes after its holder paid in one.

    The holder's own payment comes with it; it is honest.
    """
    user = victims_of(world, window, max(1, round(aim)), rng) if victims is None else victims
    length_ms = (rng.uniform(*minutes, len(user)) * MINUTE_MS).astype(np.int64)
    own_ms = np.minimum(moments(world, user, window, rng), window[1] - 1 - length_ms).clip(window[0])
    here = world.location(user, own_ms)
    there = _distant_countries(world, here, rng)
    own = _in_store(world, window, rng, user, here, own_ms, 1.0)
    copied = _in_store(world, window, rng, user, there, own_ms + length_ms, times_usual)
    own = replace(own, method=copied.method, scenario=np.full(len(user), HONEST))
    return Payments.together([own, copied])


def _in_store(
    world: World,
    window: Window,
    rng: np.random.Generator,
    user: Integers,
    country: Integers,
    time_ms: Integers,
    times_usual: float,
) -> Payments:
    local = dayparts(time_ms + UTC_OFFSET_MS[country])
    drawn = world.merchants.in_store.draw(country, local, rng)
    usd = times_the_usual(world, user, times_usual, rng)
    nobody = np.zeros(len(user), dtype=np.int64)
    paid = paid_online(world, window, rng, user, np.where(drawn == NOBODY, SHOP, drawn), usd, time_ms, nobody)
    count = len(user)
    return replace(paid, country=country, device=np.full(count, NO_DEVICE), is_online=np.zeros(count, dtype=bool))


def _regulars_of_leaks(world: World, count: int, rng: np.random.Generator) -> Integers:
    regulars = world.users.favourites[:, 0]
    known = regulars[regulars != NOBODY]
    # One leak for about forty cards; a busy merchant is the better target.
    leaks = rng.choice(known if len(known) else np.array([SHOP]), size=-(-count // 40))
    return regulars_of(world, leaks[rng.integers(0, len(leaks), count)], rng)


def _distant_countries(world: World, near: Integers, rng: np.random.Generator) -> Integers:
    # Weighted by residents; countries without merchants are taken only where all distant ones have none.
    has_merchants = np.isin(np.arange(len(SHARE)), world.merchants.country)
    weight = IS_DISTANT[near] * SHARE * np.where(has_merchants, 1.0, 1e-9)
    steps = np.cumsum(weight, axis=1)
    return (steps < rng.random((len(near), 1)) * steps[:, -1:]).sum(axis=1)
