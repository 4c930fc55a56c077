"""Honest life: outings by day and week, favourite and foreign merchants, trips, and bursts that look like
attacks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from generator.payments import (
    DAY_MS,
    HONEST,
    HOUR_MS,
    MINUTE_MS,
    NO_DEVICE,
    Flags,
    Floats,
    Integers,
    Payments,
    priced,
    within_span,
)
from generator.places import UTC_OFFSET_MS
from generator.world import DEVICES_EACH, FAVOURITES, METHODS_EACH, NOBODY, World

# How busy each hour is on the user's own clock, from midnight on, and each weekday, from Monday on.
HOURS = np.array([28, 19, 15, 14, 14, 18, 30, 50, 68, 78, 85, 95, 108, 106, 92, 86, 90, 102, 110, 108, 98, 80, 60, 42])
WEEKDAYS = np.array([0.92, 0.93, 0.96, 1.0, 1.2, 1.25, 0.85])

ONLINE_SHARE = 0.35
BURST_SHARE = 0.10
SPREE_SHARE = 0.002
DECLINED_SHARE = 0.02
FAVOURITE_SHARE = 0.7
ONLINE_AT_HOME_SHARE = 0.7
SPREE_DISCOUNT = 0.1
PAYMENT_SPREAD = 0.62


@dataclass(frozen=True)
class Outings:
    """One row a reason to pay: one purchase, a burst of two or three, or a spree of many small ones."""

    user: Integers
    start_ms: Integers
    payments: Integers
    is_spree: Flags
    is_online: Flags


def honest_life(world: World, rows: int, rng: np.random.Generator, first_weekday: int = 0) -> Payments:
    """Exactly `rows` payments of honest users, in no particular order.

    `first_weekday` is the weekday of the first day, 0 for Monday.
    """
    outings = _outings(world, rows, rng, first_weekday)
    outing = np.repeat(np.arange(len(outings.user)), outings.payments)
    user, is_spree = outings.user[outing], outings.is_spree[outing]
    time_ms = within_span(_payment_times(outings, outing, rng), world.span_ms)
    location = world.location(outings.user, outings.start_ms)[outing]
    merchant = _merchants(world, user, location, outings.is_online[outing], rng)
    merchant = _same_merchant(merchant, outings, outing, rng)
    is_online = outings.is_online[outing] | (merchant == NOBODY)
    merchant = np.where(merchant == NOBODY, world.merchants.draw(rows, rng, online=True), merchant)
    return Payments(
        user=user,
        merchant=merchant,
        usd=_amounts(world, user, merchant, is_spree, rng),
        country=np.where(is_online, world.merchants.country[merchant], location),
        time_ms=time_ms,
        device=np.where(is_online, devices(world, user, time_ms, rng), NO_DEVICE),
        method=methods(user, rng),
        is_online=is_online,
        is_declined=rng.random(rows) < DECLINED_SHARE,
        scenario=np.full(rows, HONEST),
    )


def devices(world: World, user: Integers, time_ms: Integers, rng: np.random.Generator) -> Integers:
    """The device each user takes: mostly the main one (which may have been replaced), sometimes another."""
    other = rng.choice(3, size=len(user), p=[0.85, 0.12, 0.03])
    replaced = (time_ms >= world.users.new_device_ms[user]) & (other == 0)
    return user * DEVICES_EACH + np.where(replaced, 3, other)


def methods(user: Integers, rng: np.random.Generator) -> Integers:
    """The card each user pays with: mostly the first of two."""
    return user * METHODS_EACH + (rng.random(len(user)) < 0.2)


def _outings(world: World, rows: int, rng: np.random.Generator, first_weekday: int) -> Outings:
    is_spree = rng.random(rows) < SPREE_SHARE
    is_burst = rng.random(rows) < BURST_SHARE
    payments = np.where(is_burst, rng.integers(2, 4, rows), 1)
    payments = np.where(is_spree, rng.integers(4, 11, rows), payments)
    count = int(np.searchsorted(np.cumsum(payments), rows)) + 1
    payments, is_spree = payments[:count], is_spree[:count]
    payments[-1] -= payments.sum() - rows
    user = rng.choice(len(world.users.home), size=count, p=world.users.activity)
    return Outings(
        user=user,
        start_ms=_start_times(world, user, rng, first_weekday),
        payments=payments,
        is_spree=is_spree,
        is_online=is_spree | (rng.random(count) < ONLINE_SHARE),
    )


def _start_times(world: World, user: Integers, rng: np.random.Generator, first_weekday: int) -> Integers:
    # Drawn on the user's clock; what falls outside the span in UTC comes back in at its other end.
    busy = WEEKDAYS[(first_weekday + np.arange(world.days)) % 7]
    day = rng.choice(world.days, size=len(user), p=busy / busy.sum())
    hour = rng.choice(24, size=len(user), p=HOURS / HOURS.sum())
    local_ms = day * DAY_MS + hour * HOUR_MS + rng.integers(0, HOUR_MS, len(user))
    utc_ms = local_ms + world.users.lateness_ms[user] - UTC_OFFSET_MS[world.users.home[user]]
    return utc_ms % world.span_ms


def _payment_times(outings: Outings, outing: Integers, rng: np.random.Generator) -> Integers:
    first = np.cumsum(outings.payments) - outings.payments
    gap_ms = 1000 + rng.exponential(np.where(outings.is_spree[outing], 0.6, 1.8) * MINUTE_MS).astype(np.int64)
    gap_ms[first] = 0
    elapsed_ms = np.cumsum(gap_ms)
    return outings.start_ms[outing] + elapsed_ms - elapsed_ms[first][outing]


def _merchants(
    world: World, user: Integers, location: Integers, is_online: Flags, rng: np.random.Generator
) -> Integers:
    at_home = location == world.users.home[user]
    favourite = world.users.favourites[user, _favourite_ranks(len(user), rng)]
    in_store = np.where(
        at_home & (rng.random(len(user)) < FAVOURITE_SHARE), favourite, world.merchants.draw_in(location, rng)
    )
    domestic = world.merchants.draw_in(world.users.home[user], rng, online=True)
    anywhere = world.merchants.draw(len(user), rng, online=True)
    online = np.where(rng.random(len(user)) < ONLINE_AT_HOME_SHARE, domestic, anywhere)
    return np.where(is_online, np.where(online == NOBODY, anywhere, online), in_store)


def _favourite_ranks(count: int, rng: np.random.Generator) -> Integers:
    weight = 1.0 / np.arange(1, FAVOURITES + 1)
    return rng.choice(FAVOURITES, size=count, p=weight / weight.sum())


def _same_merchant(merchant: Integers, outings: Outings, outing: Integers, rng: np.random.Generator) -> Integers:
    # A spree stays with one merchant; in a burst every other payment does.
    first = (np.cumsum(outings.payments) - outings.payments)[outing]
    stays = outings.is_spree[outing] | (rng.random(len(outing)) < 0.5)
    return np.where(stays, merchant[first], merchant)


def _amounts(world: World, user: Integers, merchant: Integers, is_spree: Flags, rng: np.random.Generator) -> Floats:
    # Student's t has the heavy tail: the rare holiday or sofa that reaches into the range of frauds.
    log_usd = world.users.log_usual[user] + world.merchants.log_ticket[merchant]
    log_usd = log_usd + PAYMENT_SPREAD * rng.standard_t(5, len(user))
    return priced(np.exp(log_usd) * np.where(is_spree, SPREE_DISCOUNT, 1.0))
