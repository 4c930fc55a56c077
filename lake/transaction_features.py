"""The features of a transaction: what was known of its user, device and payment method when it happened."""

from __future__ import annotations

from datetime import timedelta

from pyspark.sql.types import BooleanType, DecimalType, DoubleType, IntegerType, LongType

from lake.feature import Aggregate, Feature
from lake.feed import MONEY

MINUTE, FIVE_MINUTES, HOUR = timedelta(minutes=1), timedelta(minutes=5), timedelta(hours=1)
DAY, MONTH = timedelta(days=1), timedelta(days=30)
# How far back the earlier transactions of a user are looked at.
HORIZON = MONTH
# So many earlier payments it takes to say what is usual.
LEAST_PAST = 3

_USER, _DEVICE, _PAYMENT_METHOD = "user_id", "device_id", "payment_method_id"
_SUM = DecimalType(28, 4)

# Of the user, and of the transaction itself.
USER_FEATURES = (
    Feature("txn_count_1m", "Transactions of the user in the trailing minute, itself included", "count", LongType(),
            _USER, Aggregate.COUNT, window=MINUTE),
    Feature("txn_count_5m", "Transactions in (event_time - 5 min, event_time], itself included", "count", LongType(),
            _USER, Aggregate.COUNT, window=FIVE_MINUTES),
    Feature("amount_sum_5m", "Sum of their amounts, not converted between currencies", "money", _SUM,
            _USER, Aggregate.SUM, "amount", FIVE_MINUTES),
    Feature("amount_mean_5m", "Mean of their amounts", "money", DoubleType(),
            _USER, Aggregate.MEAN, "amount", FIVE_MINUTES),
    Feature("amount_max_5m", "Largest of their amounts", "money", MONEY,
            _USER, Aggregate.MAX, "amount", FIVE_MINUTES),
    Feature("amount_std_5m", "Sample standard deviation of their amounts; null for a single one", "money", DoubleType(),
            _USER, Aggregate.SPREAD, "amount", FIVE_MINUTES, is_always_there=False),
    Feature("distinct_merchants_5m", "Different merchants among them", "count", IntegerType(),
            _USER, Aggregate.DISTINCT, "merchant_id", FIVE_MINUTES),
    Feature("distinct_countries_5m", "Different countries among them", "count", IntegerType(),
            _USER, Aggregate.DISTINCT, "country", FIVE_MINUTES),
    Feature("txn_count_1h", "Transactions of the user in the trailing hour, itself included", "count", LongType(),
            _USER, Aggregate.COUNT, window=HOUR),
    Feature("amount_sum_1h", "Sum of their amounts, not converted between currencies", "money", _SUM,
            _USER, Aggregate.SUM, "amount", HOUR),
    Feature("declined_count_1h", "Those among them whose status is `declined`", "count", LongType(),
            _USER, Aggregate.COUNT, window=HOUR, only="is_declined"),
    Feature("txn_count_24h", "Transactions of the user in the trailing 24 hours, itself included", "count", LongType(),
            _USER, Aggregate.COUNT, window=DAY),
    Feature("amount_sum_24h", "Sum of their amounts, not converted between currencies", "money", _SUM,
            _USER, Aggregate.SUM, "amount", DAY),
    Feature("seconds_since_previous", "Time since the user's previous transaction (by event time, then event id), at "
            "least 0; null if there is none in the 30 days before", "seconds", DoubleType(), _USER,
            is_always_there=False),
    Feature("country_changed", "Whether that previous transaction was in another country; null if there is none",
            "yes or no", BooleanType(), _USER, is_always_there=False),
    Feature("device_changed", "Whether that previous transaction was on another device; null if there is none, or if "
            "one of the two names no device", "yes or no", BooleanType(), _USER, is_always_there=False),
    Feature("previous_declined", "Whether that previous transaction was declined; null if there is none", "yes or no",
            BooleanType(), _USER, is_always_there=False),
    Feature("is_new_merchant", "Whether the user has paid this merchant in none of the 30 days before", "yes or no",
            BooleanType(), _USER),
    Feature("is_new_device", "Whether the user has used this device in none of the 30 days before; null without a "
            "device", "yes or no", BooleanType(), _USER, is_always_there=False),
    Feature("amount_ratio_30d", f"The amount, as a multiple of the mean of the user's other payments in the same "
            f"currency in the trailing 30 days; null if there are fewer than {LEAST_PAST}, or all are 0", "ratio",
            DoubleType(), _USER, is_always_there=False),
    Feature("travel_km", "Distance between the main cities of this country and of that where the user last paid in "
            "person; null for a payment online, or if there is none in the 30 days before", "km", DoubleType(), _USER,
            is_always_there=False),
    Feature("travel_kmh", "Speed that this journey would have taken; null where `travel_km` is, or for no time at all",
            "km/h", DoubleType(), _USER, is_always_there=False),
    Feature("local_hour", "Hour of the day at the main city of the country; null for a country without one", "0 to 23",
            IntegerType(), "event_id", is_always_there=False),
)  # fmt: skip
# Of what people have in common, though it should be theirs alone.
LINK_FEATURES = (
    Feature("device_users_24h", "Different users who paid on this device in the trailing 24 hours, this one included; "
            "null without a device", "count", IntegerType(), _DEVICE, Aggregate.DISTINCT, _USER, DAY,
            is_always_there=False),
    Feature("device_payment_methods_24h", "Different payment methods used on this device in the trailing 24 hours, "
            "this one included; null without a device", "count", IntegerType(), _DEVICE, Aggregate.DISTINCT,
            _PAYMENT_METHOD, DAY, is_always_there=False),
    Feature("payment_method_users_24h", "Different users who paid with this payment method in the trailing 24 hours, "
            "this one included; null without one", "count", IntegerType(), _PAYMENT_METHOD, Aggregate.DISTINCT, _USER,
            DAY, is_always_there=False),
)  # fmt: skip
FEATURES = (*USER_FEATURES, *LINK_FEATURES)
