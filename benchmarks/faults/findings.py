"""What is said of one of the other faults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from benchmarks.faults.verdict import Verdict


@dataclass(frozen=True)
class Finding:
    """What a fault led to: whether that is as it must be, in words, with the verdict on the lake where there is one."""

    name: str
    is_good: bool
    said: str
    verdict: Verdict | None = None
    is_skipped: bool = False

    def as_dict(self) -> dict[str, Any]:
        """As it stands in the JSON of a run."""
        shown = {"good": self.is_good, "skipped": self.is_skipped, "said": self.said}
        return {**shown, "verdict": self.verdict.as_dict() if self.verdict else None}
