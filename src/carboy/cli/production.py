"""The command `serve`: the application on a production server."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from .envfiles import debug_is_on
from .options import debug_option
from .script import ScriptInfo, pass_script_info
from .surroundings import is_loopback_bind, production_sign

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_PATH = click.Path(dir_okay=False, path_type=Path)
_DIRECTORY = click.Path(exists=True, path_type=Path)
_SECONDS = click.FloatRange(1, 86_400)
_COUNT = click.IntRange(1, 65_536)


def _setting(*names: str, also: tuple[str, ...] = (), **attributes: Any) -> Callable[[Any], Any]:
    """An option that `CARBOY_SERVE_<NAME>` sets, too."""
    long = next(name for name in names if name.startswith("--"))
    variable = long.partition("/")[0][2:].replace("-", "_").upper()
    attributes.setdefault("show_default", attributes.get("default") is not None)
    return click.option(*names, envvar=[f"CARBOY_SERVE_{variable}", *also], **attributes)


def _mode(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    if value is None:
        return None
    try:
        return int(value, 8)
    except ValueError:
        raise click.BadParameter("mode bits are an octal number, like 660", ctx, param) from None


def _log_config(ctx: click.Context, param: click.Parameter, value: Path | None) -> dict[str, Any]:
    if value is None:
        return {}
    try:
        text = value.read_text(encoding="utf-8")
        found = tomllib.loads(text) if value.suffix == ".toml" else json.loads(text)
    except ValueError as error:
        raise click.BadParameter(f"{value} cannot be read: {error}", ctx, param) from None
    if not isinstance(found, dict):
        raise click.BadParameter(f"{value} holds no configuration of logging", ctx, param)
    return found


def _health(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value is not None and not value.startswith("/"):
        raise click.BadParameter("a path begins with a slash, like /health", ctx, param)
    return value


@click.command("serve", short_help="Run a production server.")
@click.argument("app", metavar="[APP]", required=False)
@_setting("--host", "-h", default="127.0.0.1", help="The address to listen on.")
@_setting(
    "--port",
    "-p",
    type=click.IntRange(0, 65_535),
    default=8000,
    also=("PORT",),
    help="The port to listen on; 0 takes a free one.",
)
@_setting("--unix", "uds", type=_PATH, help="Listen on this Unix socket, instead.")
@_setting("--unix-mode", "uds_mode", callback=_mode, help="Its mode bits, such as 660.")
@_setting(
    "--interface",
    type=click.Choice(("auto", "asgi", "rsgi", "wsgi")),
    default="auto",
    help="How Granian calls the application; 'auto' takes the one that is safe.",
)
@_setting("--workers", "-w", type=_COUNT, help="Processes. Default: one a processor.")
@_setting("--threads", "-t", type=_COUNT, default=40, help="Threads a worker, for sync views.")
@_setting(
    "--network-threads", type=_COUNT, default=1, help="Threads a worker, for the network itself."
)
@_setting(
    "--loop",
    type=click.Choice(("auto", "asyncio", "uvloop")),
    default="auto",
    help="The event loop; 'auto' takes uvloop where it is installed.",
)
@_setting("--http", type=click.Choice(("auto", "1", "2")), default="auto", help="HTTP's version.")
@_setting("--cert", type=_FILE, help="Serve HTTPS: the certificate's file, with its chain.")
@_setting("--key", type=_FILE, help="The file of its private key.")
@_setting("--key-password", help="The password of that file; better in the environment.")
@_setting(
    "--tls", type=click.Choice(("1.2", "1.3")), default="1.2", help="The oldest version of TLS."
)
@_setting(
    "--client-ca",
    type=_FILE,
    help="Serve only clients with a certificate that an authority in this file has signed.",
)
@_setting(
    "--backlog", type=click.IntRange(128), default=1024, help="How many connections may wait."
)
@_setting(
    "--connections", type=_COUNT, default=2048, help="How many may be open at a time, a worker."
)
@_setting(
    "--timeout",
    type=_SECONDS,
    default=30.0,
    help="Seconds that a client has for the next piece of a request, or for reading the next piece"
    " of an answer.",
)
@_setting(
    "--graceful-timeout",
    type=click.FloatRange(0, 86_400),
    default=30.0,
    help="Seconds that requests in flight have when the server stops.",
)
@_setting(
    "--health", callback=_health, help="A path that is answered although all threads are busy."
)
@_setting(
    "--worker-lifetime", type=click.IntRange(60), help="Replace workers after so many seconds."
)
@_setting("--worker-memory", type=_COUNT, help="Replace workers that take more MiB than this.")
@_setting("--pid-file", type=_PATH, help="Write the process's number to this file.")
@_setting("--access-log/--no-access-log", default=False, help="Log each request.")
@_setting("--access-format", metavar="FORMAT", help="A line of the access log.")
@_setting(
    "--log-level",
    type=click.Choice(("critical", "error", "warning", "info", "debug")),
    default="info",
    help="What the server itself logs.",
)
@_setting(
    "--log-config",
    type=_FILE,
    callback=_log_config,
    help="A configuration of Python's logging, in JSON or TOML (logging.config.dictConfig).",
)
@_setting("--reload/--no-reload", default=False, help="For development: restart on changes.")
@_setting("--reload-path", "reload_paths", type=_DIRECTORY, multiple=True, help="What is watched.")
@pass_script_info
def serve_command(info: ScriptInfo, /, app: str | None, workers: int | None, **chosen: Any) -> None:
    """Serve the application in production, on Granian.

    APP is what `--app` takes. Each option is read from the environment, too: `--threads` from
    `CARBOY_SERVE_THREADS`.

    SIGTERM and Ctrl-C stop it when the requests in flight are done, SIGHUP replaces the workers.
    """
    # Lazy door: Granian is for this command.
    from carboy import serve
    from carboy.serve.accesslog import BadFormat, check_format

    if app is not None:
        info.app_import_path = app
    relaxed = _development(chosen["reload"], chosen["host"], chosen["uds"])
    chosen["access_format"] = chosen["access_format"] or serve.DEFAULT_ACCESS_FORMAT
    if chosen["reload"]:
        chosen["graceful_timeout"] = min(chosen["graceful_timeout"], 3.0)
    try:
        check_format(chosen["access_format"])
        options = serve.Options(
            workers=workers or (1 if chosen["reload"] else serve.cpus()), **chosen
        )
        code = serve.run(info, options, relaxed=relaxed)
    except (serve.CannotServe, BadFormat) as error:
        raise click.ClickException(str(error)) from None
    click.get_current_context().exit(code)


serve_command.params.insert(0, debug_option)


def _development(reload: bool, host: str, uds: Path | None) -> bool:
    """Whether this is for development. Raises UsageError for debug mode where it is not."""
    local = uds is None and is_loopback_bind(host)
    if not debug_is_on():
        return reload and local
    sign = production_sign(os.environ)
    if sign is not None:
        raise click.UsageError(f"Debug mode was refused: {sign}. {_NO_DEBUG}")
    if not reload:
        raise click.UsageError(f"Debug mode was refused. {_NO_DEBUG}")
    if not local:
        raise click.UsageError(
            f"Debug mode was refused: the server would listen on {uds or host}, where others can"
            " reach it. Listen on this machine only: --host 127.0.0.1."
        )
    return True


_NO_DEBUG = (
    "This is the production server: remove --debug, FLASK_DEBUG and CARBOY_DEBUG. For development"
    " there are `carboy run --debug`, and `carboy serve --reload --debug` on this machine."
)
