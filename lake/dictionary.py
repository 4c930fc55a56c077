"""Writes the data dictionary in `docs/` from the catalog, so that it cannot say anything else."""

from __future__ import annotations

from pathlib import Path

from lake.catalog import TABLES
from lake.feed import Feed
from lake.feeds import FEEDS
from lake.table import Table

FILE = Path(__file__).resolve().parent.parent / "docs" / "data-dictionary.md"

_HEAD = """# Data dictionary

Generated from `lake/catalog.py` and `lake/feeds.py` by `make docs`; a test keeps it true. The marts are described
beside their models in `dbt/models/marts`.
"""


def dictionary() -> str:
    """The whole page as Markdown."""
    feeds = "\n".join(_feed(feed) for feed in FEEDS.values())
    tables = "\n".join(_table(table) for table in TABLES.values())
    return f"{_HEAD}\n## Feeds\n\n{feeds}\n## Tables\n\n{tables}"


def _feed(feed: Feed) -> str:
    rows = [f"| `{f.name}` | {f.kind.value} | {'yes' if f.required else 'no'} | {f.comment} |" for f in feed.fields]
    return "\n".join(
        [
            f"### inbox/{feed.name}",
            "",
            f"{feed.meaning}. Key: `{feed.key}`.",
            "",
            "| field | kind | required | meaning |",
            "| --- | --- | --- | --- |",
            *rows,
            "",
        ]
    )


def _kept(table: Table) -> str:
    if table.expires:
        return "Rows made of event feeds are kept for `retention_days`."
    return f"Kept {table.retention_days} days." if table.retention_days else "Kept for ever."


def _table(table: Table) -> str:
    facts = [f"Grain: {table.grain}.", f"Key: {', '.join(f'`{key}`' for key in table.keys)}."]
    if table.partition_by:
        facts.append(f"Partitioned by {', '.join(f'`{name}`' for name in table.partition_by)}.")
    facts.append(_kept(table))
    if table.change_feed:
        facts.append("With a change data feed.")
    facts.append(f"Written by `{table.written_by}`.")
    rows = [
        f"| `{c.name}` | {c.type.simpleString()} | {'yes' if c.nullable else 'no'} | {c.comment} |"
        for c in table.columns
    ]
    return "\n".join(
        [
            f"### {table.name}",
            "",
            f"{table.meaning}.",
            "",
            " ".join(facts),
            "",
            "| column | type | null | meaning |",
            "| --- | --- | --- | --- |",
            *rows,
            "",
        ]
    )


if __name__ == "__main__":
    FILE.write_text(dictionary(), encoding="utf-8")
    print(f"wrote docs/{FILE.name}")  # noqa: T201
