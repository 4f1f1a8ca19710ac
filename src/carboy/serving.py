"""What an application does around serving, and beside it: start, stop, background work.

Each process that serves goes through it once: when the server of an async door says so, else with
the first request, and then at the interpreter's exit.
"""

from __future__ import annotations

import os
import sys
import threading
import typing as t
import weakref
from contextvars import copy_context
from functools import partial
from types import CoroutineType

from .bridges import LOOP_BRIDGE, WORKERS, WSGI_BRIDGE, current_portal, drive, settled
from .ctx import AppContext
from .ending import teardown_app
from .errors import FirstError
from .globals import _cv
from .plan import is_async

if t.TYPE_CHECKING:
    import asyncio
    from concurrent.futures import Future

    from .app import Carboy
    from .transport import Bridge

Step = t.Callable[[], t.Any]

TOO_MUCH = (
    "{most} pieces of background work are running already, so {name} was not begun. Work that"
    " piles up like this needs a queue of its own, outside of the web server's processes."
)
ONE_YIELD = "{name} is registered with while_serving and must yield once; it yielded again."


class Serving:
    """The functions of one application that run around serving, and its background work."""

    #: How many pieces of background work may run at a time.
    most = 1000
    #: Seconds that background work has for finishing when the server stops.
    patience = 10.0

    def __init__(self) -> None:
        self.before: list[Step] = []
        self.after: list[Step] = []
        self.around: list[t.Callable[[], t.Any]] = []
        #: Whether there is something to do before the first request.
        self.waiting = False
        self._running: list[tuple[str, t.Any]] = []
        self._up_in = 0
        self._lock = threading.RLock()
        self._starting: t.Any = None
        self._work: set[Future[t.Any]] = set()
        #: Whether the server is about to stop, and what wants to know when it is.
        self.closing = False
        self._to_close: set[t.Callable[[], None]] = set()
        self._hears_signals = False

    def register(self, app: Carboy, functions: list[t.Any], function: t.Any) -> None:
        """Add a function to one of the lists."""
        functions.append(function)
        self.waiting = True
        app._plans.drop()

    # -- start and stop -----------------------------------------------------------------------

    async def start(self, app: Carboy) -> None:
        """Run the functions that come before serving, on this event loop; once.

        Raises what they raise; the next call then begins again.
        """
        import asyncio

        self.closing = False
        loop = asyncio.get_running_loop()
        if self._starting is None or self._starting.get_loop() is not loop:
            self._starting = loop.create_task(self._start(app, LOOP_BRIDGE))
        starting = self._starting
        try:
            await asyncio.shield(starting)
        finally:
            if starting.done() and self._starting is starting:
                self._starting = None

    def start_in_thread(self, app: Carboy) -> None:
        """As :meth:`start`, in this thread, and have it stopped at the interpreter's exit."""
        with self._lock:
            if self.waiting:
                self.closing = False
                drive(self._start(app, WSGI_BRIDGE))
                _at_exit(_stop_at_exit, weakref.ref(app), os.getpid())

    async def _start(self, app: Carboy, bridge: Bridge) -> None:
        if not self.waiting:
            return
        # What a function asks of its own application while it starts is served.
        self._set_waiting(app, False)
        token = _cv.set(AppContext(app))
        try:
            for step in self.before:
                await _call(step, bridge)
            for make in self.around:
                generator = make()
                self._running.append((getattr(make, "__name__", repr(make)), generator))
                await _advance(generator, bridge)
            await settled(teardown_app(app, None, bridge))
        except BaseException:
            self._running.clear()
            self._set_waiting(app, True)
            raise
        finally:
            _cv.reset(token)

    def _set_waiting(self, app: Carboy, waiting: bool) -> None:
        self.waiting = waiting
        app._plans.drop()

    async def stop(self, app: Carboy) -> None:
        """Wait for background work, then run the functions that come after serving."""
        import asyncio

        self.close_connections()
        if self._work:
            pending = [asyncio.wrap_future(future) for future in self._work]
            _, late = await asyncio.wait(pending, timeout=self.patience)
            for future in late:
                future.cancel()
        await self._stop(app, LOOP_BRIDGE)

    def stop_in_thread(self, app: Carboy) -> None:
        """As :meth:`stop`, in this thread."""
        self.close_connections()
        if self._work:
            from concurrent.futures import wait

            for future in wait(self._work, self.patience).not_done:
                future.cancel()
        drive(self._stop(app, WSGI_BRIDGE))

    async def _stop(self, app: Carboy, bridge: Bridge) -> None:
        errors = FirstError(app.log_exception)
        token = _cv.set(AppContext(app))
        try:
            while self._running:
                name, generator = self._running.pop()
                try:
                    if await _advance(generator, bridge):
                        raise RuntimeError(ONE_YIELD.format(name=name))
                except BaseException as error:
                    errors.note(error)
            for step in self.after:
                try:
                    await _call(step, bridge)
                except BaseException as error:
                    errors.note(error)
            await settled(teardown_app(app, None, bridge))
        finally:
            _cv.reset(token)
            if self.before or self.after or self.around:
                self._set_waiting(app, True)
        errors.reraise()

    # -- what does not end by itself ----------------------------------------------------------

    def tell_at_close(self, end: t.Callable[[], None]) -> None:
        """Have ``end`` called when the server is about to stop; at once if it is already.

        It is called in any thread, also on an event loop, and must neither block nor raise.
        """
        self._to_close.add(end)
        if self.closing:
            end()
        if not self._hears_signals and threading.current_thread() is threading.main_thread():
            self._hear_signals()

    def _hear_signals(self) -> None:
        """Have the signals that stop the server on this thread's event loop close connections.

        Uvicorn, for one, tells an application of its shutdown when all connections have ended.
        """
        import asyncio
        import signal

        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        self._hears_signals = True
        close = weakref.WeakMethod(self.close_connections)
        for number in (signal.SIGINT, signal.SIGTERM):
            before = signal.getsignal(number)
            # Where there is no server, a signal means what it always meant.
            if callable(before) and type(before).__name__ in ("function", "method"):
                signal.signal(number, partial(_close_first, loop, close, before))

    def forget_at_close(self, end: t.Callable[[], None]) -> None:
        """Take back :meth:`tell_at_close`: the connection has ended."""
        self._to_close.discard(end)

    def close_connections(self) -> None:
        """Tell event streams and the like to end, from any thread, and those that still come."""
        self.closing = True
        for end in list(self._to_close):
            end()

    # -- background work ----------------------------------------------------------------------

    def spawn(self, app: Carboy, work: t.Any, args: t.Any, kwargs: t.Any) -> Future[t.Any]:
        """Begin a piece of background work; see :meth:`carboy.Carboy.spawn`."""
        name = getattr(work, "__qualname__", None) or repr(work)
        if len(self._work) >= self.most:
            if isinstance(work, CoroutineType):
                work.close()
            raise RuntimeError(TOO_MUCH.format(most=self.most, name=name))
        ctx = _cv.get(None)
        request = None if ctx is None else ctx._request_context
        origin = "" if request is None else _origin(request.head.environ)
        if isinstance(work, CoroutineType) or is_async(work):
            coroutine = work if isinstance(work, CoroutineType) else work(*args, **kwargs)
            job = self._guarded(app, coroutine, LOOP_BRIDGE, name, origin)
            future = current_portal().submit(job, copy_context())
        else:
            step = _calling(work, args, kwargs)
            job = self._guarded(app, step, WSGI_BRIDGE, name, origin)
            future = WORKERS.submit(drive, job)
        self._work.add(future)
        future.add_done_callback(self._work.discard)
        return future

    async def _guarded(
        self,
        app: Carboy,
        work: t.Coroutine[t.Any, t.Any, t.Any],
        bridge: Bridge,
        name: str,
        origin: str,
    ) -> t.Any:
        token = _cv.set(AppContext(app))
        try:
            rv = await work
            await settled(teardown_app(app, None, bridge))
            return rv
        except Exception as error:
            app.logger.exception("Background work %s%s failed", name, origin)
            await settled(teardown_app(app, error, bridge))
            raise
        finally:
            _cv.reset(token)


def _close_first(
    loop: asyncio.AbstractEventLoop,
    close: weakref.WeakMethod[t.Callable[[], None]],
    before: t.Callable[[int, t.Any], t.Any],
    number: int,
    frame: t.Any,
) -> None:
    function = close()
    if function is not None and not loop.is_closed():
        # Not here: the thread may have stopped while it held one of the locks that this takes.
        loop.call_soon_threadsafe(function)
    before(number, frame)


async def _calling(function: t.Callable[..., t.Any], args: t.Any, kwargs: t.Any) -> t.Any:
    return function(*args, **kwargs)


def _origin(environ: t.Mapping[str, t.Any]) -> str:
    request_id = environ.get("HTTP_X_REQUEST_ID")
    which = f" {request_id}" if request_id else ""
    return f" of request{which} {environ['REQUEST_METHOD']} {environ['PATH_INFO']!r}"


async def _call(step: Step, bridge: Bridge) -> None:
    await (settled(bridge.finish(step())) if is_async(step) else bridge.call(step))


async def _advance(generator: t.Any, bridge: Bridge) -> bool:
    """Run a generator to its next yield; False when it has ended."""
    if hasattr(generator, "__anext__"):
        try:
            await settled(bridge.finish(generator.__anext__()))
        except StopAsyncIteration:
            return False
        return True
    return await bridge.call(next, generator, _END) is not _END


_END = object()


def _at_exit(function: t.Callable[..., None], *args: t.Any) -> None:
    """Have ``function`` called when this process ends."""
    processes = sys.modules.get("multiprocessing.process")
    if processes is not None and processes.parent_process() is not None:
        # The children of multiprocessing (Granian's workers) end without atexit's functions.
        from multiprocessing.util import Finalize

        Finalize(None, function, args, exitpriority=0)
        return
    import atexit

    atexit.register(function, *args)


def _stop_at_exit(find: weakref.ref[Carboy], pid: int) -> None:
    app = find()
    if app is not None and pid == os.getpid():
        app._serving.stop_in_thread(app)
