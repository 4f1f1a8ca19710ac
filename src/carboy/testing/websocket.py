"""WebSockets for tests: the client's end of a conversation, through the ASGI or the RSGI door."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import quote_from_bytes

from carboy import json
from carboy.bridges import Portal
from carboy.errors import WebSocketDisconnect
from carboy.wrappers import Response

from .doors import _SERVER, Exchange, _Headers
from .lint import linted

if TYPE_CHECKING:
    from types import TracebackType

    from _typeshed.wsgi import WSGIEnvironment
    from werkzeug.test import TestResponse

    from .client import FlaskClient

T = TypeVar("T")
Message = str | bytes

_NOTHING = "The application has sent nothing for {} seconds."


class WebSocketRefused(Exception):
    """The handshake was answered with something else than 101: see `response`."""

    def __init__(self, response: TestResponse) -> None:
        super().__init__(f"The WebSocket was refused: {response.status}")
        self.response = response


class Peer:
    """The client's end, for coroutines: it lives on the event loop that it was begun on."""

    def __init__(self, app: Any, environ: WSGIEnvironment) -> None:
        self.app = app
        self._asked = Exchange(app, environ)
        self.environ = environ
        self.subprotocol: str | None = None
        self.close_code: int | None = None
        self.close_reason = ""
        self._to_app: asyncio.Queue[Any] = asyncio.Queue()
        self._from_app: asyncio.Queue[Any] = asyncio.Queue()
        self._left = False

    async def connect(self, within: float) -> tuple[int, list[tuple[str, str]], bytes]:
        """Ask for the handshake; returns its status, headers and body. Raises the door's error."""
        self._task = asyncio.ensure_future(self.serve())
        self._task.add_done_callback(lambda _: self._from_app.put_nowait(("end",)))
        kind, *values = await self._next(within)
        if kind == "answer":
            status, headers, body = values
            return status, headers, body
        await self._task
        raise RuntimeError("The application has ended without an answer to the handshake.")

    def serve(self) -> Coroutine[Any, Any, None]:
        """Call the application."""
        raise NotImplementedError

    async def _next(self, within: float) -> Any:
        try:
            return await asyncio.wait_for(self._from_app.get(), within)
        except TimeoutError:
            raise TimeoutError(_NOTHING.format(within)) from None

    async def send(self, message: Message) -> None:
        """Send a message."""
        self._to_app.put_nowait(message)

    async def receive(self, within: float) -> Message:
        """The next message of the application. Raises WebSocketDisconnect when it has closed."""
        if self.close_code is None:
            kind, *values = await self._next(within)
            if kind == "message":
                message: Message = values[0]
                return message
            self._note(kind, values)
        raise WebSocketDisconnect(self.close_code or 1005, self.close_reason)

    def _note(self, kind: str, values: list[Any]) -> None:
        if self.close_code is None:
            self.close_code, self.close_reason = values if kind == "close" else (1006, "")

    async def leave(self, code: int | None, reason: str, within: float) -> None:
        """Close, unless the application has, and wait for its end. Raises the door's error."""
        if not self._left:
            self._left = True
            self._to_app.put_nowait(WebSocketDisconnect(1005 if code is None else code, reason))
        try:
            await asyncio.wait_for(asyncio.shield(self._task), within)
        finally:
            while not self._from_app.empty():
                kind, *values = self._from_app.get_nowait()
                if kind == "close":
                    self._note(kind, values)

    async def _take(self) -> Message:
        item = await self._to_app.get()
        if isinstance(item, WebSocketDisconnect):
            self._to_app.put_nowait(item)  # for whoever asks again
            raise item
        taken: Message = item
        return taken

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes = b"") -> None:
        self._from_app.put_nowait(("answer", status, headers, body))


class AsgiPeer(Peer):
    """Through the ASGI door. Without `denial` the server can refuse with 403 only."""

    denial = True

    def serve(self) -> Coroutine[Any, Any, None]:
        """Call the application."""
        environ = self.environ
        script = environ.get("SCRIPT_NAME", "").encode("latin-1")
        raw = script + environ.get("PATH_INFO", "").encode("latin-1")
        secure = environ.get("wsgi.url_scheme") == "https"
        self._connected = False
        scope = {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": environ.get("SERVER_PROTOCOL", "HTTP/1.1")[5:],
            "scheme": "wss" if secure else "ws",
            "path": raw.decode(errors="replace"),
            "raw_path": quote_from_bytes(raw).encode(),
            "root_path": script.decode(errors="replace"),
            "query_string": environ.get("QUERY_STRING", "").encode("latin-1"),
            "headers": [
                (name.encode(), value.encode("latin-1"))
                for name, value in self._asked.header_pairs()
            ],
            "client": (environ.get("REMOTE_ADDR", "127.0.0.1"), 1),
            "server": (environ["SERVER_NAME"], int(environ["SERVER_PORT"])),
            "subprotocols": [
                name.strip()
                for name in environ.get("HTTP_SEC_WEBSOCKET_PROTOCOL", "").split(",")
                if name.strip()
            ],
            "extensions": {"websocket.http.response": {}} if self.denial else {},
            "carboy.environ": self._asked.own_keys(),
        }
        called: Coroutine[Any, Any, None] = self.app(scope, self._receive, self._send)
        return called

    async def _receive(self) -> dict[str, Any]:
        if not self._connected:
            self._connected = True
            return {"type": "websocket.connect"}
        try:
            message = await self._take()
        except WebSocketDisconnect as gone:
            return {"type": "websocket.disconnect", "code": gone.code, "reason": gone.reason}
        kind = "text" if isinstance(message, str) else "bytes"
        return {"type": "websocket.receive", kind: message}

    async def _send(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        pairs = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in message.get("headers", ())]
        if kind == "websocket.accept":
            self.subprotocol = message.get("subprotocol")
            self._accepted = True
            self._answer(101, pairs)
        elif kind == "websocket.http.response.start":
            self._start = (message["status"], pairs)
        elif kind == "websocket.http.response.body":
            self._answer(*self._start, message.get("body", b""))
        elif kind == "websocket.send":
            if self._left:
                raise OSError("The client has gone.")
            text = message.get("text")
            self._from_app.put_nowait(("message", message["bytes"] if text is None else text))
        elif hasattr(self, "_accepted"):
            code, reason = message.get("code", 1000), message.get("reason", "")
            self._from_app.put_nowait(("close", code, reason))
        else:
            self._answer(403, [])


class RsgiPeer(Peer):
    """Through the RSGI door, as Granian speaks it: without headers, subprotocol and close code."""

    def serve(self) -> Coroutine[Any, Any, None]:
        """Call the application."""
        environ = self.environ
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        self._closed = False
        scope = SimpleNamespace(
            proto="ws",
            rsgi_version="1.5",
            http_version=environ.get("SERVER_PROTOCOL", "HTTP/1.1")[5:],
            server=f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}",
            client=f"{environ.get('REMOTE_ADDR', '127.0.0.1')}:1",
            scheme=environ.get("wsgi.url_scheme", "http"),
            method="GET",
            path=path.encode("latin-1").decode(errors="replace"),
            query_string=environ.get("QUERY_STRING", ""),
            authority=None,
            headers=_Headers(self._asked.header_pairs()),
            carboy_environ=self._asked.own_keys(),
        )
        called: Coroutine[Any, Any, None] = self.app.__rsgi__(scope, self)
        return called

    async def accept(self) -> Any:
        """Answer the handshake; returns the transport."""
        self._answer(101, [])
        return SimpleNamespace(
            receive=self._receive, send_str=self._deliver, send_bytes=self._deliver
        )

    def close(self, status: int | None = None) -> None:
        """Refuse, or close what was accepted."""
        if not self._closed:
            self._closed = True
            if status is None:
                self._from_app.put_nowait(("close", 1005, ""))
            else:
                self._answer(status, [])

    async def _receive(self) -> Any:
        try:
            message = await self._take()
        except WebSocketDisconnect as gone:
            if gone.code == 1006:
                raise RuntimeError("The line broke.") from None
            return SimpleNamespace(kind=0, data=None)
        return SimpleNamespace(kind=2 if isinstance(message, str) else 1, data=message)

    async def _deliver(self, message: Message) -> None:
        if self._left or self._closed:
            raise RuntimeError("The connection is closed.")
        self._from_app.put_nowait(("message", message))


PEERS: dict[str, type[Peer]] = {"asgi": AsgiPeer, "rsgi": RsgiPeer}


class WebSocketConversation:
    """A WebSocket that a test has opened; from `client.websocket_connect`.

    ::

        with client.websocket_connect("/echo") as ws:
            ws.send("hello")
            assert ws.receive() == "hello"

    Leaving the block closes with code 1000 and waits until the view has ended; what it raised, if
    exceptions propagate, is raised there. Waiting for more than `timeout` seconds is a TimeoutError.
    """

    def __init__(
        self, client: FlaskClient, door: str, args: Any, kwargs: Any, timeout: float
    ) -> None:
        self._client = client
        self._door = door
        self._arguments = (args, kwargs)
        self._portal: Portal = client._server or _SERVER
        self.timeout = timeout
        #: The headers of the answer to the handshake.
        self.headers: list[tuple[str, str]] = []

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self._portal.run(coroutine)

    def open(self) -> WebSocketConversation:
        """Send the handshake. Raises WebSocketRefused, or what the application raises."""
        client = self._client
        args, kwargs = self._arguments
        request = client._request_from_builder_args(args, kwargs)
        client._add_cookies_to_wsgi(request.environ)
        app = client.application
        called = linted(app, self._door) if client.lint else app
        status, headers, body = self._run(self._begin(called, request.environ))
        self.headers = headers
        cookies = [value for name, value in headers if name.lower() == "set-cookie"]
        if client._cookies is not None and cookies:
            host = request.host.partition(":")[0]
            client._update_cookies_from_response(host, request.path, cookies)
        if status != 101:
            self._run(self._peer.leave(None, "", self.timeout))
            line = Response(status=status).status
            response = client.response_wrapper([body], line, headers, request=request)
            cast("Any", response).json_module = app.json
            raise WebSocketRefused(response)
        return self

    async def _begin(self, app: Any, environ: Any) -> Any:
        self._peer = PEERS[self._door](app, environ)
        return await self._peer.connect(self.timeout)

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that was agreed on."""
        return self._peer.subprotocol

    @property
    def close_code(self) -> int | None:
        """The code that the application has closed with; None while it has not."""
        return self._peer.close_code

    @property
    def close_reason(self) -> str:
        """The reason that goes with it."""
        return self._peer.close_reason

    def send(self, message: Message) -> None:
        """Send a message: text if it is a str, binary if bytes."""
        self._run(self._peer.send(message))

    def receive(self, timeout: float | None = None) -> Message:
        """The next message. Raises WebSocketDisconnect when the application has closed."""
        return self._run(self._peer.receive(self.timeout if timeout is None else timeout))

    def send_json(self, value: Any) -> None:
        """Send a value as JSON text."""
        self.send(self._client.application.json.dumps(value))

    def receive_json(self, timeout: float | None = None) -> Any:
        """The next message, read as JSON."""
        return json.loads(self.receive(timeout))

    def __iter__(self) -> WebSocketConversation:
        return self

    def __next__(self) -> Message:
        try:
            return self.receive()
        except WebSocketDisconnect:
            raise StopIteration from None

    def close(self, code: int | None = 1000, reason: str = "") -> None:
        """Close, and wait until the view has ended. `code=1006` breaks the line instead."""
        self._run(self._peer.leave(code, reason, self.timeout))

    def __enter__(self) -> WebSocketConversation:
        return self.open()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        try:
            self.close()
        except BaseException:
            if exc_type is None:
                raise
