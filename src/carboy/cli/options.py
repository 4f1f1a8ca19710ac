"""The options that every group has, and the value types of `run`'s options."""

from __future__ import annotations

import importlib
import importlib.metadata
import platform
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource
from werkzeug.utils import import_string

from .envfiles import load_dotenv, set_debug
from .script import ScriptInfo

#: The version of Flask whose API this is.
FLASK_VERSION = "3.1.3"


def get_version(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    """Print the versions of Python, Carboy, the API of Flask and Werkzeug, and exit."""
    if not value or ctx.resilient_parsing:
        return
    installed = importlib.metadata.version
    lines = (
        f"Python {platform.python_version()}",
        f"Carboy {installed('carboy')}",
        f"Flask {FLASK_VERSION} (API)",
        f"Werkzeug {installed('werkzeug')}",
    )
    click.echo("\n".join(lines), color=ctx.color)
    ctx.exit()


version_option = click.Option(
    ["--version"],
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=get_version,
    help="Show the versions of Carboy and of what it stands on.",
)


def _set_app(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value is not None:
        ctx.ensure_object(ScriptInfo).app_import_path = value
    return value


# Eager, and listed before click's own --help: the help page shows the application's commands.
app_option = click.Option(
    ["-A", "--app"],
    envvar="CARBOY_APP",
    metavar="IMPORT",
    is_eager=True,
    expose_value=False,
    callback=_set_app,
    help=(
        "Where the application is: 'module', 'module:name' or 'module:factory(args)'. The module"
        " is a dotted name or a file. Without a name, 'app', 'application', 'create_app' and"
        " 'make_app' are tried."
    ),
)


def _set_debug(ctx: click.Context, param: click.Parameter, value: bool) -> bool | None:
    source = ctx.get_parameter_source(param.name or "")
    if source in (ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP):
        return None  # Not asked for here, so the environment decides.
    set_debug(value)
    return value


debug_option = click.Option(
    ["--debug/--no-debug"],
    envvar="CARBOY_DEBUG",
    expose_value=False,
    callback=_set_debug,
    help="Set debug mode.",
)


def _load_env_file(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value is not None:
        try:
            import dotenv  # noqa: F401
        except ImportError:
            message = "python-dotenv must be installed to load an env file."
            raise click.BadParameter(message, ctx=ctx, param=param) from None
    defaults = ctx.ensure_object(ScriptInfo).load_dotenv_defaults
    if defaults or value is not None:
        load_dotenv(value, load_defaults=defaults)
    return value


# Eager and the very first: the other options may take their values from the file.
env_file_option = click.Option(
    ["-e", "--env-file"],
    envvar="CARBOY_ENV_FILE",
    type=click.Path(exists=True, dir_okay=False),
    is_eager=True,
    expose_value=False,
    callback=_load_env_file,
    help=(
        "Read environment variables from this file. It wins over '.env' and '.flaskenv'; what is"
        " set in the environment wins over all of them. Needs python-dotenv."
    ),
)


if TYPE_CHECKING:
    _AnyType = click.ParamType[Any]
else:
    _AnyType = click.ParamType  # not generic in every supported version of click


class CertParamType(_AnyType):
    """The value of `--cert`: a file, the word `adhoc`, or the import name of an `SSLContext`."""

    name = "path"

    def __init__(self) -> None:
        self.path_type = click.Path(exists=True, dir_okay=False, resolve_path=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            import ssl
        except ImportError:
            message = 'Using "--cert" requires Python to be compiled with SSL support.'
            raise click.BadParameter(message, ctx, param) from None
        try:
            return self.path_type(value, param, ctx)
        except click.BadParameter:
            text = click.STRING(value, param, ctx)
            if text.lower() == "adhoc":
                return _adhoc(param, ctx)
            found = import_string(text, silent=True)
            if isinstance(found, ssl.SSLContext):
                return found
            raise


def _adhoc(param: click.Parameter | None, ctx: click.Context | None) -> str:
    try:
        importlib.import_module("cryptography")
    except ImportError:
        message = "Using ad-hoc certificates requires the cryptography library."
        raise click.BadParameter(message, ctx, param) from None
    return "adhoc"


def validate_key(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    """Join `--key` to `--cert` as the pair `(cert, key)`; each file needs the other."""
    cert = ctx.params.get("cert")
    # A string other than "adhoc" is a file; what is no string is a finished SSLContext.
    is_file = isinstance(cert, str) and cert != "adhoc"
    if value is None:
        complaint = 'Required when using "--cert".' if is_file else None
    elif cert == "adhoc":
        complaint = 'When "--cert" is "adhoc", "--key" is not used.'
    elif not cert:
        complaint = '"--cert" must also be specified.'
    elif not is_file:
        complaint = 'When "--cert" is an SSLContext object, "--key" is not used.'
    else:
        complaint = None
        ctx.params["cert"] = cert, value
    if complaint is not None:
        raise click.BadParameter(complaint, ctx, param)
    return value


class SeparatedPathType(click.Path):
    """Several paths in one value, parted by the system's separator (`:`, on Windows `;`)."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        one = super().convert
        return [one(item, param, ctx) for item in self.split_envvar_value(value)]
