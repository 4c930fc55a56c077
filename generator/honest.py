"""Honest life in one slot: outings by hour and weekday, favourite and foreign merchants, trips, subscriptions, orders
at the web shop, and bursts that look like attacks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from generator.payments import (
    HONEST,
    HOUR_MS,
    MINUTE_MS,
    NO_DEVICE,
    NO_PRODUCT,
    Flags,
    Floats,
    Integers,
    Payments,
    priced,
    within,
)
from generator.places import COUNTRIES, SHOP_COUNTRY, UTC_OFFSET_MS
from generator.plan import Slot
from generator.rhythm import busyness, hours_of
from generator.world import (
    DEVICES_EACH,
    FAVOURITES,
    METHODS_EACH,
    NOBODY,
    SHOP,
    TRIP_SLOT_MS,
    World,
    dayparts,
)

ONLINE_SHARE = 0.35
BURST_SHARE = 0.02
SPREE_SHARE = 0.0015
DECLINED_SHARE = 0.02
FAVOURITE_SHARE = 0.7
ONLINE_AT_HOME_SHARE = 0.7
SPREE_DISCOUNT = 0.1
PAYMENT_SPREAD = 0.58
# Of the online payments of users at the shop's home, and of all others.
SHOP_SHARE, SHOP_SHARE_ABROAD = 0.5, 0.004
MOST_SUBSCRIPTIONS = 0.05


@dataclass(frozen=True)
class Outings:
    """One row a reason to pay: one purchase, a burst of two or three, or a spree of many small ones."""

    user: Integers
    start_ms: Integers
    payments: Integers
    is_spree: Flags
    is_online: Flags

    @property
    def first(self) -> Integers:
        """The row of the first payment of each."""
        return np.cumsum(self.payments) - self.payments


def honest_life(
    world: World, slot: Slot, rows: int, rng: np.random.Generator, first_weekday: int = 0, end_ms: int | None = None
) -> Payments:
    """Exactly `rows` payments of honest users in a slot, in no particular order.

    `first_weekday` is the weekday of the first day, 0 for Monday. What began in the slot may go on until `end_ms`, by
    default its end.
    """
    subscribed = _subscriptions(world, slot, int(rows * MOST_SUBSCRIPTIONS), rng)
    rows -= len(subscribed)
    outings = _outings(world, slot, rows, rng, first_weekday)
    outing = np.repeat(np.arange(len(outings.user)), outings.payments)
    user, is_spree = outings.user[outing], outings.is_spree[outing]
    time_ms = within(_payment_times(outings, outing, rng), slot.start_ms, end_ms or slot.end_ms)
    location = world.location(outings.user, outings.start_ms)[outing]
    merchant = _merchants(world, user, location, time_ms, outings.is_online[outing], rng)
    merchant = _same_merchant(merchant, outings, outing, rng)
    is_online = outings.is_online[outing] | (merchant == NOBODY)
    merchant = np.where(merchant == NOBODY, SHOP, merchant)
    product, quantity = purchases(world, merchant, rng)
    bought = world.products.usd[product] * quantity
    usd = np.where(product == NO_PRODUCT, _amounts(world, user, merchant, is_spree, rng), bought)
    paid = Payments(
        user=user,
        merchant=merchant,
        usd=priced(usd),
        country=np.where(is_online, world.merchants.country[merchant], location),
        time_ms=time_ms,
        device=np.where(is_online, devices(world, user, time_ms, rng), NO_DEVICE),
        method=methods(user, rng),
        is_online=is_online,
        is_declined=rng.random(rows) < DECLINED_SHARE,
        product=product,
        quantity=quantity,
        scenario=np.full(rows, HONEST),
    )
    return Payments.together([paid, subscribed])


def devices(world: World, user: Integers, time_ms: Integers, rng: np.random.Generator) -> Integers:
    """The device each user takes: mostly the main one (which may have been replaced), sometimes another."""
    other = np.digitize(rng.random(len(user)), (0.85, 0.97))
    replaced = (time_ms >= world.users.new_device_ms[user]) & (other == 0)
    return user * DEVICES_EACH + np.where(replaced, 3, other)


def methods(user: Integers, rng: np.random.Generator) -> Integers:
    """The card each user pays with: mostly the first of two."""
    return user * METHODS_EACH + (rng.random(len(user)) < 0.2)


def purchases(world: World, merchant: Integers, rng: np.random.Generator) -> tuple[Integers, Integers]:
    """Product and quantity of each payment at the shop, mostly one or two of a kind; none of others."""
    at_shop = merchant == SHOP
    steps = np.cumsum(world.products.popularity)
    product = np.searchsorted(steps[:-1], rng.random(len(merchant)))
    quantity = 1 + rng.geometric(0.65, len(merchant)) - 1
    return np.where(at_shop, product, NO_PRODUCT), np.where(at_shop, quantity.clip(max=40), 0)


def _outings(world: World, slot: Slot, rows: int, rng: np.random.Generator, first_weekday: int) -> Outings:
    is_spree = rng.random(rows) < SPREE_SHARE
    is_burst = rng.random(rows) < BURST_SHARE
    payments = np.where(is_burst, rng.integers(2, 4, rows), 1)
    payments = np.where(is_spree, rng.integers(4, 11, rows), payments)
    count = int(np.searchsorted(np.cumsum(payments), rows)) + 1 if rows else 0
    payments, is_spree = payments[:count], is_spree[:count]
    if count:
        payments[-1] -= payments.sum() - rows
    user, start_ms = _who_and_when(world, slot, count, rng, first_weekday)
    return Outings(user, start_ms, payments, is_spree, is_spree | (rng.random(count) < ONLINE_SHARE))


def _who_and_when(
    world: World, slot: Slot, count: int, rng: np.random.Generator, first_weekday: int
) -> tuple[Integers, Integers]:
    # First the hour and the country together, as busy as they are, then one of its users and the moment.
    hours = hours_of(slot)
    weight = (busyness(hours, first_weekday) * world.activity_by_country).ravel()
    steps = np.cumsum(weight)
    cell = np.searchsorted(steps[:-1], rng.random(count) * steps[-1])
    first_ms = np.maximum(hours[cell // len(COUNTRIES)] * HOUR_MS, slot.start_ms)
    last_ms = np.minimum(first_ms // HOUR_MS * HOUR_MS + HOUR_MS, slot.end_ms)
    start_ms = rng.integers(first_ms, last_ms)
    country = cell % len(COUNTRIES)
    user = world.users.draw_of(country, rng)
    for _ in range(4):  # a user who has not joined yet gives way to another
        early = np.flatnonzero(world.users.joined_ms[user] > start_ms)
        user[early] = world.users.draw_of(country[early], rng)
    absent = world.users.joined_ms[user] > start_ms
    # The first user of each country was always there.
    first = world.users.by_home[np.searchsorted(world.users.home[world.users.by_home], world.users.home[user])]
    return np.where(absent, first, user), start_ms


def _payment_times(outings: Outings, outing: Integers, rng: np.random.Generator) -> Integers:
    gap_ms = 1000 + rng.exponential(np.where(outings.is_spree[outing], 0.6, 1.8) * MINUTE_MS).astype(np.int64)
    gap_ms[outings.first] = 0
    elapsed_ms = np.cumsum(gap_ms)
    return outings.start_ms[outing] + elapsed_ms - elapsed_ms[outings.first][outing]


def _merchants(
    world: World,
    user: Integers,
    location: Integers,
    time_ms: Integers,
    is_online: Flags,
    rng: np.random.Generator,
) -> Integers:
    home, shops = world.users.home[user], world.merchants
    daypart = dayparts(time_ms + UTC_OFFSET_MS[home])
    merchant = np.full(len(user), NOBODY)
    store = np.flatnonzero(~is_online)
    usual = (location[store] == home[store]) & (rng.random(len(store)) < FAVOURITE_SHARE)
    favourite = world.users.favourites[user[store], _favourite_ranks(len(store), rng)]
    drawn = shops.in_store.draw(location[store], daypart[store], rng)
    merchant[store] = np.where(usual & (favourite != NOBODY), favourite, drawn)
    web = np.flatnonzero(is_online)
    near = shops.online.draw(home[web], daypart[web], rng)
    anywhere = shops.anywhere.draw(np.zeros(len(web), dtype=np.int64), daypart[web], rng)
    chosen = np.where((rng.random(len(web)) < ONLINE_AT_HOME_SHARE) & (near != NOBODY), near, anywhere)
    share = np.where(home[web] == SHOP_COUNTRY, SHOP_SHARE, SHOP_SHARE_ABROAD)
    merchant[web] = np.where(rng.random(len(web)) < share, SHOP, chosen)
    return merchant


def _favourite_ranks(count: int, rng: np.random.Generator) -> Integers:
    steps = np.cumsum(1.0 / np.arange(1, FAVOURITES + 1))
    return np.searchsorted(steps[:-1] / steps[-1], rng.random(count))


def _same_merchant(merchant: Integers, outings: Outings, outing: Integers, rng: np.random.Generator) -> Integers:
    # A spree stays with one merchant; in a burst every other payment does.
    stays = outings.is_spree[outing] | (rng.random(len(outing)) < 0.5)
    return np.where(stays, merchant[outings.first[outing]], merchant)


def _subscriptions(world: World, slot: Slot, most: int, rng: np.random.Generator) -> Payments:
    users = world.users
    month = slot.start_ms // TRIP_SLOT_MS
    due_ms = users.subscription_ms + np.where(
        users.subscription_ms + month * TRIP_SLOT_MS >= slot.start_ms, month, month + 1
    ) * TRIP_SLOT_MS  # fmt: skip
    is_due = (users.subscription != NOBODY) & (due_ms < slot.end_ms) & (users.joined_ms < due_ms)
    user = np.flatnonzero(is_due)[:most]
    count, merchant = len(user), users.subscription[user]
    return Payments(
        user=user,
        merchant=merchant,
        # The same price each month: it follows from user and merchant, not from chance.
        usd=np.array([4.99, 7.99, 10.99, 13.99])[(user * 7 + merchant * 13) % 4],
        country=world.merchants.country[merchant],
        time_ms=due_ms[user],
        device=np.full(count, NO_DEVICE),
        method=user * METHODS_EACH,
        is_online=np.ones(count, dtype=bool),
        is_declined=rng.random(count) < DECLINED_SHARE,
        product=np.full(count, NO_PRODUCT),
        quantity=np.zeros(count, dtype=np.int64),
        scenario=np.full(count, HONEST),
    )


def _amounts(world: World, user: Integers, merchant: Integers, is_spree: Flags, rng: np.random.Generator) -> Floats:
    # Student's t has the heavy tail: the rare holiday or sofa that reaches into the range of frauds.
    log_usd = world.users.log_usual[user] + world.merchants.log_ticket[merchant]
    log_usd = log_usd + PAYMENT_SPREAD * rng.standard_t(5, len(user))
    return np.exp(log_usd) * np.where(is_spree, SPREE_DISCOUNT, 1.0)
