"""Clients that leave, and servers that cancel, at each point where a request waits."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from werkzeug.exceptions import ClientDisconnected

from carboy import Response, has_request_context, request, stream_with_context
from carboy.globals import _cv

from .test_streamed_bodies import asgi_scope


class Log(list[str]):
    """What came to pass; `count` of it."""


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture(params=["sync", "async", "mixed"])
def site(app: Any, log: Log, request: pytest.FixtureRequest) -> Any:
    """An application that reads a body and answers with a stream, and notes each end."""
    make = {"sync": sync_parts, "async": async_parts, "mixed": async_parts}[request.param]
    app.teardown_request(note(log, "teardown", request.param == "async"))
    app.teardown_appcontext(note(log, "appcontext", request.param == "async"))
    if request.param == "mixed":
        app.before_request(lambda: None)
    view = sync_view(make, log) if request.param == "sync" else async_view(make, log)
    app.add_url_rule("/", "view", view, methods=["POST"])
    app.add_url_rule("/stream", "stream", view, methods=["POST"], stream_body=True)
    return app


def note(log: Log, word: str, is_async: bool) -> Callable[..., Any]:
    def plain(error: Any) -> None:
        assert has_request_context() or word == "appcontext"
        log.append(word)

    async def coroutine(error: Any) -> None:
        await asyncio.sleep(0)
        plain(error)

    return coroutine if is_async else plain


def sync_view(make: Any, log: Log) -> Callable[[], Any]:
    def view() -> Any:
        log.append("view")
        request.stream.read()
        return Response(stream_with_context(make(log)))

    return view


def async_view(make: Any, log: Log) -> Callable[[], Any]:
    async def view() -> Any:
        log.append("view")
        async for _ in request.stream:  # type: ignore[attr-defined]
            await asyncio.sleep(0)
        return Response(stream_with_context(make(log)))

    return view


def sync_parts(log: Log) -> Any:
    log.append("begun")
    try:
        yield from ("a", "b", "c")
    finally:
        log.append(f"closed {request.path}")


async def async_parts(log: Log) -> Any:
    log.append("begun")
    try:
        for part in "abc":
            await asyncio.sleep(0)
            yield part
    finally:
        log.append(f"closed {request.path}")


def check(log: Log, path: str) -> None:
    """Each thing that began has ended, once, in its own request."""
    assert log.count("view") <= log.count("teardown") == log.count("appcontext") <= 1
    assert log.count(f"closed {path}") == log.count("begun") <= 1
    assert [entry for entry in log if entry.startswith("closed")] in ([], [f"closed {path}"])
    assert _cv.get(None) is None


class Asgi:
    """A server of which the n-th call is the one at which the client has gone."""

    def __init__(self, leave_at: int, kind: str) -> None:
        self.calls = 0
        self.leave_at = leave_at
        self.kind = kind
        self.parts = [b"x" * 10] * 3
        self.left = False

    async def _reach(self) -> None:
        self.calls += 1
        if self.calls - 1 == self.leave_at:
            self.left = True
            if self.kind == "cancel":
                asyncio.current_task().cancel()  # type: ignore[union-attr]
        await asyncio.sleep(0)

    async def receive(self) -> dict[str, Any]:
        await self._reach()
        if self.left:
            return {"type": "http.disconnect"}
        if self.parts:
            self.parts.pop()
            return {"type": "http.request", "body": b"x" * 10, "more_body": bool(self.parts)}
        await asyncio.Event().wait()
        raise AssertionError

    async def send(self, message: dict[str, Any]) -> None:
        await self._reach()
        if self.left:
            raise OSError("gone")


@pytest.mark.parametrize("path", ["/", "/stream"])
@pytest.mark.parametrize("kind", ["leave", "cancel"])
@pytest.mark.parametrize("when", range(15))
def test_asgi(site: Any, log: Log, path: str, kind: str, when: int) -> None:
    """HOSTILE-214: wherever the client goes, what began is ended once, and no task is left."""
    server = Asgi(when, kind)
    left: list[Any] = []

    async def serve() -> None:
        scope = asgi_scope(path, content_length="30")
        task = asyncio.ensure_future(site(scope, server.receive, server.send))
        await asyncio.wait([task], timeout=20)
        assert task.done()
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error
        await asyncio.sleep(0)
        left.extend(asyncio.all_tasks() - {asyncio.current_task()})

    asyncio.run(serve())
    gc.collect()
    assert left == []
    check(log, path)
    if when == 14:
        assert not server.left  # there are no more points than these


class Rsgi:
    """As Asgi, for the RSGI protocol."""

    def __init__(self, leave_at: int, kind: str) -> None:
        self.calls = 0
        self.leave_at = leave_at
        self.kind = kind
        self.parts = [b"x" * 10] * 3
        self.left = asyncio.Event()

    async def _reach(self) -> None:
        self.calls += 1
        if self.calls - 1 == self.leave_at:
            self.left.set()
            if self.kind == "cancel":
                asyncio.current_task().cancel()  # type: ignore[union-attr]
        await asyncio.sleep(0)

    async def client_disconnect(self) -> None:
        await self.left.wait()

    async def __call__(self) -> bytes:
        data = b"".join([part async for part in self])
        if self.left.is_set():
            raise RuntimeError("closed")
        return data

    def __aiter__(self) -> Any:
        return self

    async def __anext__(self) -> bytes:
        if not self.parts:
            raise StopAsyncIteration
        await self._reach()
        if self.left.is_set():
            self.parts = []
            raise StopAsyncIteration
        return self.parts.pop()

    def response_stream(self, status: int, headers: Any) -> Any:
        return self

    def response_empty(self, status: int, headers: Any) -> None:
        pass

    def response_bytes(self, status: int, headers: Any, data: bytes) -> None:
        pass

    async def send_bytes(self, data: bytes) -> None:
        await self._reach()
        if self.left.is_set():
            raise RuntimeError("gone")


class Headers(dict[str, str]):
    def get_all(self, name: str) -> list[str]:
        return [self[name]] if name in self else []


@pytest.mark.parametrize("path", ["/", "/stream"])
@pytest.mark.parametrize("kind", ["leave", "cancel"])
@pytest.mark.parametrize("when", range(7))
def test_rsgi(site: Any, log: Log, path: str, kind: str, when: int) -> None:
    """HOSTILE-214: wherever the client goes, what began is ended once, and no task is left."""
    left: list[Any] = []

    async def serve() -> None:
        server = Rsgi(when, kind)
        headers = Headers({"host": "localhost", "content-length": "30"})
        scope = SimpleNamespace(
            proto="http", http_version="1.1", method="POST", scheme="http", path=path,
            query_string="", authority=None, headers=headers, client="127.0.0.1:1",
            server="127.0.0.1:80",
        )  # fmt: skip
        task = asyncio.ensure_future(site.__rsgi__(scope, server))
        await asyncio.wait([task], timeout=20)
        assert task.done()
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error
        await asyncio.sleep(0)
        left.extend(asyncio.all_tasks() - {asyncio.current_task()})
        if when == 6:
            assert not server.left.is_set()

    asyncio.run(serve())
    gc.collect()
    assert left == []
    check(log, path)


@pytest.mark.parametrize("by_name", [False, True])
def test_the_server_is_asked_once_whether_the_client_has_gone(app: Any, by_name: bool) -> None:
    """A receive() that is given up counts as a disconnect on some servers."""
    asked: list[str] = []
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        asked.append("receive")
        await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)
        await asyncio.sleep(0)

    async def view() -> Any:
        await asyncio.sleep(0)
        return parts()

    async def parts() -> Any:
        for part in "abc":
            await asyncio.sleep(0)
            yield part

    app.add_url_rule("/", "view", view)
    scope = asgi_scope(method="GET")
    if by_name:  # as Daphne does
        asyncio.run(app(scope=scope, receive=receive, send=send))
    else:
        asyncio.run(app(scope, receive, send))
    assert [message.get("body") for message in sent[1:]] == [b"a", b"b", b"c", b""]
    assert asked == ["receive"]


def test_a_server_may_tell_once_that_the_client_has_gone(app: Any) -> None:
    """Who was told of it by a cut body does not wait to be told again."""
    messages = [{"type": "http.request", "body": b"x", "more_body": True}]
    messages.append({"type": "http.disconnect"})
    log = Log()

    async def receive() -> dict[str, Any]:
        if not messages:
            await asyncio.Event().wait()
        return messages.pop(0)

    async def send(message: dict[str, Any]) -> None:
        pass

    async def endless() -> Any:
        try:
            while True:
                await asyncio.sleep(0)
                yield "x"
        finally:
            log.append("closed")

    async def view() -> Any:
        try:
            async for _ in request.stream:  # type: ignore[attr-defined]
                pass
        except ClientDisconnected:
            log.append("told")
        return endless()

    app.add_url_rule("/", "view", view, methods=["POST"], stream_body=True)

    async def run() -> None:
        await asyncio.wait_for(app(asgi_scope(content_length="9"), receive, send), 20)

    asyncio.run(run())
    assert log == ["told", "closed"]


def test_a_call_without_arguments_is_a_type_error(app: Any) -> None:
    """By it uvicorn tells a factory from an application."""
    with pytest.raises(TypeError, match="arguments of WSGI or ASGI"):
        app()
