"""What a server process serves while it runs the conformance suite upon itself.

`app` hands each request to the application of the test that is running. The first request
starts the suite in a thread of the same process: tests keep their closures, and what they send
goes out over a socket and comes back in through the server. `tests/servers/test_conformance.py`
starts the processes.
"""

from __future__ import annotations

import http.client
import os
import socket
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes

import pytest

from carboy import Carboy

ROOT = Path(__file__).parents[2]
PORT = int(os.environ["CONFORMANCE_PORT"])
REPORT = Path(os.environ["CONFORMANCE_REPORT"])

MODULES = ("bodies", "files", "hooks", "middleware", "replies", "requests", "sessions", "streams")
SUITE = [str(ROOT / f"tests/conformance/test_{name}.py") for name in (*MODULES, "streamed_bodies")]
#: What leaves the application there comes to the server, not to the test: see test_doors.py.
ELSEWHERE = {"test_a_stream_that_fails"}
#: Parts of the names of cases that this server cannot pass.
LIMITS = [name for name in os.environ.get("CONFORMANCE_LIMITS", "").split("|") if name]

#: What no client can send: keys of an environ that only a server or a test sets.
_SAID_BY_SERVERS = frozenset({"SCRIPT_NAME", "SERVER_PROTOCOL", "REMOTE_ADDR"})
#: Headers that are the server's own.
_OF_THE_SERVER = frozenset({"connection", "date", "keep-alive", "server", "transfer-encoding"})


class Switch:
    """The callable that the server has: whichever application is being tested."""

    def __init__(self) -> None:
        self.current = starter
        #: Set when the application has done with a request, its streams and hooks included.
        self.over = threading.Event()

    def __call__(self, first: Any, second: Any = None, third: Any = None) -> Any:
        if second is None:  # ASGI 2: the others come in a second call
            return lambda *more: self._awaited(self.current(first, *more))
        if third is not None:
            return self._awaited(self.current(first, second, third))
        self.over.clear()
        body = self.current(first, second)
        if not hasattr(body, "close"):
            self.over.set()
            return body
        return Body(body, self.over)

    def __rsgi__(self, *args: Any) -> Any:
        return self._awaited(self.current.__rsgi__(*args))

    async def _awaited(self, step: Any) -> None:
        self.over.clear()
        try:
            await step
        finally:
            self.over.set()


class Body:
    """A WSGI iterable that tells when it has been closed."""

    def __init__(self, body: Any, over: threading.Event) -> None:
        self._body = body
        self._over = over

    def __iter__(self) -> Any:
        return iter(self._body)

    def close(self) -> None:
        try:
            self._body.close()
        finally:
            self._over.set()


starter = Carboy("starter")
app = Switch()

if sys.version_info >= (3, 12) and os.environ.get("CONFORMANCE_ASGI"):
    from inspect import markcoroutinefunction

    markcoroutinefunction(Switch.__call__)


@starter.get("/start")
def start() -> str:
    """Begin the suite, in this process."""
    sys.modules["conformance_live"] = sys.modules[__name__]
    threading.Thread(target=run, daemon=True).start()
    return "started"


def run() -> None:
    # Plugins that pytest finds by itself were imported by the server already, or want the main
    # thread for their signals.
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    options = ["-q", "-pno:cacheprovider", "-pno:faulthandler"]
    options += ["--rootdir", str(ROOT), "-c", str(ROOT / "pyproject.toml")]
    options += os.environ.get("CONFORMANCE_ARGS", "").split()
    report = f"--junit-xml={REPORT}.part"
    try:
        pytest.main([*options, report, *SUITE], plugins=[Selection()])
    finally:
        Path(f"{REPORT}.part").touch()
        Path(f"{REPORT}.part").rename(REPORT)


class Selection:
    """Only the tests that send their requests through ``visit``."""

    def pytest_collection_modifyitems(self, config: Any, items: list[Any]) -> None:
        chosen = [
            item
            for item in items
            if "visit" in item.fixturenames
            and item.callspec.params.get("door") == "live"
            and item.originalname not in ELSEWHERE
            and not any(limit in item.name for limit in LIMITS)
        ]
        config.hook.pytest_deselected(items=[item for item in items if item not in set(chosen)])
        items[:] = chosen


def visit(application: Any, environ: dict[str, Any]) -> tuple[int, list[tuple[str, str]], bytes]:
    """Send what an environ tells over a socket to this very server, and read the answer."""
    told = [key for key in environ if key in _SAID_BY_SERVERS and not _is_plain(key, environ)]
    if told or environ["wsgi.url_scheme"] != "http":
        pytest.skip(f"no client says {' and '.join(told) or 'https'}")
    if application.testing or application.config["PROPAGATE_EXCEPTIONS"]:
        pytest.skip("an exception that leaves the application goes to the server, not to the test")
    app.current = application
    app.over.set()
    try:
        with socket.create_connection(("127.0.0.1", PORT), 5) as connection:
            connection.sendall(head_of(environ))
            send_body(connection, environ)
            answer = http.client.HTTPResponse(connection, method=environ["REQUEST_METHOD"])
            answer.begin()
            body = answer.read()
    finally:
        app.over.wait(5)
        app.current = starter
    headers = [(name.lower(), value) for name, value in answer.headers.items()]
    return answer.status, [pair for pair in headers if pair[0] not in _OF_THE_SERVER], body


def _is_plain(key: str, environ: dict[str, Any]) -> bool:
    return environ[key] in ("", "HTTP/1.1", "127.0.0.1")


def head_of(environ: dict[str, Any]) -> bytes:
    target = quote_from_bytes(environ["PATH_INFO"].encode("latin-1"), safe="/;=,+:@!$&'()*~")
    if environ["QUERY_STRING"]:
        target += "?" + environ["QUERY_STRING"]
    lines = [f"{environ['REQUEST_METHOD']} {target or '/'} HTTP/1.1", "Connection: close"]
    for key, value in environ.items():
        if key.startswith("HTTP_") and value is not None:
            lines.append(f"{key[5:].replace('_', '-').title()}: {value}")
        elif key in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            lines.append(f"{key.replace('_', '-').title()}: {value}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def send_body(connection: socket.socket, environ: dict[str, Any]) -> None:
    body = environ["wsgi.input"].read()
    try:
        if "HTTP_TRANSFER_ENCODING" not in environ:
            connection.sendall(body)
            return
        for start in range(0, len(body), 8192):
            part = body[start : start + 8192]
            connection.sendall(b"%x\r\n%s\r\n" % (len(part), part))
        connection.sendall(b"0\r\n\r\n")
    except OSError:
        return  # the server has answered already, and reads no more
