"""Who may write a lake: one program a job, with the key of the lake."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from pyspark.sql import SparkSession

from lake.errors import LeaseError, SettingError
from lake.lease import leases, turn
from lake.masking_key import require_same_key
from lake.settings import Settings
from ml import LEASE, train
from risklake import upkeep_command
from spark_jobs import pipeline


def test_whoever_drains_needs_the_key_of_the_lake(spark: SparkSession, settings: Settings) -> None:
    require_same_key(settings)
    other = replace(settings, masking_key="a key of someone else")
    for drain_with in (lambda: pipeline.run(spark, other, continuous=False),
                       lambda: pipeline.drain_holding_leases(spark, other)):  # fmt: skip
        with pytest.raises(SettingError, match="key"):
            drain_with()


def test_a_second_writer_is_refused_by_name_and_the_lease_ends_with_its_holder(
    spark: SparkSession, settings: Settings
) -> None:
    with leases(settings, ["silver"]), pytest.raises(LeaseError, match=f"process {os.getpid()}.*`silver`"):
        pipeline.run(spark, settings, continuous=False)
    with leases(settings, ["silver"]):
        assert settings.local_path("checkpoints", ".silver.lease").read_text() == str(os.getpid())


@pytest.mark.parametrize("other", ["silver", "quarantine", "marts", "train"])
def test_nobody_is_forgotten_while_another_program_may_write_what_it_has_read(
    settings: Settings, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep_command, "session_for", lambda *_: pytest.fail("Spark was started"))
    with leases(settings, [other]), pytest.raises(LeaseError, match=f"`{other}`"):
        upkeep_command.forget("u1", lake=Path(settings.lake_root))


def test_two_trainings_do_not_replace_each_others_scores(settings: Settings) -> None:
    with leases(settings, [LEASE]), pytest.raises(LeaseError, match="`train`"):
        train.run(cast(SparkSession, None), settings)


def test_who_makes_tables_waits_for_another_program_that_does(settings: Settings, tmp_path: Path) -> None:
    program = (
        "import sys, time\nfrom pathlib import Path\n"
        "from lake.lease import turn\nfrom lake.settings import load_settings\n"
        "with turn(load_settings({'lake_root': sys.argv[1]}, environment={}), 'tables'):\n"
        "    Path(sys.argv[2]).touch(); time.sleep(1); Path(sys.argv[2]).unlink()\n"
    )
    marker = tmp_path / "at work"
    other = subprocess.Popen([sys.executable, "-c", program, settings.lake_root, str(marker)])
    deadline = time.monotonic() + 30
    while not marker.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert marker.exists()
    with turn(settings, "tables"):
        assert not marker.exists()
    assert other.wait(timeout=30) == 0
