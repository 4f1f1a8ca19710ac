"""Calls an application as a server of its protocol would, without a server: WSGI, ASGI, RSGI."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable, Coroutine
from io import BytesIO
from typing import Any

from bench.cases import Case

Clock = Callable[[], float]
Answer = dict[str, Any]


class WSGI:
    def __init__(self, app: Any, case: Case) -> None:
        self.app = app
        self.body = case.body
        self.environ = case.environ()

    def carry(self, cookies: str) -> None:
        self.environ["HTTP_COOKIE"] = cookies

    def ask(self) -> Answer:
        """One request, with all of its answer."""
        seen: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], *more: Any) -> None:
            seen[:] = [status, headers]

        environ = self.environ.copy()
        environ["wsgi.input"] = BytesIO(self.body)
        iterable = self.app(environ, start_response)
        body = b"".join(iterable)
        if hasattr(iterable, "close"):
            iterable.close()
        return _answer(seen[0], seen[1], body)

    def burst(self, iterations: int, clock: Clock) -> float:
        """Seconds per request, the mean of so many."""

        def start_response(status: str, headers: list[tuple[str, str]], *more: Any) -> None:
            return None

        app, base, body = self.app, self.environ, self.body
        start = clock()
        for _ in range(iterations):
            environ = base.copy()
            environ["wsgi.input"] = BytesIO(body)
            iterable = app(environ, start_response)
            for _chunk in iterable:
                pass
            if hasattr(iterable, "close"):
                iterable.close()
        return (clock() - start) / iterations


class Loop:
    """One event loop in this thread, for all applications of an async door."""

    _runner: asyncio.Runner | None = None

    @classmethod
    def run(cls, coroutine: Coroutine[Any, Any, Any]) -> Any:
        if cls._runner is None:
            cls._runner = asyncio.Runner()
        return cls._runner.run(coroutine)


class ASGI:
    def __init__(self, app: Any, case: Case) -> None:
        self.app = app
        self.body = case.body
        self.scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": case.method,
            "scheme": "http",
            "path": case.path,
            "raw_path": case.path.encode(),
            "query_string": case.query.encode(),
            "root_path": "",
            "headers": [(k.encode(), v.encode()) for k, v in header_pairs(case)],
            "client": ("127.0.0.1", 54321),
            "server": ("127.0.0.1", 8000),
        }
        Loop.run(self._start())

    async def _start(self) -> None:
        """The lifespan's start, as a server sends it; some applications need it."""
        started = asyncio.Event()
        asked = False

        async def receive() -> dict[str, Any]:
            nonlocal asked
            if asked:
                await asyncio.Event().wait()
            asked = True
            return {"type": "lifespan.startup"}

        async def send(message: Any) -> None:
            started.set()

        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
        self._life = asyncio.ensure_future(self.app(scope, receive, send))
        waiter = asyncio.ensure_future(started.wait())
        await asyncio.wait({self._life, waiter}, return_when=asyncio.FIRST_COMPLETED)
        waiter.cancel()

    def carry(self, cookies: str) -> None:
        self.scope["headers"].append((b"cookie", cookies.encode()))

    def _request(self, sent: list[Any] | None = None) -> Coroutine[Any, Any, None]:
        scope = self.scope.copy()
        scope["headers"] = list(scope["headers"])
        scope["state"] = {}
        exchange = _Exchange(self.body, sent)
        coroutine: Coroutine[Any, Any, None] = self.app(scope, exchange.receive, exchange.send)
        return coroutine

    def ask(self) -> Answer:
        sent: list[Any] = []
        Loop.run(self._request(sent))
        headers = [(k.decode("latin-1"), v.decode("latin-1")) for k, v in sent[0]["headers"]]
        body = b"".join(bytes(message.get("body", b"")) for message in sent[1:])
        return _answer(str(sent[0]["status"]), headers, body)

    def burst(self, iterations: int, clock: Clock) -> float:
        async def run() -> float:
            start = clock()
            for _ in range(iterations):
                await self._request()
            return (clock() - start) / iterations

        taken: float = Loop.run(run())
        return taken


class _Exchange:
    """A client that sends one body and stays until it has its answer."""

    def __init__(self, body: bytes, sent: list[Any] | None) -> None:
        self.body: bytes | None = body
        self.sent = sent
        self.over: asyncio.Event | None = None
        self.done = False

    async def receive(self) -> dict[str, Any]:
        if self.body is not None:
            message = {"type": "http.request", "body": self.body, "more_body": False}
            self.body = None
            return message
        if not self.done:
            self.over = self.over or asyncio.Event()
            await self.over.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        if self.sent is not None:
            self.sent.append(dict(message))
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self.done = True
            if self.over is not None:
                self.over.set()


class _Headers(dict[str, str]):
    """As Granian's: a mapping with lower-case names, and all values of one."""

    def get_all(self, name: str) -> list[str]:
        return [self[name]] if name in self else []


class _Scope:
    proto = "http"
    rsgi_version = "1.5"
    http_version = "1.1"
    server = "127.0.0.1:8000"
    client = "127.0.0.1:54321"
    scheme = "http"
    authority = None

    def __init__(self, case: Case) -> None:
        self.method = case.method
        self.path = case.path
        self.query_string = case.query
        self.headers = _Headers((k.lower(), v) for k, v in header_pairs(case))


class _Stream:
    def __init__(self, into: list[bytes]) -> None:
        self.into = into

    async def send_bytes(self, data: bytes) -> None:
        self.into.append(data)

    async def send_str(self, data: str) -> None:
        self.into.append(data.encode())


class _Protocol:
    def __init__(self, body: bytes) -> None:
        self.body = body
        self.status = 0
        self.headers: list[tuple[str, str]] = []
        self.parts: list[bytes] = []

    async def __call__(self) -> bytes:
        return self.body

    async def __aiter__(self) -> Any:
        if self.body:
            yield self.body

    async def client_disconnect(self) -> None:
        await asyncio.Event().wait()

    def _head(self, status: int, headers: list[tuple[str, str]]) -> None:
        self.status, self.headers = status, headers

    response_empty = _head

    def response_bytes(self, status: int, headers: Any, body: bytes) -> None:
        self._head(status, headers)
        self.parts.append(body)

    def response_str(self, status: int, headers: Any, body: str) -> None:
        self.response_bytes(status, headers, body.encode())

    def response_file(self, status: int, headers: Any, file: str) -> None:
        with open(file, "rb") as opened:
            self.response_bytes(status, headers, opened.read())

    def response_stream(self, status: int, headers: Any) -> _Stream:
        self._head(status, headers)
        return _Stream(self.parts)


class RSGI:
    def __init__(self, app: Any, case: Case) -> None:
        self.app = app
        self.body = case.body
        self.scope = _Scope(case)

    def carry(self, cookies: str) -> None:
        self.scope.headers["cookie"] = cookies

    def ask(self) -> Answer:
        protocol = _Protocol(self.body)
        Loop.run(self.app.__rsgi__(self.scope, protocol))
        return _answer(str(protocol.status), protocol.headers, b"".join(protocol.parts))

    def burst(self, iterations: int, clock: Clock) -> float:
        call, scope, body = self.app.__rsgi__, self.scope, self.body

        async def run() -> float:
            start = clock()
            for _ in range(iterations):
                await call(scope, _Protocol(body))
            return (clock() - start) / iterations

        taken: float = Loop.run(run())
        return taken


class Call:
    """A function without a request: what a library costs alone."""

    def __init__(self, function: Callable[[], object]) -> None:
        self.function = function

    def burst(self, iterations: int, clock: Clock) -> float:
        call = self.function
        start = clock()
        for _ in range(iterations):
            call()
        return (clock() - start) / iterations


def header_pairs(case: Case) -> list[tuple[str, str]]:
    """The request's headers as they would stand on the wire."""
    pairs = []
    for key, value in case.environ().items():
        if key.startswith("HTTP_"):
            pairs.append((key[5:].replace("_", "-").lower(), value))
        elif key in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            pairs.append((key.replace("_", "-").lower(), value))
    return pairs


def _answer(status: str, headers: Any, body: bytes) -> Answer:
    return {"status": status, "headers": list(headers), "body": base64.b64encode(body).decode()}


DOORS: dict[str, Any] = {"wsgi": WSGI, "asgi": ASGI, "rsgi": RSGI}
CLOCKS: dict[str, Clock] = {"cpu": time.process_time, "wall": time.perf_counter}
