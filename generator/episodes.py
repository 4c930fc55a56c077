"""What attacks are made of: victims, moments, merchants, and episodes of payments that belong together."""

from __future__ import annotations

import numpy as np

from generator.honest import DECLINED_SHARE, methods
from generator.payments import FRAUDULENT, NO_PRODUCT, Floats, Integers, Payments, priced, within
from generator.places import SHOP_COUNTRY, UTC_OFFSET_MS
from generator.rhythm import HOURS, local_times
from generator.world import DEVICES_EACH, HONEST_DEVICES, NOBODY, SHOP, World, dayparts

# Of all payments, the frauds.
FRAUD_SHARE = 0.005
NIGHT = np.array([1.0] * 4 + [0.0] * 20)

Window = tuple[int, int]


def episode_count(aim: float, mean_size: float, rng: np.random.Generator) -> int:
    """How many episodes of a mean size make about `aim` payments."""
    # At least one where an attack was decided on at all; the remainder by chance, so that the sum is right.
    return max(1, int(aim / mean_size + rng.random()))


def as_many(aim: float, size: Integers, *columns: Integers) -> tuple[Integers, ...]:
    """The first episodes that together have about `aim` payments: their columns, and last their sizes."""
    count = int(np.searchsorted(np.cumsum(size), aim)) + 1
    return tuple(column[:count] for column in (*columns, size))


def victims_of(world: World, window: Window, count: int, rng: np.random.Generator) -> Integers:
    """Users drawn by their activity, of those who were there before the window; of all, if there was nobody."""
    steps = np.cumsum(world.users.activity * (world.users.joined_ms <= window[0]))
    steps = steps if steps[-1] > 0 else np.cumsum(world.users.activity)
    return np.searchsorted(steps, rng.random(count) * steps[-1], side="right").clip(max=len(steps) - 1)


def shop_users(world: World, count: int, rng: np.random.Generator) -> Integers:
    """Users at home where the web shop is."""
    return world.users.draw_of(np.full(count, SHOP_COUNTRY), rng)


def regulars_of(world: World, merchant: Integers, rng: np.random.Generator) -> Integers:
    """For each merchant, a user whose first favourite it is."""
    favourite = world.users.favourites[:, 0]
    order = np.argsort(favourite, kind="stable")
    low = np.searchsorted(favourite[order], merchant)
    high = np.searchsorted(favourite[order], merchant, side="right")
    at = low + (rng.random(len(merchant)) * np.maximum(high - low, 1)).astype(np.int64)
    return order[at.clip(max=len(order) - 1)]


def moments(world: World, user: Integers, window: Window, rng: np.random.Generator, hours: Floats = HOURS) -> Integers:
    """A moment of the window for each user, by the hours of the user's own clock."""
    return local_times(len(user), UTC_OFFSET_MS[world.users.home[user]], *window, rng, hours)


def online_merchants(world: World, time_ms: Integers, rng: np.random.Generator) -> Integers:
    """Merchants all over the world that sell online, by popularity."""
    anywhere = np.zeros(len(time_ms), dtype=np.int64)
    drawn = world.merchants.anywhere.draw(anywhere, dayparts(time_ms), rng)
    return np.where(drawn == NOBODY, SHOP, drawn)


def episodes(size: Integers) -> tuple[Integers, Integers]:
    """For each payment of episodes of these sizes: which one it belongs to, and its turn in it, from 0."""
    episode = np.repeat(np.arange(len(size)), size)
    return episode, np.arange(len(episode)) - np.repeat(np.cumsum(size) - size, size)


def elapsed(pause_ms: Floats, turn: Integers) -> Integers:
    """Milliseconds since the first payment of the episode; `pause_ms` is the pause before each."""
    total = np.cumsum(np.where(turn == 0, 0, pause_ms)).astype(np.int64)
    return total - total[np.arange(len(turn)) - turn]


def times_the_usual(world: World, user: Integers, times: float, rng: np.random.Generator) -> Floats:
    """Amounts in US dollars around so many times what each user usually pays."""
    return times * np.exp(world.users.log_usual[user]) * rng.lognormal(0.0, 0.6, len(user))


def paid_online(
    world: World,
    window: Window,
    rng: np.random.Generator,
    user: Integers,
    merchant: Integers,
    usd: Floats,
    time_ms: Integers,
    episode: Integers,
) -> Payments:
    """Online payments, each episode from a device of its own, a number of the victim's that honest life never takes."""
    count = len(user)
    return Payments(
        user=user,
        merchant=merchant,
        usd=priced(usd),
        country=world.merchants.country[merchant],
        time_ms=within(time_ms, *window),
        device=user * DEVICES_EACH + HONEST_DEVICES + episode % (DEVICES_EACH - HONEST_DEVICES),
        method=methods(user, rng),
        is_online=np.ones(count, dtype=bool),
        is_declined=rng.random(count) < DECLINED_SHARE,
        product=np.full(count, NO_PRODUCT),
        quantity=np.zeros(count, dtype=np.int64),
        scenario=np.full(count, FRAUDULENT),
    )
