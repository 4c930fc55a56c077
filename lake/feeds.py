"""The feeds: what a producer may drop into the inbox, field by field.

A feed is declared once; the silver schema, the validation of each line, the data dictionary and the tests follow it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from pyspark.sql.types import DataType, DecimalType, IntegerType, StringType, TimestampType

# Up to 99,999,999,999,999.9999 of any currency; four decimals is the most that ISO 4217 knows.
MONEY = DecimalType(18, 4)


class Kind(Enum):
    """What a field holds; each kind has one validation and one silver type."""

    IDENTIFIER = "identifier"
    MONEY = "money"
    CURRENCY = "currency"
    COUNTRY = "country"
    TIME = "time"
    INTEGER = "integer"
    TEXT = "text"

    @property
    def silver_type(self) -> DataType:
        """The type that an accepted value of this kind has in silver."""
        if self is Kind.MONEY:
            return MONEY
        if self is Kind.TIME:
            return TimestampType()
        return IntegerType() if self is Kind.INTEGER else StringType()


@dataclass(frozen=True)
class Field:
    """One field of a feed. `choices` limits text to these values; an optional field may be absent or null."""

    name: str
    kind: Kind
    comment: str
    required: bool = True
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Feed:
    """One inbox folder.

    `key` is the field that identifies an event, `event_time` the field whose UTC date partitions silver, and
    `max_future_days` how far the event time may lie after the arrival of its line.
    """

    name: str
    meaning: str
    key: str
    event_time: str
    fields: tuple[Field, ...]
    max_future_days: int = 1

    @property
    def field_names(self) -> list[str]:
        """Names of the declared fields, in order."""
        return [f.name for f in self.fields]


TRANSACTIONS = Feed(
    name="transactions",
    meaning="Card and online payments as they are authorised",
    key="event_id",
    event_time="event_time",
    fields=(
        Field("event_id", Kind.IDENTIFIER, "Identifies the transaction; unique over all time"),
        Field("user_id", Kind.IDENTIFIER, "Who pays: a customer, account or card, whichever the producer follows"),
        Field("merchant_id", Kind.IDENTIFIER, "Who is paid"),
        Field("amount", Kind.MONEY, "Amount in units of `currency`, at least 0"),
        Field("currency", Kind.CURRENCY, "ISO 4217 code of the amount"),
        Field("country", Kind.COUNTRY, "ISO 3166-1 alpha-2 code of where the payment was made"),
        Field("event_time", Kind.TIME, "When the payment happened (UTC)"),
        Field("device_id", Kind.IDENTIFIER, "Device that paid", required=False),
        Field("payment_method_id", Kind.IDENTIFIER, "Card or account that paid", required=False),
        Field("product_id", Kind.IDENTIFIER, "What was bought", required=False),
        Field("quantity", Kind.INTEGER, "How many of the product, at least 0", required=False),
        Field(
            "channel",
            Kind.TEXT,
            "How it was paid: `card_present` or `online`",
            required=False,
            choices=("card_present", "online"),
        ),
        Field("status", Kind.TEXT, "What the producer says of the payment, such as `approved`", required=False),
    ),
)

DISPUTES = Feed(
    name="disputes",
    meaning="Chargebacks: a holder or bank disputes a payment, days to months later. They are the labels",
    key="dispute_id",
    event_time="reported_at",
    # Replayed sets date their chargebacks after the payments, and so perhaps after today. A late label harms
    # nobody: training takes only those reported by its own moment.
    max_future_days=366,
    fields=(
        Field("dispute_id", Kind.IDENTIFIER, "Identifies the dispute; unique over all time"),
        Field("event_id", Kind.IDENTIFIER, "The disputed transaction or order"),
        Field("reason", Kind.TEXT, "Reason or scenario that the dispute names"),
        Field("amount", Kind.MONEY, "Disputed amount in units of `currency`, at least 0"),
        Field("currency", Kind.CURRENCY, "ISO 4217 code of the amount"),
        Field("reported_at", Kind.TIME, "When the dispute was reported (UTC); from then on the label is known"),
        Field("outcome", Kind.TEXT, "How the dispute ended, where known", required=False),
    ),
)

FEEDS: dict[str, Feed] = {feed.name: feed for feed in (TRANSACTIONS, DISPUTES)}
