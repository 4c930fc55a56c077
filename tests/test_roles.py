"""The views of roles."""

from __future__ import annotations

from datetime import timedelta

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lake import storage
from lake.roles import register_views
from lake.session import register_names
from lake.settings import Settings
from spark_jobs.user_5m import user_5m
from tests.payments import START, silver_rows


def test_an_analyst_sees_each_of_two_payments_of_one_id_once_with_its_own_features(
    spark: SparkSession, settings: Settings
) -> None:
    # The second comes long after, in a burst.
    late = START + timedelta(days=20)
    payments = silver_rows(spark, [("twice", "u1", START), ("a", "u1", late), ("twice", "u1", late)])
    storage.append(payments, settings, "silver.transactions")
    empty = storage.read(spark, settings, "features.user_5m")
    made = user_5m(payments).withColumns(dict.fromkeys(("inputs_arrived_at", "updated_at"), F.lit(START)))
    features = empty.unionByName(made, allowMissingColumns=True)
    storage.append(features.select(*empty.columns), settings, "features.user_5m")
    register_names(spark, settings)
    register_views(spark, settings, "analyst")
    seen = spark.table("analyst.transactions").where("event_id = 'twice'").orderBy("event_time").collect()
    assert [row["txn_count_5m"] for row in seen] == [1, 2]
