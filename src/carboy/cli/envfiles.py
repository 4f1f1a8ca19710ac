"""Environment variables: dotenv files, and the `CARBOY_*` names that win over `FLASK_*`."""

from __future__ import annotations

import os

import click

from carboy.helpers import get_debug_flag, get_load_dotenv

_DEFAULT_FILES = (".flaskenv", ".env")
_FALSE = ("0", "false", "no")


def load_dotenv(path: str | os.PathLike[str] | None = None, load_defaults: bool = True) -> bool:
    """Set environment variables from dotenv files; return whether any file had one.

    The file at `path` wins over `.env`, and that over `.flaskenv`; the two are searched from the
    current folder upwards, unless `load_defaults` is false. A variable that is set already keeps
    its value. Without python-dotenv nothing is read.
    """
    try:
        import dotenv
    except ImportError:
        if path or any(map(os.path.isfile, _DEFAULT_FILES)):
            click.secho(
                " * Tip: There are .env files present. Install python-dotenv to use them.",
                fg="yellow",
                err=True,
            )
        return False
    files: list[str | os.PathLike[str]] = []
    if load_defaults:
        files += [dotenv.find_dotenv(name, usecwd=True) for name in _DEFAULT_FILES]
    if path is not None:
        files.append(path)
    values: dict[str, str | None] = {}
    for file in files:
        if os.path.isfile(file):
            values.update(dotenv.dotenv_values(file, encoding="utf-8"))
    for name, value in values.items():
        if value is not None:
            os.environ.setdefault(name, value)
    return bool(values)


def wants_dotenv(default: bool) -> bool:
    """Whether dotenv files are to be read: `CARBOY_SKIP_DOTENV`, else `FLASK_SKIP_DOTENV`."""
    skip = os.environ.get("CARBOY_SKIP_DOTENV")
    return skip.lower() in _FALSE if skip else get_load_dotenv(default)


def debug_is_on() -> bool:
    """Whether debug mode is on: `CARBOY_DEBUG`, else `FLASK_DEBUG`."""
    debug = os.environ.get("CARBOY_DEBUG")
    return debug.lower() not in _FALSE if debug else get_debug_flag()


def set_debug(on: bool) -> None:
    """Turn debug mode on or off for this process and its children.

    Set in the environment, so that a factory that asks early sees it too.
    """
    os.environ["FLASK_DEBUG"] = "1" if on else "0"
    if "CARBOY_DEBUG" in os.environ:
        os.environ["CARBOY_DEBUG"] = os.environ["FLASK_DEBUG"]
