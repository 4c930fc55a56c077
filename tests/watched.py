"""Builds events with their features as rules see them; a test names only what differs from a quiet event."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from spark_jobs.rules import watched

NOW = datetime(2026, 1, 5, 10, tzinfo=UTC)
QUIET: dict[str, dict[str, Any]] = {
    "transactions": {
        "event_id": "e1", "user_id": "u1", "merchant_id": "m1", "amount": Decimal(20), "currency": "EUR",
        "country": "DE", "channel": "card_present", "event_time": NOW, "event_date": NOW.date(), "txn_count_5m": 1,
        "distinct_merchants_5m": 1, "distinct_countries_5m": 1, "seconds_since_previous": 7200.0,
        "country_changed": False, "inputs_arrived_at": NOW, "updated_at": NOW,
    },
    "orders": {
        "event_id": "o1", "user_id": "u1", "product_id": "p1", "quantity": 1, "amount_numeric": Decimal(20000),
        "country": "ID", "source": "inbox", "event_time": NOW, "event_date": NOW.date(), "order_count_1h": 1,
        "same_product_streak": 1, "equal_orders_users_10m": 1, "user_number_run_10m": 1, "local_hour": 17,
        "inputs_arrived_at": NOW, "updated_at": NOW,
    },
    "disputes": {
        "event_id": "d1", "transaction_id": "e1", "user_id": "u1", "merchant_id": "m1", "amount": Decimal(20),
        "currency": "EUR", "reason": "fraud", "event_time": NOW, "event_date": NOW.date(), "days_to_dispute": 20.0,
        "merchant_chargebacks_7d": 1, "merchant_chargebacks_35d": 1, "merchant_chargeback_users_7d": 1,
        "inputs_arrived_at": NOW, "updated_at": NOW,
    },
}  # fmt: skip


def events(spark: SparkSession, *given: dict[str, Any], feed: str = "transactions") -> DataFrame:
    """Events of a feed with their features; what the quiet one does not name either is null."""
    schema = StructType(list(watched.schema(feed).fields))
    for field in schema.fields:
        field.nullable = True
    quiet = QUIET[feed]
    assert all(set(event) <= set(schema.names) for event in given)
    return spark.createDataFrame([tuple((quiet | e).get(name) for name in schema.names) for e in given], schema)
