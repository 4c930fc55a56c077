"""The nightly training: reads the feature tables, trains, judges, and writes model, scores and report.

Run it as `risklake train`, or as `spark-submit ml/train.py [--as-of DATE]`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from datetime import date
from typing import Any

import pandas as pd
import pyarrow as pa
from pyspark.sql import SparkSession

from lake import storage
from lake.catalog import SCORES
from lake.errors import LakehouseError
from lake.lease import leases, turn
from lake.session import build_session
from lake.settings import Settings, load_settings
from ml import LEASE, models
from ml.artifact import model_path, remove_model, save_model
from ml.dataset import lake_days, load
from ml.report import build_report, render, write_report
from ml.training import Outcome, train_and_judge
from ml.windows import LakeDays, Windows, choose_as_of, last_mature_day, require_days, windows


def run(
    spark: SparkSession,
    settings: Settings,
    *,
    as_of: date | None = None,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Train as of a last test day (None: the latest whose chargebacks have had time to arrive).

    Writes `reports/model-<as_of>` and `reports/latest` (HTML and JSON); where a model is promoted also
    `models/<model>-<as_of>.skops` and its scores into `alerts.scores`. The same call again replaces all of it. Gives
    the report as written to JSON; `progress` is told each step. Raises `TrainingError` where the lake has too little,
    and `LeaseError` while another program trains on it, or forgets a user.
    """
    settings.local_path("reports")  # refuses a lake without local folders now, not after the work
    with leases(settings, [LEASE]):
        return _run(spark, settings, as_of, progress or (lambda _: None))


def _run(spark: SparkSession, settings: Settings, as_of: date | None, tell: Callable[[str], None]) -> dict[str, Any]:
    started = time.monotonic()
    days = lake_days(spark, settings)
    chosen = plan(days, settings, as_of)
    tell(
        f"Reading {chosen.train_from} to {chosen.train_to} for training, "
        f"{chosen.test_from} to {chosen.test_to} for the test"
    )
    data = load(spark, settings, chosen)
    outcome = train_and_judge(data, chosen, settings.seed, tell)
    write_scores(spark, settings, outcome, chosen)
    report = build_report(
        outcome,
        chosen,
        seed=settings.seed,
        labels_mature=chosen.as_of <= last_mature_day(days, settings.delay_days),
        seconds=round(time.monotonic() - started, 1),
    )
    write_models(settings, outcome, report)
    page = write_report(settings, report, render(report, outcome))
    tell(f"Report: {page}")
    return report


def plan(days: LakeDays, settings: Settings, as_of: date | None) -> Windows:
    """The windows of this training. Raises `TrainingError` where the lake does not reach over them."""
    lengths = {
        "train_days": settings.train_days,
        "delay_days": settings.delay_days,
        "test_days": settings.test_days,
    }
    chosen = windows(as_of or choose_as_of(days, **lengths), **lengths)
    require_days(chosen, days)
    return chosen


def write_scores(spark: SparkSession, settings: Settings, outcome: Outcome, chosen: Windows) -> None:
    """Replace the scores of this as-of date by those of the promoted model; by none where no model is promoted."""
    storage.ensure_tables(spark, settings, [SCORES.name])
    versions = ", ".join(f"'{model_version(name, chosen.as_of)}'" for name in models.CANDIDATES)
    rows = spark.createDataFrame(
        pa.Table.from_pandas(score_rows(outcome, chosen.as_of), preserve_index=False), schema=SCORES.schema
    )
    # The care of tables, perhaps that of a running stream, rewrites them too.
    with turn(settings, SCORES.name):
        storage.replace_where(rows, settings, SCORES.name, f"model_version in ({versions})")


def score_rows(outcome: Outcome, as_of: date) -> pd.DataFrame:
    """Rows of `alerts.scores`: one a test event for the promoted model, none where there is none."""
    name = outcome.promoted
    test = outcome.test if name else outcome.test.head(0)
    times = test["event_time"].dt.tz_localize("UTC")
    return pd.DataFrame(
        {
            "event_id": test["event_id"].astype("string"),
            "model_version": pd.Series(model_version(name or "", as_of), index=test.index, dtype="string"),
            "user_id": test["user_id"].astype("string"),
            "event_time": times.astype("datetime64[us, UTC]"),
            "event_date": test["day"].astype("datetime64[s]").dt.date.astype("date32[pyarrow]"),
            "score": outcome.scores[name] if name else pd.Series(dtype=float),
        }
    )


def write_models(settings: Settings, outcome: Outcome, report: dict[str, Any]) -> None:
    """Save the promoted model with its card, and delete what an earlier run of the same day left."""
    folder = settings.local_path("models")
    for name in models.CANDIDATES:
        path = model_path(folder, name, report["as_of"])
        if name == outcome.promoted:
            known = ("as_of", "train", "delay_days", "test", "seed", "base_rate")
            card = {"name": name, **{key: report[key] for key in known}, "metrics": report["models"][name]}
            save_model(path, outcome.fitted[name], card)
        else:
            remove_model(path)


def model_version(name: str, as_of: date) -> str:
    """What `alerts.scores` calls a model: its file's name without the ending."""
    return f"{name}-{as_of}"


def main(arguments: list[str] | None = None) -> int:
    """Settings, session, training; an error that a user can mend becomes one line and its exit code."""
    parser = argparse.ArgumentParser(prog="ml/train.py", description="Train and judge the nightly fraud baseline")
    parser.add_argument("--as-of", type=date.fromisoformat, help="last test day, YYYY-MM-DD (default: the latest)")
    asked = parser.parse_args(arguments)
    try:
        settings = load_settings()
        spark = build_session(settings, "train")
        try:
            run(spark, settings, as_of=asked.as_of, progress=lambda text: print(text, flush=True))  # noqa: T201
        finally:
            spark.stop()
    except LakehouseError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
