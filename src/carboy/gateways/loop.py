"""What the doors on an event loop share: the road of a request, and its body's way out.

The road is chosen by the colour of the endpoint's plan. All sync: the whole request runs in one
worker thread, one hop. Otherwise the pipeline runs on the loop, where async steps are awaited and
each sync one hops.
"""

from __future__ import annotations

import asyncio
import collections.abc as cabc
import typing as t
from contextvars import copy_context

from carboy.bridges import LOOP_BRIDGE, WORKERS, WSGI_BRIDGE, be_at_home, drive, surely
from carboy.ctx import RequestContext
from carboy.pipeline import handle
from carboy.plan import is_wrapped
from carboy.responding import run_wsgi
from carboy.transport import RequestHead

if t.TYPE_CHECKING:
    from concurrent.futures import Future

    from _typeshed.wsgi import WSGIEnvironment

    from carboy.app import Carboy
    from carboy.transport import Reply

T = t.TypeVar("T")

#: Waits until the client has gone.
Gone = t.Callable[[], t.Coroutine[t.Any, t.Any, None]]
Begin = t.Callable[[], t.Coroutine[t.Any, t.Any, None]]
Write = t.Callable[[bytes], t.Coroutine[t.Any, t.Any, None]]

_PLAIN: frozenset[str] = frozenset()
# Sync steps are among those of each request, so none of the short ways may be taken.
_MIXED = frozenset({"mixed"})

#: Bytes of a file that are read in the hop of the request itself.
_SMALL_FILE = 64 * 1024


class ClientGone(Exception):
    """The client has gone: there is nobody to answer."""


async def answer(app: Carboy, environ: WSGIEnvironment, gone: Gone) -> Reply:
    """Handle one request. Raises ClientGone, or what the application wants to see raised."""
    be_at_home()
    if app._serving.waiting:
        await app._serving.start(app)
    if is_wrapped(app):
        # Middleware was put around app.wsgi_app, and it sees each request.
        return await _whole(lambda: run_wsgi(app.wsgi_app, environ))
    over = app._plans.overrides(app)
    colour = "sync" if over else _colour(app, environ)
    if colour == "sync":
        return await _whole(lambda: _reply(app, environ, over))
    ctx = RequestContext(app, environ)
    ctx.over = _MIXED if colour == "mixed" else _PLAIN
    return await unless(gone, handle(ctx, LOOP_BRIDGE))


def _colour(app: Carboy, environ: WSGIEnvironment) -> str:
    """The colour of the endpoint; sync while only Werkzeug knows which endpoint that is."""
    head = RequestHead(environ)
    found = app._router.match(head.method, head.path, app.url_map.default_subdomain)
    if found is None:
        return "sync"
    return app._plans.get(app, found[0].endpoint).colour(app)


def _reply(app: Carboy, environ: WSGIEnvironment, over: frozenset[str]) -> Reply:
    ctx = app.request_context(environ) if over else RequestContext(app, environ)
    ctx.over = over
    reply = drive(handle(ctx, WSGI_BRIDGE))
    read_whole = getattr(reply.body, "read_whole", None)
    if read_whole is not None and (data := read_whole(_SMALL_FILE)) is not None:
        reply.body = (data,)
    return reply


async def _whole(function: t.Callable[[], Reply]) -> Reply:
    future = WORKERS.submit(function)
    try:
        return await asyncio.wrap_future(future)
    except asyncio.CancelledError:
        # The thread cannot be stopped, and its reply will have to be closed.
        future.add_done_callback(_discard)
        raise


def _discard(future: Future[Reply]) -> None:
    if not future.cancelled() and future.exception() is None:
        close = getattr(future.result().body, "close", None)
        if close is not None:
            close()


# -- until the client goes -----------------------------------------------------------------------


async def unless(gone: Gone, coroutine: t.Coroutine[t.Any, t.Any, T]) -> T:
    """The result of ``coroutine``, which is cancelled when the client goes: ClientGone."""
    # PERF: most requests are answered without waiting for anything, and need no watcher; a task
    # costs 20 µs. Bench case "async view".
    try:
        first = coroutine.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    task = t.cast("asyncio.Task[t.Any]", asyncio.current_task())
    watcher = asyncio.ensure_future(gone())
    left = False

    def leave(_: object) -> None:
        nonlocal left
        left = True
        task.cancel()

    watcher.add_done_callback(leave)
    try:
        return await _Rest(coroutine, first)
    except asyncio.CancelledError:
        if left:
            raise ClientGone from None
        raise
    finally:
        watcher.remove_done_callback(leave)
        watcher.cancel()
        if left:
            task.uncancel()


class _Rest(t.Generic[T]):
    """What is left of a coroutine that was begun by hand and had to wait for ``first``."""

    def __init__(self, coroutine: t.Coroutine[t.Any, t.Any, T], first: t.Any) -> None:
        self._coroutine = coroutine
        self._first = first

    def __await__(self) -> t.Generator[t.Any, t.Any, T]:
        coroutine, waiting = self._coroutine, self._first
        while True:
            try:
                try:
                    value = yield waiting
                except GeneratorExit:
                    coroutine.close()
                    raise
                except BaseException as error:
                    waiting = coroutine.throw(error)
                else:
                    waiting = coroutine.send(value)
            except StopIteration as stop:
                result: T = stop.value
                return result


# -- bodies --------------------------------------------------------------------------------------


async def pour(body: t.Any, begin: Begin, write: Write) -> None:
    """Begin a reply and write its chunks, each when the one before has gone out; then ``b""``.

    The body is closed, whatever happens. Raises TypeError for a chunk that is not bytes.
    """
    chunks = body if hasattr(body, "__aiter__") else _Pulled(body)
    try:
        await begin()
        async for chunk in chunks:
            if not isinstance(chunk, bytes | bytearray | memoryview):
                raise TypeError(
                    f"A streamed response gave {chunk!r}. Each part must be bytes or text."
                )
            if chunk:
                await write(bytes(chunk))
        await write(b"")
    finally:
        close = getattr(chunks, "aclose", None)
        if close is not None:
            await surely(close())


_END: t.Any = object()


class _Pulled:
    """The chunks of a sync iterable, each made in a worker thread when it is asked for."""

    def __init__(self, body: cabc.Iterable[bytes]) -> None:
        self._body = body
        self._iterator: cabc.Iterator[bytes] | None = None
        # One context for all the parts: a generator expects to find what it has set.
        self._context = copy_context()
        self._pull: Future[bytes] | None = None
        self._closed = False
        self._error: BaseException | None = None

    def __aiter__(self) -> t.Self:
        return self

    async def __anext__(self) -> bytes:
        self._pull = WORKERS.submit_in(self._context, self._next)
        chunk = await asyncio.wrap_future(self._pull)
        if chunk is _END:
            raise StopAsyncIteration
        return chunk

    def _next(self) -> bytes:
        if self._iterator is None:
            self._iterator = iter(self._body)
        for chunk in self._iterator:
            return chunk
        try:
            self._close()  # in the same hop
        except BaseException as error:
            self._error = error
        return t.cast(bytes, _END)

    def _close(self) -> None:
        self._closed = True
        close = getattr(self._body, "close", None)
        if close is not None:
            close()

    async def aclose(self) -> None:
        """Close the iterable, when the thread that is making a part has made it."""
        if self._pull is not None and not self._pull.done():
            await asyncio.wait([asyncio.wrap_future(self._pull)])
        if not self._closed:
            await asyncio.wrap_future(WORKERS.submit_in(self._context, self._close))
        if self._error is not None:
            raise self._error
