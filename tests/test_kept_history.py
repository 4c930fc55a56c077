"""What is kept of the past gives the same features as all of the past, at every moment and after every move."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_jobs import seen
from spark_jobs.kept_history import IS_LATEST, SPAN, aside_spans, is_after, moved, of_all, of_spans
from spark_jobs.user_5m import CONTENT, INPUTS, user_5m, weighted
from spark_jobs.user_memory import UserMemory
from tests.payments import START, Payment, silver_rows

SECOND, MINUTE, HOUR, DAY = (timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1))
USERS = 30
# Moves of the moment: as in a stream that runs on, one that has paused, and one after a day of silence.
MOVES = [5 * MINUTE, 6 * MINUTE, 40 * MINUTE, 25 * HOUR]


def payments(seed: int) -> list[Payment]:
    """Payments of a month before the last moment, most of them near where a window of a later one begins."""
    random, made = Random(seed), []
    moments = [START + sum(MOVES[:number], timedelta()) for number in range(len(MOVES) + 1)]
    end = moments[-1] + SPAN
    for user in range(USERS):
        for number, moment in enumerate(moments):
            # What is asked for after each move.
            if random.random() < 0.4:
                made.append((f"{seed}-{user}-new{number}", f"u{user}", moment + SPAN * (0.5 + random.random() / 2)))
        for number in range(random.randrange(1, 14)):
            window = random.choice([timedelta(), 5 * MINUTE, HOUR, DAY, 30 * DAY])
            at = random.choice(moments) - window + random.choice([timedelta(), SPAN, -SPAN, SPAN / 2]) * random.random()
            at = at.replace(microsecond=0) + random.choice([timedelta(), timedelta(), timedelta(microseconds=1)])
            made.append((f"{seed}-{user}-{number}", f"u{user}", min(at, end)))
    return made


def featured(around: DataFrame, new: DataFrame) -> list[tuple[object, ...]]:
    rows = user_5m(around).join(new.select("event_id"), on="event_id", how="left_semi")
    return sorted(map(tuple, rows.select(*CONTENT).collect()))


def up_to(everything: DataFrame, moment: datetime) -> DataFrame:
    return everything.where(~is_after(moment))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_is_kept_gives_the_same_features_after_each_move(spark: SparkSession, seed: int) -> None:
    everything = silver_rows(spark, payments(seed), INPUTS).coalesce(2).localCheckpoint()
    # Some come late: an hour, or days after they happened.
    hour = F.lit(3600) * F.pmod(F.xxhash64("event_id"), F.lit(40))
    arrives = F.when(F.xxhash64("event_id") % 4 == 0, F.col("event_time") + F.make_dt_interval(secs=hour))
    everything = everything.withColumn("arrives", F.coalesce(arrives, "event_time")).localCheckpoint()
    moment = START

    def arrived(to: datetime) -> DataFrame:
        # The stream is somewhat ahead of the moment.
        return everything.where(F.col("arrives") <= F.lit(to + SPAN / 2)).drop("arrives")

    taken = arrived(moment)
    memory = UserMemory.begun(taken, moment)
    for step in (timedelta(), *MOVES):
        to = moment + step
        if step:
            now = arrived(to)
            memory.note(weighted(now.exceptAll(taken)).toArrow())
            memory = memory.moved(now.where(of_spans(aside_spans(moment, to))), to)
            taken, moment = now, to
        new = everything.where(is_after(moment + SPAN / 2) & ~is_after(moment + SPAN)).drop("arrives")
        new = new.join(taken.select("event_id"), on="event_id", how="left_anti")
        assert new.count()
        known = taken.where(~is_after(moment + SPAN)).unionByName(new)
        assert featured(memory.around(weighted(new).toArrow()).rows, new) == featured(known, new)


def test_of_a_user_without_recent_payments_little_is_kept(spark: SparkSession) -> None:
    moment = START + 40 * DAY
    often = [(f"e{n:03}", "u", START + n * HOUR) for n in range(24 * 30)]
    kept = of_all(silver_rows(spark, often, INPUTS), moment)
    # At most the latest of each currency and way of paying, and what leaves a window soon.
    assert 1 <= kept.rows.num_rows <= 2 * 2 + 2
    assert pc.sum(kept.sums["w_txn_count_24h"]).as_py() == 0
    leaving = pc.sum(pc.invert(kept.rows[IS_LATEST])).as_py()
    assert pc.sum(kept.sums["w_past_count_30d"]).as_py() + leaving == sum(at > moment - 30 * DAY for _, _, at in often)


def test_the_latest_of_several_at_one_instant_is_that_with_the_greatest_id(spark: SparkSession) -> None:
    tied = [(name, "u", START) for name in ("b", "d", "a", "c")]
    rows = silver_rows(spark, tied, INPUTS).withColumns({"currency": F.lit("EUR"), "channel": F.lit(None)}).coalesce(1)
    first = of_all(rows.where("event_id = 'd'"), START - SECOND)
    kept = moved(first, weighted(rows).toArrow(), weighted(rows.limit(0)).toArrow(), START - SECOND, START)
    latest = {row["event_id"]: row[IS_LATEST] for row in kept.rows.to_pylist()}
    assert latest == {"a": False, "b": False, "c": False, "d": True}
    assert kept.sums["w_txn_count_1h"].to_pylist() == [4]


def test_a_group_that_is_silent_for_a_month_is_forgotten(spark: SparkSession) -> None:
    kept = of_all(silver_rows(spark, [("a", "u", START), ("b", "v", START)], INPUTS), START)
    later = weighted(silver_rows(spark, [("c", "u", START + 31 * DAY)], INPUTS)).toArrow()
    kept = moved(kept, later, later.slice(0, 0), START, START + 31 * DAY)
    assert [row["event_id"] for row in kept.rows.to_pylist()] == ["c"]
    assert kept.sums["user_id"].to_pylist() == ["u"]


def test_the_last_visit_counts_and_who_was_nowhere_for_a_month_is_taken_out(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seen, "_MOST_DOUBLE", 0)

    def visits(*given: Payment) -> DataFrame:
        return silver_rows(spark, given, INPUTS).withColumn("merchant_id", F.lit("m"))

    known = seen.of_all(visits(("a", "u", START), ("b", "v", START)))
    later = START + 31 * DAY
    for number in range(3):
        at = later + number * MINUTE
        known.note(visits((f"c{number}", "u", at)).toArrow(), at)
    asked = visits(("d", "u", later), ("e", "v", later)).toArrow()
    found = known.last_seen(pa.array(["u", "v"]), asked)["merchant_seen_at"].to_pylist()
    assert found == [later + 2 * MINUTE, None]
    assert len(known) <= 4
