"""The built-in commands: `run`, `shell` and `routes`."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import click
from werkzeug.serving import is_running_from_reloader

from carboy.globals import current_app
from carboy.plan import is_async, is_wrapped

from .discovery import ModuleFailed, NoAppException
from .envfiles import debug_is_on
from .options import CertParamType, SeparatedPathType, debug_option, validate_key
from .script import ScriptInfo, pass_script_info, with_appcontext
from .serving import NotSafeError, serve

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from werkzeug.routing import Rule

    from carboy.app import Carboy

_FILE = click.Path(exists=True, dir_okay=False, resolve_path=True)


def _setting(*names: str, **attributes: Any) -> Callable[[Any], Any]:
    """An option of `run` that `CARBOY_RUN_<NAME>` sets, before the group's own prefix does."""
    long = next(name for name in names if name.startswith("--"))
    variable = long.partition("/")[0][2:].replace("-", "_").upper()
    return click.option(*names, envvar=f"CARBOY_RUN_{variable}", **attributes)


@click.command("run", short_help="Run a development server.")
@_setting("--host", "-h", default="127.0.0.1", help="The address to listen on.")
@_setting("--port", "-p", default=5000, help="The port to listen on; 0 takes a free one.")
@_setting(
    "--cert",
    type=CertParamType(),
    is_eager=True,
    help="Serve HTTPS: a certificate file, 'adhoc', or the import name of an SSLContext.",
)
@_setting(
    "--key",
    type=_FILE,
    callback=validate_key,
    expose_value=False,
    help="The key file that belongs to the certificate file.",
)
@_setting(
    "--reload/--no-reload",
    default=None,
    help="Restart when a file changes. On in debug mode unless said otherwise.",
)
@_setting(
    "--debugger/--no-debugger",
    default=None,
    help="Show tracebacks in the browser. On in debug mode unless said otherwise.",
)
@_setting("--with-threads/--without-threads", default=True, help="Answer requests in threads.")
@_setting(
    "--extra-files",
    default=None,
    type=SeparatedPathType(),
    help=f"More files that cause a restart, separated by {os.path.pathsep!r}.",
)
@_setting(
    "--exclude-patterns",
    default=None,
    type=SeparatedPathType(),
    help=f"fnmatch patterns of files that cause none, separated by {os.path.pathsep!r}.",
)
@pass_script_info
def run_command(
    info: ScriptInfo,
    host: str,
    port: int,
    reload: bool | None,
    debugger: bool | None,
    with_threads: bool,
    cert: Any,
    extra_files: list[str] | None,
    exclude_patterns: list[str] | None,
) -> None:
    """Run a local development server.

    It is made for developing only: neither its speed nor its security are those of a production
    server.

    With '--debug' it restarts when a file changes and shows tracebacks in the browser.
    """
    debug = debug_is_on()
    reload = debug if reload is None else reload
    app = _load_or_stand_in(info, stay_up=reload and debug)
    try:
        serve(
            app,
            host,
            port,
            name=info.app_import_path,
            debug=debug,
            use_debugger=debug if debugger is None else debugger,
            use_reloader=reload,
            threaded=with_threads,
            ssl_context=cert,
            extra_files=extra_files,
            exclude_patterns=exclude_patterns,
        )
    except NotSafeError as error:
        raise click.UsageError(str(error)) from None


run_command.params.insert(0, debug_option)


def _load_or_stand_in(info: ScriptInfo, *, stay_up: bool) -> WSGIApplication:
    """Return the application; where the reloader can mend it, a stand-in for a broken one."""
    try:
        return info.load_app()
    except Exception as error:
        restarted = is_running_from_reloader()
        # Nothing to watch for: there is no module, or no application in it.
        missing = isinstance(error, NoAppException) and not isinstance(error, ModuleFailed)
        if not restarted and (missing or not stay_up):
            raise
        if restarted:
            # The first process has nothing to add: its child prints the same.
            traceback.print_exc()
        return _broken_app(error)


def _broken_app(error: Exception) -> WSGIApplication:
    """An application that answers every request with the `error` that loading it raised."""
    error.add_note(
        "The application could not be loaded, so no page of it can be shown. The server is"
        " watching its files: correct the error and save, then load this page again."
    )

    def failed(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        # Each request begins with the traceback of the loading alone.
        raise error.with_traceback(loading)

    loading = error.__traceback__
    return failed


@click.command("shell", short_help="Run a shell in the app context.")
@with_appcontext
def shell_command() -> None:
    """Run a Python shell in the application's context.

    The names in it are those of the application's shell context processors.
    """
    import code

    app = current_app
    banner = (
        f"Python {sys.version} on {sys.platform}",
        f"App: {app.import_name}",
        f"Instance: {app.instance_path}",
    )
    namespace: dict[str, Any] = {}
    startup = os.environ.get("PYTHONSTARTUP", "")
    if os.path.isfile(startup):
        with open(startup, encoding="utf-8") as file:
            exec(compile(file.read(), startup, "exec"), namespace)
    namespace |= app.make_shell_context()
    _prepare_line_editing(namespace)
    code.interact(banner="\n".join(banner), local=namespace)


def _prepare_line_editing(namespace: dict[str, Any]) -> None:
    """Set up history and completion as the plain interpreter does, for the shell's names."""
    hook = getattr(sys, "__interactivehook__", None)
    if hook is None:
        return
    with suppress(ImportError):  # Some systems have no readline.
        import readline
        import rlcompleter

        readline.set_completer(rlcompleter.Completer(namespace).complete)
    hook()


_SORT_KEYS = ("endpoint", "methods", "domain", "rule", "match")


@click.command("routes", short_help="Show the routes for the app.")
@click.option(
    "--sort",
    "-s",
    help="The column to sort by; 'match' is the order in which rules are tried.",
    type=click.Choice(_SORT_KEYS),
    default=_SORT_KEYS[0],
)
@click.option("--all-methods", help="Show HEAD and OPTIONS methods.", is_flag=True)
@click.option(
    "--plan",
    is_flag=True,
    help="Show how each endpoint runs behind an async server: its colour, how often a request"
    " leaves the event loop for a thread, and which steps make it mixed.",
)
@with_appcontext
def routes_command(sort: str, all_methods: bool, plan: bool) -> None:
    """Show all registered routes with their endpoints and methods."""
    url_map = current_app.url_map
    rules = list(url_map.iter_rules())
    if not rules:
        click.echo("No routes were registered.")
        return
    hidden = frozenset() if all_methods else frozenset(("HEAD", "OPTIONS"))
    domain = "host" if url_map.host_matching else "subdomain"

    def methods(rule: Rule) -> str:
        if rule.websocket:
            return "WS"
        return ", ".join(sorted((rule.methods or set()) - hidden))

    # What `--sort` calls a column -> its heading and the text of each rule in it.
    columns: dict[str, tuple[str, list[str]]] = {
        "endpoint": ("Endpoint", [str(rule.endpoint) for rule in rules]),
        "methods": ("Methods", [methods(rule) for rule in rules]),
        "domain": (domain.capitalize(), [getattr(rule, domain) or "" for rule in rules]),
        "rule": ("Rule", [rule.rule for rule in rules]),
    }
    if not any(columns["domain"][1]):
        del columns["domain"]
    if plan:
        roads = [_talk(rule) if rule.websocket else _road(rule.endpoint) for rule in rules]
        for place, heading in enumerate(("Colour", "Hops", "Because of")):
            columns[heading] = (heading, [road[place] for road in roads])
    order = list(range(len(rules)))
    if sort in columns:
        order.sort(key=columns[sort][1].__getitem__)
    headings = [heading for heading, _ in columns.values()]
    _echo_table(headings, [[cells[i] for _, cells in columns.values()] for i in order])


def _road(endpoint: str) -> tuple[str, str, str]:
    """The colour of an endpoint, the hops of a request for it, and the steps that mix it."""
    app: Carboy = cast("Any", current_app)._get_current_object()
    if is_wrapped(app):
        return "sync", "1", "middleware around wsgi_app"
    if over := app._plans.overrides(app) - {"serving"}:
        return "sync", "1", f"replaced: {', '.join(sorted(over))}"
    plan = app._plans.get(app, endpoint)
    colour = plan.colour(app)
    steps = [(kind, step) for kind, step in plan.steps(app) if not is_async(step)]
    if colour != "mixed":
        return colour, "1" if colour == "sync" else "0", ""
    names = (f"{kind} {getattr(step, '__name__', repr(step))}" for kind, step in steps)
    return colour, str(len(steps)), "sync: " + ", ".join(names)


def _talk(rule: Rule) -> tuple[str, str, str]:
    """As `_road`, for a WebSocket: where its view runs as long as it talks."""
    app: Carboy = cast("Any", current_app)._get_current_object()
    view = app.view_functions.get(rule.endpoint)
    over = app._plans.overrides(app) - {"serving"}
    if over or (view is not None and not is_async(view)):
        why = f", replaced: {', '.join(sorted(over))}" if over else ""
        return "sync", "1", f"a thread for each conversation{why}"
    plan = app._plans.get(app, rule.endpoint)
    steps = [getattr(s, "__name__", repr(s)) for _, s in plan.steps(app) if not is_async(s)]
    wrapped = ["middleware around wsgi_app"] if is_wrapped(app) else []
    hops = len(steps) + len(wrapped)
    names = ", ".join(steps + wrapped)
    return "mixed" if steps else "async", str(hops), f"sync: {names}" if names else ""


def _echo_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    for row in (headings, ["-" * width for width in widths], *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells))
