"""The commands `secret`, `check` and `explain`."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

import click

from carboy import __version__

from .script import ScriptInfo, pass_script_info


@click.command("secret", short_help="Print a new secret key.")
@click.option(
    "--env",
    is_flag=False,
    flag_value="SECRET_KEY",
    metavar="[NAME]",
    help="Print a line for an env file, NAME=key; NAME is SECRET_KEY unless given.",
)
@click.option(
    "--bytes",
    "size",
    type=click.IntRange(16, 1024),
    default=32,
    show_default=True,
    help="How many random bytes the key is made of.",
)
def secret_command(env: str | None, size: int) -> None:
    """Print a new random key for SECRET_KEY.

    Keep it out of the repository: in the environment, or in a secret store.
    """
    # Lazy door: only this command needs it.
    from carboy.security.secrets import new_key

    key = new_key(size)
    click.echo(key if env is None else f"{env}={key}")


@click.command("check", short_help="Look for weak settings.")
@click.option("--deploy", is_flag=True, help="Check what matters once strangers can reach it, too.")
@click.option(
    "--format",
    "form",
    type=click.Choice(("text", "json", "sarif")),
    default="text",
    show_default=True,
    help="How to print what is found.",
)
@click.option("--ignore", multiple=True, metavar="ID", help="Leave a rule out; may be repeated.")
@click.option(
    "--probe",
    is_flag=True,
    help="Send one GET for an address that does not exist through the application, and look at the"
    " headers of the answer.",
)
@pass_script_info
def check_command(
    info: ScriptInfo, deploy: bool, form: str, ignore: tuple[str, ...], probe: bool
) -> None:
    """Look for settings that are weak, or that contradict each other.

    The exit code is 0 if nothing was found, 1 if something was. The application is loaded as a
    production server would: what its code says about DEBUG stays.
    """
    # Lazy door: other commands do not need the rules.
    from carboy.check import RULES, Subject, check, output

    unknown = [name for name in ignore if name not in RULES]
    if unknown:
        raise click.UsageError(_unknown(unknown[0], RULES))
    info.set_debug_flag = False
    app = info.load_app()
    findings = check(app, deploy=deploy, ignore=ignore, probe=probe)
    if form == "json":
        text = output.as_json(findings)
    elif form == "sarif":
        text = output.as_sarif(findings, RULES, __version__, Subject(app).fallback_file())
    else:
        text = output.as_text(findings)
    click.echo(text)
    click.get_current_context().exit(1 if findings else 0)


@click.command("explain", short_help="Explain a rule of `check`.")
@click.argument("rule_id", metavar="ID", required=False)
def explain_command(rule_id: str | None) -> None:
    """Explain the rule ID of `carboy check`; without ID, list all rules."""
    # Lazy door: other commands do not need the rules.
    from carboy.check import RULES, output

    if rule_id is None:
        width = max(map(len, RULES))
        for rule in RULES.values():
            click.echo(f"{rule.id.ljust(width)}  {rule.title}")
        return
    if rule_id not in RULES:
        raise click.UsageError(_unknown(rule_id, RULES))
    click.echo(output.explained(RULES[rule_id]))


def _unknown(name: str, rules: dict[str, Any]) -> str:
    close = get_close_matches(name, rules, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return f"There is no rule {name!r}.{hint} `carboy explain` lists them all."
