"""One application, three doors: each test runs through all of them.

``visit`` sends a request through the door under test and, unless told otherwise, through the
WSGI door too, and holds the two answers equal byte for byte.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pytest

from carboy.testing import lint
from carboy.testing.doors import DOORS

#: The real server inside which the suite is running, if it is; see tests/servers.
LIVE: Any = sys.modules.get("conformance_live")


@dataclass
class Answer:
    """What a client gets: the code, the headers with names in lower case, the body."""

    code: int
    headers: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    def get(self, name: str) -> str | None:
        return next(iter(self.all(name)), None)

    @property
    def text(self) -> str:
        return self.body.decode()


class Chunked(io.RawIOBase):
    """A request body without a length, as a server hands it over."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._rest = b"".join(chunks)

    def read(self, size: int = -1) -> bytes:
        size = len(self._rest) if size < 0 else size
        data, self._rest = self._rest[:size], self._rest[size:]
        return data


def environ_for(
    path: str = "/",
    method: str = "GET",
    *,
    query: str = "",
    headers: dict[str, str] | None = None,
    body: bytes | None = None,
    chunked: bytes | None = None,
    **environ: Any,
) -> dict[str, Any]:
    full: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path.encode().decode("latin-1"),
        "QUERY_STRING": query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "localhost",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body or b""),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    if body is not None:
        full["CONTENT_LENGTH"] = str(len(body))
    if chunked is not None:
        full |= {
            "HTTP_TRANSFER_ENCODING": "chunked",
            "wsgi.input_terminated": True,
            "wsgi.input": Chunked([chunked]),
        }
    for name, value in (headers or {}).items():
        key = name.upper().replace("-", "_")
        full[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value
    return full | environ


def through_wsgi(app: Any, environ: dict[str, Any]) -> Answer:
    started: list[Any] = []
    body: Any = lint.wsgi(app)(
        environ, lambda status, headers, exc_info=None: started.append((status, headers))
    )
    try:
        data = b"".join(body)
    finally:
        if hasattr(body, "close"):
            body.close()
    status, headers = started[-1]
    return Answer(int(status[:3]), [(name.lower(), value) for name, value in headers], data)


def through(door: str, app: Any, environ: dict[str, Any]) -> Answer:
    """One request, read to its end."""
    if door == "wsgi":
        return through_wsgi(app, environ)
    if door == "live":
        return Answer(*LIVE.visit(app, environ))
    exchange = DOORS[door](lint.linted(app, door), environ).start()
    try:
        data = b"".join(exchange)
    finally:
        exchange.close()
    headers = [(name.lower(), value) for name, value in exchange.headers]
    return Answer(exchange.status, headers, data)


@pytest.fixture(params=["wsgi", "asgi", "rsgi"] if LIVE is None else ["live"])
def door(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def length_last(answer: Answer) -> Answer:
    """Some servers put Content-Length where they want it."""
    headers = sorted(answer.headers, key=lambda pair: pair[0] == "content-length")
    return Answer(answer.code, headers, answer.body)


@pytest.fixture
def visit(app: Any, door: str) -> Callable[..., Answer]:
    """``visit("/path", "GET", query=..., headers=..., body=..., compare=True)``."""

    def visit(path: str = "/", method: str = "GET", *, compare: bool = True, **more: Any) -> Answer:
        answer = through(door, app, environ_for(path, method, **more))
        if compare and door != "wsgi":
            if door == "live":
                more = {"SERVER_NAME": "127.0.0.1", "SERVER_PORT": str(LIVE.PORT), **more}
                more["headers"] = {"Connection": "close", **(more.get("headers") or {})}
            expected = through_wsgi(app, environ_for(path, method, **more))
            if door == "live":
                assert length_last(answer) == length_last(expected)
            else:
                assert answer == expected
        return answer

    return visit


@pytest.fixture(params=["sync", "async"])
def colour(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def dye(colour: str) -> Callable[[Any], Any]:
    """Make a function async, if that is the colour of the test."""

    def dye(function: Any) -> Any:
        if colour == "sync":
            return function

        async def dyed(*args: Any, **kwargs: Any) -> Any:
            import asyncio

            await asyncio.sleep(0)
            return function(*args, **kwargs)

        dyed.__name__ = function.__name__
        return dyed

    return dye
