"""Attacks: each a named function that adds fraudulent payments to honest life, which goes on unchanged.

An attack takes the world, a window of time, a generator and how many payments to aim at, and returns about as many, in
whole episodes. A new attack is one function and one line in `ATTACKS`. Impossible travel follows honest payments, so
it is made with the slot that holds them; all others are planned for the whole span.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from generator.honest import DECLINED_SHARE, methods
from generator.payments import (
    DAY_MS,
    MINUTE_MS,
    NO_DEVICE,
    NO_PRODUCT,
    Floats,
    Integers,
    Payments,
    priced,
    within,
)
from generator.places import IS_DISTANT, SHARE, SHOP_COUNTRY, UTC_OFFSET_MS
from generator.plan import Slot
from generator.rhythm import HOURS, local_times
from generator.world import DEVICES_EACH, NOBODY, SHOP, World, dayparts

FRAUD_SHARE = 0.005
MONTH_MS = 30 * DAY_MS
NIGHT = np.array([1.0] * 4 + [0.0] * 20)
IDR_PER_USD = 16_000.0

Window = tuple[int, int]


class Attack(Protocol):
    """Shape of an attack; its further parameters have defaults."""

    def __call__(self, world: World, window: Window, rng: np.random.Generator, aim: float) -> Payments: ...


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
    hit in terms of what the victim usually pays. With `victims`, one episode each.
    """
    episodes = _episode_count(aim, sum(probes) / 2 + sum(hits) / 2, rng) if victims is None else len(victims)
    probe_count = rng.integers(probes[0], probes[1] + 1, episodes)
    size = probe_count + rng.integers(hits[0], hits[1] + 1, episodes)
    episode, turn = _episodes(size)
    victim = _victims(world, episodes, rng) if victims is None else victims
    user = victim[episode]
    is_probe = turn < probe_count[episode]
    pause_ms = 1000 * rng.exponential(np.where(is_probe, gap_s, 3 * gap_s)) + 500
    time_ms = _when(world, victim, window, rng)[episode] + _elapsed(pause_ms, turn)
    shop = _online_merchants(world, time_ms[turn == 0], rng)[episode]
    merchant = np.where(is_probe, shop, _online_merchants(world, time_ms, rng))
    usd = np.where(
        is_probe, probe_usd * rng.lognormal(0.0, 0.7, len(user)), _times_usual(world, user, times_usual, rng)
    )
    return _online(world, window, rng, user, merchant, usd, time_ms, episode)


def account_takeover(
    world: World,
    window: Window,
    rng: np.random.Generator,
    aim: float,
    *,
    days: tuple[float, float] = (1.0, 4.0),
    extra_share: float = 1 / 3,
    times_usual: float = 3.0,
) -> Payments:
    """Somebody else pays online with the victim's account, from a new device, for `days` days.

    That makes about `extra_share` of all events of that time, at least two, with a median of `times_usual` times the
    usual amount.
    """
    tries = max(1, round(aim))
    user = _victims(world, tries, rng)
    length_ms = (rng.uniform(*days, tries) * DAY_MS).clip(max=window[1] - window[0] - 1).astype(np.int64)
    own = world.users.activity[user] * (aim / FRAUD_SHARE) / _SHARE_OF["account_takeover"]
    size = rng.poisson(extra_share / (1 - extra_share) * own * length_ms / (window[1] - window[0])).clip(2, 12)
    user, length_ms, size = _as_many(aim, size, user, length_ms)
    episode, _ = _episodes(size)
    start_ms = rng.integers(window[0], window[1] - length_ms)
    time_ms = start_ms[episode] + (rng.random(len(episode)) * length_ms[episode]).astype(np.int64)
    merchant = _online_merchants(world, time_ms, rng)
    usd = _times_usual(world, user[episode], times_usual, rng)
    return _online(world, window, rng, user[episode], merchant, usd, time_ms, episode)


def merchant_compromise(
    world: World,
    window: Window,
    rng: np.random.Generator,
    aim: float,
    *,
    uses: tuple[int, int] = (1, 3),
    days: tuple[float, float] = (7.0, 21.0),
) -> Payments:
    """The cards that regulars of one merchant used there are copied, and for weeks each is used `uses` times elsewhere.

    Amounts are what the victims usually pay; what they have in common is the merchant.
    """
    size = rng.integers(uses[0], uses[1] + 1, max(1, round(aim)))
    size = _as_many(aim, size, size)[0]
    regulars = world.users.favourites[:, 0]
    known = regulars[regulars != NOBODY]
    # One leak for about forty cards; a busy merchant is the better target.
    leaks = rng.choice(known if len(known) else np.array([SHOP]), size=-(-len(size) // 40))
    leak = leaks[rng.integers(0, len(leaks), len(size))] if len(size) else np.zeros(0, dtype=np.int64)
    user = _regulars_of(world, leak, rng)
    length_ms = min(rng.uniform(*days) * DAY_MS, window[1] - window[0])
    start_ms = window[0] + rng.random() * (window[1] - window[0] - length_ms)
    episode, _ = _episodes(size)
    time_ms = (start_ms + rng.random(len(episode)) * length_ms).astype(np.int64)
    merchant = _online_merchants(world, time_ms, rng)
    usd = _times_usual(world, user[episode], 1.0, rng)
    return _online(world, window, rng, user[episode], merchant, usd, time_ms, episode)


def night_spree(
    world: World,
    window: Window,
    rng: np.random.Generator,
    aim: float,
    *,
    payments: tuple[int, int] = (4, 9),
    gap_min: float = 6.0,
    times_usual: float = 1.6,
) -> Payments:
    """A stolen card used in local shops between midnight and four, every few minutes, until it is blocked."""
    size = rng.integers(payments[0], payments[1] + 1, _episode_count(aim, sum(payments) / 2, rng))
    victim = _victims(world, len(size), rng)
    episode, turn = _episodes(size)
    user = victim[episode]
    pause_ms = rng.exponential(gap_min * MINUTE_MS, len(episode)) + 20_000
    time_ms = _when(world, victim, window, rng, NIGHT)[episode] + _elapsed(pause_ms, turn)
    time_ms = within(time_ms, *window)
    country = world.location(user, time_ms)
    local = dayparts(time_ms + UTC_OFFSET_MS[country])
    drawn = world.merchants.in_store.draw(country, local, rng)
    usd = _times_usual(world, user, times_usual, rng)
    paid = _online(world, window, rng, user, np.where(drawn == NOBODY, SHOP, drawn), usd, time_ms, episode)
    count = len(episode)
    return replace(paid, country=country, device=np.full(count, NO_DEVICE), is_online=np.zeros(count, dtype=bool))


def bot_repeats(
    world: World, window: Window, rng: np.random.Generator, aim: float, *, repeats: tuple[int, int] = (3, 8)
) -> Payments:
    """A program buys the same product for one user three times and more in a row, seconds apart."""
    size = rng.integers(repeats[0], repeats[1] + 1, _episode_count(aim, sum(repeats) / 2, rng))
    victim = _shop_users(world, len(size), rng)
    return _at_shop(world, window, rng, victim, size, pause_s=(2.0, 20.0))


def scripted_sequence(
    world: World, window: Window, rng: np.random.Generator, aim: float, *, accounts: tuple[int, int] = (4, 12)
) -> Payments:
    """A script walks through sequential user ids: the same product and quantity, one after the other."""
    accounts = (accounts[0], max(accounts[0], min(accounts[1], len(world.users.home) - 1)))
    size = rng.integers(accounts[0], accounts[1] + 1, _episode_count(aim, sum(accounts) / 2, rng))
    size = size.clip(max=len(world.users.home))
    first = rng.integers(0, len(world.users.home) - size + 1)
    paid = _at_shop(world, window, rng, first, size, pause_s=(1.0, 8.0))
    _, turn = _episodes(size)
    return replace(paid, user=paid.user + turn, method=methods(paid.user + turn, rng))


def coordinated_buying(
    world: World, window: Window, rng: np.random.Generator, aim: float, *, buyers: tuple[int, int] = (5, 15)
) -> Payments:
    """Many users buy the same product in the same quantity within a few minutes."""
    size = rng.integers(buyers[0], buyers[1] + 1, _episode_count(aim, sum(buyers) / 2, rng))
    paid = _at_shop(world, window, rng, np.zeros(len(size), dtype=np.int64), size, pause_s=(3.0, 40.0))
    user = _shop_users(world, len(paid), rng)
    return replace(paid, user=user, method=methods(user, rng))


def bulk_at_night(
    world: World, window: Window, rng: np.random.Generator, aim: float, *, units: tuple[int, int] = (101, 400)
) -> Payments:
    """More than a hundred units of one product, between midnight and four."""
    victim = _shop_users(world, max(1, round(aim)), rng)
    paid = _at_shop(world, window, rng, victim, np.ones(len(victim), dtype=np.int64), hours=NIGHT)
    quantity = rng.integers(units[0], units[1] + 1, len(paid))
    cheap = np.argsort(world.products.usd)[: max(1, len(world.products.usd) // 3)]
    product = cheap[rng.integers(0, len(cheap), len(paid))]
    return replace(paid, product=product, quantity=quantity, usd=priced(world.products.usd[product] * quantity))


def dear_at_night(
    world: World, window: Window, rng: np.random.Generator, aim: float, *, times: tuple[float, float] = (1.02, 3.0)
) -> Payments:
    """An order of more than 100,000,000 IDR, between midnight and four."""
    victim = _shop_users(world, max(1, round(aim)), rng)
    paid = _at_shop(world, window, rng, victim, np.ones(len(victim), dtype=np.int64), hours=NIGHT)
    usd = priced(100_000_000 / IDR_PER_USD * rng.uniform(*times, len(paid)))
    dearest = int(np.argmax(world.products.usd))
    units = np.ceil(usd / world.products.usd[dearest]).astype(np.int64).clip(1, 90)
    return replace(paid, product=np.full(len(paid), dearest), quantity=units, usd=usd)


def impossible_travel(
    world: World,
    honest: Payments,
    slot: Slot,
    rng: np.random.Generator,
    aim: int,
    *,
    minutes: tuple[float, float] = (3.0, 40.0),
    times_usual: float = 1.5,
) -> Payments:
    """A copied card used in a shop of a distant country, `minutes` minutes after its holder paid in one."""
    possible = np.flatnonzero(~honest.is_online & (honest.time_ms < slot.end_ms - minutes[1] * MINUTE_MS))
    anchor = rng.choice(possible, min(aim, len(possible)), replace=False)
    user, count = honest.user[anchor], len(anchor)
    time_ms = honest.time_ms[anchor] + (rng.uniform(*minutes, count) * MINUTE_MS).astype(np.int64)
    country = _distant_countries(world, honest.country[anchor], rng)
    local = world.merchants.in_store.draw(country, dayparts(time_ms + UTC_OFFSET_MS[country]), rng)
    return Payments(
        user=user,
        merchant=np.where(local == NOBODY, SHOP, local),
        usd=priced(_times_usual(world, user, times_usual, rng)),
        country=country,
        time_ms=time_ms,
        device=np.full(count, NO_DEVICE),
        method=honest.method[anchor],
        is_online=np.zeros(count, dtype=bool),
        is_declined=rng.random(count) < DECLINED_SHARE,
        product=np.full(count, NO_PRODUCT),
        quantity=np.zeros(count, dtype=np.int64),
        scenario=np.full(count, SCENARIO_NAMES.index("impossible_travel")),
    )


@dataclass(frozen=True)
class Scenario:
    """An attack and its share of all frauds, which drifts from `share` to `later` over half a year and back.

    Without an attack of its own it is made beside honest payments (`impossible_travel`).
    """

    attack: Attack | None
    share: float
    later: float


ATTACKS: Mapping[str, Scenario] = {
    "card_testing": Scenario(card_testing, 0.26, 0.12),
    "account_takeover": Scenario(account_takeover, 0.26, 0.30),
    "merchant_compromise": Scenario(merchant_compromise, 0.14, 0.26),
    "impossible_travel": Scenario(None, 0.12, 0.08),
    "night_spree": Scenario(night_spree, 0.07, 0.07),
    "bot_repeats": Scenario(bot_repeats, 0.05, 0.05),
    "scripted_sequence": Scenario(scripted_sequence, 0.04, 0.06),
    "coordinated_buying": Scenario(coordinated_buying, 0.04, 0.04),
    "bulk_at_night": Scenario(bulk_at_night, 0.01, 0.01),
    "dear_at_night": Scenario(dear_at_night, 0.01, 0.01),
}
# What the number in `Payments.scenario` stands for; honest payments have no scenario.
SCENARIO_NAMES = ("", *ATTACKS)
_SHARE_OF = {name: scenario.share for name, scenario in ATTACKS.items()}


def share_of(name: str, time_ms: float) -> float:
    """An attack's share of all frauds at a time of the span: back and forth within a year."""
    scenario = ATTACKS[name]
    drift = (1 - np.cos(2 * np.pi * time_ms / (12 * MONTH_MS))) / 2
    return scenario.share + float(drift) * (scenario.later - scenario.share)


def planned_attacks(world: World, rows: int, rng: np.random.Generator) -> Payments:
    """The planned frauds among `rows` payments of the span, about `FRAUD_SHARE` of them together with those that
    follow honest payments; few or none where `rows` is very small. In time order."""
    parts = []
    for start_ms in range(0, world.span_ms, MONTH_MS):
        window = (start_ms, min(start_ms + MONTH_MS, world.span_ms))
        here = FRAUD_SHARE * rows * (window[1] - window[0]) / world.span_ms
        for number, (name, scenario) in enumerate(ATTACKS.items(), start=1):
            aim = share_of(name, sum(window) / 2) * here
            if scenario.attack and rng.random() < aim:
                frauds = scenario.attack(world, window, rng, aim)
                parts.append(replace(frauds, scenario=np.full(len(frauds), number)))
    return Payments.together([_nothing(), *parts]).in_time_order()


def _nothing() -> Payments:
    whole, real, flag = np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0, dtype=bool)
    return Payments(whole, whole, real, whole, whole, whole, whole, flag, flag, whole, whole, whole)


def _episode_count(aim: float, mean_size: float, rng: np.random.Generator) -> int:
    # At least one where an attack was decided on at all; the remainder by chance, so that the sum is right.
    return max(1, int(aim / mean_size + rng.random()))


def _as_many(aim: float, size: Integers, *columns: Integers) -> tuple[Integers, ...]:
    """The first episodes that together have about `aim` payments."""
    count = int(np.searchsorted(np.cumsum(size), aim)) + 1
    return tuple(column[:count] for column in (*columns, size))


def _victims(world: World, count: int, rng: np.random.Generator) -> Integers:
    steps = np.cumsum(world.users.activity)
    return np.searchsorted(steps[:-1], rng.random(count) * steps[-1])


def _shop_users(world: World, count: int, rng: np.random.Generator) -> Integers:
    return world.users.draw_of(np.full(count, SHOP_COUNTRY), rng)


def _regulars_of(world: World, merchant: Integers, rng: np.random.Generator) -> Integers:
    favourite = world.users.favourites[:, 0]
    order = np.argsort(favourite, kind="stable")
    low = np.searchsorted(favourite[order], merchant)
    high = np.searchsorted(favourite[order], merchant, side="right")
    at = low + (rng.random(len(merchant)) * np.maximum(high - low, 1)).astype(np.int64)
    return order[at.clip(max=len(order) - 1)]


def _when(world: World, user: Integers, window: Window, rng: np.random.Generator, hours: Floats = HOURS) -> Integers:
    return local_times(len(user), UTC_OFFSET_MS[world.users.home[user]], *window, rng, hours)


def _online_merchants(world: World, time_ms: Integers, rng: np.random.Generator) -> Integers:
    anywhere = np.zeros(len(time_ms), dtype=np.int64)
    drawn = world.merchants.anywhere.draw(anywhere, dayparts(time_ms), rng)
    return np.where(drawn == NOBODY, SHOP, drawn)


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
    episode, turn = _episodes(size)
    offset_ms = np.full(len(size), UTC_OFFSET_MS[SHOP_COUNTRY])
    begun_ms = local_times(len(size), offset_ms, *window, rng, hours)[episode]
    time_ms = begun_ms + _elapsed(1000 * rng.uniform(*pause_s, len(episode)), turn)
    popular = np.cumsum(world.products.popularity)
    product = np.searchsorted(popular[:-1], rng.random(len(size)))[episode]
    quantity = rng.integers(1, 6, len(size))[episode]
    usd = world.products.usd[product] * quantity
    merchant = np.full(len(episode), SHOP)
    paid = _online(world, window, rng, victim[episode], merchant, usd, time_ms, episode)
    return replace(paid, product=product, quantity=quantity)


def _online(
    world: World,
    window: Window,
    rng: np.random.Generator,
    user: Integers,
    merchant: Integers,
    usd: Floats,
    time_ms: Integers,
    episode: Integers,
) -> Payments:
    # Each episode has a device of its own: one of the victim's numbers that honest life never takes.
    count = len(user)
    return Payments(
        user=user,
        merchant=merchant,
        usd=priced(usd),
        country=world.merchants.country[merchant],
        time_ms=within(time_ms, *window),
        device=user * DEVICES_EACH + 4 + episode % (DEVICES_EACH - 4),
        method=methods(user, rng),
        is_online=np.ones(count, dtype=bool),
        is_declined=rng.random(count) < DECLINED_SHARE,
        product=np.full(count, NO_PRODUCT),
        quantity=np.zeros(count, dtype=np.int64),
        scenario=np.zeros(count, dtype=np.int64),
    )
