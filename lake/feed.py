"""How a feed is declared: one value that silver's schema, the validation, the masking and the documents all follow."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from pyspark.sql.types import DataType, DecimalType, IntegerType, StringType, TimestampType

from lake.table import Column

# Up to 99,999,999,999,999.9999 of any currency; four decimals is the most that ISO 4217 knows.
MONEY = DecimalType(18, 4)


class Kind(Enum):
    """What a field holds; each kind has one validation and one silver type."""

    IDENTIFIER = "identifier"
    MONEY = "money"
    WRITTEN_MONEY = "money as people write it"
    CURRENCY = "currency"
    COUNTRY = "country"
    TIME = "time"
    WRITTEN_TIME = "date or time as people write it"
    INTEGER = "integer"
    TEXT = "text"

    @property
    def silver_type(self) -> DataType:
        """The type that an accepted value of this kind has in silver."""
        if self in (Kind.MONEY, Kind.WRITTEN_MONEY):
            return MONEY
        if self in (Kind.TIME, Kind.WRITTEN_TIME):
            return TimestampType()
        return IntegerType() if self is Kind.INTEGER else StringType()


@dataclass(frozen=True)
class Field:
    """One field of a feed.

    `choices` limits text to these values; an optional field may be absent or null, and takes `default` or the value of
    the field `falls_back_on` then. `personal` names the kind of personal data (email, phone, name, last4): silver
    holds its token. `keeps_text` keeps money as it was written and adds `<name>_numeric` and `<name>_currency`.
    `refers_to` names the reference feed whose key this is.
    """

    name: str
    kind: Kind
    comment: str
    required: bool = True
    choices: tuple[str, ...] = ()
    default: str | None = None
    falls_back_on: str | None = None
    personal: str | None = None
    keeps_text: bool = False
    refers_to: str | None = None

    @property
    def is_always_there(self) -> bool:
        """Whether silver always holds a value."""
        return self.required or self.default is not None or self.falls_back_on is not None

    @property
    def silver_columns(self) -> tuple[Column, ...]:
        """The columns of silver that hold this field."""
        comment = f"{self.comment}; a keyed token, the value itself is in bronze" if self.personal else self.comment
        if not self.keeps_text:
            return (Column(self.name, self.kind.silver_type, comment, nullable=not self.is_always_there),)
        nullable = not self.is_always_there
        return (
            Column(self.name, StringType(), comment, nullable=nullable),
            Column(f"{self.name}_numeric", MONEY, f"`{self.name}` as a number", nullable=nullable),
            Column(
                f"{self.name}_currency",
                StringType(),
                f"ISO 4217 code that `{self.name}` names by code or symbol ($ is USD, ¥ is JPY); null if none",
            ),
        )


@dataclass(frozen=True)
class Feed:
    """One inbox folder.

    `key` is the field that identifies an event, or the thing that a reference feed describes. `event_time` is the
    field whose UTC date partitions silver; a reference feed has none: its lines are versions of what they describe,
    and its files may be CSV. `max_future_days` says how far a time may lie after the arrival of its line. `is_core`
    feeds have tables from the first; the others get theirs with their first file. Feeds that rules judge (`is_judged`)
    come through first; lines of others are gathered for some seconds.
    """

    name: str
    meaning: str
    key: str
    fields: tuple[Field, ...]
    event_time: str | None = None
    max_future_days: int = 1
    is_core: bool = False
    is_judged: bool = False

    @property
    def is_reference(self) -> bool:
        """Whether the feed describes things (users, merchants) instead of events."""
        return self.event_time is None

    @property
    def identity(self) -> tuple[str, ...]:
        """The columns that make a line the same event, or the same version of a thing, as another."""
        return (self.key, "content_hash") if self.is_reference else (self.key,)

    @property
    def field_names(self) -> list[str]:
        """Names of the declared fields, in order."""
        return [f.name for f in self.fields]

    @property
    def value_names(self) -> list[str]:
        """Names of the columns of silver that hold the fields, in order."""
        return [column.name for f in self.fields for column in f.silver_columns]

    @property
    def references(self) -> dict[str, str]:
        """Field to the reference feed that it refers to."""
        return {f.name: f.refers_to for f in self.fields if f.refers_to}
