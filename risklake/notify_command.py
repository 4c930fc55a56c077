"""`risklake notify`: try the webhook, and send again what could not be delivered."""

from __future__ import annotations

import typer

from risklake.opening import Lake, settings_of

app = typer.Typer(help="Messages to a webhook (Discord, Slack, or JSON for a program).", no_args_is_help=True)


@app.command("test", epilog="Example: RISKLAKE_WEBHOOK_URL=https://hooks.slack.com/… risklake notify test")
def send_one(lake: Lake = None) -> None:
    """Send one message to the webhook that is set, and say whether it was taken."""
    from risklake.notify import send_test

    typer.echo(f"The webhook took the message (format: {send_test(settings_of(lake))})")


@app.command("resend", epilog="Example: risklake notify resend")
def send_again(lake: Lake = None) -> None:
    """Send the messages again that stand in logs/undelivered.jsonl."""
    from risklake.notify import resend

    taken, left = resend(settings_of(lake))
    typer.echo(f"{taken:,} messages were taken, {left:,} are left")
    raise typer.Exit(bool(left))
