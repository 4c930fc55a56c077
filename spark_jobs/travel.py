"""Places as columns: the distance between two countries' main cities, and the hour of their clocks."""

from __future__ import annotations

import json

from pyspark.sql import Column
from pyspark.sql import functions as F

from lake.country_places import places

EARTH_RADIUS_KM = 6_371.0


def distance_km(one: Column, other: Column) -> Column:
    """Distance between the main cities of two countries (ISO 3166-1 alpha-2), in whole km along the great circle.

    Null where one of them has no place.
    """
    from_latitude, from_longitude = _radians(one)
    to_latitude, to_longitude = _radians(other)
    half = (
        F.pow(F.sin((to_latitude - from_latitude) / 2), 2.0)
        + F.cos(from_latitude) * F.cos(to_latitude) * F.pow(F.sin((to_longitude - from_longitude) / 2), 2.0)
    )  # fmt: skip
    return F.round(2 * EARTH_RADIUS_KM * F.asin(F.sqrt(F.least(half, F.lit(1.0)))))


def local_hour(country: Column, moment: Column) -> Column:
    """Hour (0 to 23) at the main city of a country at a moment (UTC), summer time included; null without a place."""
    zones = {code: place.zone for code, place in places().items()}
    zone = F.try_element_at(_constant(zones, "map<string, string>"), country)
    return F.hour(F.from_utc_timestamp(moment, zone))


def _radians(country: Column) -> tuple[Column, Column]:
    degrees = {code: [place.latitude, place.longitude] for code, place in places().items()}
    found = F.try_element_at(_constant(degrees, "map<string, array<double>>"), country)
    return F.radians(F.get(found, 0)), F.radians(F.get(found, 1))


def _constant(values: object, kind: str) -> Column:
    # One literal, which Spark evaluates once a query; as many literals as there are countries take Python 0.1 s.
    return F.from_json(F.lit(json.dumps(values)), kind)
