"""Lines: payments, orders, behaviour and disputes as the JSON text that a producer would send, newlines included."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from generator.attacks import SCENARIO_NAMES
from generator.behaviour import KINDS, VISIT_STEPS, Behaviour
from generator.disputes import REASONS, Disputes
from generator.payments import HONEST, NO_DEVICE, NO_PRODUCT, Integers, Payments
from generator.places import COUNTRIES, CURRENCIES, CURRENCY_OF, SHOP_COUNTRY
from generator.plan import Plan
from generator.text import amounts, column, joined, looked_up, minor_units, padded, scrambled, times, where, whole
from generator.world import SHOP, World

_CODES = [currency.code for currency in CURRENCIES]
_COUNTRY_CODES = [country.code for country in COUNTRIES]
_CHECKOUT_MS = 40_000
# An id begins with one of these and the run; an order has the number of the payment that follows it.
PAYMENT_ID, ORDER_ID = "e", "o"


class Script:
    """Writes what happens in one plan as text.

    Amounts are in the currency of the user's home, the one that the card is billed in, with its decimals.
    """

    def __init__(self, plan: Plan, world: World) -> None:
        self.plan = plan
        self.world = world

    def event_ids(self, numbers: Integers) -> pa.Array:
        """Event ids of payments by their numbers."""
        return joined(f"{PAYMENT_ID}{self.plan.run}-", padded(numbers, 9))

    def transactions(self, payments: Payments, numbers: Integers) -> pa.Array:
        """One line a payment, under the event ids of `numbers`."""
        seed, currency = self.plan.seed, self._currency(payments)
        known_device, product = payments.device != NO_DEVICE, payments.product != NO_PRODUCT
        return joined(
            '{"event_id":"',
            self.event_ids(numbers),
            '","user_id":"u',
            padded(payments.user, 6),
            '","merchant_id":"m',
            padded(payments.merchant, 5),
            '","amount":',
            amounts(payments.usd, currency),
            looked_up([f',"currency":"{code}","country":"' for code in _CODES], currency),
            looked_up([f'{code}","event_time":"' for code in _COUNTRY_CODES], payments.country),
            times(self.plan.start_ms, payments.time_ms),
            '","payment_method_id":"p',
            scrambled(payments.method, seed),
            looked_up(_CHANNEL_AND_STATUS, payments.is_online * 2 + payments.is_declined),
            where(known_device, joined(',"device_id":"v', scrambled(payments.device, seed), '"')),
            where(product, self._product(payments)),
            "}\n",
        )

    def orders(self, payments: Payments, numbers: Integers) -> pa.Array:
        """One line an order: what was bought at the web shop, placed seconds before its payment; amounts in IDR as
        people write them."""
        placed = times(self.plan.start_ms, np.maximum(payments.time_ms - _CHECKOUT_MS, 0))
        rupiah = np.full(len(payments), CURRENCY_OF[SHOP_COUNTRY])
        units = whole(minor_units(payments.usd, rupiah))
        by_dots = _grouped(units, ".")
        style = numbers % 4
        amount = pc.choose(
            column(style),
            joined("Rp ", by_dots),
            joined("Rp", by_dots, ",00"),
            joined("IDR ", _grouped(units, ","), ".00"),
            units,
        )
        return joined(
            f'{{"order_id":"{ORDER_ID}{self.plan.run}-',
            padded(numbers, 9),
            '","user_id":"u',
            padded(payments.user, 6),
            '","product_id":"g',
            padded(payments.product, 5),
            '","quantity":',
            whole(payments.quantity),
            ',"amount":"',
            amount,
            looked_up(
                [f'","country":"{code}","created_date":"' for code in _COUNTRY_CODES],
                self.world.location(payments.user, payments.time_ms),
            ),
            placed,
            '","status":"Pending"}\n',
        )

    def behaviour(self, behaviour: Behaviour, numbers: Integers) -> pa.Array:
        """One line a step; `numbers` are those of the payments that the steps lead to."""
        return joined(
            '{"event_id":"b',
            self.plan.run,
            "-",
            padded(numbers[behaviour.payment], 9),
            "-",
            padded(behaviour.step, 2),
            '","user_id":"u',
            padded(behaviour.user, 6),
            looked_up([f'","kind":"{kind}","event_time":"' for kind in KINDS], behaviour.kind),
            times(self.plan.start_ms, behaviour.time_ms),
            '","product_id":"g',
            padded(behaviour.product, 5),
            f'","merchant_id":"m{SHOP:05d}","device_id":"v',
            scrambled(behaviour.device, self.plan.seed),
            '","session_id":"s',
            self.plan.run,
            "-",
            padded(numbers[behaviour.payment], 9),
            looked_up([f'-{visit}"}}\n' for visit in range(3)], behaviour.step // VISIT_STEPS),
        )

    def disputes(self, disputes: Disputes, payments: Payments, numbers: Integers, first: int) -> pa.Array:
        """One line a dispute, numbered from `first` on; `payments` and `numbers` are those that it is about."""
        currency = self._currency(payments)
        return joined(
            '{"dispute_id":"d',
            self.plan.run,
            "-",
            padded(first + np.arange(len(disputes)), 7),
            '","event_id":"',
            self.event_ids(numbers),
            looked_up([f'","reason":"{reason}","amount":' for reason in REASONS], disputes.reason),
            amounts(payments.usd, currency),
            looked_up([f',"currency":"{code}","reported_at":"' for code in _CODES], currency),
            times(self.plan.start_ms, disputes.reported_ms),
            '"}\n',
        )

    def labels(self, payments: Payments, numbers: Integers) -> pa.Array:
        """One line of the truth a payment: event id, whether it is a fraud, its scenario."""
        words = [f",{int(number != HONEST)},{name}\n" for number, name in enumerate(SCENARIO_NAMES)]
        return joined(self.event_ids(numbers), looked_up(words, payments.scenario))

    def _currency(self, payments: Payments) -> Integers:
        return CURRENCY_OF[self.world.users.home[payments.user]]

    def _product(self, payments: Payments) -> pa.Array:
        return joined(
            ',"product_id":"g',
            padded(np.maximum(payments.product, 0), 5),
            '","quantity":',
            whole(payments.quantity),
        )


_CHANNEL_AND_STATUS = [
    f'","channel":"{channel}","status":"{status}"'
    for channel in ("card_present", "online")
    for status in ("approved", "declined")
]


def _grouped(digits: pa.Array, separator: str) -> pa.Array:
    """Digits in groups of three, as 1.250.000."""
    # From the right: the reversed text is cut after each third digit, where another one follows.
    turned = pc.replace_substring_regex(pc.utf8_reverse(digits), r"(\d{3})", rf"\1{separator}")
    return pc.utf8_reverse(pc.utf8_rtrim(turned, separator))
