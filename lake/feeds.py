"""The feeds: what a producer may drop into the inbox, field by field.

A feed is declared once; the silver schema, the validation of each line, the data dictionary and the tests follow it.
"""

from __future__ import annotations

from lake.feed import Feed, Field, Kind

TRANSACTIONS = Feed(
    name="transactions",
    meaning="Card and online payments as they are authorised",
    key="event_id",
    event_time="event_time",
    is_judged=True,
    is_core=True,
    fields=(
        Field("event_id", Kind.IDENTIFIER, "Identifies the transaction; unique over all time"),
        Field(
            "user_id",
            Kind.IDENTIFIER,
            "Who pays: a customer, account or card, whichever the producer follows",
            refers_to="users",
        ),
        Field("merchant_id", Kind.IDENTIFIER, "Who is paid", refers_to="merchants"),
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

ORDERS = Feed(
    name="orders",
    meaning="Orders at a shop, with amounts as people write them; pending until the rules have judged them",
    key="order_id",
    event_time="event_ts",
    is_judged=True,
    fields=(
        Field("order_id", Kind.IDENTIFIER, "Identifies the order; unique over all time"),
        Field("user_id", Kind.IDENTIFIER, "Who orders", refers_to="users"),
        Field("product_id", Kind.IDENTIFIER, "What is ordered", refers_to="products"),
        Field("quantity", Kind.INTEGER, "How many of the product, at least 0"),
        Field("amount", Kind.WRITTEN_MONEY, "Amount as it was written, such as `Rp 1.250.000`", keeps_text=True),
        Field("country", Kind.COUNTRY, "ISO 3166-1 alpha-2 code of where the order comes from"),
        Field("created_date", Kind.WRITTEN_TIME, "When the order was made (UTC)"),
        Field("status", Kind.TEXT, "`Pending` on arrival", choices=("Pending",)),
        Field(
            "event_ts",
            Kind.TIME,
            "When the order happened (UTC); `created_date` unless the producer tells",
            required=False,
            falls_back_on="created_date",
        ),
        Field("source", Kind.TEXT, "Where the order came from; `inbox` unless given", required=False, default="inbox"),
    ),
)

BEHAVIOUR = Feed(
    name="behaviour",
    meaning="What users do at the shop before they pay, or do not",
    key="event_id",
    event_time="event_time",
    fields=(
        Field("event_id", Kind.IDENTIFIER, "Identifies the step; unique over all time"),
        Field("user_id", Kind.IDENTIFIER, "Who acts", refers_to="users"),
        Field("kind", Kind.TEXT, "What is done: `view`, `add_to_cart`, `checkout`, `pay`, `login` or another word"),
        Field("event_time", Kind.TIME, "When it happened (UTC)"),
        Field("product_id", Kind.IDENTIFIER, "Product looked at or bought", required=False),
        Field("merchant_id", Kind.IDENTIFIER, "Shop", required=False),
        Field("device_id", Kind.IDENTIFIER, "Device that it was done with", required=False),
        Field("session_id", Kind.IDENTIFIER, "Visit that the step belongs to", required=False),
    ),
)

DISPUTES = Feed(
    name="disputes",
    meaning="Chargebacks: a holder or bank disputes a payment, days to months later. They are the labels",
    key="dispute_id",
    event_time="reported_at",
    is_core=True,
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

USERS = Feed(
    name="users",
    meaning="Who pays: the people or accounts behind `user_id`",
    key="user_id",
    fields=(
        Field("user_id", Kind.IDENTIFIER, "Identifies the user"),
        Field("name", Kind.TEXT, "Full name", personal="name"),
        Field("email", Kind.TEXT, "E-mail address", personal="email"),
        Field("phone_number", Kind.TEXT, "Phone number", personal="phone"),
        Field("created_date", Kind.WRITTEN_TIME, "When the account was opened (UTC)"),
        Field("source", Kind.TEXT, "Where the user came from"),
        Field("country", Kind.COUNTRY, "ISO 3166-1 alpha-2 code of the home country", required=False),
    ),
)

MERCHANTS = Feed(
    name="merchants",
    meaning="Who is paid: the shops behind `merchant_id`",
    key="merchant_id",
    fields=(
        Field("merchant_id", Kind.IDENTIFIER, "Identifies the merchant"),
        Field("name", Kind.TEXT, "Name that customers see"),
        Field("category", Kind.TEXT, "What it sells"),
        Field("country", Kind.COUNTRY, "ISO 3166-1 alpha-2 code of its seat"),
        Field("created_date", Kind.WRITTEN_TIME, "When it was signed up (UTC)"),
    ),
)

PRODUCTS = Feed(
    name="products",
    meaning="What is sold: the goods behind `product_id`",
    key="product_id",
    fields=(
        Field("product_id", Kind.IDENTIFIER, "Identifies the product"),
        Field("product_name", Kind.TEXT, "Name of the product"),
        Field("category", Kind.TEXT, "Category"),
        Field("sub_category", Kind.TEXT, "Category within the category"),
        Field("currency", Kind.CURRENCY, "ISO 4217 code of price and cost"),
        Field("price", Kind.WRITTEN_MONEY, "Price in units of `currency`"),
        Field("cost", Kind.WRITTEN_MONEY, "What it costs the shop, in units of `currency`"),
        Field("created_date", Kind.WRITTEN_TIME, "When it was first offered (UTC)"),
        Field("source", Kind.TEXT, "Where the row came from"),
    ),
)

DEVICES = Feed(
    name="devices",
    meaning="What users pay with: phones and computers",
    key="device_id",
    fields=(
        Field("device_id", Kind.IDENTIFIER, "Identifies the device"),
        Field("user_id", Kind.IDENTIFIER, "User that it was first seen with"),
        Field("kind", Kind.TEXT, "phone, laptop, tablet, desktop or another word"),
        Field("created_date", Kind.WRITTEN_TIME, "When it was first seen (UTC)"),
    ),
)

PAYMENT_METHODS = Feed(
    name="payment_methods",
    meaning="Cards and accounts that users pay with",
    key="payment_method_id",
    fields=(
        Field("payment_method_id", Kind.IDENTIFIER, "Identifies the card or account"),
        Field("user_id", Kind.IDENTIFIER, "Who holds it"),
        Field("kind", Kind.TEXT, "debit_card, credit_card or another word"),
        Field("last4", Kind.TEXT, "Last four digits of the card number", personal="last4"),
        Field("issuer_country", Kind.COUNTRY, "ISO 3166-1 alpha-2 code of the issuing bank"),
        Field("created_date", Kind.WRITTEN_TIME, "When it was added (UTC)"),
    ),
)

# Reference feeds first: events refer to them.
FEEDS: dict[str, Feed] = {
    feed.name: feed
    for feed in (
        USERS,
        MERCHANTS,
        PRODUCTS,
        DEVICES,
        PAYMENT_METHODS,
        TRANSACTIONS,
        ORDERS,
        BEHAVIOUR,
        DISPUTES,
    )
}
