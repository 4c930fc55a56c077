"""Counts of what people have in common, held against plain Python: at once, micro-batch by micro-batch, and late."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from lake import storage
from lake.catalog import TABLES
from lake.settings import Settings
from lake.transaction_features import LINK_FEATURES
from spark_jobs import link_look_back
from spark_jobs.link_counts import running_counts
from spark_jobs.link_look_back import LinkLookBack
from spark_jobs.links import KEYS, changed_column, link_features
from spark_jobs.look_back import SLACK, SOURCE, STEP, Around, Batch
from spark_jobs.time_ranges import TimeRanges
from spark_jobs.user_5m import INPUTS
from tests.payments import START, silver_rows
from tests.test_look_back import is_within, taken

DAY = 86_400.0
NAMES = [feature.name for feature in LINK_FEATURES]


@dataclass(frozen=True)
class Use:
    """A transaction of the oracle; `at` is seconds after `START`."""

    event_id: str
    at: float
    user_id: str = "u1"
    device_id: str | None = None
    payment_method_id: str | None = None


def oracle(event: Use, events: Sequence[Use]) -> dict[str, int | None]:
    """What the table must hold, by looking at every transaction."""
    near = [one for one in events if event.at - DAY < one.at <= event.at]
    on_device = [one for one in near if event.device_id and one.device_id == event.device_id]
    with_method = [one for one in near if one.payment_method_id == event.payment_method_id]
    return {
        "device_users_24h": len({one.user_id for one in on_device}) if event.device_id else None,
        "device_payment_methods_24h": len({one.payment_method_id for one in on_device} - {None})
        if event.device_id
        else None,
        "payment_method_users_24h": len({one.user_id for one in with_method}) if event.payment_method_id else None,
    }


def rows(spark: SparkSession, events: Sequence[Use]) -> DataFrame:
    schema = TABLES["silver.transactions"].schema
    made = []
    for event in events:
        moment = START + timedelta(seconds=event.at)
        known = vars(event) | {"event_time": moment, "event_date": moment.date(), "arrived_at": START}
        usual = {"merchant_id": "m1", "amount": Decimal(1), "currency": "EUR", "country": "DE"}
        made.append(tuple((usual | known).get(name) for name in INPUTS))
    return spark.createDataFrame(made, StructType([schema[name] for name in INPUTS]))


def counts(found: DataFrame) -> dict[str, dict[str, Any]]:
    return {row["event_id"]: {name: row[name] for name in NAMES} for row in found.collect()}


def wanted(events: Sequence[Use]) -> dict[str, dict[str, int | None]]:
    all_of_them = {one.event_id: oracle(one, events) for one in events}
    return {event_id: found for event_id, found in all_of_them.items() if set(found.values()) != {None}}


uses = st.tuples(st.integers(0, 2), st.sampled_from([-1, 0, 1, 2]), st.integers(0, 30))


@given(st.lists(uses, max_size=40))
def test_counts_in_memory_equal_the_plain_python_oracle(made: list[tuple[int, int, int]]) -> None:
    link, value, at = (np.array([use[n] for use in made], dtype=np.int64) for n in range(3))
    wanted = [len({v for k, v, other in made if k == of and when - 7 < other <= when} - {-1}) for of, _, when in made]
    assert running_counts(link, value, at, np.full(len(made), 7)).tolist() == wanted


instants = st.integers(0, 6).map(lambda n: n * DAY / 3) | st.sampled_from([DAY - 0.000001, DAY + 0.000001, 1.0, 2.0])
facts = st.tuples(
    instants,
    st.sampled_from(["u1", "u2", "u3", "u4"]),
    # A device and a payment method of one name are two things.
    st.sampled_from([None, "a", "a", "b"]),
    st.sampled_from([None, "a", "c", "d"]),
)


@hypothesis_settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(facts, min_size=1, max_size=60))
def test_every_count_equals_the_plain_python_oracle(spark: SparkSession, given_facts: list[tuple[Any, ...]]) -> None:
    events = [Use(f"e{number}", *fact) for number, fact in enumerate(given_facts)]
    assert counts(link_features(rows(spark, events))) == wanted(events)


def test_a_use_a_day_ago_is_out_and_one_a_microsecond_later_is_in(spark: SparkSession) -> None:
    events = [Use("a", 0.0, "u1", "d"), Use("b", 0.000001, "u2", "d"), Use("c", DAY, "u3", "d")]
    found = counts(link_features(rows(spark, events)))
    assert [found[name]["device_users_24h"] for name in "abc"] == [1, 2, 2]


def test_uses_of_one_instant_see_each_other_and_one_value_counts_once(spark: SparkSession) -> None:
    events = [Use("a", 0.0, "u1", "d"), Use("b", 0.0, "u2", "d"), Use("c", 0.0, "u2", "d")]
    found = counts(link_features(rows(spark, events)))
    assert {found[name]["device_users_24h"] for name in "abc"} == {2}


@dataclass
class Table:
    """What the stream of features would hold: new rows are added, counts of a key that change are corrected."""

    spark: SparkSession
    settings: Settings
    look_back: LinkLookBack
    events: list[Use] = field(default_factory=list)
    stored: dict[str, dict[str, Any]] = field(default_factory=dict)
    corrected: list[str] = field(default_factory=list)

    def take(self, new: Sequence[Use]) -> Around:
        """Let silver take in uses, and a micro-batch bring them."""
        self.append(new)
        return self.bring(new, taken(self.settings))

    def append(self, new: Sequence[Use]) -> None:
        self.events += new
        arrived = rows(self.spark, new).coalesce(1)
        payments = [(one.event_id, one.user_id, START + timedelta(seconds=one.at)) for one in new]
        whole = silver_rows(self.spark, payments).drop("device_id", "payment_method_id")
        of_links = arrived.select("event_id", "device_id", "payment_method_id")
        complete = whole.join(of_links, on="event_id").select(TABLES[SOURCE].column_names)
        storage.append(complete, self.settings, SOURCE)

    def bring(self, new: Sequence[Use], version: int | None) -> Around:
        arrived = rows(self.spark, new).coalesce(1)
        batch = Batch.in_memory(arrived) if self.look_back.keeps else Batch.of(arrived)
        assert batch is not None
        around = self.look_back.around(batch, version)
        self.look_back.wait()
        for row in around.rows.collect():
            if row["is_new"]:
                self.stored[row["event_id"]] = {name: row[name] for name in NAMES}
            for key, features in KEYS.items():
                # One that no micro-batch has brought yet has no row to be corrected.
                if row[changed_column(key)] and row["event_id"] in self.stored:
                    assert row["is_new"] or around.to_correct is None or is_within(row, around.to_correct)
                    self.stored[row["event_id"]] |= {one.name: row[one.name] for one in features}
                    self.corrected.append(row["event_id"])
        return around


# How late a transaction comes, in seconds: mostly not, some across each edge of what is kept, some from the future.
LATENESS = [0.0] * 9 + [300.0, 900.0, 4000.0, DAY - 30, DAY, DAY + 900, 5 * DAY, -4000.0, -2 * DAY]


def deliveries(seed: int, batches: int, size: int) -> list[list[Use]]:
    random, now, made = Random(seed), 0.0, []
    for batch in range(batches):
        now += random.choice([60.0, 180.0, 480.0, 480.0, DAY / 2])
        made.append([
            Use(
                f"{seed}-{batch:02d}-{n:02d}",
                now + random.randrange(60) - random.choice(LATENESS),
                f"u{random.randrange(5)}",
                random.choice([None, "a", "b", "c"]),
                random.choice([None, "a", "p", "q", "r"]),
            )
            for n in range(size)
        ])  # fmt: skip
    return made


@pytest.mark.parametrize("keeps", [True, False])
@pytest.mark.parametrize("seed", [1, 2])
def test_what_is_changed_batch_by_batch_equals_all_of_silver_whatever_comes_late(
    spark: SparkSession, settings: Settings, seed: int, keeps: bool
) -> None:
    table = Table(spark, settings, LinkLookBack(settings, keeps=keeps))
    for batch in deliveries(seed, batches=9 if keeps else 3, size=20):
        table.take(batch)
        assert table.stored == wanted(table.events)
    assert table.corrected


def test_uses_in_order_need_no_file_of_silver_and_correct_nothing(spark: SparkSession, settings: Settings) -> None:
    table, apart = Table(spark, settings, LinkLookBack(settings, keeps=True)), timedelta(minutes=3).total_seconds()
    for number in range(12):
        around = table.take([Use(f"{number}-{user}", number * apart, f"u{user}", "d", f"p{user}") for user in range(3)])
    assert around.rows.inputFiles() == []
    assert around.to_correct == TimeRanges(())
    assert table.corrected == []
    assert len(table.look_back._memory._since) <= 9 * ((SLACK + STEP).total_seconds() / apart + 1)
    assert table.stored == wanted(table.events)


def test_a_late_use_of_a_known_user_corrects_nothing_and_one_of_a_new_user_what_follows(
    spark: SparkSession, settings: Settings
) -> None:
    table = Table(spark, settings, LinkLookBack(settings, keeps=True))
    table.take([Use("a", 0.0, "u1", "d"), Use("b", 60.0, "u2", "d"), Use("c", 120.0, "u1", "d")])
    table.take([Use("late", 30.0, "u1", "d")])
    assert table.corrected == []
    table.take([Use("later", 90.0, "u3", "d")])
    assert table.corrected == ["c"]
    assert table.stored == wanted(table.events)


@pytest.mark.parametrize("keeps", [True, False])
def test_two_late_uses_of_one_user_correct_what_follows_though_silver_holds_both_before_either_comes(
    spark: SparkSession, settings: Settings, keeps: bool
) -> None:
    table, late = Table(spark, settings, LinkLookBack(settings, keeps=keeps)), [Use(x, 1.0, "u2", "d") for x in "bc"]
    table.take([Use("a", 2.0, "u1", "d")])
    # As a stream finds it that starts again.
    table.look_back = LinkLookBack(settings, keeps=keeps)
    table.append(late)
    for use, version in zip(late, (None, taken(settings)), strict=True):
        table.bring([use], version)
    assert table.stored == wanted(table.events)


def test_where_too_much_would_be_kept_silver_is_read_and_says_the_same(
    spark: SparkSession, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_look_back.LinkLookBack, "MOST", 2)
    table = Table(spark, settings, LinkLookBack(settings, keeps=True))
    for number in range(3):
        around = table.take([Use(f"{number}-{user}", number * 420.0, f"u{user}", "d", "p") for user in range(3)])
        assert table.look_back._memory is None
    assert around.rows.inputFiles() != []
    assert table.stored == wanted(table.events)


def test_a_micro_batch_without_a_device_and_payment_method_is_not_linked(spark: SparkSession) -> None:
    for event, is_linked in ((Use("a", 0.0), False), (Use("b", 0.0, device_id="d"), True)):
        for made_of in (Batch.of, Batch.in_memory):
            batch = made_of(rows(spark, [event]))
            assert batch is not None
            assert batch.is_linked == is_linked
    assert Batch.of(rows(spark, [])) is None
    assert Batch.in_memory(rows(spark, [])) is None
