"""The development server: what `app.run()` and the `run` command have in common.

The server is Werkzeug's. What is decided here is when its debugger may be there at all.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click
import werkzeug.serving

from .envfiles import debug_is_on, load_dotenv, wants_dotenv
from .surroundings import is_loopback_bind, production_sign

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

    from carboy.app import Carboy

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 5000


class NotSafeError(RuntimeError):
    """Debug mode was asked for where it would be a way into a production system."""


def run_app(
    app: Carboy,
    host: str | None = None,
    port: int | None = None,
    debug: bool | None = None,
    load_dotenv: bool = True,
    **options: Any,
) -> None:
    """Serve `app` with the development server, as `app.run()` documents it.

    Without `host` and `port` the parts of `SERVER_NAME` are taken, else 127.0.0.1 and 5000.
    `debug` sets `app.debug`; otherwise the environment does, where dotenv files may be read.
    `options` go to `werkzeug.serving.run_simple`. Under the command line tool the call is
    ignored. Raises `NotSafeError` for debug mode in a production environment.
    """
    if os.environ.get("FLASK_RUN_FROM_CLI") == "true":
        _explain_ignored_call()
        return
    if wants_dotenv(load_dotenv):
        _load_dotenv()
        if os.environ.keys() & {"FLASK_DEBUG", "CARBOY_DEBUG"}:
            app.debug = debug_is_on()
    if debug is not None:
        app.debug = bool(debug)
    named_host, _, named_port = (app.config.get("SERVER_NAME") or "").partition(":")
    host = host or named_host or DEFAULT_HOST
    if not port and port != 0:
        port = int(named_port or DEFAULT_PORT)
    switches = {"use_reloader": app.debug, "use_debugger": app.debug, "threaded": True}
    options = switches | options
    try:
        serve(app, host, int(port), name=app.name, debug=app.debug, **options)
    finally:
        # The server has stopped: the application may be changed and run again, as in a shell.
        app._got_first_request = False


# `run_app` has a parameter of this name.
_load_dotenv = load_dotenv


def serve(
    app: WSGIApplication,
    host: str,
    port: int,
    *,
    name: str | None,
    debug: bool,
    use_debugger: bool,
    use_evalex: bool = True,
    **options: Any,
) -> None:
    """Start Werkzeug's server on `host` and `port`, and return when it stops.

    `name` is what the banner calls the application; None leaves that line out.
    `use_debugger` gives traceback pages, and with `use_evalex` their console, to requests from
    this machine, if `host` is an address of this machine only. Raises `NotSafeError` for debug
    mode or the debugger in a production environment.
    """
    if debug or use_debugger:
        sign = production_sign(os.environ)
        if sign is not None:
            raise NotSafeError(_NOT_IN_PRODUCTION.format(sign=sign))
    show_server_banner(debug, name)
    if (debug or use_debugger) and not is_loopback_bind(host):
        use_debugger = False
        _warn_of_strangers(host)
    if use_debugger:
        # Lazy door: most servers run without the debugger, and its imports are heavy.
        from .debugger import SafeDebugger

        config = getattr(app, "config", {})
        app = SafeDebugger(app, config=config, evalex=use_evalex)
    app = _with_websockets(app)
    # Werkzeug's own debugger stays out, and its server is looked up late: tests replace it.
    werkzeug.serving.run_simple(host, port, app, use_debugger=False, **options)


def _with_websockets(app: WSGIApplication) -> WSGIApplication:
    """Let the server serve WebSockets, too, if the application has any, now or after a reload."""
    rules = getattr(getattr(app, "app", app), "url_map", None)
    if rules is None or not any(rule.websocket for rule in rules.iter_rules()):
        return app
    # Lazy door: few applications have WebSockets, and asyncio takes its time to import.
    from .sockets import MISSING, can_serve, with_websockets

    if can_serve():
        return with_websockets(app)
    if not werkzeug.serving.is_running_from_reloader():
        click.secho(MISSING, fg="yellow", err=True)
    return app


def show_server_banner(debug: bool, app_import_path: str | None) -> None:
    """Print what is served and whether debug mode is on; once, not at each reload."""
    if werkzeug.serving.is_running_from_reloader():
        return
    if app_import_path is not None:
        click.echo(f" * Serving Flask app '{app_import_path}'")
    if debug is not None:
        click.echo(f" * Debug mode: {'on' if debug else 'off'}")


def _explain_ignored_call() -> None:
    if werkzeug.serving.is_running_from_reloader():
        return
    click.secho(
        " * Ignoring a call to 'app.run()' that would block the current CLI command.\n"
        "   Move it into an 'if __name__ == \"__main__\"' block, or remove it.",
        fg="red",
    )


def _warn_of_strangers(host: str) -> None:
    if werkzeug.serving.is_running_from_reloader():
        return
    click.secho(
        f" * WARNING: debug mode is on and the server listens on {host}, where other machines can"
        " reach it.\n"
        "   The debugger is therefore off: no interactive console, no traceback pages. Errors are"
        " plain 500 pages in the browser, their tracebacks appear here.\n"
        "   To have the debugger, listen on this machine only (--host 127.0.0.1).",
        fg="red",
        bold=True,
        err=True,
    )


_NOT_IN_PRODUCTION = """\
Debug mode was refused: {sign}, so this looks like a production or staging environment.

The debugger shows source code and runs commands for whoever reaches it; a forgotten debug switch
on a server is how credentials leak. Remove --debug, FLASK_DEBUG or debug=True here (the reloader
works without it: --reload). If this really is your own machine, remove that environment
variable.\
"""
