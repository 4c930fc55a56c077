"""Features of disputes, held against plain Python: at once, and by the stream in whatever order things come."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as tries
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession

from lake import storage
from lake.catalog import ALERTS, CASES, DISPUTES, TABLES
from lake.dispute_features import FEATURES, LONGEST_DELAY
from lake.settings import Settings
from risklake.explain import explain
from spark_jobs import features, pipeline
from spark_jobs.alerts import streams as alert_streams
from spark_jobs.disputes import disputes
from spark_jobs.expired import expired
from spark_jobs.feature_tables import FEATURE_TABLES
from spark_jobs.lag import is_behind
from spark_jobs.parity import measure
from spark_jobs.reconciliation import measure_status

START = datetime(2026, 1, 5, 10, tzinfo=UTC)
DAY, SHORTEST = timedelta(days=1), timedelta(microseconds=1)
TABLE = next(found for found in FEATURE_TABLES if found.table is DISPUTES)
RULE = "merchant_rising_chargebacks"


@dataclass(frozen=True)
class Payment:
    """A payment of the oracle."""

    event_id: str
    event_time: datetime = START
    user_id: str = "u1"
    merchant_id: str = "m1"


@dataclass(frozen=True)
class Dispute:
    """A dispute of the oracle; its `event_id` is that of the payment."""

    dispute_id: str
    event_id: str
    reported_at: datetime


Known = tuple[Payment, Dispute]


def oracle(payments: Sequence[Payment], reported: Sequence[Dispute]) -> dict[str, dict[str, Any]]:
    """What `features.disputes` must hold, in plain Python."""
    by_id = {one.event_id: one for one in payments}
    known = [(by_id[one.event_id], one) for one in reported if one.event_id in by_id]
    known = [(p, d) for p, d in known if timedelta() <= d.reported_at - p.event_time <= LONGEST_DELAY]
    return {dispute.dispute_id: of(payment, dispute, known) for payment, dispute in known}


def of(payment: Payment, dispute: Dispute, known: Sequence[Known]) -> dict[str, Any]:
    def within(days: int) -> list[Known]:
        begin, end = dispute.reported_at - days * DAY, dispute.reported_at
        return [(p, d) for p, d in known if p.merchant_id == payment.merchant_id and begin < d.reported_at <= end]

    return {
        "transaction_id": payment.event_id,
        "user_id": payment.user_id,
        "merchant_id": payment.merchant_id,
        "days_to_dispute": (dispute.reported_at - payment.event_time) / DAY,
        "merchant_chargebacks_7d": len(within(7)),
        "merchant_chargebacks_35d": len(within(35)),
        "merchant_chargeback_users_7d": len({p.user_id for p, _ in within(7)}),
    }


def rows(spark: SparkSession, feed: str, events: Sequence[Payment | Dispute]) -> DataFrame:
    usual = {"amount": Decimal(1), "currency": "EUR", "country": "DE", "reason": "fraud", "arrived_at": START,
             "source_file": "file:/a", "line_number": 1, "content_hash": 1}  # fmt: skip
    table = TABLES[f"silver.{feed}"]
    made = []
    for event in events:
        at = event.event_time if isinstance(event, Payment) else event.reported_at
        known = usual | vars(event) | {"event_date": at.date()}
        made.append(tuple(known.get(name) for name in table.column_names))
    return spark.createDataFrame(made, table.schema)


def by_id(found: DataFrame) -> dict[str, dict[str, Any]]:
    collected = [row.asDict() for row in found.collect()]
    assert len({row["event_id"] for row in collected}) == len(collected), "a dispute is there twice"
    return {row["event_id"]: row for row in collected}


def assert_equal(found: dict[str, dict[str, Any]], payments: Sequence[Payment], reported: Sequence[Dispute]) -> None:
    expected = oracle(payments, reported)
    assert found.keys() == expected.keys()
    for dispute_id, wanted in expected.items():
        assert {name: found[dispute_id][name] for name in wanted} == pytest.approx(wanted), dispute_id


def compute(spark: SparkSession, payments: Sequence[Payment], reported: Sequence[Dispute]) -> dict[str, dict[str, Any]]:
    return by_id(disputes(rows(spark, "disputes", reported), rows(spark, "transactions", payments)))


# On the edges of both windows, ties, and beyond.
delays = st.sampled_from([0, 1, 6, 7, 8, 28, 34, 35, 36]).flatmap(
    lambda days: st.sampled_from([days * DAY, days * DAY + SHORTEST])
)
facts = st.tuples(delays, st.sampled_from(["u1", "u2", "u3"]), st.sampled_from(["m1", "m1", "m2"]))


def made(drawn: Sequence[tuple[timedelta, str, str]]) -> tuple[list[Payment], list[Dispute]]:
    payments = [Payment(f"e{n}", START, user, merchant) for n, (_, user, merchant) in enumerate(drawn)]
    return payments, [Dispute(f"d{n}", f"e{n}", START + delay) for n, (delay, _, _) in enumerate(drawn)]


@tries(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(facts, min_size=1, max_size=40))
def test_every_feature_equals_the_plain_python_oracle(spark: SparkSession, drawn: list[Any]) -> None:
    payments, reported = made(drawn)
    assert_equal(compute(spark, payments, reported), payments, reported)


def test_every_declared_feature_is_held_against_the_oracle() -> None:
    payment, dispute = Payment("e"), Dispute("d", "e", START)
    assert {feature.name for feature in FEATURES} <= set(of(payment, dispute, [(payment, dispute)]))


def test_a_dispute_of_an_unknown_an_old_or_a_later_payment_has_no_row_and_counts_nowhere(spark: SparkSession) -> None:
    payments = [Payment("e"), Payment("old", START - LONGEST_DELAY), Payment("later", START + 2 * DAY)]
    reported = [
        Dispute("known", "e", START + DAY),
        Dispute("unknown", "nobody", START + DAY),
        Dispute("too late", "old", START + SHORTEST),
        Dispute("just in time", "old", START),
        Dispute("before", "later", START + DAY),
    ]
    found = compute(spark, payments, reported)
    assert {name: row["merchant_chargebacks_7d"] for name, row in found.items()} == {"just in time": 1, "known": 2}


def test_an_id_that_comes_again_after_long_is_another_dispute_whichever_comes_first(
    spark: SparkSession, settings: Settings
) -> None:
    # Beyond `duplicate_horizon_days` an id that comes again is a new event of silver.
    later, earlier = Dispute("d", "e", START + 60 * DAY), Dispute("d", "e", START + DAY)
    storage.append(rows(spark, "transactions", [Payment("e"), Payment("f")]), settings, "silver.transactions")
    for reported in (later, Dispute("c", "f", START + 70 * DAY), earlier):
        storage.append(rows(spark, "disputes", [reported]), settings, "silver.disputes")
        [stream] = [stream for stream in features.streams(spark, settings) if stream.name == TABLE.query]
        stream.start(False).awaitTermination()
    found = storage.read(spark, settings, DISPUTES.name).orderBy("event_time").collect()
    assert [(row["event_id"], row["days_to_dispute"], row["merchant_chargebacks_35d"]) for row in found] == [
        ("d", 1.0, 1), ("d", 60.0, 1), ("c", 70.0, 2),
    ]  # fmt: skip
    assert measure(spark, settings, expired(spark, settings))["disputes"].as_dict() == {"compared": 3, "differing": 0}


def test_two_disputes_of_one_payment_count_both_and_its_user_once(spark: SparkSession) -> None:
    found = compute(spark, [Payment("e")], [Dispute("a", "e", START + DAY), Dispute("b", "e", START + 2 * DAY)])
    assert [found["b"][name] for name in ("merchant_chargebacks_7d", "merchant_chargeback_users_7d")] == [2, 1]


def drained(spark: SparkSession, settings: Settings) -> dict[str, dict[str, Any]]:
    [stream] = [stream for stream in features.streams(spark, settings) if stream.name == TABLE.query]
    stream.start(False).awaitTermination()
    return by_id(storage.read(spark, settings, DISPUTES.name))


@tries(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=st.lists(facts, min_size=6, max_size=10), order=st.randoms(use_true_random=False))
def test_the_stream_makes_the_same_rows_in_whatever_order_payments_and_disputes_come(
    spark: SparkSession, empty_tables: Path, tmp_path_factory: pytest.TempPathFactory, settings: Settings,
    drawn: list[Any], order: Any,
) -> None:  # fmt: skip
    lake = replace(settings, lake_root=str(tmp_path_factory.mktemp("disputes") / "lake"))
    shutil.copytree(empty_tables, lake.lake_root)
    payments, reported = made(drawn)
    everything: list[Payment | Dispute] = [*payments, *reported]
    order.shuffle(everything)
    # The first one to come is a dispute: without one, no stream is there.
    everything.sort(key=lambda one: one is not reported[0])
    for begin in range(0, len(everything), 6):
        for feed, kind in (("transactions", Payment), ("disputes", Dispute)):
            come = [one for one in everything[begin : begin + 6] if isinstance(one, kind)]
            if come:
                storage.append(rows(spark, feed, come), lake, f"silver.{feed}")
        found = drained(spark, lake)
        known = everything[: begin + 6]
        assert_equal(
            found,
            [one for one in known if isinstance(one, Payment)],
            [one for one in known if isinstance(one, Dispute)],
        )


def test_a_micro_batch_that_is_done_twice_changes_nothing(spark: SparkSession, settings: Settings) -> None:
    storage.append(rows(spark, "transactions", [Payment("e")]), settings, "silver.transactions")
    storage.append(rows(spark, "disputes", [Dispute("d", "e", START + DAY)]), settings, "silver.disputes")
    before = drained(spark, settings)
    assert set(before) == {"d"}
    # As after a kill between the write and the checkpoint: the batch is planned, but not noted as done.
    for noted in settings.local_path("checkpoints", TABLE.query, "commits").iterdir():
        noted.unlink()
    assert drained(spark, settings) == before


def test_a_stream_is_behind_while_a_payment_or_a_dispute_waits(spark: SparkSession, settings: Settings) -> None:
    def waits() -> bool:
        return is_behind(settings, TABLE.query, TABLE.sources)

    storage.append(rows(spark, "disputes", [Dispute("d", "e", START + DAY)]), settings, "silver.disputes")
    assert waits()
    drained(spark, settings)
    assert not waits()
    for feed, one in (("transactions", Payment("e")), ("disputes", Dispute("c", "e", START + DAY))):
        storage.append(rows(spark, feed, [one]), settings, f"silver.{feed}")
        assert waits()
        drained(spark, settings)
        assert not waits()


def test_where_no_dispute_has_come_no_stream_waits_for_one(spark: SparkSession, settings: Settings) -> None:
    storage.append(rows(spark, "transactions", [Payment("e")]), settings, "silver.transactions")
    assert TABLE.query not in [stream.name for stream in features.streams(spark, settings)]
    assert "alerts_disputes" not in [stream.name for stream in alert_streams(spark, settings)]


def line(dispute_id: str, event_id: str, at: str) -> str:
    fields = {"dispute_id": dispute_id, "event_id": event_id, "reason": "fraud", "amount": 10.5, "currency": "EUR"}
    return json.dumps(fields | {"reported_at": at})


def test_a_merchant_with_rising_chargebacks_is_one_case_and_a_late_line_corrects_it(
    spark: SparkSession, settings: Settings, land: Callable[..., Path], transaction: Callable[..., str]
) -> None:
    def alerts() -> dict[str, str]:
        found = storage.read(spark, settings, ALERTS.name).where(f"rule = '{RULE}'")
        return {row["event_id"]: row["state"] for row in found.collect()}

    # Days apart, so that nothing else is suspicious; that of the last one is missing yet.
    payments = [transaction(f"e{n}", user_id=f"u{n}", event_time=f"2026-01-0{n + 1}T10:00:00Z") for n in range(6)]
    reported = [line(f"d{n}", f"e{n}", f"2026-02-0{n + 1}T10:00:00Z") for n in range(6)]
    land(payments[:5], "a.jsonl")
    land(reported[:4] + reported[5:], "a.jsonl", feed="disputes")
    pipeline.run(spark, settings, continuous=False)
    assert alerts() == {}
    land(payments[5:], "b.jsonl")
    land(reported[4:5], "b.jsonl", feed="disputes")
    pipeline.run(spark, settings, continuous=False)
    assert alerts() == {"d4": "open", "d5": "open"}
    [case] = storage.read(spark, settings, CASES.name).where("entity = 'merchant_id'").collect()
    assert (case["entity_id"], case["alerts"], case["rules"]) == ("m1", 2, [RULE])
    assert case["reason"] == "5 chargebacks of 5 users at m1 within seven days, 5 within five weeks"
    # It comes out that the weeks before were no better.
    old = [(f"o{n}", f"2026-01-1{n % 10}T10:00:00Z") for n in range(10)]
    land([transaction(name, user_id=name, event_time="2026-01-01T09:00:00Z") for name, _ in old], "c.jsonl")
    land([line(f"of {name}", name, at) for name, at in old], "c.jsonl", feed="disputes")
    pipeline.run(spark, settings, continuous=False)
    found = alerts()
    assert found["d4"] == "withdrawn"
    assert found["d5"] == "withdrawn"
    status = measure_status(spark, settings)
    assert status.is_consistent, status.as_dict()
    assert status.parity["disputes"].as_dict() == {"compared": 16, "differing": 0}
    assert status.features["disputes"].rows == 16
    explained = explain(spark, settings, "d4")
    assert [(one["key"], one["window"], one["count"]) for one in explained.windows] == [
        ("merchant_id", "7 days", 5),
        ("merchant_id", "35 days", 15),
    ]
    assert {one["name"]: one["fires"] for one in explained.rules} == {RULE: False}
    assert [one["state"] for one in explained.alerts] == ["withdrawn"]
