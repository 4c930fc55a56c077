"""Lines: payments and disputes as the JSON text that a producer would send."""

from __future__ import annotations

import numpy as np

from generator.attacks import SCENARIO_NAMES
from generator.disputes import REASONS, Disputes
from generator.payments import HONEST, NO_DEVICE, Floats, Integers, Payments
from generator.places import COUNTRIES, CURRENCIES, CURRENCY_OF, MINOR_UNITS, PER_USD
from generator.plan import EPOCH, Plan
from generator.world import World

# Odd, so that multiplying by it modulo 2**32 gives each number another one of its own.
_SCRAMBLE = 2_654_435_761


class Script:
    """Writes the payments of one plan as text.

    Amounts are in the currency of the user's home, the one that the card is billed in, with its decimals.
    """

    def __init__(self, plan: Plan, world: World, payments: Payments) -> None:
        self.plan = plan
        self.payments = payments
        self.currency = CURRENCY_OF[world.users.home[payments.user]]
        self.start_ms = (plan.start - EPOCH).days * 86_400_000

    def event_id(self, number: int) -> str:
        """Event id of the payment in row `number`."""
        return f"e{self.plan.run}-{number:08d}"

    def transactions(self, rows: Integers, numbers: Integers) -> list[str]:
        """One line for each row of the payments, under the event ids of `numbers`."""
        chosen = self.payments.take(rows)
        columns = zip(
            numbers.tolist(),
            chosen.user.tolist(),
            chosen.merchant.tolist(),
            self.amounts(rows),
            self.currency[rows].tolist(),
            chosen.country.tolist(),
            self.times(chosen.time_ms),
            scrambled(chosen.method, self.plan.seed),
            _optional_fields(chosen, self.plan.seed),
            strict=True,
        )
        return [
            f'{{"event_id":"{self.event_id(number)}","user_id":"u{user:06d}","merchant_id":"m{merchant:05d}",'
            f'"amount":{amount},"currency":"{CURRENCIES[currency].code}","country":"{COUNTRIES[country].code}",'
            f'"event_time":"{time}","payment_method_id":"p{method}"{optional}}}'
            for number, user, merchant, amount, currency, country, time, method, optional in columns
        ]

    def disputes(self, disputes: Disputes, first: int) -> list[str]:
        """One line for each dispute, numbered from `first` on."""
        columns = zip(
            disputes.payment.tolist(),
            disputes.reason.tolist(),
            self.amounts(disputes.payment),
            self.currency[disputes.payment].tolist(),
            self.times(disputes.reported_ms),
            strict=True,
        )
        return [
            f'{{"dispute_id":"d{self.plan.run}-{number:07d}","event_id":"{self.event_id(row)}",'
            f'"reason":"{REASONS[reason]}","amount":{amount},"currency":"{CURRENCIES[currency].code}",'
            f'"reported_at":"{time}"}}'
            for number, (row, reason, amount, currency, time) in enumerate(columns, start=first)
        ]

    def labels(self, rows: range) -> list[str]:
        """One line of the truth for each row of the payments: event id, whether it is a fraud, its
        scenario."""
        scenarios = self.payments.scenario[rows.start : rows.stop].tolist()
        return [
            f"{self.event_id(row)},{int(scenario != HONEST)},{SCENARIO_NAMES[scenario]}"
            for row, scenario in zip(rows, scenarios, strict=True)
        ]

    def amounts(self, rows: Integers) -> list[str]:
        """Amounts as JSON numbers, exact to the minor unit of their currency."""
        currency = self.currency[rows]
        minor = _minor_units(self.payments.usd[rows], currency)
        return [
            f"{amount / MINOR_UNITS[kind]:.{CURRENCIES[kind].decimals}f}"
            for amount, kind in zip(minor.tolist(), currency.tolist(), strict=True)
        ]

    def times(self, time_ms: Integers) -> list[str]:
        """Times as ISO 8601 in UTC with milliseconds."""
        moments = (self.start_ms + time_ms).astype("datetime64[ms]")
        return [f"{moment}Z" for moment in np.datetime_as_string(moments, unit="ms").tolist()]


def scrambled(number: Integers, seed: int) -> list[str]:
    """Eight hex digits for each number below 2**32, another for each, that do not tell the number."""
    return [f"{value:08x}" for value in ((number * _SCRAMBLE + seed * 97) % 2**32).tolist()]


def _minor_units(usd: Floats, currency: Integers) -> Integers:
    return np.maximum(1, np.rint(usd * PER_USD[currency] * MINOR_UNITS[currency])).astype(np.int64)


def _optional_fields(payments: Payments, seed: int) -> list[str]:
    # Card-present payments have no device, and the field is absent.
    channel = np.where(payments.is_online, "online", "card_present").tolist()
    status = np.where(payments.is_declined, "declined", "approved").tolist()
    device = [f',"device_id":"v{name}"' for name in scrambled(payments.device, seed)]
    has_device = (payments.device != NO_DEVICE).tolist()
    return [
        f',"channel":"{one_channel}","status":"{one_status}"{one_device if known else ""}'
        for one_channel, one_status, one_device, known in zip(channel, status, device, has_device, strict=True)
    ]
