"""RSGI 1 (Granian's specification), for applications: HTTP and WebSocket."""

from __future__ import annotations

from typing import Any

from .rules import AnswerChecker, Checker

PROTOCOL = "RSGI 1, 'HTTP protocol'"
STREAM = "RSGI 1, 'HTTP protocol', response_stream"
WEBSOCKET = "RSGI 1, 'Websocket protocol'"


class rsgi:
    """`app`, held to RSGI: what breaks a rule raises `LintError`."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        call = getattr(self._app, "__rsgi__", self._app)
        make: Any = _WebSocket if scope.proto in ("ws", "websocket") else _Http
        checked = make(scope, protocol)
        await call(scope, checked)
        checked._check.again()
        checked._check_end()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._app, name)


class _Http:
    """The server's protocol object, as the application sees it."""

    def __init__(self, scope: Any, protocol: Any) -> None:
        self._check = AnswerChecker(scope.method)
        self._protocol = protocol
        self._state = "waiting"
        self._gone = False
        length = next((v for k, v in scope.headers.items() if k == "content-length"), "0")
        self._expected = int(length) if length.isdigit() else 0
        self._received = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._protocol, name)

    async def __call__(self) -> bytes:
        try:
            body: bytes = await self._protocol()
        except RuntimeError:
            self._gone = True
            raise
        self._received = len(body)
        return body

    async def __aiter__(self) -> Any:
        async for chunk in self._protocol:
            self._received += len(chunk)
            yield chunk
        self._gone = self._gone or self._received < self._expected

    async def client_disconnect(self) -> None:
        await self._protocol.client_disconnect()
        self._gone = True

    def _begin(self, status: Any, headers: Any) -> None:
        check = self._check
        if self._state != "waiting":
            check.fail(PROTOCOL, "The request was answered twice.", "Call one response method.")
        check.check_status(status, PROTOCOL)
        for pair in headers:
            if not (
                isinstance(pair, tuple | list)
                and len(pair) == 2
                and all(isinstance(part, str) for part in pair)
            ):
                check.fail(PROTOCOL, f"{pair!r} is no header.", "Send (name, value) pairs of str.")
            name, value = pair
            if name != name.lower():
                check.fail(PROTOCOL, f"The header {name!r} has capitals.", "Use lower case.")
            check.check_header(name, value, PROTOCOL)
        check.check_head()
        self._state = "complete"

    def _whole(self, status: Any, headers: Any, body: Any, kind: type[bytes] | type[str]) -> None:
        self._begin(status, headers)
        if not isinstance(body, kind):
            self._check.fail(
                PROTOCOL, f"The body is {body!r}.", f"This method sends {kind.__name__}."
            )
        self._check.count(len(body.encode() if isinstance(body, str) else body))
        self._check.check_whole()

    def response_empty(self, status: Any, headers: Any) -> Any:
        self._begin(status, headers)
        self._check.check_whole()
        return self._protocol.response_empty(status, headers)

    def response_bytes(self, status: Any, headers: Any, body: Any) -> Any:
        self._whole(status, headers, body, bytes)
        return self._protocol.response_bytes(status, headers, body)

    def response_str(self, status: Any, headers: Any, body: Any) -> Any:
        self._whole(status, headers, body, str)
        return self._protocol.response_str(status, headers, body)

    def response_file(self, status: Any, headers: Any, file: Any) -> Any:
        self._begin(status, headers)
        return self._protocol.response_file(status, headers, file)

    def response_file_range(self, status: Any, headers: Any, file: Any, *span: Any) -> Any:
        self._begin(status, headers)
        return self._protocol.response_file_range(status, headers, file, *span)

    def response_stream(self, status: Any, headers: Any) -> _Stream:
        self._begin(status, headers)
        self._state = "streaming"
        return _Stream(self, self._protocol.response_stream(status, headers))

    def _check_end(self) -> None:
        if self._gone:
            return
        if self._state == "waiting":
            self._check.fail(
                PROTOCOL,
                "The application ended without an answer.",
                "Call one of the protocol's response methods.",
            )
        if self._state == "streaming":
            self._check.check_whole()


class _Stream:
    """The transport of a streamed answer."""

    def __init__(self, http: _Http, transport: Any) -> None:
        self._http = http
        self._transport = transport

    async def send_bytes(self, data: Any) -> None:
        await self._send(data, bytes, "send_bytes")

    async def send_str(self, data: Any) -> None:
        await self._send(data, str, "send_str")

    async def _send(self, data: Any, kind: type[bytes] | type[str], name: str) -> None:
        check = self._http._check
        if not isinstance(data, kind):
            check.fail(STREAM, f"{name} was given {data!r}.", f"It takes {kind.__name__}.")
        check.count(len(data.encode() if isinstance(data, str) else data))
        try:
            await getattr(self._transport, name)(data)
        except Exception:
            self._http._gone = True
            raise


class _WebSocket:
    """The server's protocol object of a WebSocket."""

    def __init__(self, scope: Any, protocol: Any) -> None:
        self._check = Checker()
        self._protocol = protocol
        self._state = "connecting"

    def __getattr__(self, name: str) -> Any:
        return getattr(self._protocol, name)

    async def accept(self) -> _Frames:
        if self._state != "connecting":
            self._check.fail(
                WEBSOCKET, f"It was accepted when it was {self._state}.", "Accept once."
            )
        self._state = "open"
        return _Frames(self, await self._protocol.accept())

    def close(self, status: Any = None) -> Any:
        if self._state == "closed":
            self._check.fail(WEBSOCKET, "It was closed twice.", "Close once.")
        if status is not None and type(status) is not int:
            self._check.fail(WEBSOCKET, f"It was closed with {status!r}.", "Use an int or None.")
        self._state = "closed"
        return self._protocol.close(status)

    def _check_end(self) -> None:
        if self._state == "connecting":
            self._check.fail(
                WEBSOCKET,
                "The application ended and left a WebSocket unanswered.",
                "Accept or close it.",
            )


class _Frames:
    """The transport of an accepted WebSocket."""

    def __init__(self, websocket: _WebSocket, transport: Any) -> None:
        self._websocket = websocket
        self._transport = transport

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    async def send_bytes(self, data: Any) -> Any:
        return await self._send(data, bytes, "send_bytes")

    async def send_str(self, data: Any) -> Any:
        return await self._send(data, str, "send_str")

    async def _send(self, data: Any, kind: type, name: str) -> Any:
        check = self._websocket._check
        if self._websocket._state != "open":
            check.fail(WEBSOCKET, "Data was sent after the close.", "Close last.")
        if not isinstance(data, kind):
            check.fail(WEBSOCKET, f"{name} was given {data!r}.", f"It takes {kind.__name__}.")
        return await getattr(self._transport, name)(data)
