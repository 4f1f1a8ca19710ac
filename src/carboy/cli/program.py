"""The `carboy` command."""

from __future__ import annotations

import sys

import click

from carboy._alias import AliasError, expect_flask, share_with_children

from .doctor import doctor_command
from .group import FlaskGroup
from .production import serve_command
from .safety import check_command, explain_command, secret_command
from .sessions import sessions_command

cli = FlaskGroup(
    name="carboy",
    help="""\
The command line of Carboy and Flask applications.

The application is named by '--app', by the environment variable 'FLASK_APP' or 'CARBOY_APP', or
is found in a 'wsgi.py' or 'app.py' of the current directory.
""",
)
for _command in (
    serve_command,
    doctor_command,
    secret_command,
    sessions_command,
    check_command,
    explain_command,
):
    cli.add_command(_command)


def main() -> None:
    """Run the `carboy` command. `import flask` means Carboy from here on, in children too."""
    try:
        expect_flask()
    except AliasError as error:
        click.secho(f"Error: {error}", err=True, fg="red")
        sys.exit(1)
    share_with_children()
    cli.main()
