"""The ASGI 3 door: HTTP, WebSockets and lifespan."""

from __future__ import annotations

import io
import typing as t
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from carboy.bridges import be_at_home
from carboy.transport import RequestHead

from .asgi_websocket import AsgiTransport
from .environ import Facts, LazyHead, as_latin1, environ_of
from .loop import Client, ClientGone, answer, pour
from .spool import Fetch, Spool
from .websockets import converse

if t.TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    from carboy.app import Carboy
    from carboy.transport import Reply

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
    async def gone() -> None:
        if body is not None:
            await body.settled.wait()  # until then what comes is received by whoever reads it
            if body.cut:
                return  # Daphne says so once
        while (await receive())["type"] != "http.disconnect":
            pass

    head, body, length = _head_and_body(app, scope, receive)
    client = Client(gone)
    try:
        reply = await answer(app, head, body, client, length)
        if body is not None and body.cut:
            body.settled.set()  # the view was told, and has had its say
        await _send(reply, send, client)
    except ClientGone:
        pass
    finally:
        client.close()
        if body is not None:
            body.close()


def _head_and_body(
    app: Carboy, scope: Scope, receive: Receive
) -> tuple[RequestHead, Spool | None, str | None]:
    """What the scope tells: the head, the body unless there is none, and its Content-Length."""
    headers = scope["headers"]
    if type(headers) is not list:
        headers = scope["headers"] = list(headers)
    known = dict(headers)
    length = None
    body = None
    # Without these two there is none (RFC 9112 section 6.3), but in HTTP/2 and later.
    if (
        b"content-length" in known
        or b"transfer-encoding" in known
        or scope.get("http_version", "1.1") not in ("1.1", "1.0")
    ):
        body = Spool(app.config["MAX_CONTENT_LENGTH"], _fetcher(receive))
        length = known.get(b"content-length", b"").decode("latin-1") or None

    def make() -> WSGIEnvironment:
        environ = environ_of(facts_of(scope), io.BytesIO() if body is None else body)
        # The test client's own keys; nothing that a client sends gets here.
        environ.update(scope.get("carboy.environ", ()))
        return environ

    # PERF: an async view seldom asks for the environ, which takes 5 µs; bench case "async view".
    path: str = scope["path"]
    host = known.get(b"host")
    if (
        host is None
        or len(known) != len(headers)  # a header that came twice
        or not path
        or not path.isascii()
        or scope.get("root_path")
        or scope.get("carboy.environ")
    ):
        return RequestHead(make()), body, length
    cookie = known.get(b"cookie")
    text = None if cookie is None else cookie.decode("latin-1")
    scheme = scope.get("scheme", "http")
    head = LazyHead(scope["method"], scheme, path, host.decode("latin-1"), text, make)
    return head, body, length


def _fetcher(receive: Receive) -> Fetch:
    """What receives the next part of a body."""

    async def fetch() -> tuple[bytes, bool]:
        chunk, more = b"", True
        while more and not chunk:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            more = message.get("more_body", False)
            chunk = message.get("body", b"")
        return chunk, more

    return fetch


async def _send(reply: Reply, send: Send, client: Client) -> None:
    start = {
        "type": "http.response.start",
        "status": int(reply.status[:3]),
        "headers": [_pair(pair) for pair in reply.headers],
    }
    body = reply.body
    if type(body) is tuple or type(body) is list:
        data = body[0] if len(body) == 1 else b"".join(body)
        try:
            await send(start)
            await send({"type": "http.response.body", "body": data})
        except OSError:  # what a server may raise from ASGI 2.4 on
            raise ClientGone from None
        return

    async def tell(message: dict[str, t.Any]) -> None:
        try:
            await send(message)
        except OSError:
            raise ClientGone from None

    async def begin() -> None:
        await tell(start)

    async def write(chunk: bytes) -> None:
        await tell({"type": "http.response.body", "body": chunk, "more_body": chunk != b""})

    await client.waits_for(pour(body, begin, write))


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
        [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]],
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
