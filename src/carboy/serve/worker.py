"""What stands in each worker between Granian and the application.

Granian hands a cut request over as a disconnect, waits for slow bodies and readers without end, and
tells nobody that it is about to stop. What is missing for that is done here, over ASGI: the one of
Granian's interfaces that reports a cut request and can break off an answer.
"""

from __future__ import annotations

import asyncio
import io
import os
import signal
import sys
import threading
import time
import traceback
import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import wait

from carboy.bridges import WORKERS
from carboy.gateways.asgi import facts_of
from carboy.gateways.environ import environ_of
from carboy.responding import run_wsgi

from .accesslog import AccessLog
from .stopping import stop_gently

if t.TYPE_CHECKING:
    from carboy.app import Carboy
    from carboy.cli import ScriptInfo
    from carboy.transport import Reply

    from .options import Options

Message = t.MutableMapping[str, t.Any]
Receive = t.Callable[[], t.Awaitable[Message]]
Send = t.Callable[[Message], t.Awaitable[None]]

_REASONS = {
    400: b"The request ended before its body was complete, or is malformed.\n",
    408: b"The body of the request did not come in time.\n",
}
#: Seconds beyond the graceful timeout after which a worker without a parent ends at once.
_GRACE = 5.0

_NO_HOST = b"A request of HTTP/1.1 must have a Host header.\n"
#: RFC 9112 section 6.1: who does not know a coding cannot tell where the body ends.
_CODINGS = b"The only transfer coding taken here is chunked, once.\n"
_TARGET = b"The target of a request is a path that begins with a slash.\n"


@dataclass(frozen=True)
class Loader:
    """Loads the application in a worker. Granian calls it there."""

    info: ScriptInfo
    options: Options
    interface: str
    #: The descriptor of the listening socket.
    listening: int

    def __call__(self) -> t.Any:
        """The application, as Granian's interface takes it. Ends the process if it fails."""
        _follow_parent(self.options.graceful_timeout)
        WORKERS.threads = self.options.threads
        try:
            app = self.info.load_app()
        except Exception:
            traceback.print_exc()
            sys.stderr.flush()
            sys.exit(1)
        served = Guard(app, self.options) if self.interface == "asgi" else app
        cut = served.cut if isinstance(served, Guard) else None
        stop_gently(app, cut, self.options, self.listening)
        return served


def _follow_parent(patience: float) -> None:
    """End this worker, gracefully, when the process that watches over it has died.

    Nobody is left who would kill it if that takes longer than ``patience`` seconds and a few.
    """
    parent = parent_process()
    if parent is None:
        return

    def follow() -> None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(patience + _GRACE)
        os._exit(1)

    threading.Thread(target=follow, name="carboy-parent", daemon=True).start()


class Guard:
    """An ASGI application around the one that is served."""

    def __init__(self, app: Carboy, options: Options) -> None:
        self._app = app
        self._options = options
        self._patience = options.timeout
        self._tasks: set[asyncio.Task[t.Any]] = set()
        self._log = AccessLog(options.access_format).write if options.access_log else None
        self._health = options.health
        self._lane: ThreadPoolExecutor | None = None
        if self._health is not None and any(
            rule.rule == self._health for rule in app.url_map.iter_rules()
        ):
            self._lane = ThreadPoolExecutor(1, "carboy-health")

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one connection of Granian: a request, a WebSocket or the worker's life."""
        kind = scope["type"]
        if kind == "lifespan":
            await self._app(scope, receive, send)
            return
        task = t.cast("asyncio.Task[t.Any]", asyncio.current_task())
        self._tasks.add(task)
        try:
            if kind == "http":
                await self._serve(_Exchange(scope, receive, send, self._patience))
            elif self._log is None:
                await self._app(scope, receive, send)
            else:
                await self._converse(scope, receive, send)
        finally:
            self._tasks.discard(task)

    async def _converse(self, scope: Message, receive: Receive, send: Send) -> None:
        """A WebSocket, of which a line is written when it is over."""
        begun, status, size = time.perf_counter(), 0, 0

        async def noted(message: Message) -> None:
            nonlocal status, size
            kind = message["type"]
            if kind == "websocket.send":
                size += len(message.get("text") or message.get("bytes") or "")
            elif not status:
                status = 101 if kind == "websocket.accept" else message.get("status", 403)
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            if self._log is not None:
                self._log(scope, status, (), size, time.perf_counter() - begun)

    async def _serve(self, exchange: _Exchange) -> None:
        scope = exchange.scope
        begun = time.perf_counter()
        try:
            if fault := _fault_of(scope):
                await exchange.refuse(400, fault)
            elif self._health is not None and scope["path"] == self._health:
                await self._answer_health(exchange)
            else:
                await self._app(scope, exchange.receive, exchange.send)
                if exchange.fault and not exchange.status:
                    await exchange.refuse(exchange.fault, _REASONS[exchange.fault])
        finally:
            if self._log is not None:
                seconds = time.perf_counter() - begun
                self._log(scope, exchange.status, exchange.headers, exchange.size, seconds)

    # -- health ------------------------------------------------------------------------------------

    async def _answer_health(self, exchange: _Exchange) -> None:
        """Answer in a thread that does nothing else; without a rule for the path, right here."""
        if self._lane is None:
            await exchange.answer(200, [(b"content-type", b"text/plain; charset=utf-8")], b"ok\n")
            return
        environ = environ_of(facts_of(exchange.scope), io.BytesIO())
        loop = asyncio.get_running_loop()
        reply, body = await loop.run_in_executor(self._lane, _whole, self._app.wsgi_app, environ)
        headers = [
            (name.lower().encode(), value.encode("latin-1")) for name, value in reply.headers
        ]
        await exchange.answer(int(reply.status[:3]), headers, body)

    # -- the end -----------------------------------------------------------------------------------

    def cut(self) -> None:
        """What has not ended in time is cancelled, so that it can at least tidy up."""
        for task in list(self._tasks):
            task.cancel()


def _whole(application: t.Any, environ: t.Any) -> tuple[Reply, bytes]:
    reply = run_wsgi(application, environ)
    try:
        return reply, b"".join(reply.body)
    finally:
        close = getattr(reply.body, "close", None)
        if close is not None:
            close()


def _fault_of(scope: Message) -> bytes:
    """What is wrong with the head of a request that Granian lets through, or ``b""``."""
    hosts = 0
    codings = []
    for name, value in scope["headers"]:
        if name == b"host" and value:
            hosts += 1
        elif name == b"transfer-encoding":
            codings.append(value.lower())
    if not hosts and scope["http_version"] == "1.1":
        return _NO_HOST  # RFC 9112 section 3.2; Granian has put an empty one
    if codings and codings != [b"chunked"]:
        return _CODINGS
    if scope["path"][:1] != "/" and scope["path"] != "*":
        return _TARGET
    return b""


class _Exchange:
    """One request and its answer, with an eye on the clock."""

    __slots__ = (
        "_ended",
        "_patience",
        "_receive",
        "_send",
        "fault",
        "headers",
        "scope",
        "size",
        "status",
    )

    def __init__(self, scope: Message, receive: Receive, send: Send, patience: float) -> None:
        self.scope = scope
        self._receive = receive
        self._send = send
        self._patience = patience
        # Without these there is no body (RFC 9112 section 6.3); HTTP/2 needs neither.
        self._ended = scope["http_version"] in ("1", "1.0", "1.1") and not any(
            name in (b"content-length", b"transfer-encoding") for name, _ in scope["headers"]
        )
        #: The status for a request that was cut, 0 for a whole one.
        self.fault = 0
        #: What was answered, 0 before.
        self.status = 0
        self.headers: t.Iterable[tuple[bytes, bytes]] = ()
        self.size = 0

    async def receive(self) -> Message:
        """The next message; a body that stops coming ends like one that was cut."""
        if self._ended:
            return await self._receive()
        try:
            async with asyncio.timeout(self._patience):
                message = await self._receive()
        except TimeoutError:
            self.fault, self._ended = 408, True
            return {"type": "http.disconnect"}
        if message["type"] == "http.disconnect":
            self.fault, self._ended = 400, True
        elif not message.get("more_body"):
            self._ended = True
        return message

    async def send(self, message: Message) -> None:
        """Send a message. Raises OSError when the client does not read for too long."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = message["headers"]
            await self._send(message)
            return
        self.size += len(message.get("body", b""))
        if not message.get("more_body"):
            await self._send(message)
            return
        try:
            async with asyncio.timeout(self._patience):
                await self._send(message)
        except TimeoutError:
            raise ConnectionError("The client does not read.") from None

    async def refuse(self, status: int, text: bytes) -> None:
        """Answer with an error of the server's own."""
        headers = [(b"content-type", b"text/plain; charset=utf-8")]
        if self.scope["http_version"] != "2":
            headers.append((b"connection", b"close"))
        await self.answer(status, headers, text)

    async def answer(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        """Answer with a whole body."""
        if not any(name == b"content-length" for name, _ in headers):
            headers.append((b"content-length", str(len(body)).encode()))
        if self.scope["method"] == "HEAD":
            body = b""
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})
