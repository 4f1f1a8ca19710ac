"""The ASGI 3 door: HTTP, WebSockets and lifespan."""

from __future__ import annotations

import typing as t
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from carboy.bridges import be_at_home
from carboy.shortcuts import SLOW
from carboy.transport import Reply

from .asgi_websocket import AsgiTransport
from .environ import Facts, LazyHead, as_latin1, raw_name_of
from .loop import Client, ClientGone, answer
from .out import Out, code_of, send_parts
from .spool import Spool
from .websockets import converse

if t.TYPE_CHECKING:
    from carboy.app import Carboy

Scope = t.MutableMapping[str, t.Any]
Receive = t.Callable[[], t.Awaitable[t.MutableMapping[str, t.Any]]]
Send = t.Callable[[t.MutableMapping[str, t.Any]], t.Awaitable[None]]


def respond(
    app: Carboy, scope: Scope, receive: Receive, send: Send
) -> t.Coroutine[t.Any, t.Any, None]:
    """Serve one connection of an ASGI server: a request, a WebSocket or the lifespan."""
    kind = scope["type"]
    if kind == "http":
        return _http(app, scope, receive, send)
    if kind == "websocket":
        transport = AsgiTransport(scope, receive, send)
        return converse(app, facts_of(scope), transport, scope.get("carboy.environ", ()))
    if kind == "lifespan":
        return _lifespan(app, receive, send)
    raise RuntimeError(f"Carboy does not know connections of the type {kind!r}.")


# -- HTTP ----------------------------------------------------------------------------------------


async def _http(app: Carboy, scope: Scope, receive: Receive, send: Send) -> None:
    head = AsgiHead(app, scope, receive)
    try:
        reply = answer(app, head)
        if not isinstance(reply, Reply):
            reply = await reply
        body = reply.body
        start = {
            "type": "http.response.start",
            "status": code_of(reply.status),
            "headers": list(map(_pair, reply.headers)),
        }
        if type(body) is tuple or type(body) is list:
            data = body[0] if len(body) == 1 else b"".join(body)
            try:
                await send(start)
                await send({"type": "http.response.body", "body": data})
            except OSError:  # what a server may raise from ASGI 2.4 on
                raise ClientGone from None
        else:
            await send_parts(head, body, _Out(start, send))
    except ClientGone:
        pass
    finally:
        if head.client is not None or head.body is not None:
            head.close()


class AsgiHead(LazyHead):
    """The head of a request, as its scope tells it."""

    __slots__ = ("_known", "_receive", "_scope")

    def __init__(self, app: Carboy, scope: Scope, receive: Receive) -> None:
        headers = scope["headers"]
        if type(headers) is not list:
            headers = scope["headers"] = list(headers)
        self._scope = scope
        self._receive = receive
        self._known = known = dict(headers)
        self.made = self.client = self.body = None
        # Without these two there is none (RFC 9112 section 6.3), but in HTTP/2 and later.
        if (
            b"content-length" in known
            or b"transfer-encoding" in known
            or scope.get("http_version", "1.1") not in _WITH_LENGTHS
        ):
            self.body = AsgiBody(app.config["MAX_CONTENT_LENGTH"], receive)
        path: str = scope["path"]
        host = known.get(b"host")
        if (
            host is None
            or len(known) != len(headers)  # a header that came twice
            or not path
            or not path.isascii()
            or scope.get("root_path")
            or scope.get("carboy.environ")
            or SLOW
        ):
            self._read(self.environ)
            return
        self.method = scope["method"]
        self.path = path
        self.host = host.decode("latin-1")
        cookie = known.get(b"cookie")
        self.cookie = None if cookie is None else cookie.decode("latin-1")

    def _facts(self) -> Facts:
        return facts_of(self._scope)

    def _fact(self, key: str) -> str | None:
        scope = self._scope
        if key == "QUERY_STRING":
            query: bytes = scope.get("query_string", b"")
            return query.decode("latin-1")
        if key == "wsgi.url_scheme":
            return self.scheme
        if key == "REMOTE_ADDR":
            return (scope.get("client") or _NOBODY)[0]
        return super()._fact(key)

    @property
    def scheme(self) -> str:
        """``"http"`` or ``"https"``."""
        scheme: str = self._scope.get("scheme", "http")
        return scheme

    def _more(self) -> t.Any:
        return self._scope.get("carboy.environ")

    if not t.TYPE_CHECKING:

        def get(self, key: str, default: t.Any = None) -> t.Any:
            """What the environ has under ``key``."""
            # PERF: an async view seldom needs more than a key or two, and the environ takes 4 µs;
            # bench cases "form", "echo".
            made = self.made
            if made is not None:
                return made.get(key, default)
            name = raw_name_of(key)
            if name is None:
                value = self._no_header(key)
                return default if value is None else value
            value = self._known.get(name)
            if value is not None:
                return value.decode("latin-1")
            if b"a".join(self._known).islower():
                return default
            # Names that are not in small letters, which ASGI does not allow.
            return self.environ.get(key, default)

    def _client(self) -> Client:
        return AsgiClient(self.body, self._receive)


_NOBODY = (None,)
_WITH_LENGTHS = frozenset({"1.1", "1.0"})


class AsgiBody(Spool):
    """The body of a request, in the messages that ``receive`` gives."""

    def __init__(self, limit: int | None, receive: Receive) -> None:
        super().__init__(limit)
        self._receive = receive

    _more = True

    def first(self) -> t.Awaitable[t.Any]:
        """The first message."""
        return self._receive()

    def took(self, first: t.Any) -> bool:
        """Keep the first message's part of the body; whether that was all."""
        if first["type"] == "http.disconnect":
            raise self.note_cut()
        chunk = first.get("body", b"")
        if not first.get("more_body", False):
            return self._take_whole(chunk)
        self._keep(chunk)
        return False

    async def fetch(self) -> bytes:
        """The next message's part of the body."""
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise self.note_cut()
            chunk: bytes = message.get("body", b"")
            if not message.get("more_body", False):
                self._note_end()
                return chunk
            if chunk:
                return chunk


class AsgiClient(Client):
    """Whoever waits for the answer; the server says by a message that they have left."""

    def __init__(self, body: Spool | None, receive: Receive) -> None:
        self._body = body
        self._receive = receive

    async def gone(self) -> None:
        """Wait until the client has gone."""
        body = self._body
        if body is not None:
            await body.settled()  # until then what comes is received by whoever reads it
            if body.cut:
                return  # Daphne says so once
        while (await self._receive())["type"] != "http.disconnect":
            pass


class _Out(Out):
    """A streamed reply on its way, in a message for each part."""

    lost = OSError  # what a server may raise from ASGI 2.4 on

    def __init__(self, start: dict[str, t.Any], send: Send) -> None:
        self._start = start
        self._send = send

    def begin(self) -> t.Awaitable[None]:
        """Send status and headers."""
        return self._send(self._start)

    def write(self, chunk: bytes) -> t.Awaitable[None]:
        """Send a part."""
        return self._send({"type": "http.response.body", "body": chunk, "more_body": True})

    def end(self) -> t.Awaitable[None]:
        """Say that this was all."""
        return self._send({"type": "http.response.body", "body": b"", "more_body": False})


@lru_cache(maxsize=1024)
def _pair(pair: tuple[str, str]) -> tuple[bytes, bytes]:
    name, value = pair
    return name.lower().encode("latin-1"), value.encode("latin-1")


def facts_of(scope: Scope) -> Facts:
    """What the scope of a request or a WebSocket tells."""
    path: str = scope["path"]
    raw: bytes | None = scope.get("raw_path")
    if "\ufffd" in path and raw is not None:
        # The server has put this character where a path is not UTF-8.
        path = unquote_to_bytes(raw.partition(b"?")[0]).decode("latin-1")
    else:
        path = as_latin1(path)
    root = as_latin1(scope.get("root_path") or "").rstrip("/")
    if root and (path == root or path.startswith(f"{root}/")):
        path = path[len(root) :]
    return Facts(
        scope.get("method", "GET"),
        scope.get("scheme", "http"),
        root,
        path,
        scope.get("query_string", b"").decode("latin-1"),
        scope.get("http_version", "1.1"),
        [(name, value.decode("latin-1")) for name, value in scope["headers"]],
        scope.get("client"),
        scope.get("server"),
    )


# -- lifespan ------------------------------------------------------------------------------------


async def _lifespan(app: Carboy, receive: Receive, send: Send) -> None:
    be_at_home()
    for stage, run in (("startup", app._serving.start), ("shutdown", app._serving.stop)):
        while (await receive())["type"] != f"lifespan.{stage}":
            pass
        try:
            await run(app)
        except Exception as error:
            app.log_exception((type(error), error, error.__traceback__))
            await send({"type": f"lifespan.{stage}.failed", "message": f"{error!r}"})
            return
        await send({"type": f"lifespan.{stage}.complete"})
