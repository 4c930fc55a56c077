"""Where a country's clocks are and where its people live, roughly: its main city, from the time zone database."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

# The first zone of these in the table is not that of most of their people.
_MAIN_ZONES = {
    "AU": "Australia/Sydney",
    "BR": "America/Sao_Paulo",
    "CA": "America/Toronto",
    "RU": "Europe/Moscow",
    "UA": "Europe/Kyiv",
    "UZ": "Asia/Tashkent",
}
_COORDINATES = re.compile(r"([+-])(\d{2})(\d{2})(\d{2})?([+-])(\d{3})(\d{2})(\d{2})?")


@dataclass(frozen=True)
class Place:
    """The main city of a country: its IANA time zone, its latitude and longitude in degrees (north, east positive)."""

    zone: str
    latitude: float
    longitude: float


@cache
def places() -> dict[str, Place]:
    """Places by ISO 3166-1 alpha-2 code; the few territories without inhabitants have none."""
    text = (files("tzdata") / "zoneinfo" / "zone.tab").read_text(encoding="utf-8")
    found: dict[str, Place] = {}
    for row in (line.split("\t") for line in text.splitlines() if not line.startswith("#")):
        code, coordinates, zone = row[:3]
        if code not in found or zone == _MAIN_ZONES.get(code):
            found[code] = Place(zone, *_degrees(coordinates))
    return found


def _degrees(text: str) -> tuple[float, float]:
    parts = _COORDINATES.fullmatch(text)
    if parts is None:
        raise ValueError(f"{text!r} is no pair of coordinates")
    return _decimal(*parts.groups()[:4]), _decimal(*parts.groups()[4:])


def _decimal(sign: str, degrees: str, minutes: str, seconds: str | None) -> float:
    size = int(degrees) + int(minutes) / 60 + int(seconds or 0) / 3600
    return -size if sign == "-" else size
