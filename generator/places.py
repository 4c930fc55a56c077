"""Countries and currencies of the simulated world: few, but with 0, 2 and 3 decimals and far-apart clocks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Currency:
    """An ISO 4217 currency: its `decimals`, and roughly how many units one US dollar buys."""

    code: str
    decimals: int
    per_usd: float


@dataclass(frozen=True)
class Country:
    """A home of users and merchants.

    `code` is ISO 3166-1 alpha-2, `share` the relative number of residents, `utc_offset_h` the hours that
    its clock is ahead of UTC (no summer time). Countries of another `region` are hours of flight away.
    """

    code: str
    currency: str
    region: str
    utc_offset_h: int
    share: float


CURRENCIES: tuple[Currency, ...] = (
    Currency("GBP", 2, 0.78),
    Currency("EUR", 2, 0.92),
    Currency("USD", 2, 1.0),
    Currency("CAD", 2, 1.37),
    Currency("BRL", 2, 5.4),
    Currency("IDR", 0, 16_000.0),
    Currency("JPY", 0, 150.0),
    Currency("SGD", 2, 1.34),
    Currency("KWD", 3, 0.307),
    Currency("NAD", 2, 18.0),
    Currency("ZAR", 2, 18.0),
)

COUNTRIES: tuple[Country, ...] = (
    Country("GB", "GBP", "europe", 0, 20),
    Country("DE", "EUR", "europe", 1, 12),
    Country("FR", "EUR", "europe", 1, 12),
    Country("ES", "EUR", "europe", 1, 7),
    Country("NL", "EUR", "europe", 1, 6),
    Country("ZA", "ZAR", "africa", 2, 6),
    Country("NA", "NAD", "africa", 2, 5),
    Country("KW", "KWD", "gulf", 3, 5),
    Country("ID", "IDR", "asia", 7, 16),
    Country("SG", "SGD", "asia", 8, 1),
    Country("JP", "JPY", "asia", 9, 3),
    Country("US", "USD", "america", -5, 5),
    Country("CA", "CAD", "america", -5, 1),
    Country("BR", "BRL", "america", -3, 1),
)

# Where the web shop is that takes orders.
SHOP_COUNTRY = [country.code for country in COUNTRIES].index("ID")
CURRENCY_OF = np.array([[c.code for c in CURRENCIES].index(country.currency) for country in COUNTRIES])
SHARE = np.array([country.share for country in COUNTRIES]) / sum(country.share for country in COUNTRIES)
UTC_OFFSET_MS = np.array([country.utc_offset_h * 3_600_000 for country in COUNTRIES])
PER_USD = np.array([currency.per_usd for currency in CURRENCIES])
MINOR_UNITS = np.array([10**currency.decimals for currency in CURRENCIES])
IS_DISTANT = np.array([[a.region != b.region for b in COUNTRIES] for a in COUNTRIES])
