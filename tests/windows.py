"""Payments of a user by the second, what their windows must hold, and orders to try."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st
from pyspark.sql import DataFrame, Row, SparkSession

from lake.catalog import TABLES
from spark_jobs.user_windows import SOURCE

# A whole minute, shortly before midnight.
START = datetime(2026, 1, 5, 23, 56, tzinfo=UTC)
MINUTE, FIVE_MINUTES = timedelta(minutes=1), timedelta(minutes=5)
Found = dict[tuple[str, datetime], Row]


@dataclass(frozen=True)
class Payment:
    """One transaction; `at` is seconds after `START`."""

    event_id: str
    at: float = 0.0
    user_id: str = "u"
    amount: Decimal = Decimal("10.0000")
    merchant_id: str = "m1"
    currency: str = "EUR"
    status: str | None = None

    @property
    def moment(self) -> datetime:
        return START + timedelta(seconds=self.at)


def silver(spark: SparkSession, payments: Sequence[Payment], arrived_at: datetime = START) -> DataFrame:
    usual = {"country": "DE", "source_file": "a", "line_number": 1, "content_hash": 1, "arrived_at": arrived_at}
    rows = []
    for one in payments:
        values = usual | vars(one) | {"event_time": one.moment, "event_date": one.moment.date()}
        rows.append(tuple(values.get(name) for name in TABLES[SOURCE].column_names))
    return spark.createDataFrame(rows, TABLES[SOURCE].schema)


def oracle(payments: Sequence[Payment]) -> dict[tuple[str, datetime], dict[str, Any]]:
    """What `features.user_windows` must hold, in plain Python: each minute is tried for each user."""
    expected = {}
    for user in {one.user_id for one in payments}:
        own = [one for one in payments if one.user_id == user]
        minute, last = min(one.moment for one in own).replace(second=0, microsecond=0), max(one.moment for one in own)
        begin = minute - 2 * FIVE_MINUTES
        while begin <= last:
            within = [one for one in own if begin <= one.moment < begin + FIVE_MINUTES]
            if within:
                expected[user, begin] = of(within)
            begin += MINUTE
    return expected


def of(within: Sequence[Payment]) -> dict[str, Any]:
    return {
        "txn_count": len(within),
        "amount_sum": sum(one.amount for one in within),
        "amount_max": max(one.amount for one in within),
        "declined_count": sum((one.status or "").lower() == "declined" for one in within),
        "distinct_merchants": len({one.merchant_id for one in within}),
    }


def by_key(rows: DataFrame) -> Found:
    found = rows.collect()
    keyed = {(row["user_id"], row["window_start"].replace(tzinfo=UTC)): row for row in found}
    assert len(keyed) == len(found), "a window is there twice"
    return keyed


def assert_equal(found: Found, payments: Sequence[Payment]) -> None:
    expected = oracle(payments)
    assert found.keys() == expected.keys()
    for key, row in found.items():
        assert {name: row[name] for name in expected[key]} == expected[key], key


# Beside and on the edges of minutes and windows, ties, the day before and after.
steps = st.sampled_from([0.0, 0.000001, 1.0, 59.999999, 60.0, 60.000001, 239.999999, 299.999999, 300.0, 86_400.0])
amounts = st.one_of(
    st.decimals("0", "99999999999999.9999", places=4, allow_nan=False),
    st.sampled_from([Decimal("0.0001"), Decimal("100000000.0001")]),
)
facts = st.tuples(
    st.sampled_from(["u", "v"]), steps, amounts, st.sampled_from(["m1", "m2", "m3"]), st.sampled_from(["EUR", "IDR"]),
    st.sampled_from([None, "approved", "declined", "DECLINED"]),
)  # fmt: skip


def payments_of(drawn: Sequence[tuple[Any, ...]]) -> list[Payment]:
    at, made = 0.0, []
    for number, (user, step, amount, merchant, currency, status) in enumerate(drawn):
        at = round(at + step, 6)
        made.append(Payment(f"e{number}", at, user, amount, merchant, currency, status))
    return made
