"""The ASGI 3 door: HTTP, WebSockets and lifespan."""

from __future__ import annotations

import typing as t
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from carboy.bridges import be_at_home, wait

from .asgi_websocket import AsgiTransport
from .environ import Facts, as_latin1, environ_of
from .loop import ClientGone, Gone, answer, pour, unless
from .spool import Spool
from .websockets import converse

if t.TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    from carboy.app import Carboy
    from carboy.transport import Reply

Scope = t.MutableMapping[str, t.Any]
Receive = t.Callable[[], t.Awaitable[t.MutableMapping[str, t.Any]]]
Send = t.Callable[[t.MutableMapping[str, t.Any]], t.Awaitable[None]]


async def respond(app: Carboy, scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one connection of an ASGI server: a request, a WebSocket or the lifespan."""
    kind = scope["type"]
    if kind == "http":
        await _http(app, scope, receive, send)
    elif kind == "websocket":
        transport = AsgiTransport(scope, receive, send)
        await converse(app, facts_of(scope), transport, scope.get("carboy.environ", ()))
    elif kind == "lifespan":
        await _lifespan(app, receive, send)
    else:
        raise RuntimeError(f"Carboy does not know connections of the type {kind!r}.")


# -- HTTP ----------------------------------------------------------------------------------------


async def _http(app: Carboy, scope: Scope, receive: Receive, send: Send) -> None:
    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    be_at_home()
    body = Spool(app.config["MAX_CONTENT_LENGTH"])
    try:
        environ = environ_of(facts_of(scope), body)
        # The test client's own keys; nothing that a client sends gets here.
        environ.update(scope.get("carboy.environ", ()))
        await _receive_body(environ, body, receive)
        reply = await answer(app, environ, gone)
        await _send(reply, send, gone)
    except ClientGone:
        pass
    finally:
        body.close()


async def _receive_body(environ: WSGIEnvironment, body: Spool, receive: Receive) -> None:
    """Receive the body, unless it is known to be too large. Raises ClientGone if it is cut."""
    length = environ.get("CONTENT_LENGTH")
    if (
        length is None
        and "HTTP_TRANSFER_ENCODING" not in environ
        and environ["SERVER_PROTOCOL"] in ("HTTP/1.1", "HTTP/1.0")
    ):
        body.rewind()  # RFC 9112 section 6.3: there is none
        return
    ended = False

    async def rest() -> bytes:
        nonlocal ended
        chunk = b""
        while not chunk and not ended:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            ended = not message.get("more_body", False)
            chunk = message.get("body", b"")
        return chunk

    room = body.has_room_for(length)
    while room and (chunk := await rest()):
        room = body.add(chunk)
    body.rewind(None if ended else lambda: _fetched(rest()))


def _fetched(chunk: t.Coroutine[t.Any, t.Any, bytes]) -> bytes:
    """More of a body that is read by a view which allows it to be larger than others."""
    try:
        return wait(chunk)
    except ClientGone:
        raise ConnectionResetError("The client has gone.") from None


async def _send(reply: Reply, send: Send, gone: Gone) -> None:
    async def begin() -> None:
        headers = [(_lower(name), value.encode("latin-1")) for name, value in reply.headers]
        status = int(reply.status[:3])
        await send({"type": "http.response.start", "status": status, "headers": headers})

    async def write(chunk: bytes) -> None:
        message = {"type": "http.response.body", "body": chunk, "more_body": chunk != b""}
        try:
            await send(message)
        except OSError:  # what a server may raise from ASGI 2.4 on
            raise ClientGone from None

    body = reply.body
    if isinstance(body, list | tuple):
        await begin()
        await send({"type": "http.response.body", "body": b"".join(body)})
    else:
        await unless(gone, pour(body, begin, write))


@lru_cache(maxsize=512)
def _lower(name: str) -> bytes:
    return name.lower().encode("latin-1")


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
