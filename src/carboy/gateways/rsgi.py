"""The RSGI 1 door (Granian's protocol): HTTP, WebSockets, and the worker's start and end."""

from __future__ import annotations

import typing as t

from carboy.bridges import be_at_home, wait

from .environ import Facts, as_latin1, environ_of
from .loop import ClientGone, Gone, answer, pour, unless
from .rsgi_websocket import RsgiTransport
from .spool import Spool
from .websockets import converse

if t.TYPE_CHECKING:
    import asyncio
    import collections.abc as cabc

    from _typeshed.wsgi import WSGIEnvironment

    from carboy.app import Carboy
    from carboy.transport import Reply


async def respond(app: Carboy, scope: t.Any, protocol: t.Any) -> None:
    """Serve one request or WebSocket of an RSGI server."""
    if scope.proto == "ws":
        more = getattr(scope, "carboy_environ", ())
        return await converse(app, facts_of(scope), RsgiTransport(protocol), more)
    be_at_home()
    body = Spool(app.config["MAX_CONTENT_LENGTH"])
    try:
        environ = environ_of(facts_of(scope), body)
        environ.update(getattr(scope, "carboy_environ", ()))
        await _receive_body(environ, body, protocol)
        reply = await answer(app, environ, protocol.client_disconnect)
        await _send(reply, protocol, protocol.client_disconnect)
    except ClientGone:
        pass
    finally:
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


async def _receive_body(environ: WSGIEnvironment, body: Spool, protocol: t.Any) -> None:
    """Receive the body, unless it is known to be too large. Raises ClientGone if it is cut."""
    length = environ.get("CONTENT_LENGTH")
    if (
        length is None
        and "HTTP_TRANSFER_ENCODING" not in environ
        and environ["SERVER_PROTOCOL"] in ("HTTP/1.1", "HTTP/1.0")
    ):
        body.rewind()  # RFC 9112 section 6.3: there is none
        return
    chunks = _chunks(protocol)
    received = 0
    ended = False

    async def rest() -> bytes:
        nonlocal received, ended
        while (chunk := await anext(chunks, None)) is not None:
            if chunk:
                received += len(chunk)
                return chunk
        ended = True
        # The server ends a broken body like a whole one.
        if length is not None and length.isdigit() and received < int(length):
            raise ClientGone
        return b""

    room = body.has_room_for(length)
    while room and (chunk := await rest()):
        room = body.add(chunk)
    body.rewind(None if ended else lambda: _fetched(rest()))


async def _chunks(protocol: t.Any) -> cabc.AsyncIterator[bytes]:
    # Granian's own iterator may neither be asked again after its end nor be iterated twice.
    async for chunk in protocol:
        yield chunk


def _fetched(chunk: t.Coroutine[t.Any, t.Any, bytes]) -> bytes:
    """More of a body that is read by a view which allows it to be larger than others."""
    try:
        return wait(chunk)
    except ClientGone:
        raise ConnectionResetError("The client has gone.") from None


async def _send(reply: Reply, protocol: t.Any, gone: Gone) -> None:
    status = int(reply.status[:3])
    headers = [(name.lower(), value) for name, value in reply.headers]
    body = reply.body
    if isinstance(body, list | tuple):
        data = b"".join(body)
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

    await unless(gone, pour(body, begin, write))


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
