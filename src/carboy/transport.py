"""The contract between the core and the doors (the protocol gateways).

A door owes the core three things: a :class:`RequestHead`, the body as a :class:`BodySource` (the
``wsgi.input`` of the head's environ), and a :class:`Bridge`, its way of running the other colour.
It then runs ``pipeline.handle(context, bridge)`` and writes the :class:`Reply` that comes back. A
door whose protocol has a ``start_response`` hands it over as the context's ``_start``: it is called
while the context is alive. The door decides nothing else: Content-Length, HEAD, 204 and 304 are
settled before it sees the reply, and it must call ``close`` on a body that has it, also when the
client has gone.

**The environ may be lazy.** On the plain path (match, view, ``request``'s method, query, cookies and
JSON, direct reply, quiet end) the core reads a request's facts through the head only: its attributes
and :meth:`RequestHead.get`. A door that has no environ subclasses :class:`RequestHead`: it fills
``method``, ``path``, ``host`` and ``cookie``, gives a ``get`` that finds single keys, and an
``environ`` that makes the whole one when an extension, an odd route or an error first asks for it.
From then on ``made`` is that environ and ``get`` must read it, since hooks change it. The context is
``RequestContext.of(app, head)``, and its request ``Request.of(head)``.
"""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    import collections.abc as cabc

    from _typeshed.wsgi import WSGIEnvironment


class BodySource(t.Protocol):
    """What a request body is read from: blocking, as PEP 3333 asks of ``wsgi.input``."""

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes; ``b""`` at the end."""

    def readline(self, size: int, /) -> bytes:
        """Return one line, or at most ``size`` bytes of it; ``b""`` at the end."""


class RequestHead:
    """The facts that every request is routed by, and the environ for all the others.

    ``path`` is decoded, without the root path the application is mounted at, and starts with
    ``/`` unless the server sent something else. ``host`` is the Host header as sent, or None, and
    ``cookie`` the Cookie header. Where the server speaks another protocol than WSGI, ``environ``
    is made when first asked for; ``made`` is None until then. ``get(key, default=None)`` gives what
    the environ has under one of its keys, as a dict's ``get`` does.
    """

    __slots__ = ("cookie", "environ", "get", "host", "made", "method", "path")

    method: str
    path: str
    host: str | None
    cookie: str | None
    get: t.Callable[..., t.Any]
    made: WSGIEnvironment | None

    def __init__(self, environ: WSGIEnvironment) -> None:
        self.get = get = environ.get
        path = get("PATH_INFO") or "/"
        if not path.isascii():
            # PEP 3333 hands bytes over as latin-1 text.
            path = path.encode("latin1", "replace").decode(errors="replace")
        self.method = get("REQUEST_METHOD", "GET")
        self.path = path
        self.host = get("HTTP_HOST")
        self.cookie = get("HTTP_COOKIE")
        self.environ = self.made = environ

    @property
    def scheme(self) -> str:
        """``"http"`` or ``"https"``."""
        scheme: str = self.environ["wsgi.url_scheme"]
        return scheme


class Reply:
    """A finished answer: status line such as ``"200 OK"``, header pairs, chunks of bytes."""

    __slots__ = ("body", "headers", "status")

    def __init__(
        self, status: str, headers: list[tuple[str, str]], body: cabc.Iterable[bytes]
    ) -> None:
        self.status = status
        self.headers = headers
        self.body = body


class Bridge(t.Protocol):
    """How a door runs a step whose colour is not its own.

    ``wrap`` is None where sync steps are simply called. Elsewhere each step is passed through
    it, and gives a coroutine.
    """

    @property
    def wrap(self) -> t.Callable[[t.Callable[..., t.Any]], t.Callable[..., t.Any]] | None: ...

    async def call(self, function: t.Callable[..., t.Any], *args: t.Any) -> t.Any:
        """Call a sync function of the application that may block."""

    async def surely(self, coroutine: t.Coroutine[t.Any, t.Any, t.Any]) -> t.Any:
        """Run a part of the pipeline that must come to its end even if the client leaves."""

    def finish(self, awaitable: t.Awaitable[t.Any]) -> t.Any:
        """Run what an async step returned to its end: its result, or a coroutine of it."""

    def conclude(self, awaitable: t.Awaitable[t.Any]) -> t.Any:
        """As ``finish`` where nothing can interrupt it; else the awaitable itself, not begun."""


class WebSocketTransport(t.Protocol):
    """One WebSocket of a server, as its door shows it.

    Everything is called on the server's event loop. Framing, masking, pings and the closing
    handshake are the server's. Where the connection has ended, ``receive`` and ``send`` raise
    :exc:`carboy.errors.WebSocketDisconnect`.
    """

    #: What the protocol cannot carry: ``"headers"``, ``"subprotocol"``, ``"close code"``.
    lacks: frozenset[str]

    async def accept(self, subprotocol: str | None, headers: list[tuple[str, str]]) -> None:
        """Answer the handshake with 101."""

    async def refuse(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Answer the handshake with an error, as well as the protocol can."""

    async def receive(self) -> str | bytes:
        """Wait for the next message; one caller at a time."""

    async def send(self, message: str | bytes) -> None:
        """Send a message, and return when there is room for the next one."""

    async def close(self, code: int, reason: str) -> None:
        """Begin the closing handshake."""
