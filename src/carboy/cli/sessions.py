"""The commands `sessions list`, `sessions revoke` and `sessions sweep`, for sessions on the server."""

from __future__ import annotations

from typing import Any

import click

from carboy.globals import current_app

from .script import with_appcontext


def _sessions() -> Any:
    found = current_app.extensions.get("carboy.server_sessions")
    if found is None:
        raise click.ClickException(
            "This application keeps its sessions in signed cookies, which the server cannot list or"
            " end. See ServerSessions in docs/security.md."
        )
    return found


@click.group("sessions", short_help="List, end and clean up sessions on the server.")
def sessions_command() -> None:
    """List, end and clean up the sessions that lie on the server."""


@sessions_command.command("list")
@click.argument("user")
@with_appcontext
def list_command(user: str) -> None:
    """List the sessions of USER, last used first."""
    for info in _sessions().sessions_of(user):
        where = " ".join(filter(None, (info.address, info.user_agent)))
        click.echo(f"{info.handle}  {info.last_used:%Y-%m-%d %H:%M:%S}Z  {where}".rstrip())


@sessions_command.command("revoke")
@click.argument("user")
@click.argument("handle", required=False)
@with_appcontext
def revoke_command(user: str, handle: str | None) -> None:
    """End all sessions of USER, or the one that HANDLE of `list` names."""
    sessions = _sessions()
    count = sessions.revoke_all(user) if handle is None else int(sessions.revoke(user, handle))
    click.echo(f"{count} ended.")


@sessions_command.command("sweep")
@with_appcontext
def sweep_command() -> None:
    """Remove expired sessions from the store; to be run once a day. Redis needs none of it."""
    click.echo(f"{_sessions().sweep()} removed.")
