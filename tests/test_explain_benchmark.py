"""The benchmark of explanations: what it writes is a lake whose events can be explained."""

from __future__ import annotations

import pytest
from pyspark.sql import SparkSession

from benchmarks.explain import drawn, seconds_of, write
from benchmarks.processes import HarnessError
from lake import storage
from lake.catalog import USER_5M
from lake.settings import Settings


def test_drawn_events_of_the_lake_that_is_written_are_explained_in_full(
    spark: SparkSession, settings: Settings
) -> None:
    write(spark, settings, events=1000, days=3, users=50)
    features = storage.read(spark, settings, USER_5M.name)
    assert {row[0] for row in features.select("event_id").collect()} >= set(drawn(1000, 9))
    assert seconds_of(spark, settings, drawn(1000, 1)[0]) > 0
    storage.delete_where(spark, settings, USER_5M.name, "true")
    with pytest.raises(HarnessError, match="lacks a part"):
        seconds_of(spark, settings, drawn(1000, 1)[0])
