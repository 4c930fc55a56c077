"""The whole line in one go: input, streams, marts, model, report, and a summary that reconciles."""

from __future__ import annotations

import json
import shutil
import threading
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from lake import storage
from lake.catalog import LAYERS
from lake.errors import MachineError, TrainingError, UsageError
from lake.lease import leases
from lake.progress import Stages, Update
from lake.quick_start import end_recording, needs_recording
from lake.session import build_session
from lake.settings import Settings
from risklake import doctor
from risklake.labelled import find_input, land_input
from risklake.marts import build_marts
from risklake.reset import JOBS
from risklake.streaming import drain
from spark_jobs.reconciliation import Status, close_run

MARKER = ".demo.json"
# What a run starts without; nothing else in the folder is ever deleted. Logs stay, and with them what dbt has parsed.
_FOLDERS = (*LAYERS, "inbox", "truth", "models", "reports", "checkpoints")

FEEDS = ("transactions", "disputes")
GENERATED: dict[str, Any] = {"rows": 40_000, "days": 24, "users": 600, "merchants": 200}
CHAOS = {
    "late": 0.01,
    "out_of_order": 0.01,
    "drifted": 0.001,
    "duplicate": 0.003,
    "altered": 0.0005,
    "truncated": 0.0005,
    "corrupt": 0.0002,
    "wrong_type": 0.0003,
    "wrong_currency": 0.0002,
    "no_zone": 0.0002,
    "far_future": 0.0002,
}


@dataclass(frozen=True)
class Summary:
    """What a demo shows at its end."""

    status: Status
    report: dict[str, Any] | None
    why_no_report: str
    seconds: dict[str, float]


def run_demo(settings: Settings, stages: Stages, given: Path | None, as_of: date | None) -> Summary:
    """Run the whole line on generated transactions, or on a labelled folder. A run that was cut off goes on."""
    _require_fit(settings)
    source = find_input(given) if given else None
    identity: dict[str, Any] = (
        {"input": str(source.folder.resolve())} if source else {"generated": GENERATED, "seed": settings.seed}
    )
    identity |= {"label_delay_days": settings.label_delay_days}
    _prepare(settings, identity)
    with stages.stage("input", "files" if source else "payments") as update:
        if source:
            land_input(source, settings, update)
        else:
            _generate(settings, update)
    with stages.stage("spark"):
        _import_ahead()
        record = needs_recording()
        log = settings.local_path("logs", "spark.log")
        spark = build_session(settings, "risklake demo", log=log, record=record)
    summary = _run(spark, settings, stages, as_of)
    _mark(settings, identity, complete=True)
    if record:
        with stages.stage("archive"):
            end_recording(spark)
    else:
        spark.stop()
    return summary


def _run(spark: SparkSession, settings: Settings, stages: Stages, as_of: date | None) -> Summary:
    from ml import train

    with stages.stage("tables", "tables"):
        storage.ensure_tables(spark, settings)
    drain(spark, settings, stages)
    with stages.stage("marts", "models and tests") as update:
        build_marts(spark, settings, lambda done, total: update(done, total))
    report, why = None, ""
    with stages.stage("model"):
        try:
            report = train.run(spark, settings, as_of=as_of, progress=lambda text: None)
        except TrainingError as error:
            why = str(error)
    with stages.stage("check"):
        status = close_run(spark, settings, with_parity=True)
    return Summary(status, report, why, dict(stages.seconds))


def _import_ahead() -> None:
    """Import what the later stages need while Java starts; together it takes seconds."""

    def load() -> None:
        import dbt.cli.main  # noqa: F401

        import ml.train  # noqa: F401

    threading.Thread(target=load, daemon=True).start()


def _require_fit(settings: Settings) -> None:
    wrong = [finding for finding in doctor.check(settings) if not finding.ok and finding.level == "error"]
    if wrong:
        raise MachineError("; ".join(f"{finding.message}. {finding.fix}" for finding in wrong))


def _generate(settings: Settings, update: Update) -> None:
    from generator.write import generate

    generate(settings.local_path("inbox"), seed=settings.seed, chaos=CHAOS, feeds=FEEDS, progress=update, **GENERATED)


def _prepare(settings: Settings, identity: dict[str, Any]) -> None:
    """Empty the lake of a finished demo, keep that of a cut-off one, refuse any other."""
    root = settings.local_path()
    present = [root / name for name in _FOLDERS if (root / name).is_dir()]
    marker = root / MARKER
    if present and not marker.is_file():
        raise UsageError(
            f"{root} holds a lake that no demo made, and a demo starts from an empty one. "
            "Give another folder with --lake DIR (or LAKE=DIR for make)"
        )
    before = json.loads(marker.read_text(encoding="utf-8")) if marker.is_file() else None
    if before != identity | {"complete": False}:
        with leases(settings, list(JOBS)):
            for folder in present:
                shutil.rmtree(folder)
    _mark(settings, identity, complete=False)


def _mark(settings: Settings, identity: dict[str, Any], *, complete: bool) -> None:
    marker = settings.local_path(MARKER)
    marker.parent.mkdir(parents=True, exist_ok=True)
    hidden = marker.with_suffix(".part")
    hidden.write_text(json.dumps(identity | {"complete": complete}), encoding="utf-8")
    hidden.replace(marker)
