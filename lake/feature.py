"""How a feature is declared: one value that its table, the stream, the recomputation and the documents all follow."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from pyspark.sql.types import DataType

from lake.table import Column


class Aggregate(Enum):
    """What is made of the events in a window."""

    COUNT = "count"
    SUM = "sum"
    MEAN = "mean"
    MAX = "largest"
    SPREAD = "sample standard deviation"
    DISTINCT = "count of different values"
    # Of one earlier event, or of the event itself; each such feature has a formula of its own.
    FORMULA = "formula"


_UNITS = (("days", timedelta(days=2)), ("hours", timedelta(hours=1)), ("minutes", timedelta(minutes=1)))


def in_words(span: timedelta) -> str:
    """A length of time as people say it: `1 minute`, `24 hours`, `30 days`."""
    unit = next((unit for unit, least in _UNITS if span >= least), "seconds")
    count = span // timedelta(**{unit: 1})
    return f"{count} {unit if count != 1 else unit[:-1]}"


@dataclass(frozen=True)
class Feature:
    """One value that is known of an event.

    It is made of the events with the same `key` whose event time lies in `(event_time - window, event_time]`, the event
    itself and all others of the same instant included; of a row that is no event, in what its meaning says; without a
    window, of what its meaning says. `of` is the column that is aggregated, `only` a condition by name that an event
    must meet to be counted. A feature that is not always there is null where its meaning says so.
    """

    name: str
    meaning: str
    unit: str
    type: DataType
    key: str
    aggregate: Aggregate = Aggregate.FORMULA
    of: str = ""
    window: timedelta | None = None
    only: str = ""
    is_always_there: bool = True

    @property
    def column(self) -> Column:
        """The column of its table."""
        return Column(self.name, self.type, f"{self.meaning} ({self.unit})", nullable=not self.is_always_there)
