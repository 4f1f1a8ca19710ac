"""A look at the application before it is served, in a process that ends right after.

The process that drives the workers never loads the application: they would share its connections
and threads after the fork, and a reload could not bring in new code.
"""

from __future__ import annotations

import functools
import inspect
import multiprocessing
import traceback
import typing as t
from collections.abc import Iterator
from dataclasses import dataclass

import click

from carboy.cli.discovery import NoAppException
from carboy.globals import session
from carboy.helpers import flash, get_flashed_messages
from carboy.security import secrets
from carboy.security.signed_urls import sign_url, verify_url
from carboy.sessions import SecureCookieSessionInterface

if t.TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from carboy.app import Carboy
    from carboy.cli import ScriptInfo


@dataclass(frozen=True)
class Findings:
    """What a look at the application has found."""

    #: Its name, for the start line.
    name: str = ""
    #: What its routes are: numbers of sync and async ones, and of WebSockets.
    sync: int = 0
    asynchronous: int = 0
    websockets: int = 0
    #: Why its secret key will not do, or "".
    weakness: str = ""
    #: Why it could not be loaded, or "", and whether that says all that is to be said.
    failure: str = ""
    expected: bool = False


def look_at(info: ScriptInfo) -> Findings:
    """Load the application in a child process, and say what it is."""
    ours, theirs = context().Pipe(duplex=False)
    child = context().Process(target=_look, args=(info, theirs), name="carboy-look")
    child.start()
    theirs.close()
    try:
        found: Findings = ours.recv()
    except EOFError:
        child.join()
        return Findings(failure=_ended(child.exitcode), expected=True)
    finally:
        ours.close()
    # Its word is enough: what the application has left running need not end first.
    child.join(1)
    if child.is_alive():
        child.kill()
        child.join()
    return found


def context() -> t.Any:
    """How processes are made: by fork where that is the system's way, as Granian does."""
    name = multiprocessing.get_start_method()
    return multiprocessing.get_context(name if name in ("fork", "spawn") else "spawn")


def _ended(code: int | None) -> str:
    return (
        f"The process ended (exit code {code}) while the application was being imported. Does a"
        " module of it call sys.exit(), or start a server, outside of `if __name__ =="
        ' "__main__":`?'
    )


def _look(info: ScriptInfo, answer: Connection) -> None:
    try:
        found = _findings(info.load_app())
    except NoAppException as error:
        found = Findings(failure=error.format_message(), expected=True)
    except click.ClickException as error:
        found = Findings(failure=error.format_message(), expected=True)
    except Exception:
        found = Findings(failure=traceback.format_exc())
    answer.send(found)
    answer.close()


def _findings(app: Carboy) -> Findings:
    colours = {"sync": 0, "async": 0, "websocket": 0}
    for rule in app.url_map.iter_rules():
        view = app.view_functions.get(rule.endpoint)
        colour = "async" if inspect.iscoroutinefunction(view) else "sync"
        colours["websocket" if rule.websocket else colour] += 1
    return Findings(
        name=app.name,
        sync=colours["sync"],
        asynchronous=colours["async"],
        websockets=colours["websocket"],
        weakness=key_weakness(app),
    )


# -- the secret key --------------------------------------------------------------------------------


def key_weakness(app: Carboy) -> str:
    """What is wrong with the keys of an application, or "".

    A missing key is wrong only where something needs one: sessions and flashed messages, as far
    as views, hooks and extensions show it, and signed URLs.
    """
    found = secrets.weakness(app.secret_key)
    if found is not None and (found.kind != "missing" or needs_key(app)):
        return found.text
    fallbacks = app.config["SECRET_KEY_FALLBACKS"] or ()
    if isinstance(fallbacks, str | bytes):
        return "SECRET_KEY_FALLBACKS is one text and not a list, so each character is a key"
    for number, key in enumerate(fallbacks):
        found = secrets.weakness(key)
        if found is not None:
            return f"SECRET_KEY_FALLBACKS holds a weak key, number {number}: {found.text}"
    return ""


def needs_key(app: Carboy) -> bool:
    """Whether a view or a hook is written in a module that names the session."""
    if not isinstance(app.session_interface, SecureCookieSessionInterface):
        return False
    needing = set(map(id, (session, flash, get_flashed_messages, sign_url, verify_url)))
    seen: set[int] = set()
    for function in _functions(app):
        names = getattr(function, "__globals__", {})
        if id(names) in seen:
            continue
        seen.add(id(names))
        if any(id(value) in needing for value in list(names.values())):
            return True
    return False


def _functions(app: Carboy) -> Iterator[t.Any]:
    tables = (app.before_request_funcs, app.after_request_funcs, app.teardown_request_funcs)
    found: list[t.Any] = list(app.view_functions.values())
    for table in tables:
        for functions in table.values():
            found += functions
    for function in found:
        function = getattr(function, "view_class", function)
        if isinstance(function, type):
            yield from (item for item in vars(function).values() if inspect.isfunction(item))
            continue
        while isinstance(function, functools.partial):
            function = function.func
        yield getattr(inspect.unwrap(function), "__func__", function)
