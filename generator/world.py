"""The world before anything happens: who lives where and spends how, which merchants there are, who travels
when."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from generator.payments import DAY_MS, Floats, Integers
from generator.places import COUNTRIES, SHARE

FAVOURITES = 6
DEVICES_EACH = 8
METHODS_EACH = 2
TRIP_SLOT_MS = 30 * DAY_MS
NOBODY = -1


@dataclass(frozen=True)
class Merchants:
    """One row a merchant: `country` (position), `popularity` (Zipf, sums to 1), `log_ticket` (how dear its
    goods are, around 0), and whether it also sells online."""

    country: Integers
    popularity: Floats
    log_ticket: Floats
    sells_online: np.ndarray

    @classmethod
    def build(cls, count: int, rng: np.random.Generator) -> Merchants:
        """Merchants spread over the countries as users are; at least one sells online."""
        popularity = rng.permutation(1.0 / np.arange(1, count + 1) ** 0.9)
        sells_online = rng.random(count) < 0.45
        sells_online[rng.integers(count)] = True
        return cls(
            country=rng.choice(len(COUNTRIES), size=count, p=SHARE),
            popularity=popularity / popularity.sum(),
            log_ticket=rng.normal(0.0, 0.4, count),
            sells_online=sells_online,
        )

    def draw(
        self, count: int, rng: np.random.Generator, *, country: int | None = None, online: bool = False
    ) -> Integers:
        """Merchants by popularity, of one country or of all; `NOBODY` where there is no such merchant."""
        fits = np.ones(len(self.country), dtype=bool) if country is None else self.country == country
        chosen = np.flatnonzero(fits & self.sells_online if online else fits)
        if not len(chosen):
            return np.full(count, NOBODY)
        steps = np.cumsum(self.popularity[chosen])
        return chosen[np.searchsorted(steps[:-1], rng.random(count) * steps[-1])]

    def draw_in(self, countries: Integers, rng: np.random.Generator, *, online: bool = False) -> Integers:
        """One merchant of each given country, by popularity; `NOBODY` where the country has none."""
        drawn = np.full(len(countries), NOBODY)
        for country in np.unique(countries):
            here = countries == country
            drawn[here] = self.draw(int(here.sum()), rng, country=int(country), online=online)
        return drawn


@dataclass(frozen=True)
class Users:
    """One row a user.

    `home` is a country, `activity` the share of all payments (heavy-tailed, sums to 1), `log_usual` the
    user's own usual amount (log US dollars), `lateness_ms` how much later than others this user's day runs,
    `favourites` the merchants next door, `new_device_ms` when the user's main device is replaced (mostly
    after the span).
    """

    home: Integers
    activity: Floats
    log_usual: Floats
    lateness_ms: Integers
    favourites: Integers
    new_device_ms: Integers

    @classmethod
    def build(cls, count: int, merchants: Merchants, rng: np.random.Generator) -> Users:
        """Users with a home, habits and favourite merchants near by."""
        home = rng.choice(len(COUNTRIES), size=count, p=SHARE)
        activity = rng.lognormal(0.0, 1.0, count)
        activity /= activity.sum()
        near = merchants.draw_in(np.repeat(home, FAVOURITES), rng)
        return cls(
            home=home,
            activity=activity,
            log_usual=_usual_amounts(activity, rng),
            lateness_ms=rng.normal(0.0, 0.8 * DAY_MS / 24, count).astype(np.int64),
            favourites=near.reshape(count, FAVOURITES),
            new_device_ms=rng.integers(0, 150 * DAY_MS, count),
        )


@dataclass(frozen=True)
class World:
    """Users, merchants and trips over a span of `days` days.

    Time is cut into slots of thirty days; `trip_*` have one row a user and one column a slot, with at most
    one trip in each: from `trip_start_ms` to `trip_end_ms` the user is in `trip_country`.
    """

    users: Users
    merchants: Merchants
    days: int
    trip_start_ms: Integers
    trip_end_ms: Integers
    trip_country: Integers

    @classmethod
    def build(cls, *, users: int, merchants: int, days: int, rng: np.random.Generator) -> World:
        """A world of so many users and merchants, the same for the same generator state."""
        shops = Merchants.build(merchants, rng)
        people = Users.build(users, shops, rng)
        shape = (users, -(-days * DAY_MS // TRIP_SLOT_MS))
        start_ms = rng.integers(-4 * DAY_MS, TRIP_SLOT_MS, shape) + np.arange(shape[1]) * TRIP_SLOT_MS
        dwell_ms = rng.integers(2 * DAY_MS, 10 * DAY_MS, shape) * (rng.random(shape) < 0.25)
        return cls(
            users=people,
            merchants=shops,
            days=days,
            trip_start_ms=start_ms,
            trip_end_ms=start_ms + dwell_ms,
            trip_country=rng.choice(len(COUNTRIES), size=shape, p=SHARE),
        )

    @property
    def span_ms(self) -> int:
        """Length of the simulated time."""
        return self.days * DAY_MS

    def location(self, user: Integers, time_ms: Integers) -> Integers:
        """The country that each user is in at that time: home, or where a trip leads."""
        slot = time_ms // TRIP_SLOT_MS
        away = (self.trip_start_ms[user, slot] <= time_ms) & (time_ms < self.trip_end_ms[user, slot])
        return np.where(away, self.trip_country[user, slot], self.users.home[user])


def _usual_amounts(activity: Floats, rng: np.random.Generator) -> Floats:
    # Standardised by activity, so that a few busy users do not decide how much users differ.
    drawn = rng.normal(0.0, 1.0, len(activity))
    drawn -= np.average(drawn, weights=activity)
    spread = np.sqrt(np.average(drawn**2, weights=activity))
    return np.log(24.0) + USUAL_SPREAD * (drawn / spread if spread > 0 else drawn)


# Standard deviation between users of the log of the usual amount.
USUAL_SPREAD = 0.9
