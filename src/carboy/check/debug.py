"""Rules on switches that belong to development."""

from __future__ import annotations

import ast
import typing as t
from collections.abc import Iterator

from .rules import Hit, rule

if t.TYPE_CHECKING:
    from .subject import Subject

_INNARDS = "Tracebacks show source, settings and data of other users to whoever causes an error."


@rule(
    "debug-on",
    "Debug mode is on",
    why="With a development server the debugger runs commands for"
    " whoever reaches it; with any server, extensions and templates tell more. " + _INNARDS,
    remedy="Remove DEBUG, app.debug and FLASK_DEBUG from what production reads. On your own"
    " machine use `carboy run --debug`.",
)
def debug_on(subject: Subject) -> Iterator[Hit]:
    if subject.get("DEBUG"):
        by = next((n for n in ("CARBOY_DEBUG", "FLASK_DEBUG") if subject.environ.get(n)), None)
        yield "DEBUG", f"it is on, by {by} in the environment" if by else "it is on"


@rule(
    "testing-on",
    "Testing mode is on",
    why="Exceptions go to the server instead of an error page,"
    " and extensions leave their protection off: Flask-WTF its tokens, Flask-Login its checks.",
    remedy="Set TESTING in the tests' configuration only.",
)
def testing_on(subject: Subject) -> Iterator[Hit]:
    if subject.get("TESTING"):
        yield "TESTING", "it is on"


@rule(
    "exceptions-propagate",
    "Exceptions reach the server",
    why="Each unhandled error ends in the"
    " server's own page or a closed connection; some servers print tracebacks. " + _INNARDS,
    remedy="Leave PROPAGATE_EXCEPTIONS at None: it follows TESTING and DEBUG.",
)
def propagates(subject: Subject) -> Iterator[Hit]:
    if subject.get("PROPAGATE_EXCEPTIONS") and not subject.get("TESTING"):
        yield "PROPAGATE_EXCEPTIONS", "it is True"


@rule(
    "errors-trapped",
    "Ordinary HTTP errors are treated as crashes",
    level="warning",
    why="A client's bad request becomes a 500 and a traceback in the log, so anybody can fill it.",
    remedy="Leave TRAP_HTTP_EXCEPTIONS and TRAP_BAD_REQUEST_ERRORS alone in production.",
)
def trapped(subject: Subject) -> Iterator[Hit]:
    for name in ("TRAP_HTTP_EXCEPTIONS", "TRAP_BAD_REQUEST_ERRORS"):
        if subject.get(name):
            yield name, "it is on"


@rule(
    "templates-reload",
    "Templates are looked up again for each page",
    level="note",
    why="It costs time on each request, and a half-copied deployment is shown to users.",
    remedy="Leave TEMPLATES_AUTO_RELOAD at None and EXPLAIN_TEMPLATE_LOADING off.",
)
def reloads(subject: Subject) -> Iterator[Hit]:
    for name in ("TEMPLATES_AUTO_RELOAD", "EXPLAIN_TEMPLATE_LOADING"):
        if subject.get(name) and not subject.get("DEBUG"):
            yield name, "it is on"


@rule(
    "debugger-wrapped",
    "A debugger is part of the application",
    why="It is there under every"
    " server, whatever DEBUG says: an error gives a console that runs Python for the visitor.",
    remedy="Remove the wrapper; `carboy run --debug` brings one of its own while you develop.",
)
def wrapped(subject: Subject) -> Iterator[Hit]:
    for item in subject.middleware():
        if any(cls.__name__ == "DebuggedApplication" for cls in type(item).__mro__):
            yield "app.wsgi_app", f"{type(item).__name__} is wrapped around it"
    if "debugtoolbar" in subject.app.extensions and subject.get("DEBUG_TB_ENABLED", False):
        yield "DEBUG_TB_ENABLED", "the debug toolbar is on"


@rule(
    "run-with-debug",
    "The source starts the application with debug=True",
    level="warning",
    why="Whoever starts the file itself, as a container's command often does, serves the debugger"
    " to the network.",
    remedy="Write app.run() without debug, or start it with"
    " `carboy run --debug`, which refuses to in production.",
)
def run_with_debug(subject: Subject) -> Iterator[Hit]:
    for file, tree in subject.sources:
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "run"
                and any(
                    item.arg == "debug"
                    and isinstance(item.value, ast.Constant)
                    and item.value.value is True
                    for item in node.keywords
                )
            ):
                yield "app.run", f"{file}, line {node.lineno}: run(debug=True)"


RULES = (debug_on, testing_on, propagates, trapped, reloads, wrapped, run_with_debug)
