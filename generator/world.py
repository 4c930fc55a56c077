"""The world before anything happens: users, merchants, products, who lives where and spends how, who travels when."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from generator.payments import DAY_MS, HOUR_MS, Floats, Integers
from generator.places import COUNTRIES, SHARE, SHOP_COUNTRY

FAVOURITES = 6
# Numbers of devices that belong to a user; those beyond the honest ones are attackers'.
DEVICES_EACH, HONEST_DEVICES = 8, 4
METHODS_EACH = 2
TRIP_SLOT_MS = 30 * DAY_MS
NOBODY = -1
SHOP = 0
DAYPART_H = 6
DAYPARTS = 24 // DAYPART_H
# Standard deviation between users of the log of the usual amount.
USUAL_SPREAD = 0.95
NEWCOMER_SHARE = 0.06
SUBSCRIBER_SHARE = 0.5


@dataclass(frozen=True)
class Category:
    """What merchants sell: their `share` of all, how dear it is (`log_ticket`, around 0), how often they sell online,
    and how busy they are at night, in the morning, in the afternoon and in the evening."""

    name: str
    share: float
    log_ticket: float
    online: float
    dayparts: tuple[float, float, float, float]


CATEGORIES: tuple[Category, ...] = (
    Category("grocery", 24, -0.2, 0.2, (0.2, 1.1, 1.3, 1.0)),
    Category("restaurant", 18, 0.0, 0.1, (0.7, 0.5, 1.2, 1.6)),
    Category("fuel", 10, 0.3, 0.0, (0.8, 1.2, 1.0, 0.9)),
    Category("fashion", 12, 0.4, 0.6, (0.2, 0.8, 1.3, 1.1)),
    Category("electronics", 8, 0.9, 0.7, (0.3, 0.8, 1.2, 1.2)),
    Category("travel", 6, 1.1, 0.8, (0.7, 1.0, 1.0, 1.0)),
    Category("pharmacy", 8, -0.4, 0.3, (0.4, 1.2, 1.2, 0.8)),
    Category("digital", 8, -0.7, 1.0, (1.2, 0.8, 0.9, 1.2)),
    Category("gaming", 6, -0.3, 1.0, (1.6, 0.6, 0.8, 1.4)),
)
DIGITAL = [category.name for category in CATEGORIES].index("digital")


@dataclass(frozen=True)
class Merchants:
    """One row a merchant, the web shop (`SHOP`) first.

    `country` and `category` are positions, `popularity` is Zipf's within each country, `log_ticket` says how dear its
    goods are, `sells_online` whether it also sells online. `steps` and `order` serve the drawing.
    """

    country: Integers
    category: Integers
    popularity: Floats
    log_ticket: Floats
    sells_online: np.ndarray
    in_store: Draw
    online: Draw
    anywhere: Draw

    @classmethod
    def build(cls, count: int, rng: np.random.Generator) -> Merchants:
        """Merchants spread over the countries as users are; the shop sells online."""
        country = rng.choice(len(COUNTRIES), size=count, p=SHARE)
        shares = np.array([category.share for category in CATEGORIES], dtype=float)
        category = rng.choice(len(CATEGORIES), size=count, p=shares / shares.sum())
        country[SHOP] = SHOP_COUNTRY
        sells_online = rng.random(count) < np.array([c.online for c in CATEGORIES])[category]
        sells_online[SHOP] = True
        # Ranks within the country: Zipf's law with slope 1. The shop is drawn by orders only.
        rank = _rank_within(country, rng.random(count))
        popularity = 1.0 / rank
        popularity[SHOP] = 0.0 if count > 1 else 1.0
        busy = popularity[:, None] * np.array([c.dayparts for c in CATEGORIES])[category]
        tickets = np.array([c.log_ticket for c in CATEGORIES])[category]
        everywhere = np.zeros(count, dtype=np.int64)
        return cls(
            country=country,
            category=category,
            popularity=popularity,
            log_ticket=tickets + rng.normal(0.0, 0.2, count),
            sells_online=sells_online,
            in_store=Draw.build(country, busy),
            online=Draw.build(country, busy * sells_online[:, None]),
            anywhere=Draw.build(everywhere, busy * sells_online[:, None] * SHARE[country][:, None]),
        )


@dataclass(frozen=True)
class Draw:
    """Draws items of a group by weights that change with the part of the day."""

    items: Integers
    steps: Floats
    first: Integers
    total: Floats

    @classmethod
    def build(cls, group: Integers, weight: Floats) -> Draw:
        """For items in groups (numbers from 0) with a weight for each part of the day (shape: items, dayparts)."""
        groups = max(len(COUNTRIES), int(group.max()) + 1)
        order = np.argsort(group, kind="stable")
        # One long staircase of all groups and parts of the day: drawing is a single search.
        steps = np.cumsum(weight[order].T.ravel())
        edge = np.searchsorted(group[order], np.arange(groups + 1))
        starts = np.concatenate([[0.0], steps])
        bounds = edge[None, :] + len(order) * np.arange(weight.shape[1])[:, None]
        low = starts[bounds]
        return cls(items=order, steps=steps, first=low[:, :-1], total=low[:, 1:] - low[:, :-1])

    def draw(self, group: Integers, daypart: Integers, rng: np.random.Generator) -> Integers:
        """An item of each one's group for its part of the day; `NOBODY` where the group has none."""
        total = self.total[daypart, group]
        at = self.first[daypart, group] + rng.random(len(group)) * total
        found = np.searchsorted(self.steps, at, side="right").clip(max=len(self.steps) - 1)
        return np.where(total > 1e-12, self.items[found % len(self.items)], NOBODY)


@dataclass(frozen=True)
class Products:
    """What the web shop sells: `usd` the price of one, `popularity` sums to 1."""

    usd: Floats
    popularity: Floats

    @classmethod
    def build(cls, count: int, rng: np.random.Generator) -> Products:
        """Products from cheap to dear, few of them popular."""
        popularity = rng.permutation(1.0 / np.arange(1, count + 1))
        return cls(usd=rng.lognormal(np.log(12.0), 0.9, count).clip(1, 900), popularity=popularity / popularity.sum())


@dataclass(frozen=True)
class Users:
    """One row a user.

    `home` is a country, `activity` the share of all payments (heavy-tailed, sums to 1), `log_usual` the user's own
    usual amount (log US dollars), `favourites` the merchants next door, `joined_ms` when the user came (mostly before
    the span), `new_device_ms` when the main device is replaced (mostly after it), `subscription` a merchant that is
    paid each month or `NOBODY`, at `subscription_ms` after each start of a month of 30 days.
    """

    home: Integers
    activity: Floats
    log_usual: Floats
    favourites: Integers
    joined_ms: Integers
    new_device_ms: Integers
    subscription: Integers
    subscription_ms: Integers
    by_home: Integers
    steps: Floats
    country_steps: Floats

    @classmethod
    def build(cls, count: int, merchants: Merchants, span_ms: int, rng: np.random.Generator) -> Users:
        """Users with a home, habits and favourite merchants near by."""
        home = rng.choice(len(COUNTRIES), size=count, p=SHARE)
        activity = rng.lognormal(0.0, 1.0, count)
        activity /= activity.sum()
        near = merchants.in_store.draw(np.repeat(home, FAVOURITES), rng.integers(0, DAYPARTS, count * FAVOURITES), rng)
        joined_ms = -rng.integers(1, 1500 * DAY_MS, count)
        newcomer = rng.random(count) < NEWCOMER_SHARE
        newcomer[np.unique(home, return_index=True)[1]] = False
        joined_ms = np.where(newcomer, (rng.random(count) * span_ms).astype(np.int64), joined_ms)
        by_home = np.argsort(home, kind="stable")
        steps = np.cumsum(activity[by_home])
        edges = np.searchsorted(home[by_home], np.arange(len(COUNTRIES) + 1))
        return cls(
            home=home,
            activity=activity,
            log_usual=_usual_amounts(activity, rng),
            favourites=near.reshape(count, FAVOURITES),
            joined_ms=joined_ms,
            new_device_ms=rng.integers(0, 150 * DAY_MS, count),
            subscription=_subscriptions(merchants, home, rng),
            subscription_ms=rng.integers(0, TRIP_SLOT_MS, count),
            by_home=by_home,
            steps=steps,
            country_steps=np.concatenate([[0.0], steps])[edges],
        )

    def draw_of(self, country: Integers, rng: np.random.Generator) -> Integers:
        """A user of each country, by activity; a country without users gives its neighbour in the order."""
        low, high = self.country_steps[country], self.country_steps[country + 1]
        at = np.searchsorted(self.steps, low + rng.random(len(country)) * (high - low), side="right")
        return self.by_home[at.clip(max=len(self.by_home) - 1)]


@dataclass(frozen=True)
class World:
    """Users, merchants, products and trips over a span of `days` days.

    Time is cut into slots of thirty days; `trip_*` have one row a user and one column a slot, with at most
    one trip in each: from `trip_start_ms` to `trip_end_ms` the user is in `trip_country`.
    """

    users: Users
    merchants: Merchants
    products: Products
    days: int
    trip_start_ms: Integers
    trip_end_ms: Integers
    trip_country: Integers

    @classmethod
    def build(cls, *, users: int, merchants: int, days: int, rng: np.random.Generator) -> World:
        """A world of so many users and merchants, the same for the same generator state."""
        shops = Merchants.build(merchants, rng)
        people = Users.build(users, shops, days * DAY_MS, rng)
        products = Products.build(max(20, merchants // 2), rng)
        # Drawn last, so that people and shops are the same whatever the number of days.
        shape = (users, -(-days * DAY_MS // TRIP_SLOT_MS))
        start_ms = rng.integers(-4 * DAY_MS, TRIP_SLOT_MS, shape) + np.arange(shape[1]) * TRIP_SLOT_MS
        dwell_ms = rng.integers(2 * DAY_MS, 10 * DAY_MS, shape) * (rng.random(shape) < 0.25)
        return cls(
            users=people,
            merchants=shops,
            products=products,
            days=days,
            trip_start_ms=start_ms,
            trip_end_ms=start_ms + dwell_ms,
            trip_country=rng.choice(len(COUNTRIES), size=shape, p=SHARE),
        )

    @property
    def span_ms(self) -> int:
        """Length of the simulated time."""
        return self.days * DAY_MS

    @property
    def activity_by_country(self) -> Floats:
        """Each country's share of all honest payments."""
        return np.diff(self.users.country_steps)

    def location(self, user: Integers, time_ms: Integers) -> Integers:
        """The country that each user is in at that time: home, or where a trip leads."""
        # Before and after the span people live as in its first and last thirty days.
        slot = (time_ms // TRIP_SLOT_MS).clip(0, self.trip_start_ms.shape[1] - 1)
        away = (self.trip_start_ms[user, slot] <= time_ms) & (time_ms < self.trip_end_ms[user, slot])
        return np.where(away, self.trip_country[user, slot], self.users.home[user])


def dayparts(local_ms: Integers) -> Integers:
    """The part of the day of a time on one's own clock: 0 night, 1 morning, 2 afternoon, 3 evening."""
    return (local_ms // (DAYPART_H * HOUR_MS)) % DAYPARTS


def _rank_within(group: Integers, chance: Floats) -> Integers:
    order = np.lexsort((chance, group))
    grouped = group[order]
    first = np.searchsorted(grouped, grouped)
    rank = np.empty(len(group), dtype=np.int64)
    rank[order] = np.arange(len(group)) - first + 1
    return rank


def _subscriptions(merchants: Merchants, home: Integers, rng: np.random.Generator) -> Integers:
    digital = np.flatnonzero((merchants.category == DIGITAL) & merchants.sells_online)
    if not len(digital):
        return np.full(len(home), NOBODY)
    weight = merchants.popularity[digital] + 1e-9
    chosen = rng.choice(digital, size=len(home), p=weight / weight.sum())
    return np.where(rng.random(len(home)) < SUBSCRIBER_SHARE, chosen, NOBODY)


def _usual_amounts(activity: Floats, rng: np.random.Generator) -> Floats:
    # Standardised by activity, so that a few busy users do not decide how much users differ.
    drawn = rng.normal(0.0, 1.0, len(activity))
    drawn -= np.average(drawn, weights=activity)
    spread = np.sqrt(np.average(drawn**2, weights=activity))
    return np.log(24.0) + USUAL_SPREAD * (drawn / spread if spread > 0 else drawn)
