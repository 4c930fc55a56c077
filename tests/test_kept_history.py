"""What is kept of the past gives the same features as all of the past, at every moment and after every move."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_jobs import kept_history, seen
from spark_jobs.kept_history import SPAN, aside_spans, is_after, of_all, of_spans
from spark_jobs.user_5m import CONTENT, INPUTS, user_5m, weighted
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


def expected(everything: DataFrame, new: DataFrame) -> list[tuple[object, ...]]:
    rows = user_5m(everything).join(new.select("event_id"), on="event_id", how="left_semi")
    return sorted(map(tuple, rows.select(*CONTENT).collect()))


def found(kept: DataFrame, known: DataFrame, new: DataFrame) -> list[tuple[object, ...]]:
    before = kept.where(~kept["event_id"].isin([row[0] for row in new.select("event_id").collect()]))
    around = before.unionByName(weighted(new)).join(known, on="user_id", how="left")
    last = {
        column: F.expr(f"try_element_at(filter({seen.KEYS[key]}, one -> one.id = {key}), 1).at")
        for key, column in seen.LAST.items()
    }
    rows = user_5m(around.withColumns(last).drop(*seen.KEYS.values())).join(
        new.select("event_id"), on="event_id", how="left_semi"
    )
    return sorted(map(tuple, rows.select(*CONTENT).collect()))


def up_to(everything: DataFrame, moment: datetime) -> DataFrame:
    return everything.where(~is_after(moment))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_is_kept_gives_the_same_features_after_each_move(spark: SparkSession, seed: int) -> None:
    everything = silver_rows(spark, payments(seed), INPUTS).coalesce(2).localCheckpoint()
    moment = START
    # The stream is somewhat ahead of the moment.
    taken = up_to(everything, moment + SPAN / 2)
    kept, known = of_all(taken, moment).localCheckpoint(), seen.of_all(up_to(taken, moment), moment).localCheckpoint()
    for step in (timedelta(), *MOVES):
        to = moment + step
        if step:
            now = up_to(everything, to + SPAN / 2)
            fresh = weighted(now.exceptAll(taken))
            together = kept.unionByName(fresh)
            aside = now.where(of_spans(aside_spans(moment, to)))
            since = together.where(is_after(moment) & ~is_after(to))
            known = seen.moved(known, since, to).localCheckpoint()
            kept = kept_history.moved(together, aside, moment, to).localCheckpoint()
            taken, moment = now, to
        new = everything.where(is_after(moment + SPAN / 2) & ~is_after(moment + SPAN))
        assert new.count()
        assert found(kept, known, new) == expected(up_to(everything, moment + SPAN), new)


def test_of_a_user_without_recent_payments_little_is_kept(spark: SparkSession) -> None:
    moment = START + 40 * DAY
    often = [(f"e{n:03}", "u", START + n * HOUR) for n in range(24 * 30)]
    kept = of_all(silver_rows(spark, often, INPUTS), moment)
    # At most the latest of each currency and way of paying, and what leaves a window soon.
    assert 1 <= kept.count() <= 2 * 2 + 2
    rows = kept.agg(F.sum("w_past_count_30d"), F.sum("w_txn_count_24h")).collect()[0]
    assert tuple(rows) == (sum(at > moment - 30 * DAY for _, _, at in often), 0)


def test_who_was_seen_nowhere_for_a_month_is_forgotten(spark: SparkSession) -> None:
    first = silver_rows(spark, [("a", "u", START), ("b", "v", START)], INPUTS)
    later = silver_rows(spark, [("c", "u", START + 31 * DAY)], INPUTS)
    known = seen.moved(seen.of_all(first, START), later, START + 31 * DAY)
    held = {row["user_id"]: [one["at"] for one in row["seen_merchants"]] for row in known.collect()}
    assert [at.replace(tzinfo=START.tzinfo) for at in held["u"]] == [START + 31 * DAY]
