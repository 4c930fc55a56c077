"""`risklake features`: what is known of an event, and whether the streams wrote it exactly."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from lake.errors import InconsistentError, UsageError
from lake.terminal import console
from risklake.opening import AsJson, Lake, session_for, settings_of

app = typer.Typer(help="Features: what was known of an event when it happened.", no_args_is_help=True)

_FEATURES = {
    "user_5m": "lake.transaction_features",
    "orders": "lake.order_features",
    "disputes": "lake.dispute_features",
    "user_windows": "lake.window_features",
}


@app.command("list", epilog="Example: risklake features list user_5m")
def list_features(
    table: Annotated[str, typer.Argument(help=f"Table of features: {', '.join(_FEATURES)}")] = "user_5m",
    as_json: AsJson = False,
) -> None:
    """Name each feature with its key, window, unit and meaning."""
    from importlib import import_module

    from lake.feature import in_words
    from risklake.show import show_json

    if table not in _FEATURES:
        raise UsageError(f"There is no table features.{table}; there are {', '.join(_FEATURES)}")
    rows = [
        {
            "feature": feature.name,
            "key": feature.key,
            "window": in_words(feature.window) if feature.window else "",
            "unit": feature.unit,
            "meaning": feature.meaning,
        }
        for feature in import_module(_FEATURES[table]).FEATURES
    ]
    if as_json:
        show_json(rows)
        return
    shown = Table(*rows[0])
    for row in rows:
        shown.add_row(*(escape(cell) for cell in row.values()))
    console.print(shown)


@app.command("parity", epilog="Example: risklake features parity --json")
def parity(lake: Lake = None, as_json: AsJson = False) -> None:
    """Recompute all features from silver and compare them row by row; exit code 7 if one differs.

    The result is kept in monitoring.feature_parity. Beside a running stream, rows on their way count as differing.
    """
    from lake.progress import Stages
    from risklake.show import show_json
    from spark_jobs.expired import expired
    from spark_jobs.parity import keep, measure

    settings = settings_of(lake)
    if not settings.local_path().is_dir():
        raise UsageError(f"There is no lake at {settings.lake_root} yet. Run `risklake demo`, or `risklake stream`")
    spark = session_for(settings, "parity")
    with Stages().stage("parity", "events") as update:
        found = measure(spark, settings, expired(spark, settings))
        keep(spark, settings, found)
        update(sum(one.compared for one in found.values()))
    spark.stop()
    if as_json:
        show_json({name: one.as_dict() for name, one in found.items()})
    for name, one in found.items() if not as_json else ():
        console.print(f"features.{name}: {one.compared:,} compared, {one.differing:,} differing", highlight=False)
    if any(one.differing for one in found.values()):
        raise InconsistentError("Features differ from what silver says: see which above. Please report it")
