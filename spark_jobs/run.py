"""What every streaming job does when it is started by itself: settings, session, run, and a clean end."""

from __future__ import annotations

import argparse
import sys

from lake.errors import LakehouseError
from lake.session import build_session
from lake.settings import load_settings
from lake.stopping import stopped_by_signals
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


def _print(progress: pipeline.Progress) -> None:
    if progress.done:
        rate = progress.rows / progress.seconds if progress.seconds else 0.0
        print(f"{progress.job}: {progress.rows:,} rows in {progress.seconds:.1f} s ({rate:,.0f}/s)")  # noqa: T201


if __name__ == "__main__":
    main()
