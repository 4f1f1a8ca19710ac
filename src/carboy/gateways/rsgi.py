"""The RSGI 1 door (Granian's protocol): HTTP, WebSockets, and the worker's start and end."""

from __future__ import annotations

import typing as t
from functools import lru_cache

from carboy.bridges import be_at_home
from carboy.shortcuts import SLOW
from carboy.transport import Reply

from .environ import Facts, LazyHead, as_latin1, name_of
from .loop import Client, ClientGone, answer
from .out import Out, code_of, send_parts
from .rsgi_websocket import RsgiTransport
from .spool import IN_MEMORY, Spool
from .websockets import converse

if t.TYPE_CHECKING:
    import asyncio

    from carboy.app import Carboy


async def respond(app: Carboy, scope: t.Any, protocol: t.Any) -> None:
    """Serve one request or WebSocket of an RSGI server."""
    if scope.proto == "ws":
        more = getattr(scope, "carboy_environ", ())
        return await converse(app, facts_of(scope), RsgiTransport(protocol), more)

    head = RsgiHead(app, scope, protocol)
    try:
        reply = answer(app, head)
        if not isinstance(reply, Reply):
            reply = await reply
        status = code_of(reply.status)
        headers = list(map(_lowered, reply.headers))
        body = reply.body
        if type(body) is tuple or type(body) is list:
            data = body[0] if len(body) == 1 else b"".join(body)
            if data:
                protocol.response_bytes(status, headers, data)
            else:
                protocol.response_empty(status, headers)
        else:
            await send_parts(head, body, _Out(status, headers, protocol))
    except ClientGone:
        pass
    finally:
        if head.client is not None or head.body is not None:
            head.close()


def start(app: Carboy, loop: asyncio.AbstractEventLoop) -> None:
    """The worker begins; its loop does not run yet."""
    loop.run_until_complete(_at_home(app._serving.start(app)))


def stop(app: Carboy, loop: asyncio.AbstractEventLoop) -> None:
    """The worker ends; its loop does not run any more."""
    loop.run_until_complete(_at_home(app._serving.stop(app)))


async def _at_home(step: t.Coroutine[t.Any, t.Any, None]) -> None:
    be_at_home()
    await step


class RsgiHead(LazyHead):
    """The head of a request, as its scope tells it."""

    __slots__ = ("_headers", "_protocol", "_scope")

    def __init__(self, app: Carboy, scope: t.Any, protocol: t.Any) -> None:
        self._scope = scope
        self._protocol = protocol
        self._headers = headers = scope.headers
        self.made = self.client = self.body = None
        length = headers.get("content-length")
        # Without these two there is none (RFC 9112 section 6.3), but in HTTP/2 and later.
        if (
            length is not None
            or "transfer-encoding" in headers
            or scope.http_version not in _WITH_LENGTHS
        ):
            self.body = RsgiBody(app.config["MAX_CONTENT_LENGTH"], protocol, length)
        path: str = scope.path
        hosts = headers.get_all("host")
        if (
            len(hosts) != 1
            or not path
            or not path.isascii()
            or SLOW
            or getattr(scope, "carboy_environ", None)
        ):
            self._read(self.environ)
            return
        self.method = scope.method
        self.path = path
        self.host = as_latin1(hosts[0])
        self.cookie = None
        if headers.get("cookie") is not None:
            self.cookie = _joined("cookie", headers.get_all("cookie"))

    def _facts(self) -> Facts:
        return facts_of(self._scope)

    def _fact(self, key: str) -> str | None:
        scope = self._scope
        if key == "QUERY_STRING":
            return t.cast(str, scope.query_string)
        if key == "wsgi.url_scheme":
            return self.scheme
        if key == "REMOTE_ADDR":
            return _address(scope.client)[0]
        return super()._fact(key)

    @property
    def scheme(self) -> str:
        """``"http"`` or ``"https"``."""
        scheme: str = self._scope.scheme
        return scheme

    def _more(self) -> t.Any:
        return getattr(self._scope, "carboy_environ", None)

    if not t.TYPE_CHECKING:

        def get(self, key: str, default: t.Any = None) -> t.Any:
            """What the environ has under ``key``."""
            # PERF: an async view seldom needs more than a key or two, and the environ takes 4 µs;
            # bench cases "form", "echo".
            made = self.made
            if made is not None:
                return made.get(key, default)
            name = name_of(key)
            if name is None:
                value = self._no_header(key)
                return default if value is None else value
            values = self._headers.get_all(name)
            return _joined(name, values) if values else default

    def _client(self) -> Client:
        return RsgiClient(self.body, self._protocol)


def _joined(name: str, values: list[str]) -> str:
    """The value of a header that may have come more than once."""
    if len(values) == 1:
        return as_latin1(values[0])
    return as_latin1(("; " if name == "cookie" else ",").join(values))


_WITH_LENGTHS = frozenset({"1.1", "1", "1.0"})


class RsgiBody(Spool):
    """The body of a request, in the chunks that the protocol gives."""

    def __init__(self, limit: int | None, protocol: t.Any, length: str | None) -> None:
        super().__init__(limit)
        self._protocol = protocol
        self._expected = int(length) if length is not None and length.isdigit() else None

    _more = True
    _received = 0
    _parts: t.Any = None
    lost = RuntimeError  # RSGIProtocolClosed

    def first(self) -> t.Awaitable[bytes] | None:
        """The whole of a body of which it is known that it may be kept in memory."""
        if self._expected is None or self._expected > IN_MEMORY:
            return None
        data: t.Awaitable[bytes] = self._protocol()
        return data

    def took(self, first: bytes) -> bool:
        """Keep the body, unless it was cut."""
        if len(first) < t.cast(int, self._expected):
            raise self.note_cut()
        return self._take_whole(first)

    async def fetch(self) -> bytes:
        """The next chunk of the body."""
        parts = self._parts
        if parts is None:  # the server's may not be iterated twice
            parts = self._parts = aiter(self._protocol)
        chunk = b""
        while not chunk:
            try:
                # The builtin anext(parts, None) ends Granian's process.
                chunk = await parts.__anext__()
            except StopAsyncIteration:
                break
        self._received += len(chunk)
        # The server ends a broken body like a whole one.
        if not chunk and self._expected is not None and self._received < self._expected:
            raise self.note_cut()
        if not chunk or self._received == self._expected:
            self._note_end()
        return chunk


class RsgiClient(Client):
    """Whoever waits for the answer; the protocol tells when they have left."""

    def __init__(self, body: Spool | None, protocol: t.Any) -> None:
        self._body = body
        self._protocol = protocol

    async def gone(self) -> None:
        """Wait until the client has gone."""
        if self._body is not None:
            await self._body.settled()  # a cut body is told by what reads it
        await self._protocol.client_disconnect()


class _Out(Out):
    """A streamed reply on its way, through the protocol's transport."""

    lost = RuntimeError  # RSGIProtocolClosed and RSGIProtocolError

    def __init__(self, status: int, headers: list[tuple[str, str]], protocol: t.Any) -> None:
        self._head = status, headers
        self._protocol = protocol

    def begin(self) -> None:
        """Send status and headers."""
        self.write = self._protocol.response_stream(*self._head).send_bytes

    def end(self) -> None:
        """The protocol knows when this was all."""


@lru_cache(maxsize=1024)
def _lowered(pair: tuple[str, str]) -> tuple[str, str]:
    name, value = pair
    return name.lower(), value


def facts_of(scope: t.Any) -> Facts:
    """What the scope of a request or a WebSocket tells."""
    headers = scope.headers.items()
    if scope.authority is not None and "host" not in scope.headers:
        headers = [("host", scope.authority), *headers]
    return Facts(
        scope.method,
        scope.scheme,
        "",
        as_latin1(scope.path),
        scope.query_string,
        "1.0" if scope.http_version == "1" else scope.http_version,
        [(name, as_latin1(value)) for name, value in headers],
        _address(scope.client),
        _address(scope.server),
    )


def _address(text: str) -> tuple[str, int | None]:
    host, _, port = text.rpartition(":")
    return (host.strip("[]"), int(port)) if host and port.isdigit() else (text, None)
