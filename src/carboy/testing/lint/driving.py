"""Sends requests through the doors, checked."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import werkzeug.test

from carboy.testing.doors import through_door

from .asgi import asgi
from .rsgi import rsgi
from .rules import LintError
from .wsgi import wsgi

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_LINTERS: dict[str, Any] = {"wsgi": wsgi, "asgi": asgi, "rsgi": rsgi}


def linted(app: Any, door: str) -> Any:
    """`app` as it is called at `door`, `"wsgi"`, `"asgi"` or `"rsgi"`, with its rules checked."""
    return _LINTERS[door](app)


@dataclass
class Answer:
    """What came back: the code, the headers with names in lower case, the body."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""


def check(
    app: Any, path: str = "/", doors: Iterable[str] = ("wsgi", "asgi", "rsgi"), **request: Any
) -> Answer:
    """Send a request through each of the doors, and return the answer.

    `request` is what `werkzeug.test.EnvironBuilder` takes: `method`, `headers`, `data`, `json`.
    Raises `LintError` for a broken rule, and when the doors do not answer the same.
    """
    answers: dict[str, Answer] = {}
    for door in doors:
        builder = werkzeug.test.EnvironBuilder(path, **request)
        with closing(builder):
            answers[door] = _answer(app, door, builder.get_environ())
    (first, answer), *others = answers.items()
    for door, other in others:
        if other != answer:
            raise LintError(
                "an application is the same through each door",
                f"{first} answered {answer}, and {door} answered {other}.",
                "Look for code that asks which server it runs on.",
            )
    return answer


def _answer(app: Any, door: str, environ: dict[str, Any]) -> Answer:
    called: WSGIApplication = (
        wsgi(app) if door == "wsgi" else through_door(_LINTERS[door](app), door)
    )
    body, status, headers = werkzeug.test.run_wsgi_app(called, environ, buffered=True)
    pairs = [(name.lower(), value) for name, value in headers]
    return Answer(int(status[:3]), pairs, b"".join(body))
