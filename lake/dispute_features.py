"""The features of a dispute: how often the merchant's payments had been disputed when it was reported."""

from __future__ import annotations

from datetime import timedelta

from pyspark.sql.types import DoubleType, IntegerType, LongType

from lake.feature import Aggregate, Feature

WEEK, FOUR_WEEKS = timedelta(days=7), timedelta(days=28)
# A dispute of an older payment says nothing of its merchant: the schemes' own limit is 120 days, and services that were
# to come later have some more.
LONGEST_DELAY = timedelta(days=180)

_MERCHANT = "merchant_id"

# Of the dispute itself.
OWN_FEATURES = (
    Feature("days_to_dispute", "Time from the payment to the report of its dispute", "days", DoubleType(), "event_id"),
)  # fmt: skip
# Of the disputes of the merchant's payments, counted when they were reported.
MERCHANT_FEATURES = (
    Feature("merchant_chargebacks_7d", "Disputes of this merchant's payments reported in the trailing 7 days, this one "
            "included", "count", LongType(), _MERCHANT, Aggregate.COUNT, window=WEEK),
    Feature("merchant_chargebacks_35d", "Those reported in the trailing 35 days: these 7 and the 28 before them",
            "count", LongType(), _MERCHANT, Aggregate.COUNT, window=WEEK + FOUR_WEEKS),
    Feature("merchant_chargeback_users_7d", "Different users whose payments they dispute in the trailing 7 days, this "
            "one included", "count", IntegerType(), _MERCHANT, Aggregate.DISTINCT, "user_id", WEEK),
)  # fmt: skip
FEATURES = (*OWN_FEATURES, *MERCHANT_FEATURES)
