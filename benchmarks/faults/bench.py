"""A run of the harness: deliveries, the lake that takes them undisturbed, and lakes to compare with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pyspark.sql import SparkSession

from benchmarks.faults.deliveries import Delivery
from benchmarks.faults.landing import Landing
from benchmarks.faults.programs import Programs
from benchmarks.faults.verdict import Verdict, judge
from benchmarks.processes import HarnessError
from lake.session import build_session
from lake.settings import Settings, load_settings


@dataclass
class Bench:
    """The folder of a run, and what is delivered in it."""

    folder: Path
    deliveries: list[Delivery]
    _session: list[SparkSession] = field(default_factory=list)

    def take_reference(self) -> None:
        """Make the reference lake from all deliveries in one run that nobody disturbs."""
        self.landing("reference").land_up_to(1.0)
        ending = self.programs("reference").run("stream")
        if ending.code:
            raise HarnessError(f"The undisturbed run ended with exit code {ending.code}: {ending.last_line}")

    def landing(self, lake: str, *, is_in_place: bool = False) -> Landing:
        """The deliveries, none of them in the inbox of this lake yet."""
        return Landing(self.folder / lake, self.deliveries, is_in_place=is_in_place)

    def programs(self, lake: str, *, broken: str | None = None) -> Programs:
        """The commands on a lake of this run."""
        return Programs(self.folder / lake, self.folder / f"{lake}.logs", broken)

    def verdict(self, lake: str) -> Verdict:
        """Hold a lake against the reference."""
        return judge(self._spark(), self._settings("reference"), self._settings(lake))

    def close(self) -> None:
        """Stop the session that the verdicts came from."""
        for session in self._session:
            session.stop()
        self._session.clear()

    def _settings(self, lake: str) -> Settings:
        return load_settings({"lake_root": str(self.folder / lake)}, environment={}, folder=self.folder)

    def _spark(self) -> SparkSession:
        if not self._session:
            self._session.append(build_session(self._settings("reference"), "faults", log=self.folder / "spark.log"))
        return self._session[0]
