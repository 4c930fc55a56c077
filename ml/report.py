"""The report of a training: JSON for programs, one self-contained HTML page for people."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from lake.settings import Settings
from ml import plots
from ml.artifact import feature_schema, library_versions
from ml.files import plain, strict_json, write_whole
from ml.training import Outcome
from ml.windows import Windows


def build_report(
    outcome: Outcome, windows: Windows, *, seed: int, labels_mature: bool, seconds: float
) -> dict[str, Any]:
    """The content of `model-<as_of>.json`: plain values, undefined figures None; rates and shares from 0 to 1."""
    report = {
        "as_of": windows.as_of,
        "train": [windows.train_from, windows.train_to],
        "delay_days": windows.delay_days,
        "test": [windows.test_from, windows.test_to],
        "trained_at_moment": windows.moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        **outcome.figures,
        "labels_mature": labels_mature,
        "seed": seed,
        "seconds": seconds,
        "features": feature_schema(),
        "versions": library_versions(),
    }
    return plain(report)


def write_report(settings: Settings, report: dict[str, Any], page: str) -> Path:
    """Write both forms under the as-of date and as `latest`, each whole or not at all; gives the HTML's path."""
    folder = settings.local_path("reports")
    name = f"model-{report['as_of']}"
    for stem in (name, "latest"):
        write_whole(folder / f"{stem}.html", page.encode("utf-8"))
        write_whole(folder / f"{stem}.json", strict_json(report))
    return folder / f"{name}.html"


def render(report: dict[str, Any], outcome: Outcome) -> str:
    """The HTML page: no script, nothing from the network, every value of the data escaped."""
    environment = Environment(loader=PackageLoader("ml"), autoescape=True, undefined=StrictUndefined)
    environment.filters.update(number=_number, percent=_percent, count=_count)
    shown = report["promoted"] or (report["candidate"] or {}).get("name")
    is_fraud = outcome.test["is_fraud"].to_numpy()
    return environment.get_template("report.html.j2").render(
        report=report,
        shown=shown,
        notes=notes(report),
        timeline=timeline(report),
        scenarios=_scenarios(report),
        colours=plots.COLOURS,
        curves=plots.precision_recall_plot(is_fraud, outcome.scores),
        spread=plots.score_plot(is_fraud, outcome.scores[shown]) if shown else "",
        daily=plots.daily_plot(outcome.daily),
    )


def timeline(report: dict[str, Any]) -> list[dict[str, Any]]:
    """The three stretches in order, each with its length in days, for drawing them to scale."""
    train, test = report["train"], report["test"]
    stretches = [
        {"kind": "train", "title": "learn", "days": _days(*train), "text": f"{train[0]} to {train[1]}"},
        {"kind": "wait", "title": "wait", "days": report["delay_days"], "text": "chargebacks arrive"},
        {"kind": "test", "title": "test", "days": _days(*test), "text": f"{test[0]} to {test[1]}"},
    ]
    return [stretch for stretch in stretches if stretch["days"]]


def notes(report: dict[str, Any]) -> list[str]:
    """What a reader must know before trusting the figures; one sentence or two each."""
    later, known = report["train_frauds_later"], report["train_frauds_known"]
    found = [
        f"At training ({report['trained_at_moment']}), {known:,} frauds of the train days had been reported. {later:,} "
        "more were reported later: training took them for legitimate, as a bank would have had to.",
        "A fraud is a payment with a dispute whose reason starts with “fraud”. Frauds that nobody disputes count as "
        "legitimate, so true precision may be higher, and true recall lower, than shown.",
        "Features are computed by event time, with late lines put right. Where lines arrive late, a model in operation "
        "sees a little less than this one did.",
        "The figures hold for these test days. They say nothing of other customers, of attacks not seen before, or of "
        "how fraudsters answer to being stopped.",
    ]
    if not report["labels_mature"]:
        found.insert(
            0, "The last test days have not had the full delay for their chargebacks to arrive: frauds are missing."
        )
    if report["events_without_features"]:
        found.append(
            f"{report['events_without_features']:,} transactions had no feature row yet and were left out. "
            "Run `risklake stream --once` and train again."
        )
    if len(report["currencies"]) > 1:
        found.append("Amounts of several currencies are compared as multiples of each currency's median payment.")
    return found


def _days(first: str, last: str) -> int:
    return (date.fromisoformat(last) - date.fromisoformat(first)).days + 1


def _scenarios(report: dict[str, Any]) -> list[tuple[str, int]]:
    fullest = max((entry["by_scenario"] for entry in report["models"].values()), key=len)
    return sorted(((name, figures["frauds"]) for name, figures in fullest.items()), key=lambda pair: -pair[1])


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _percent(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{100 * value:.{digits}f} %"


def _count(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"
