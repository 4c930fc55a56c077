"""`python -m generator`: the same as `risklake generate`."""

from __future__ import annotations

import sys

import typer

from generator.command import EXAMPLES, generate
from lake.errors import LakehouseError


def main() -> None:
    """Run the command: one line and an exit code for an error that a user can do something about."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(epilog=EXAMPLES)(generate)
    try:
        app()
    except LakehouseError as error:
        typer.echo(f"generator: {error}", err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
