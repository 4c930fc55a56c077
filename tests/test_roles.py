"""The views of roles."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lake import storage
from lake.roles import register_views
from lake.session import register_names
from lake.settings import Settings
from spark_jobs import pipeline
from spark_jobs.user_5m import user_5m
from tests.lines_of_feeds import line
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


def test_an_investigator_sees_who_it_is_whether_users_came_as_json_or_csv(
    spark: SparkSession, settings: Settings, land: Callable[..., Path]
) -> None:
    land([line("users", user_id="u1", name="Siti")], "a.jsonl", "users")
    header = "\ufeffuser_id,name,email,phone_number,created_date,source"
    land([header, 'u2,"Nur, ""Budi""",b@mail.id,+62 1,2024-03-01,app'], "b.csv", "users")
    other = "source;name;user_id;email;phone_number;created_date"
    land([other, '"x;y";Ayu;u3;c@mail.id;+62 2;2024-03-01'], "c.csv", "users")
    windows = ["user_id,created_date,source,name,email,phone_number\r", 'u5,2024-03-01,app,A,a@mail.id,"+62, 3"\r']
    land(windows, "e.csv", "users")
    land([line("users", user_id="u4", name='"q"')], "d.jsonl", "users")
    pipeline.run(spark, settings, continuous=False, jobs=("bronze", "silver"))
    register_names(spark, settings)
    assert "investigator.users" in register_views(spark, settings, "investigator")
    seen = {row["user_id"]: (row["name"], row["email"]) for row in spark.table("investigator.users").collect()}
    phones = spark.table("investigator.users").where("user_id = 'u5'").collect()
    assert [row["phone_number"] for row in phones] == ["+62, 3"]
    assert seen == {
        "u1": ("Siti", "budi@mail.id"), "u2": ('Nur, "Budi"', "b@mail.id"), "u3": ("Ayu", "c@mail.id"),
        "u4": ('"q"', "budi@mail.id"), "u5": ("A", "a@mail.id"),
    }  # fmt: skip
