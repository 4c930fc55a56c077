"""A user is forgotten in every table and file, others are not touched, and roles see what they may."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from lake import storage
from lake.errors import UsageError
from lake.inbox import land_lines
from lake.roles import ROLES, register_views
from lake.session import register_names
from lake.settings import Settings, load_settings
from risklake.forget import Person, find_person, forget, traces
from spark_jobs import pipeline
from spark_jobs.reconciliation import Status, close_run, measure_status

NAMES = {
    "u1": ("Sití Nur", "siti+shop@mail.id", "+62 812 3456 789"),
    "u12": ("Budi", "budi@mail.id", "+62 811 000 111"),
}


def user(user_id: str, **fields: str) -> str:
    name, email, phone = NAMES[user_id]
    return json.dumps(
        {"user_id": user_id, "name": name, "email": email, "phone_number": phone, "created_date": "2024-03-01",
         "source": "app"} | fields
    )  # fmt: skip


def payment(event_id: str, user_id: str, **fields: object) -> str:
    return json.dumps(
        {"event_id": event_id, "user_id": user_id, "merchant_id": "m1", "amount": 9.5, "currency": "IDR",
         "country": "ID", "event_time": "2026-01-05T10:00:00Z"} | fields
    )  # fmt: skip


@pytest.fixture(scope="module")
def settings(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = load_settings({"lake_root": str(tmp_path_factory.mktemp("forget") / "lake")}, environment={})
    lines = {
        "users": [user("u1"), user("u12"), user("u1", source="web", note="was siti+shop@mail.id before")],
        "payment_methods": [json.dumps({"payment_method_id": "p1", "user_id": "u1", "kind": "debit_card",
                                        "last4": "0042", "issuer_country": "ID", "created_date": "2024-03-01"})],
        "transactions": [
            *(payment(f"t{n}", "u1") for n in range(4)),
            payment("other", "u12"),
            payment("bad", "u1", amount="siti+shop@mail.id"),
            payment("hint", "u12", status="paid for siti+shop@mail.id"),
        ],
    }  # fmt: skip
    for feed, texts in lines.items():
        land_lines(texts, settings.local_path("inbox", feed), "a.jsonl.gz")
    # Named like the user, and cut off.
    notes = (hashlib.sha256(bytes([number])).hexdigest() for number in range(200))
    damaged = [user("u1", country="ID"), *(user("u12", note=note) for note in notes)]
    cut = land_lines(damaged, settings.local_path("inbox", "users"), "u1.jsonl.gz")
    cut.write_bytes(cut.read_bytes()[:4000])
    pipeline.run(spark, settings, continuous=False)
    close_run(spark, settings)
    register_names(spark, settings)
    return settings


@pytest.fixture(scope="module")
def before(spark: SparkSession, settings: Settings) -> Status:
    return measure_status(spark, settings)


def test_an_analyst_sees_no_personal_data_and_an_investigator_sees_who_it_is(
    spark: SparkSession, settings: Settings, before: Status
) -> None:
    assert ROLES == ("analyst", "investigator")
    for name in register_views(spark, settings, "analyst"):
        held = json.dumps([row.asDict() for row in spark.table(name).collect()], default=str)
        assert not any(word in held for words in NAMES.values() for word in words), name
        assert "email_" not in held, name
    assert "investigator.users" in register_views(spark, settings, "investigator")
    seen = {row["user_id"]: row["email"] for row in spark.table("investigator.users").collect()}
    assert seen == {"u1": "siti+shop@mail.id", "u12": "budi@mail.id"}


@pytest.fixture(scope="module")
def person(spark: SparkSession, settings: Settings, before: Status) -> Person:
    """The user who has been forgotten."""
    person = find_person(spark, settings, "u1")
    assert person.everywhere == ("+62 812 3456 789", "siti+shop@mail.id")
    assert {trace.place for trace in traces(spark, settings, person)} >= {
        "bronze.users", "bronze.transactions", "silver.transactions", "features.user_5m", "alerts.alerts",
        "inbox/users/a.jsonl.gz",
    }  # fmt: skip
    changed = forget(spark, settings, person, lambda done, total: None)
    assert changed["inbox/users/u1.jsonl.gz (damaged: kept as far as it can be read)"] == 1
    return person


def test_no_trace_of_a_forgotten_user_is_left_in_any_table_or_file(
    spark: SparkSession, settings: Settings, person: Person
) -> None:
    assert traces(spark, settings, person) == []
    assert find_nothing(spark, settings)
    held = b"".join(gzip.decompress(file.read_bytes()) for file in sorted(Path(settings.path("inbox")).rglob("*.gz")))
    for word in ("siti+shop", "Sit\\u00ed Nur", "3456 789", '"u1"'):
        assert word.encode() not in held
    assert b"budi@mail.id" in held


def find_nothing(spark: SparkSession, settings: Settings) -> bool:
    with pytest.raises(UsageError, match="names the user 'u1': nothing to forget"):
        find_person(spark, settings, "u1")
    return True


def test_rows_of_a_forgotten_user_stay_and_count_as_before(
    spark: SparkSession, settings: Settings, before: Status, person: Person
) -> None:
    after = measure_status(spark, settings)
    assert after.is_consistent, after.as_dict()
    assert after.as_dict()["feeds"] == before.as_dict()["feeds"]
    assert after.changed_files == []
    mine = storage.read(spark, settings, "silver.transactions").where(f"user_id = '{person.token}'")
    assert mine.count() == 4
    named = storage.read(spark, settings, "bronze.users").where("source_file = 'u1.jsonl.gz'")
    assert named.count() > 1


def test_others_are_not_touched_and_the_streams_go_on(spark: SparkSession, settings: Settings, person: Person) -> None:
    users = storage.read(spark, settings, "silver.users").where("user_id = 'u12'").collect()
    assert users[0]["email"].startswith("email_")
    land_lines([payment("new", "u12")], settings.local_path("inbox", "transactions"), "b.jsonl")
    pipeline.run(spark, settings, continuous=False)
    status = close_run(spark, settings, with_parity=True)
    assert status.is_consistent, status.as_dict()
    assert status.feeds["transactions"].silver == 7
