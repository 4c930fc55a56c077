"""Attacks on the web shop: programs, rings and orders that are too large; of the same shape as those on cards."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from generator.episodes import NIGHT, Window, elapsed, episode_count, episodes, paid_online, shop_users
from generator.honest import methods
from generator.payments import Floats, Integers, Payments, priced
from generator.places import SHOP_COUNTRY, UTC_OFFSET_MS
from generator.rhythm import HOURS, local_times
from generator.world import SHOP, World

IDR_PER_USD = 16_000.0


def bot_repeats(
    world: World,
    window: Window,
    rng: np.random.Generator,
    aim: float,
    *,
    repeats: tuple[int, int] = (3, 8),
    victims: Integers | None = None,
) -> Payments:
    """A program buys the same product for one user three times and more in a row, seconds apart."""
    victim = shop_users(world, episode_count(aim, sum(repeats) / 2, rng), rng) if victims is None else victims
    size = rng.integers(repeats[0], repeats[1] + 1, len(victim))
    return _at_shop(world, window, rng, victim, size, pause_s=(2.0, 20.0))


def scripted_sequence(
    world: World,
    window: Window,
    rng: np.random.Generator,
    aim: float,
    *,
    accounts: tuple[int, int] = (4, 12),
    victims: Integers | None = None,
) -> Payments:
    """A script walks through sequential user ids: the same product and quantity, one after the other."""
    everybody = len(world.users.home)
    count = episode_count(aim, sum(accounts) / 2, rng) if victims is None else len(victims)
    size = rng.integers(accounts[0], accounts[1] + 1, count).clip(max=everybody)
    first = rng.integers(0, everybody - size + 1) if victims is None else np.minimum(victims, everybody - size)
    paid = _at_shop(world, window, rng, first, size, pause_s=(1.0, 8.0))
    _, turn = episodes(size)
    return replace(paid, user=paid.user + turn, method=methods(paid.user + turn, rng))


def coordinated_buying(
    world: World,
    window: Window,
    rng: np.random.Generator,
    aim: float,
    *,
    buyers: tuple[int, int] = (5, 15),
    victims: Integers | None = None,
) -> Payments:
    """Many users buy the same product in the same quantity within a few minutes."""
    count = episode_count(aim, sum(buyers) / 2, rng) if victims is None else len(victims)
    size = rng.integers(buyers[0], buyers[1] + 1, count)
    paid = _at_shop(world, window, rng, np.zeros(len(size), dtype=np.int64), size, pause_s=(3.0, 40.0))
    user = shop_users(world, len(paid), rng)
    if victims is not None:
        user[np.cumsum(size) - size] = victims
    return replace(paid, user=user, method=methods(user, rng))


def bulk_at_night(
    world: World,
    window: Window,
    rng: np.random.Generator,
    aim: float,
    *,
    units: tuple[int, int] = (101, 400),
    victims: Integers | None = None,
) -> Payments:
    """More than a hundred units of one product, between midnight and four."""
    victim = shop_users(world, max(1, round(aim)), rng) if victims is None else victims
    paid = _at_shop(world, window, rng, victim, np.ones(len(victim), dtype=np.int64), hours=NIGHT)
    quantity = rng.integers(units[0], units[1] + 1, len(paid))
    cheap = np.argsort(world.products.usd)[: max(1, len(world.products.usd) // 3)]
    product = cheap[rng.integers(0, len(cheap), len(paid))]
    return replace(paid, product=product, quantity=quantity, usd=priced(world.products.usd[product] * quantity))


def dear_at_night(
    world: World,
    window: Window,
    rng: np.random.Generator,
    aim: float,
    *,
    times: tuple[float, float] = (1.02, 3.0),
    victims: Integers | None = None,
) -> Payments:
    """An order of more than 100,000,000 IDR, between midnight and four."""
    victim = shop_users(world, max(1, round(aim)), rng) if victims is None else victims
    paid = _at_shop(world, window, rng, victim, np.ones(len(victim), dtype=np.int64), hours=NIGHT)
    usd = priced(100_000_000 / IDR_PER_USD * rng.uniform(*times, len(paid)))
    dearest = int(np.argmax(world.products.usd))
    units = np.ceil(usd / world.products.usd[dearest]).astype(np.int64).clip(1, 90)
    return replace(paid, product=np.full(len(paid), dearest), quantity=units, usd=usd)


def _at_shop(
    world: World,
    window: Window,
    rng: np.random.Generator,
    victim: Integers,
    size: Integers,
    *,
    pause_s: tuple[float, float] = (1.0, 10.0),
    hours: Floats = HOURS,
) -> Payments:
    """Purchases at the web shop in episodes: one product and one quantity each."""
    episode, turn = episodes(size)
    offset_ms = np.full(len(size), UTC_OFFSET_MS[SHOP_COUNTRY])
    begun_ms = local_times(len(size), offset_ms, *window, rng, hours)[episode]
    time_ms = begun_ms + elapsed(1000 * rng.uniform(*pause_s, len(episode)), turn)
    popular = np.cumsum(world.products.popularity)
    product = np.searchsorted(popular[:-1], rng.random(len(size)))[episode]
    quantity = rng.integers(1, 6, len(size))[episode]
    usd = world.products.usd[product] * quantity
    merchant = np.full(len(episode), SHOP)
    paid = paid_online(world, window, rng, victim[episode], merchant, usd, time_ms, episode)
    return replace(paid, product=product, quantity=quantity)
