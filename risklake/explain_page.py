"""An explanation as one HTML page: no script, nothing from the network, every value of the data escaped."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from risklake.explain import Explanation


def page(found: Explanation) -> str:
    """The page of an explanation."""
    environment = Environment(loader=PackageLoader("risklake"), autoescape=True, undefined=StrictUndefined)
    environment.filters["shown"] = shown
    widest = max((abs(part["log_odds"]) for one in found.models for part in one["parts"]), default=1.0)
    return environment.get_template("explain.html.j2").render(
        found=found,
        fate=fate(found),
        widest=widest or 1.0,
        tables={
            "Alerts that stand": found.alerts,
            "Cases": found.cases,
            "What analysts found out": found.dispositions,
            "The event, typed": [found.event] if found.event else [],
            "What the rules made of the order": [found.order] if found.order else [],
            "In the marts": [found.mart] if found.mart else [],
        },
    )


def fate(found: Explanation) -> str:
    """What became of the event, in a few words."""
    fates = [line["fate"] for line in found.lines]
    return fates[0] if fates else "accepted" if found.event else "unknown"


def shown(value: Any) -> str:
    """A value as people read it; what is missing as a dash."""
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.1f}"
    if isinstance(value, list):
        return ", ".join(shown(one) for one in value)
    if isinstance(value, dict):
        return "; ".join(f"{name} = {shown(one)}" for name, one in value.items())
    return str(value)
