"""Reference data: users, merchants, products, devices and payment methods, with names that Faker knows in many tongues.

Faker makes pools of words for each locale, and NumPy draws from them; the lines are put together by Arrow, in pieces.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from faker import Faker

from generator.landing import land, text_of
from generator.payments import DAY_MS, NO_DEVICE, Integers
from generator.places import COUNTRIES, CURRENCIES, CURRENCY_OF, MINOR_UNITS, PER_USD, SHOP_COUNTRY
from generator.plan import Plan
from generator.simulation import Simulation
from generator.text import column, dates, joined, looked_up, padded, same, scrambled, whole, words_of
from generator.world import CATEGORIES, DEVICES_EACH, HONEST_DEVICES, METHODS_EACH, SHOP

# The tongue of people's names; countries that are not here take the first.
LOCALES = {
    "GB": "en_GB", "DE": "de_DE", "FR": "fr_FR", "ES": "es_ES", "NL": "nl_NL", "ID": "id_ID", "JP": "ja_JP",
    "US": "en_US", "CA": "en_CA", "BR": "pt_BR",
}  # fmt: skip
DEVICE_KINDS = ("phone", "laptop", "tablet", "phone", "desktop", "phone", "laptop", "unknown")
METHOD_KINDS = ("debit_card", "credit_card")
PRODUCT_CATEGORIES = {
    "Household": ("Kitchen", "Cleaning", "Lighting"),
    "Electronics": ("Audio", "Phones", "Accessories"),
    "Fashion": ("Shoes", "Bags", "Shirts"),
    "Beauty": ("Skin", "Hair"),
    "Sport": ("Football", "Running", "Fitness"),
}
SOURCES = ("app", "web", "partner")
MAIL_ENDINGS = ("com", "org", "net")
# Words of a kind and locale that names are drawn from.
POOL = 200
# Rows that are put together at a time.
PIECE = 100_000


def users(simulation: Simulation) -> Iterator[pa.Array]:
    """One line a user: name, e-mail and phone are made up and personal all the same."""
    plan, people = simulation.plan, simulation.world.users
    rng, pools = plan.chance("users"), _Pools(plan, "people", ("first_name", "last_name", "user_name", "phone_number"))
    for number in _pieces(len(people.home)):
        home = people.home[number]
        first, last, login, phone = (
            pools.word(kind, home, rng.integers(0, POOL, len(number))) for kind in range(len(pools.kinds))
        )
        yield joined(
            '{"user_id":"u', padded(number, 6), '","name":"', first, " ", last,
            '","email":"', login, whole(number), "@example.", looked_up(MAIL_ENDINGS, number % len(MAIL_ENDINGS)),
            '","phone_number":"', pc.utf8_slice_codeunits(phone, 0, -4), padded(number % 10_000, 4),
            '","created_date":"', dates(plan.start_ms, people.joined_ms[number]),
            '","source":"', looked_up(SOURCES, number % len(SOURCES)),
            looked_up([f'","country":"{country.code}"}}\n' for country in COUNTRIES], home),
        )  # fmt: skip


def merchants(simulation: Simulation) -> Iterator[pa.Array]:
    """One line a merchant."""
    plan, shops = simulation.plan, simulation.world.merchants
    rng, pools = plan.chance("merchants"), _Pools(plan, "companies", ("company",))
    for number in _pieces(len(shops.country)):
        country, is_shop = shops.country[number], column(number == SHOP)
        kind = looked_up([category.name for category in CATEGORIES], shops.category[number])
        yield joined(
            '{"merchant_id":"m', padded(number, 5),
            '","name":"', pc.if_else(is_shop, same("Pasar Raya Online"), pools.word(0, country, number % POOL)),
            '","category":"', pc.if_else(is_shop, same("marketplace"), kind),
            looked_up([f'","country":"{country.code}","created_date":"' for country in COUNTRIES], country),
            dates(plan.start_ms, -rng.integers(30, 4000, len(number)) * DAY_MS), '"}\n',
        )  # fmt: skip


def products(simulation: Simulation) -> Iterator[pa.Array]:
    """One line a product of the web shop; prices in IDR."""
    plan, usd = simulation.plan, simulation.world.products.usd
    rng, currency = plan.chance("products"), CURRENCY_OF[SHOP_COUNTRY]
    faker = _faker(plan, LOCALES["GB"], "products")
    colours = [_in_json(faker.color_name()) for _ in range(POOL)]
    kinds = [(category, kind) for category, several in PRODUCT_CATEGORIES.items() for kind in several]
    for number in _pieces(len(usd)):
        kind = number % len(kinds)
        price = np.rint(usd[number] * PER_USD[currency] * MINOR_UNITS[currency]).astype(np.int64)
        cost = np.rint(price * rng.uniform(0.5, 0.85, len(number))).astype(np.int64)
        yield joined(
            '{"product_id":"g', padded(number, 5),
            '","product_name":"', looked_up(colours, rng.integers(0, POOL, len(number))),
            looked_up([f" {name} " for _, name in kinds], kind), whole(number),
            looked_up([f'","category":"{category}","sub_category":"{name}"' for category, name in kinds], kind),
            f',"currency":"{CURRENCIES[currency].code}","price":', whole(price), ',"cost":', whole(cost),
            ',"created_date":"', dates(plan.start_ms, -rng.integers(10, 900, len(number)) * DAY_MS),
            '","source":"catalogue"}\n',
        )  # fmt: skip


def devices(simulation: Simulation) -> Iterator[pa.Array]:
    """One line a device: those of each user, and those that attackers were first seen with."""
    plan, people = simulation.plan, simulation.world.users
    for piece in _pieces(len(people.home) * HONEST_DEVICES):
        user, slot = np.divmod(piece, HONEST_DEVICES)
        # The last one replaces the main one, some day.
        since_ms = np.where(slot == HONEST_DEVICES - 1, people.new_device_ms[user], people.joined_ms[user])
        yield _devices(plan, user, slot, np.minimum(since_ms, simulation.world.span_ms - 1))
    taken = simulation.planned.take(simulation.planned.device != NO_DEVICE)
    number, first = np.unique(taken.device, return_index=True)
    user, slot = np.divmod(number, DEVICES_EACH)
    yield _devices(plan, user, slot, taken.time_ms[first])


def payment_methods(simulation: Simulation) -> Iterator[pa.Array]:
    """One line a card; `last4` is all that is known of its number."""
    plan, people = simulation.plan, simulation.world.users
    rng = plan.chance("payment_methods")
    for number in _pieces(len(people.home) * METHODS_EACH):
        user, slot = np.divmod(number, METHODS_EACH)
        yield joined(
            '{"payment_method_id":"p', scrambled(number, plan.seed), '","user_id":"u', padded(user, 6),
            looked_up([f'","kind":"{kind}","last4":"' for kind in METHOD_KINDS], slot),
            padded(rng.integers(0, 10_000, len(number)), 4),
            looked_up([f'","issuer_country":"{c.code}","created_date":"' for c in COUNTRIES], people.home[user]),
            dates(plan.start_ms, people.joined_ms[user]), '"}\n',
        )  # fmt: skip


FEEDS: Mapping[str, Callable[[Simulation], Iterator[pa.Array]]] = {
    "users": users,
    "merchants": merchants,
    "products": products,
    "devices": devices,
    "payment_methods": payment_methods,
}


def write_feed(simulation: Simulation, feed: str, out: Path) -> dict[str, int]:
    """Write the one file of a reference feed; gives its name and how many lines it has."""
    name = f"{feed}-{simulation.plan.start}.jsonl.gz"
    pieces = list(FEEDS[feed](simulation))
    land(out / feed / name, map(text_of, pieces))
    return {name: sum(map(len, pieces))}


class _Pools:
    """Words of several kinds (names of Faker's methods) for each country."""

    def __init__(self, plan: Plan, subject: str, kinds: tuple[str, ...]) -> None:
        self.kinds = kinds
        spoken = [LOCALES.get(country.code, LOCALES["GB"]) for country in COUNTRIES]
        locales = sorted(set(spoken))
        self._pool = np.array([locales.index(locale) for locale in spoken])
        fakers = [_faker(plan, locale, subject) for locale in locales]
        self._words = [
            words_of(_in_json(getattr(faker, kind)()) for faker in fakers for _ in range(POOL)) for kind in kinds
        ]

    def word(self, kind: int, country: Integers, number: Integers) -> pa.Array:
        """The word of each row: of one kind, from the pool of a country's locale."""
        return self._words[kind].take(column(self._pool[country] * POOL + number))


def _devices(plan: Plan, user: Integers, slot: Integers, since_ms: Integers) -> pa.Array:
    return joined(
        '{"device_id":"v', scrambled(user * DEVICES_EACH + slot, plan.seed), '","user_id":"u', padded(user, 6),
        looked_up([f'","kind":"{kind}","created_date":"' for kind in DEVICE_KINDS], slot),
        dates(plan.start_ms, since_ms), '"}\n',
    )  # fmt: skip


def _pieces(count: int) -> Iterator[Integers]:
    for start in range(0, count, PIECE):
        yield np.arange(start, min(start + PIECE, count))


def _in_json(word: str) -> str:
    return json.dumps(word, ensure_ascii=False)[1:-1]


def _faker(plan: Plan, locale: str, subject: str) -> Faker:
    fake = Faker(locale)
    fake.seed_instance(int(plan.chance(f"{subject}/{locale}").integers(2**32)))
    return fake
