"""OPTIMIZE and VACUUM of every table of a lake, under the leases of all jobs: `python -m benchmarks.faults.care`.

It stands in for `risklake care` where there is no such command yet. The lake is that of LAKE_ROOT.
"""

from __future__ import annotations

from delta.tables import DeltaTable

from lake import storage
from lake.lease import leases
from lake.session import build_session
from lake.settings import load_settings
from spark_jobs.pipeline import JOBS


def main() -> None:
    """Compact the small files of each table, then drop those that no version of the last week needs."""
    settings = load_settings()
    with leases(settings, [*JOBS, "monitoring"]):
        spark = build_session(settings, "care", log=settings.local_path("logs", "spark.log"))
        for name in storage.tables_on_disk(spark, settings):
            table = DeltaTable.forPath(spark, settings.table_path(name))
            table.optimize().executeCompaction()
            table.vacuum()
        spark.stop()


if __name__ == "__main__":
    main()
