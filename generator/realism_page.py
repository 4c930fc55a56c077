"""The realism report as one HTML page: no script, nothing from the network, every value escaped."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from generator.public_sets import PUBLIC_SETS
from generator.realism import Realism, shown
from generator.realism_charts import (
    BOTTOM,
    COLOURS,
    GREY,
    HEIGHT,
    LEFT,
    RED,
    RIGHT,
    WIDTH,
    Chart,
    bar_chart,
    log_log_chart,
)
from lake.errors import UsageError
from lake.inbox import land_blocks

NAME = "realism.html"


def write_page(realism: Realism, truth: Path) -> Path:
    """Write the page beside the truth, whole or not at all. Raises `UsageError` where that folder cannot be written."""
    page = truth / NAME
    try:
        return land_blocks([render(realism).encode()], page)
    except OSError as error:
        raise UsageError(f"{page} cannot be written ({error.strerror}): make {truth} writable") from error


def render(realism: Realism) -> str:
    """The page as text."""
    environment = Environment(
        loader=PackageLoader("generator", ""), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters.update(shown=shown)
    return environment.get_template("realism.html.j2").render(
        realism=realism,
        public_sets=PUBLIC_SETS,
        scenarios=scenarios(realism),
        charts=charts(realism),
        width=WIDTH,
        height=HEIGHT,
        left=LEFT,
        right=RIGHT,
        bottom=BOTTOM,
    )


def charts(realism: Realism) -> list[Chart]:
    """What the page draws; a chart of something that the run does not have is left out."""
    found = [_by_hour(realism), _by_weekday(realism), _by_merchant(realism), _by_amount(realism), _by_week(realism)]
    return [chart for chart in found if chart]


def _by_hour(realism: Realism) -> Chart:
    return bar_chart(
        realism["hour_ratio"].detail,
        title="Payments by hour",
        caption="On the clock of each user's home country.",
        across="hour",
        up="payments",
        colours=COLOURS,
        shown=_count,
        is_tick=lambda label: int(label) % 3 == 0,
    )


def _by_weekday(realism: Realism) -> Chart:
    return bar_chart(
        {
            name: {day[:3]: value for day, value in days.items()}
            for name, days in realism["weekday_ratio"].detail.items()
        },
        title="Payments by weekday",
        caption="A day of each kind on average, on the users' own calendars.",
        across="",
        up="payments a day",
        colours=COLOURS,
        shown=_count,
    )


def _by_merchant(realism: Realism) -> Chart | None:
    figure = realism["merchant_slope"]
    counts = {int(rank): count for rank, count in figure.detail.get("payments", {}).items()}
    if figure.value is None or not counts:
        return None
    return log_log_chart(
        counts,
        figure.value,
        title="Merchants by popularity",
        caption=f"Payments in the shops of one country ({figure.note}); dashed: the slope found, {figure.value:.2f}. "
        "Merchants with fewer than six payments are left out.",
        across="rank of the merchant (log)",
        up="payments (log)",
    )


def _by_amount(realism: Realism) -> Chart:
    return bar_chart(
        realism["frauds_among_honest_amounts"].detail,
        title="Amounts, honest and fraud",
        caption="Each colour adds up to 100 %: the more they overlap, the less an amount gives away.",
        across="US dollars (log)",
        up="share of payments",
        colours=(GREY, RED),
        shown=lambda value: f"{100 * value:.3g} %",
        is_tick=lambda label: label.strip("0.") == "1",
    )


def _by_week(realism: Realism) -> Chart | None:
    names = realism["scenarios"].detail["share"]
    weeks = {label: shares for label, shares in realism["scenario_drift"].detail.items() if label[0].isdigit()}
    if not realism.frauds:
        return None
    every = 1 + (len(weeks) - 1) // 6
    ticks = list(weeks)[::every]
    return bar_chart(
        {name: {week: shares[name] for week, shares in weeks.items()} for name in names},
        title="Frauds by scenario and week",
        caption="Shares of the frauds of each week, by its first day.",
        across="",
        up="share of frauds",
        colours=COLOURS,
        shown=lambda value: f"{100 * value:.0f} %",
        is_tick=lambda label: label in ticks,
        are_stacked=True,
    )


def scenarios(realism: Realism) -> list[tuple[str, float, float, float]]:
    """Each scenario with its share of all frauds, and of those of the first and the last third, the largest first."""
    drift = realism["scenario_drift"].detail
    shares = realism["scenarios"].detail["share"]
    rows = [(name, share, drift["first third"][name], drift["last third"][name]) for name, share in shares.items()]
    return sorted(rows, key=lambda row: -row[1])


def _count(value: float) -> str:
    return f"{value:,.0f}"
