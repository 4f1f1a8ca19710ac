"""WebSockets on the development server: Werkzeug's socket, the protocol by wsproto.

The connection's thread waits for the end of the conversation, which runs on the portal, the
standing event loop. One more thread reads. That is plenty for developing, and no more.
"""

from __future__ import annotations

import asyncio
import logging
import select
import socket
import ssl
import threading
import traceback
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import HTTPException

from carboy.app import Carboy
from carboy.bridges import in_thread, wait
from carboy.errors import WebSocketDisconnect
from carboy.gateways.environ import Facts
from carboy.gateways.websockets import converse

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

#: The server's own name for the connection, which Flask's extensions use as well.
_SOCKET = "werkzeug.socket"
#: Messages that are read before somebody asks for them, and bytes of one that comes in pieces.
_AHEAD = 64
_LARGEST = 64 * 1024 * 1024
#: Seconds that the other side has for its part of the closing handshake.
_CLOSING = 2.0

MISSING = (
    " * WebSockets are not served: the development server needs wsproto for them.\n"
    "   pip install 'carboy[dev]'  or use  carboy serve --reload"
)


def with_websockets(app: WSGIApplication) -> WSGIApplication:
    """``app``, with its WebSockets served where the server gives the connection's socket."""
    return _SocketDoor(app)


def can_serve() -> bool:
    """Whether wsproto is installed."""
    try:
        import wsproto  # noqa: F401
    except ImportError:
        return False
    return True


class _SocketDoor:
    """WSGI middleware that takes the handshakes of WebSocket rules for itself."""

    def __init__(self, app: WSGIApplication) -> None:
        self._inner = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve a request, or a whole WebSocket."""
        connection = environ.get(_SOCKET)
        app = getattr(self._inner, "app", self._inner)
        if connection is None or not isinstance(app, Carboy) or not _is_ours(app, environ):
            return self._inner(environ, start_response)
        try:
            transport = SocketTransport(connection, environ)
        except HTTPException as error:
            return error(environ, start_response)
        try:
            wait(_converse(app, environ, transport))
        except Exception:
            traceback.print_exc()
        finally:
            transport.end()
        _log(environ, transport.status)
        # The server takes this for a client that has gone, and leaves the connection alone.
        raise ConnectionAbortedError("The WebSocket has ended.")


def _is_ours(app: Carboy, environ: WSGIEnvironment) -> bool:
    """Whether this is the handshake of a WebSocket that a rule answers.

    Rules of extensions such as Flask-Sock are not: their views use the server's socket themselves.
    """
    if environ.get("HTTP_UPGRADE", "").lower() != "websocket":
        return False
    if not any(rule.websocket for rule in app.url_map.iter_rules()):
        return False
    try:
        rule, _ = app.url_map.bind_to_environ(environ).match(return_rule=True)
    except HTTPException:
        return False
    return getattr(rule, "websocket_options", None) is not None


async def _converse(app: Carboy, environ: WSGIEnvironment, transport: SocketTransport) -> None:
    transport.loop = asyncio.get_running_loop()
    try:
        await converse(app, _facts(environ), transport)
    finally:
        await transport.finish()


def _facts(environ: WSGIEnvironment) -> Facts:
    port = environ.get("REMOTE_PORT")
    return Facts(
        environ["REQUEST_METHOD"],
        environ["wsgi.url_scheme"],
        environ.get("SCRIPT_NAME", ""),
        environ["PATH_INFO"],
        environ["QUERY_STRING"],
        environ["SERVER_PROTOCOL"].partition("/")[2],
        _headers(environ),
        (environ["REMOTE_ADDR"], int(port) if port else None),
        (environ["SERVER_NAME"], int(environ["SERVER_PORT"])),
    )


def _headers(environ: WSGIEnvironment) -> list[tuple[str, str]]:
    return [
        (name[5:].lower().replace("_", "-"), value)
        for name, value in environ.items()
        if name.startswith("HTTP_")
    ]


def _log(environ: WSGIEnvironment, status: int) -> None:
    target = environ.get("RAW_URI") or environ["PATH_INFO"]
    shown = target.encode("unicode_escape").decode("ascii")
    message = '%s - - "GET %s WebSocket" %s -'
    logging.getLogger("werkzeug").info(message, environ["REMOTE_ADDR"], shown, status)


class SocketTransport:
    """A WebSocket on a socket that was read up to the end of the handshake's head."""

    lacks: frozenset[str] = frozenset()

    def __init__(self, connection: Any, environ: WSGIEnvironment) -> None:
        from werkzeug.exceptions import BadRequest
        from wsproto import ConnectionType, WSConnection
        from wsproto.utilities import RemoteProtocolError

        self.loop: asyncio.AbstractEventLoop
        #: What the handshake was answered with; 0 before.
        self.status = 0
        self._socket = connection
        self._protocol = WSConnection(ConnectionType.SERVER)
        self._inbox: deque[str | bytes] = deque()
        self._pieces: list[Any] = []
        self._gone: WebSocketDisconnect | None = None
        self._news = asyncio.Event()
        self._room = threading.Event()
        self._reader: threading.Thread | None = None
        self._writing = asyncio.Lock()
        self._replying: asyncio.Task[None] | None = None
        # OpenSSL lets only one thread at a time use a connection.
        self._turn = threading.Lock()
        head = [(name.encode(), value.encode("latin-1")) for name, value in _headers(environ)]
        try:
            self._protocol.initiate_upgrade_connection(head, environ["PATH_INFO"])
        except RemoteProtocolError as error:
            raise BadRequest(f"This is no WebSocket handshake: {error}.") from None

    # -- what the door asks for ------------------------------------------------------------------

    async def accept(self, subprotocol: str | None, headers: list[tuple[str, str]]) -> None:
        """Answer the handshake with 101."""
        from wsproto.events import AcceptConnection

        self.status = 101
        extra = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        await self._say(AcceptConnection(subprotocol=subprotocol, extra_headers=extra))
        self._reader = threading.Thread(target=self._read, name="carboy-socket", daemon=True)
        self._reader.start()

    async def refuse(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Answer the handshake with an error."""
        from wsproto.events import RejectConnection, RejectData

        self.status = status
        extra = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        await self._say(RejectConnection(status_code=status, headers=extra, has_body=bool(body)))
        if body:
            await self._say(RejectData(data=body, body_finished=True))

    async def receive(self) -> str | bytes:
        """Wait for the next message."""
        while not self._inbox:
            if self._gone is not None:
                raise self._gone
            self._news.clear()
            await self._news.wait()
        message = self._inbox.popleft()
        if len(self._inbox) < _AHEAD:
            self._room.set()
        return message

    async def send(self, message: str | bytes) -> None:
        """Send a message."""
        from wsproto.events import BytesMessage, TextMessage

        if isinstance(message, str):
            await self._say(TextMessage(data=message))
        else:
            await self._say(BytesMessage(data=message))

    async def close(self, code: int, reason: str) -> None:
        """Begin the closing handshake."""
        from wsproto.events import CloseConnection

        await self._say(CloseConnection(code=code, reason=reason))

    async def finish(self) -> None:
        """Give the other side a moment to answer the close."""
        if self._reader is not None and self._gone is None:
            self._room.set()
            self._news.clear()
            try:
                async with asyncio.timeout(_CLOSING):
                    while self._gone is None:
                        self._inbox.clear()
                        self._room.set()
                        await self._news.wait()
                        self._news.clear()
            except TimeoutError:
                pass
        if self._replying is not None:
            await self._replying

    def end(self) -> None:
        """The connection is of no use any more. Called in the connection's own thread."""
        self._room.set()
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        if self._reader is not None:
            self._reader.join(_CLOSING)

    # -- the wire --------------------------------------------------------------------------------

    async def _say(self, event: Any) -> None:
        from wsproto.utilities import LocalProtocolError

        async with self._writing:
            try:
                data = self._protocol.send(event)
            except LocalProtocolError as error:  # the other side has closed
                raise self._gone or WebSocketDisconnect(1006) from error
            await self._write(data)

    async def _write(self, data: bytes) -> None:
        def write() -> None:
            with self._turn:
                self._socket.sendall(data)

        try:
            await in_thread(write)
        except OSError as error:
            raise WebSocketDisconnect(1006) from error

    def _read(self) -> None:
        """Read until the end, in a thread of its own."""
        data = b"x"
        while data:
            try:
                data = self._some()
            except (OSError, ValueError):
                data = b""
            self.loop.call_soon_threadsafe(self._feed, data)
            if len(self._inbox) >= _AHEAD:
                self._room.clear()
                self._room.wait()

    def _some(self) -> bytes:
        if not isinstance(self._socket, ssl.SSLSocket):
            data: bytes = self._socket.recv(65536)
            return data
        while True:
            if not self._socket.pending():
                select.select([self._socket], [], [])
            with self._turn:
                self._socket.settimeout(0)
                try:
                    return self._socket.recv(65536)
                except (ssl.SSLWantReadError, BlockingIOError):
                    continue
                finally:
                    self._socket.settimeout(None)

    def _feed(self, data: bytes) -> None:
        """What has come, on the loop."""
        from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage
        from wsproto.utilities import RemoteProtocolError

        answers: list[Any] = []
        try:
            self._protocol.receive_data(data or None)
            for event in self._protocol.events():
                if isinstance(event, TextMessage | BytesMessage):
                    self._collect(event)
                elif isinstance(event, Ping):
                    answers.append(event.response())
                elif isinstance(event, CloseConnection):
                    self._lose(event.code, event.reason or "")
                    answers.append(event.response())
        except RemoteProtocolError as error:
            self._lose(1006, str(error))
            answers.append(CloseConnection(code=1002, reason="protocol error"))
        except _TooLarge:
            self._lose(1006, "")
            answers.append(CloseConnection(code=1009, reason="too large"))
        if not data:
            self._lose(1006, "")
        elif answers:
            self._replying = self.loop.create_task(self._reply(answers))
        self._news.set()

    async def _reply(self, answers: list[Any]) -> None:
        for answer in answers:
            try:
                await self._say(answer)
            except WebSocketDisconnect:
                return

    def _collect(self, event: Any) -> None:
        self._pieces.append(event.data)
        if sum(map(len, self._pieces)) > _LARGEST:
            raise _TooLarge
        if event.message_finished:
            first = self._pieces[0]
            whole = "".join(self._pieces) if isinstance(first, str) else b"".join(self._pieces)
            self._inbox.append(whole)
            self._pieces.clear()

    def _lose(self, code: int, reason: str) -> None:
        if self._gone is None:
            self._gone = WebSocketDisconnect(code, reason)


class _TooLarge(Exception):
    """A message in pieces has grown over what is bearable."""
