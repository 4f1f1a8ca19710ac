"""The async doors for tests: a WSGI environ goes in as an ASGI or RSGI request."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Coroutine, Iterator
from contextlib import suppress
from contextvars import copy_context
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_from_bytes

from carboy.bridges import Portal
from carboy.wrappers import Response

if TYPE_CHECKING:
    from concurrent.futures import Future

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

#: The loop of the server that the tests' requests come through.
_SERVER = Portal()

_DERIVED = frozenset(
    {
        "CONTENT_LENGTH",
        "CONTENT_TYPE",
        "PATH_INFO",
        "QUERY_STRING",
        "REMOTE_ADDR",
        "REMOTE_PORT",
        "REQUEST_METHOD",
        "SCRIPT_NAME",
        "SERVER_NAME",
        "SERVER_PORT",
        "SERVER_PROTOCOL",
    }
)
_END = object()


class Exchange(Iterator[bytes]):
    """One request on its way through an async door, and the body that comes back.

    A part of the body is made when it is asked for: the server takes the next one from the
    application when the one before was read.
    """

    def __init__(self, app: Any, environ: WSGIEnvironment, server: Portal | None = None) -> None:
        #: The application as its door has it; a `Carboy` most often.
        self.app = app
        self._server = server or _SERVER
        self.environ = environ
        self.status = 0
        self.headers: list[tuple[str, str]] = []
        self._sent: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._done: Future[None] | None = None
        self._begun = threading.Event()
        self._ended = False

    def start(self) -> Exchange:
        """Send the request and wait for the head of the answer. Raises what the door raises."""
        self._done = self._server.submit(self._serve(), copy_context())
        self._done.add_done_callback(lambda _: self._sent.put(_END))
        self._begun.set()
        head = self._sent.get()
        if head is _END:
            self._done.result()
            raise RuntimeError("The application sent no answer: the client had gone.")
        self.status, self.headers = head
        return self

    async def _serve(self) -> None:
        self._taken = asyncio.Semaphore(0)
        self._left = asyncio.Event()
        await self.connect()

    def connect(self) -> Coroutine[Any, Any, None]:
        """Call the application."""
        raise NotImplementedError

    async def _put(self, chunk: bytes, more: bool) -> None:
        if self._left.is_set():
            raise OSError("The client has gone.")
        if chunk:
            self._sent.put(chunk)
            if more:
                await self._taken.acquire()

    def __next__(self) -> bytes:
        assert self._done is not None
        if self._ended:
            raise StopIteration
        item = self._sent.get()
        if item is _END:
            self._ended = True
            self._done.result()
            raise StopIteration
        self._call(self._taken.release)
        chunk: bytes = item
        return chunk

    def close(self) -> None:
        """Leave; the application has ended when this returns."""
        self._begun.wait()
        if self._done is None or self._ended:
            return
        self._ended = True
        self._call(self._left.set)
        self._call(self._taken.release)
        self._done.exception()

    def _call(self, function: Any) -> None:
        assert self._server._loop is not None
        self._server._loop.call_soon_threadsafe(function)

    # -- what a server tells of the request ---------------------------------------------------

    def own_keys(self) -> dict[str, Any]:
        """The keys of the environ that no server sends: those that a test has added."""
        return {
            key: value
            for key, value in self.environ.items()
            if key not in _DERIVED and not key.startswith(("HTTP_", "wsgi."))
        }

    def header_pairs(self) -> list[tuple[str, str]]:
        """The request's headers."""
        pairs = []
        for key, value in self.environ.items():
            if key.startswith("HTTP_"):
                pairs.append((key[5:].replace("_", "-").lower(), value))
            elif key in ("CONTENT_TYPE", "CONTENT_LENGTH") and value:
                pairs.append((key.replace("_", "-").lower(), value))
        return pairs

    def chunks(self) -> Iterator[bytes]:
        """The request's body."""
        stream = self.environ["wsgi.input"]
        length = self.environ.get("CONTENT_LENGTH") or ""
        left = int(length) if length.isdigit() else None
        if left is None and not self.environ.get("wsgi.input_terminated"):
            left = 0
        while left is None or left > 0:
            chunk = stream.read(8192 if left is None else min(left, 8192))
            if not chunk:
                if left:
                    raise ConnectionResetError
                break
            left = None if left is None else left - len(chunk)
            yield chunk


class AsgiExchange(Exchange):
    """A request through the ASGI door."""

    def connect(self) -> Coroutine[Any, Any, None]:
        environ = self.environ
        raw = (environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")).encode("latin-1")
        self._incoming = self.chunks()
        self._received = False
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": environ.get("SERVER_PROTOCOL", "HTTP/1.1")[5:],
            "method": environ["REQUEST_METHOD"],
            "scheme": environ.get("wsgi.url_scheme", "http"),
            "path": raw.decode(errors="replace"),
            "raw_path": quote_from_bytes(raw).encode(),
            "root_path": environ.get("SCRIPT_NAME", "").encode("latin-1").decode(errors="replace"),
            "query_string": environ.get("QUERY_STRING", "").encode("latin-1"),
            "headers": [(n.encode(), v.encode("latin-1")) for n, v in self.header_pairs()],
            "client": (environ.get("REMOTE_ADDR", "127.0.0.1"), 1),
            "server": (environ["SERVER_NAME"], int(environ["SERVER_PORT"])),
            "carboy.environ": self.own_keys(),
        }
        called: Coroutine[Any, Any, None] = self.app(scope, self._receive, self._send)
        return called

    async def _receive(self) -> dict[str, Any]:
        if not self._received:
            try:
                chunk = next(self._incoming, b"")
            except ConnectionResetError:
                return {"type": "http.disconnect"}
            self._received = not chunk
            return {"type": "http.request", "body": chunk, "more_body": bool(chunk)}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            headers = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in message["headers"]]
            self._sent.put((message["status"], headers))
        else:
            await self._put(message.get("body", b""), message.get("more_body", False))


class RsgiExchange(Exchange):
    """A request through the RSGI door."""

    def connect(self) -> Coroutine[Any, Any, None]:
        environ = self.environ
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        scope = SimpleNamespace(
            proto="http",
            rsgi_version="1.5",
            http_version=environ.get("SERVER_PROTOCOL", "HTTP/1.1")[5:],
            server=f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}",
            client=f"{environ.get('REMOTE_ADDR', '127.0.0.1')}:1",
            scheme=environ.get("wsgi.url_scheme", "http"),
            method=environ["REQUEST_METHOD"],
            path=path.encode("latin-1").decode(errors="replace"),
            query_string=environ.get("QUERY_STRING", ""),
            authority=None,
            headers=_Headers(list(self._text_pairs())),
            carboy_environ=self.own_keys(),
        )
        called: Coroutine[Any, Any, None] = self.app.__rsgi__(scope, self)
        return called

    def _text_pairs(self) -> Iterator[tuple[str, str]]:
        for name, value in self.header_pairs():
            with suppress(UnicodeDecodeError):  # which a server of this protocol leaves out
                yield name, value.encode("latin-1").decode()

    async def client_disconnect(self) -> None:
        """Wait until the test closes the response."""
        await self._left.wait()

    async def __call__(self) -> bytes:
        """The whole body."""
        try:
            return b"".join(self.chunks())
        except ConnectionResetError as error:
            raise RuntimeError(str(error)) from None

    async def __aiter__(self) -> Any:
        try:
            for chunk in self.chunks():
                yield chunk
        except ConnectionResetError:
            return  # a server of this protocol ends a broken body like a whole one

    def response_empty(self, status: int, headers: list[tuple[str, str]]) -> None:
        """Answer without a body."""
        self._sent.put((status, headers))

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Answer with a body."""
        self._sent.put((status, headers))
        self._sent.put(body)

    def response_stream(self, status: int, headers: list[tuple[str, str]]) -> RsgiExchange:
        """Begin an answer whose body comes in parts."""
        self._sent.put((status, headers))
        return self

    async def send_bytes(self, data: bytes) -> None:
        """Send one part of a body."""
        try:
            await self._put(data, True)
        except OSError as error:
            raise RuntimeError(str(error)) from None


class _Headers(dict[str, str]):
    """Headers as RSGI has them: a mapping that may have more than one item of a name."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        super().__init__(pairs)
        self._pairs = pairs

    def get_all(self, name: str) -> list[str]:
        """The values of each header of a name."""
        return [value for key, value in self._pairs if key == name]

    def items(self) -> Any:
        """The pairs."""
        return self._pairs


DOORS: dict[str, type[Exchange]] = {"asgi": AsgiExchange, "rsgi": RsgiExchange}


def through_door(app: Any, door: str, server: Portal | None = None) -> WSGIApplication:
    """A WSGI application that hands its requests to `app` through another door.

    `server` is the event loop that `app` runs on, if not the one that all tests share.
    """

    def call(environ: WSGIEnvironment, start_response: StartResponse) -> Exchange:
        exchange = DOORS[door](app, environ, server).start()
        start_response(Response(status=exchange.status).status, exchange.headers)
        return exchange

    return call
