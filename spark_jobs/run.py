"""What every streaming job does when it is started by itself: settings, session, run, and a clean end."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from lake.errors import LakehouseError
from lake.session import build_session
from lake.settings import load_settings
from spark_jobs import pipeline


def main(*jobs: str) -> None:
    """Entry of `spark-submit spark_jobs/<job>.py [--once]`; ends the process with a meaningful exit code."""
    names = jobs or tuple(pipeline.JOBS)
    parser = argparse.ArgumentParser(
        description=f"Run {', '.join(names)} of the lake at LAKE_ROOT until stopped.",
        epilog="example: spark-submit --properties-file conf/spark-defaults.conf spark_jobs/bronze.py --once",
    )
    parser.add_argument("--once", action="store_true", help="take what is there now, then stop")
    arguments = parser.parse_args()
    try:
        settings = load_settings()
        spark = build_session(settings, name=f"risklake {' '.join(names)}")
        with stopped_by_signals() as stop:
            pipeline.run(spark, settings, continuous=not arguments.once, jobs=names, report=_print, stop=stop)
        spark.stop()
    except LakehouseError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)


@contextmanager
def stopped_by_signals() -> Iterator[threading.Event]:
    """An event that SIGTERM and Ctrl-C set, so that a stream ends cleanly."""
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _print(progress: pipeline.Progress) -> None:
    if progress.done:
        rate = progress.rows / progress.seconds if progress.seconds else 0.0
        print(f"{progress.job}: {progress.rows:,} rows in {progress.seconds:.1f} s ({rate:,.0f}/s)")  # noqa: T201


if __name__ == "__main__":
    main()
