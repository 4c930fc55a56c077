"""A backtest for people: in the terminal, and as one HTML page."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined
from rich.table import Column, Table

from lake.terminal import console
from risklake.backtest import Backtest
from risklake.backtest_figures import Figures


def show(found: Backtest) -> None:
    """The figures of one rule set in the terminal."""
    title = (
        f"Rule set {found.rule_set}, {found.first} to {found.last}: {found.events:,} {found.watches}, "
        f"base rate {found.base_rate:.4f} ({found.frauds:,} frauds known by {found.known_at:%Y-%m-%d})"
        f"{left_out(found)}"
    )
    names = (
        "rule",
        "state",
        "fires on",
        "frauds",
        "precision",
        "95 % interval",
        "recall",
        "false a day",
        "money caught",
    )
    table = Table(Column(names[0], no_wrap=True), *names[1:], title=title, title_justify="left", title_style="bold")
    for number, one in enumerate((*found.rules, *found.together)):
        if number == len(found.rules):
            table.add_section()
        table.add_row(*cells(one, found))
    console.print(table)
    for scenario, count in found.scenarios.items():
        caught = found.together[0].by_scenario.get(scenario, 0)
        console.print(f"{scenario}: {caught:,} of {count:,} ({caught / count:.1%})", highlight=False)


def left_out(found: Backtest) -> str:
    """In words, whose events are left out; empty if nobody's."""
    return f", without users known as defrauded since {found.blocked_since}" if found.blocked_since else ""


def cells(one: Figures, found: Backtest) -> tuple[str, ...]:
    """The figures of a rule as texts."""
    interval = f"{one.precision_interval[0]:.3f} - {one.precision_interval[1]:.3f}" if one.precision_interval else "-"
    return (
        one.name,
        one.state,
        f"{one.events:,}",
        f"{one.frauds:,}",
        _share(one.precision),
        interval,
        _share(one.recall),
        f"{one.false_positives_a_day:,.1f}",
        _money(one, found),
    )


def page(found: dict[str, Backtest]) -> str:
    """One page on one or two rule sets: no script, nothing from the network, every value escaped."""
    environment = Environment(loader=PackageLoader("risklake"), autoescape=True, undefined=StrictUndefined)
    sets = [
        {
            "found": one,
            "left_out": left_out(one),
            "rules": [cells(figures, one) for figures in one.rules],
            "together": [cells(figures, one) for figures in one.together],
        }
        for one in found.values()
    ]
    scenarios = sorted({name for one in found.values() for name in one.scenarios}, key=lambda n: (n == "honest", n))
    return environment.get_template("backtest.html.j2").render(sets=sets, scenarios=scenarios)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _money(one: Figures, found: Backtest) -> str:
    """Of the currency with most fraud the amount, and its share of all fraud in that currency."""
    for currency, total in found.fraud_money.items():
        caught = one.money_caught.get(currency)
        return f"{caught or 0:,.0f} {currency} ({float(caught or 0) / float(total):.0%})"
    return "-"
