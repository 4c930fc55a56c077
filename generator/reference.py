"""Reference data: users, merchants, products, devices and payment methods, with names that Faker knows in many tongues.

Faker makes pools of words for each locale; NumPy draws from them, so that a million users take seconds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from faker import Faker

from generator.payments import DAY_MS
from generator.places import COUNTRIES, CURRENCIES, CURRENCY_OF, MINOR_UNITS, PER_USD, SHOP_COUNTRY
from generator.plan import Plan
from generator.text import scrambled
from generator.world import CATEGORIES, DEVICES_EACH, METHODS_EACH, World

# Where people's names are of another tongue than English; countries that are not here take the first.
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
POOL = 400

Row = Mapping[str, Any]


def users(plan: Plan, world: World) -> Iterator[Row]:
    """One row a user: name, e-mail and phone are made up and personal all the same."""
    rng, home = plan.chance("users"), world.users.home
    pools = [_people(plan, country.code) for country in COUNTRIES]
    draw = rng.integers(0, POOL, (len(home), 4))
    for number, (country, (first, last, mail, phone)) in enumerate(zip(home.tolist(), draw.tolist(), strict=True)):
        pool = pools[country]
        name = f"{pool['first'][first]} {pool['last'][last]}"
        yield {
            "user_id": f"u{number:06d}",
            "name": name,
            "email": f"{pool['login'][mail]}{number}@example.{('com', 'org', 'net')[number % 3]}",
            "phone_number": f"{pool['phone'][phone][:-4]}{number % 10_000:04d}",
            "created_date": _day(plan, int(world.users.joined_ms[number])),
            "source": ("app", "web", "partner")[number % 3],
            "country": COUNTRIES[country].code,
        }


def merchants(plan: Plan, world: World) -> Iterator[Row]:
    """One row a merchant."""
    rng, shops = plan.chance("merchants"), world.merchants
    pools = [_companies(plan, country.code) for country in COUNTRIES]
    age = rng.integers(30, 4000, len(shops.country))
    for number, (country, category) in enumerate(zip(shops.country.tolist(), shops.category.tolist(), strict=True)):
        yield {
            "merchant_id": f"m{number:05d}",
            "name": "Pasar Raya Online" if number == 0 else pools[country][number % POOL],
            "category": "marketplace" if number == 0 else CATEGORIES[category].name,
            "country": COUNTRIES[country].code,
            "created_date": _day(plan, -int(age[number]) * DAY_MS),
        }


def products(plan: Plan, world: World) -> Iterator[Row]:
    """One row a product of the web shop; prices in IDR."""
    rng, currency = plan.chance("products"), CURRENCY_OF[SHOP_COUNTRY]
    words = _faker(plan, "GB", "products")
    names = list(PRODUCT_CATEGORIES)
    margin = rng.uniform(0.5, 0.85, len(world.products.usd))
    age = rng.integers(10, 900, len(world.products.usd))
    for number, usd in enumerate(world.products.usd.tolist()):
        category = names[number % len(names)]
        kinds = PRODUCT_CATEGORIES[category]
        price = round(usd * PER_USD[currency] * MINOR_UNITS[currency])
        yield {
            "product_id": f"g{number:05d}",
            "product_name": f"{words.color_name()} {kinds[number % len(kinds)]} {number}",
            "category": category,
            "sub_category": kinds[number % len(kinds)],
            "currency": CURRENCIES[currency].code,
            "price": price,
            "cost": round(price * float(margin[number])),
            "created_date": _day(plan, -int(age[number]) * DAY_MS),
            "source": "catalogue",
        }


def devices(plan: Plan, world: World) -> Iterator[Row]:
    """One row a device; attackers' devices are known by the account that they first used."""
    count = len(world.users.home)
    numbers = np.arange(count * DEVICES_EACH)
    names = scrambled(numbers, plan.seed).to_pylist()
    for number, name in zip(numbers.tolist(), names, strict=True):
        user, slot = divmod(number, DEVICES_EACH)
        joined = int(world.users.joined_ms[user])
        new_ms = int(world.users.new_device_ms[user]) if slot == 3 else joined
        yield {
            "device_id": f"v{name}",
            "user_id": f"u{user:06d}",
            "kind": DEVICE_KINDS[slot],
            "created_date": _day(plan, min(new_ms, world.span_ms - 1)),
        }


def payment_methods(plan: Plan, world: World) -> Iterator[Row]:
    """One row a card; `last4` is all that is known of its number."""
    rng, home = plan.chance("payment_methods"), world.users.home
    numbers = np.arange(len(home) * METHODS_EACH)
    names = scrambled(numbers, plan.seed).to_pylist()
    last4 = rng.integers(0, 10_000, len(numbers)).tolist()
    for number, name, digits in zip(numbers.tolist(), names, last4, strict=True):
        user, slot = divmod(number, METHODS_EACH)
        yield {
            "payment_method_id": f"p{name}",
            "user_id": f"u{user:06d}",
            "kind": METHOD_KINDS[slot],
            "last4": f"{digits:04d}",
            "issuer_country": COUNTRIES[int(home[user])].code,
            "created_date": _day(plan, int(world.users.joined_ms[user])),
        }


FEEDS: Mapping[str, Callable[[Plan, World], Iterator[Row]]] = {
    "users": users,
    "merchants": merchants,
    "products": products,
    "devices": devices,
    "payment_methods": payment_methods,
}


def as_lines(rows: Iterator[Row]) -> Iterator[bytes]:
    """Rows as lines of JSON."""
    for row in rows:
        yield (json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n").encode()


def _people(plan: Plan, code: str) -> dict[str, list[str]]:
    fake = _faker(plan, code, "people")
    return {
        "first": [fake.first_name() for _ in range(POOL)],
        "last": [fake.last_name() for _ in range(POOL)],
        "login": [fake.user_name() for _ in range(POOL)],
        "phone": [fake.phone_number() for _ in range(POOL)],
    }


def _companies(plan: Plan, code: str) -> list[str]:
    fake = _faker(plan, code, "companies")
    return [fake.company() for _ in range(POOL)]


def _faker(plan: Plan, code: str, subject: str) -> Faker:
    fake = Faker(LOCALES.get(code, "en_GB"))
    fake.seed_instance(int(plan.chance(f"{subject}/{code}").integers(2**32)))
    return fake


def _day(plan: Plan, time_ms: int) -> str:
    return str(np.datetime64((plan.start_ms + time_ms) // DAY_MS, "D"))
