"""The RSGI 1 door (Granian's protocol): HTTP, WebSockets, and the worker's start and end."""

from __future__ import annotations

import io
import typing as t

from carboy.bridges import be_at_home
from carboy.transport import RequestHead

from .environ import Facts, LazyHead, as_latin1, environ_of
from .loop import Client, ClientGone, answer, pour
from .rsgi_websocket import RsgiTransport
from .spool import Fetch, Spool
from .websockets import converse

if t.TYPE_CHECKING:
    import asyncio

    from _typeshed.wsgi import WSGIEnvironment

    from carboy.app import Carboy
    from carboy.transport import Reply


async def respond(app: Carboy, scope: t.Any, protocol: t.Any) -> None:
    """Serve one request or WebSocket of an RSGI server."""
    if scope.proto == "ws":
        more = getattr(scope, "carboy_environ", ())
        return await converse(app, facts_of(scope), RsgiTransport(protocol), more)

    async def gone() -> None:
        if body is not None:
            await body.settled.wait()  # a cut body is told by what reads it
        await protocol.client_disconnect()

    head, body, length = _head_and_body(app, scope, protocol)
    client = Client(gone)
    try:
        reply = await answer(app, head, body, client, length)
        if body is not None and body.cut:
            body.settled.set()  # the view was told, and has had its say
        await _send(reply, protocol, client)
    except ClientGone:
        pass
    finally:
        client.close()
        if body is not None:
            body.close()


def start(app: Carboy, loop: asyncio.AbstractEventLoop) -> None:
    """The worker begins; its loop does not run yet."""
    loop.run_until_complete(_at_home(app._serving.start(app)))


def stop(app: Carboy, loop: asyncio.AbstractEventLoop) -> None:
    """The worker ends; its loop does not run any more."""
    loop.run_until_complete(_at_home(app._serving.stop(app)))


async def _at_home(step: t.Coroutine[t.Any, t.Any, None]) -> None:
    be_at_home()
    await step


def _head_and_body(
    app: Carboy, scope: t.Any, protocol: t.Any
) -> tuple[RequestHead, Spool | None, str | None]:
    """What the scope tells: the head, the body unless there is none, and its Content-Length."""
    headers = scope.headers
    length = headers.get("content-length")
    body = None
    # Without these two there is none (RFC 9112 section 6.3), but in HTTP/2 and later.
    if (
        length is not None
        or "transfer-encoding" in headers
        or scope.http_version not in ("1.1", "1", "1.0")
    ):
        body = Spool(app.config["MAX_CONTENT_LENGTH"], _fetcher(protocol, length))

    def make() -> WSGIEnvironment:
        environ = environ_of(facts_of(scope), io.BytesIO() if body is None else body)
        environ.update(getattr(scope, "carboy_environ", ()))
        return environ

    # PERF: an async view seldom asks for the environ, which takes 5 µs; bench case "async view".
    path: str = scope.path
    hosts = headers.get_all("host")
    if len(hosts) != 1 or not path or not path.isascii() or getattr(scope, "carboy_environ", None):
        return RequestHead(make()), body, length
    head = LazyHead(scope.method, scope.scheme, path, hosts[0], headers.get("cookie"), make)
    return head, body, length


def _fetcher(protocol: t.Any, length: str | None) -> Fetch:
    """What receives the next part of a body."""
    expected = int(length) if length is not None and length.isdigit() else None
    received = 0
    chunks: t.Any = None

    async def fetch() -> tuple[bytes, bool]:
        nonlocal chunks, received
        if chunks is None:  # the server's may not be iterated twice
            chunks = aiter(protocol)
        chunk = b""
        while not chunk:
            try:
                # The builtin anext(chunks, None) ends Granian's process.
                chunk = await chunks.__anext__()
            except StopAsyncIteration:
                break
        if chunk:
            received += len(chunk)
            return chunk, received != expected
        # The server ends a broken body like a whole one.
        if expected is not None and received < expected:
            raise ClientGone
        return b"", False

    return fetch


async def _send(reply: Reply, protocol: t.Any, client: Client) -> None:
    status = int(reply.status[:3])
    headers = [(_LOWER.get(name) or name.lower(), value) for name, value in reply.headers]
    body = reply.body
    if type(body) is tuple or type(body) is list:
        data = body[0] if len(body) == 1 else b"".join(body)
        if data:
            protocol.response_bytes(status, headers, data)
        else:
            protocol.response_empty(status, headers)
        return
    transport: t.Any = None

    async def begin() -> None:
        nonlocal transport
        transport = protocol.response_stream(status, headers)

    async def write(chunk: bytes) -> None:
        if chunk:
            try:
                await transport.send_bytes(chunk)
            except RuntimeError:  # RSGIProtocolClosed and RSGIProtocolError
                raise ClientGone from None

    await client.waits_for(pour(body, begin, write))


#: Names that nearly each reply has. PERF: half the time of making them lower.
_LOWER = {name: name.lower() for name in ("Content-Type", "Content-Length", "Set-Cookie", "Vary")}


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
