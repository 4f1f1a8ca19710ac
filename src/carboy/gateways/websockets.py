"""What the doors share of WebSockets: the road of a conversation, from handshake to teardown.

An async view runs on the loop. A sync one gets a thread of its own for as long as it talks, so that
it takes none from the pool that answers requests; with it runs its whole request.
"""

from __future__ import annotations

import asyncio
import io
import threading
import typing as t
from concurrent.futures import Future
from contextvars import copy_context
from functools import partial

from werkzeug.exceptions import InternalServerError, ServiceUnavailable

from carboy.bridges import LOOP_BRIDGE, WORKERS, WSGI_BRIDGE, be_at_home, drive, in_thread, surely
from carboy.ctx import AppContext, RequestContext
from carboy.errors import Admitted
from carboy.globals import _cv
from carboy.pipeline import handle, whole
from carboy.plan import is_async, is_wrapped
from carboy.responding import reply_of, run_wsgi
from carboy.transport import RequestHead
from carboy.websockets import WebSocket

from .environ import Facts, environ_of

if t.TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    from carboy.app import Carboy
    from carboy.transport import Reply, WebSocketTransport

#: Marks of a WebSocket among the replaced lifecycle methods of a request: no short way is taken,
#: and Werkzeug matches, which knows rules for WebSockets.
_MARKS = frozenset({"websocket", "create_url_adapter"})

_SCHEMES = {"ws": "http", "wss": "https"}


async def converse(
    app: Carboy, facts: Facts, transport: WebSocketTransport, more: t.Any = ()
) -> None:
    """Serve one WebSocket. Raises what the application wants to see raised.

    ``facts`` are those of the handshake; ``more`` are keys for its environ.
    """
    be_at_home()
    if app._serving.waiting:
        await app._serving.start(app)
    websocket = WebSocket(app, transport)
    reply: Reply | None = None
    environ = handshake_of(facts)
    environ.update(more)
    try:
        if is_wrapped(app):
            environ, reply = await _through_middleware(app, environ, websocket)
        if reply is None:
            reply = await _handle(app, environ, websocket)
    except asyncio.CancelledError:
        websocket.end_with(1001, "the server is shutting down")
        raise
    finally:
        await surely(_finish(websocket, reply, environ))


def handshake_of(facts: Facts) -> WSGIEnvironment:
    """The environ of a handshake: a GET that asks for an upgrade, by whichever version of HTTP."""
    scheme = _SCHEMES.get(facts.scheme, facts.scheme)
    environ = environ_of(facts._replace(method="GET", scheme=scheme), io.BytesIO())
    environ["HTTP_CONNECTION"] = "Upgrade"
    environ["HTTP_UPGRADE"] = "websocket"
    return environ


async def _finish(websocket: WebSocket, reply: Reply | None, environ: WSGIEnvironment) -> None:
    try:
        if websocket.response is None:
            if reply is None:
                reply = reply_of(InternalServerError().get_response(environ), RequestHead(environ))
            await websocket.refuse(int(reply.status[:3]), reply.headers, await _whole(reply.body))
    finally:
        await websocket.finish()


async def _whole(body: t.Any) -> bytes:
    if isinstance(body, list | tuple):
        return b"".join(body)

    def read() -> bytes:
        try:
            return b"".join(body)
        finally:
            close = getattr(body, "close", None)
            if close is not None:
                close()

    return await in_thread(read)


# -- middleware ------------------------------------------------------------------------------------


class _Lobby(AppContext):
    """Stands around the middleware while a handshake goes through it."""

    def __init__(self, app: Carboy) -> None:
        super().__init__(app)
        self.environ: WSGIEnvironment | None = None

    def _admit(self, ctx: RequestContext) -> None:
        self.environ = ctx.head.environ
        raise Admitted


async def _through_middleware(
    app: Carboy, environ: WSGIEnvironment, websocket: WebSocket
) -> tuple[WSGIEnvironment, Reply | None]:
    """What the middleware around ``wsgi_app`` makes of the handshake, or its answer.

    To the middleware the application answers with 101 and nothing more; headers that are added to
    that go into the handshake.
    """

    def call() -> tuple[WSGIEnvironment, Reply | None]:
        lobby = _Lobby(app)
        _cv.set(lobby)
        reply = run_wsgi(app.wsgi_app, environ)
        if lobby.environ is None:
            return environ, reply
        websocket.extra_headers = list(reply.headers)
        close = getattr(reply.body, "close", None)
        if close is not None:
            close()
        return lobby.environ, None

    return await asyncio.wrap_future(WORKERS.submit(call))


# -- the road --------------------------------------------------------------------------------------


async def _handle(app: Carboy, environ: WSGIEnvironment, websocket: WebSocket) -> Reply:
    over = app._plans.overrides(app)
    ctx = RequestContext(app, environ)
    ctx.over = over | _MARKS
    websocket.attach(ctx)
    ctx._match()
    rule = ctx._rule
    view = None
    if rule is not None:
        websocket.configure(getattr(rule, "websocket_options", None) or {})
        view = app.view_functions.get(rule.endpoint)
    if not over and (view is None or is_async(view)):
        websocket.bridge = LOOP_BRIDGE
        return await whole(ctx, LOOP_BRIDGE)
    websocket.bridge = WSGI_BRIDGE
    if not _threads.take(app):
        return reply_of(ServiceUnavailable().get_response(environ), ctx.head)
    return await _threads.run(lambda: drive(handle(ctx, WSGI_BRIDGE)), websocket)


class _Threads:
    """One thread for each conversation of a sync view."""

    def __init__(self) -> None:
        self._count = 0
        self._lock = threading.Lock()

    def take(self, app: Carboy) -> bool:
        """Count one more; False when there are as many as there may be."""
        most = app.config["WEBSOCKET_MAX_THREADS"]
        with self._lock:
            if self._count < most:
                self._count += 1
                return True
        app.logger.warning(
            "A WebSocket was refused: %s threads talk to clients already, which is"
            " WEBSOCKET_MAX_THREADS. An async view needs none.",
            most,
        )
        return False

    async def run(self, function: t.Callable[[], Reply], websocket: WebSocket) -> Reply:
        """The result of ``function``, in a thread that was counted."""
        steps = [partial(t.cast("t.Any", copy_context()).run, function)]
        del function
        done: Future[Reply] = Future()

        def work() -> None:
            reply: t.Any = None
            failed: BaseException | None = None
            try:
                # Taken out of the list: a thread lives a little longer than what it has done.
                reply = steps.pop()()
            except BaseException as error:
                failed = error
            with self._lock:
                self._count -= 1
            if failed is None:
                done.set_result(reply)
            else:
                done.set_exception(failed)
            del reply, failed

        threading.Thread(target=work, name="carboy-websocket", daemon=True).start()
        waiting = asyncio.wrap_future(done)
        try:
            return await asyncio.shield(waiting)
        except asyncio.CancelledError:
            # The view learns of it from its next verb.
            websocket.end_with(1001, "the server is shutting down")
            await asyncio.wait([waiting], timeout=_PATIENCE)
            raise


#: Seconds that a sync view has for its end when the server stops.
_PATIENCE = 5.0

_threads = _Threads()
