"""The shipped rules, with bounds for people who pay as often as those of the soak.

With fewer users than real payments of such a rate have, each pays several times an hour, and the bounds that rules
start from fire on a quarter of all payments and on nearly every order: no analyst would keep them. These stand near the
99.5th percentile of what the soak's payments have, or above (docs/decisions.md).
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.processes import HarnessError
from spark_jobs.rules.files import SHIPPED

# By file: the end of a condition as it is shipped, and here.
_BOUNDS = {
    "transactions.yml": {
        "condition: txn_count_5m >= 3": "condition: txn_count_5m >= 12",
        "condition: distinct_merchants_5m >= 3": "condition: distinct_merchants_5m >= 7",
        "condition: distinct_countries_5m >= 2": "condition: distinct_countries_5m >= 4",
        "local_hour < 5 and txn_count_1h >= 4": "local_hour < 5 and txn_count_1h >= 50",
    },
    "orders.yml": {"condition: equal_orders_users_10m >= 4": "condition: equal_orders_users_10m >= 2000"},
}


def write_rules(folder: Path) -> Path:
    """Write the rules into a folder, and give it. Raises `HarnessError` where a shipped rule has another bound."""
    folder.mkdir(parents=True)
    for file in sorted(SHIPPED.glob("*.yml")):
        text = file.read_text(encoding="utf-8")
        for shipped, here in _BOUNDS.get(file.name, {}).items():
            if text.count(shipped) != 1:
                raise HarnessError(f"{file.name} holds {shipped!r} {text.count(shipped)} times: adapt benchmarks/soak")
            text = text.replace(shipped, here)
        (folder / file.name).write_text(text, encoding="utf-8")
    return folder
