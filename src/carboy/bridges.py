"""Crossing between sync and async.

Under WSGI a request runs in its worker thread. Whatever turns out to be a coroutine is finished
on the *portal*: one event loop in a thread of its own that stays for the life of the process, so
that connection pools and clients made in one request are good in the next.
"""

from __future__ import annotations

import inspect
import os
import threading
import typing as t
from contextvars import Context, copy_context
from functools import update_wrapper
from types import CoroutineType

if t.TYPE_CHECKING:
    import asyncio
    from concurrent.futures import Future

T = t.TypeVar("T")

PORTAL_FROM_PORTAL = """\
Synchronous code that waits for a coroutine was called on the event loop that would have to run it.

An async view, hook or task called a sync function which in turn needs an async one (through
`ensure_sync`, `async_to_sync`, or a hook). Await the coroutine directly, or run the sync function
in a thread: `await asyncio.to_thread(function)`.\
"""

SUSPENDED = """\
The request's pipeline stopped to wait while it was driven by hand, which must never happen: under
WSGI every await has to be ready at once. This is a fault of Carboy, or of a replaced
lifecycle method that awaits something; please report it with the traceback above.\
"""


def drive(coroutine: t.Coroutine[t.Any, t.Any, T]) -> T:
    """Run a coroutine that never has to wait, here and now, and return its result."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    coroutine.close()
    raise RuntimeError(SUSPENDED)


class Portal:
    """One event loop in one daemon thread, started by the first coroutine it is given."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._pid = 0

    def _start(self) -> asyncio.AbstractEventLoop:
        # asyncio takes 20 ms to import, which an application without async code never pays.
        import asyncio

        with self._lock:
            if self._loop is None or self._pid != os.getpid():  # a fork left the thread behind
                self._loop = asyncio.new_event_loop()
                self._pid = os.getpid()
                self._thread = threading.Thread(
                    target=self._loop.run_forever, name="carboy-portal", daemon=True
                )
                self._thread.start()
            return self._loop

    def run(self, awaitable: t.Awaitable[T]) -> T:
        """Wait for ``awaitable`` on the portal's loop, with this thread's context variables.

        Variables that it sets are set here afterwards, too. Raises what it raises, and
        RuntimeError when called on the portal itself.
        """
        loop = self._loop
        if loop is None or self._pid != os.getpid():
            loop = self._start()
        if threading.current_thread() is self._thread:
            if isinstance(awaitable, CoroutineType):
                awaitable.close()
            raise RuntimeError(PORTAL_FROM_PORTAL)
        context = copy_context()
        job = _Job(loop, awaitable, context)
        loop.call_soon_threadsafe(job.start, context=context)
        try:
            result: T = job.done.result()
        except BaseException:
            # Ctrl-C in the waiting thread: do not leave the coroutine running for nobody.
            if not job.done.done():
                loop.call_soon_threadsafe(job.cancel)
            raise
        finally:
            _bring_back(context)
        return result


class _Job:
    """One awaitable on its way through the portal."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, awaitable: t.Awaitable[t.Any], context: Context
    ) -> None:
        from concurrent.futures import Future

        self.done: Future[t.Any] = Future()
        self._loop = loop
        self._awaitable = awaitable
        self._context = context
        self._task: asyncio.Task[t.Any] | None = None

    def start(self) -> None:
        coroutine = self._awaitable
        if not isinstance(coroutine, CoroutineType):
            coroutine = _awaiting(coroutine)
        self._task = self._loop.create_task(coroutine, context=self._context)
        self._task.add_done_callback(self._finish)

    def cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _finish(self, task: asyncio.Task[t.Any]) -> None:
        if task.cancelled():
            # An ordinary exception here: the task was cancelled, not the thread that waits.
            from concurrent.futures import CancelledError

            self.done.set_exception(CancelledError("The coroutine of an async step was cancelled."))
        elif (error := task.exception()) is not None:
            self.done.set_exception(error)
        else:
            self.done.set_result(task.result())


async def _awaiting(awaitable: t.Awaitable[T]) -> T:
    return await awaitable


def _bring_back(context: Context) -> None:
    """Set here the variables that were set or changed in ``context``."""
    here = copy_context()
    for variable, value in context.items():
        if variable not in here or here[variable] is not value:
            variable.set(value)


PORTAL = Portal()


class WsgiBridge:
    """The bridge of the WSGI door: async steps run on the portal, the thread waits."""

    async def finish(self, awaitable: t.Awaitable[T]) -> T:
        """Run an async step on the portal; this coroutine itself never suspends."""
        return PORTAL.run(awaitable)


WSGI_BRIDGE = WsgiBridge()


def async_to_sync(func: t.Callable[..., t.Awaitable[T]]) -> t.Callable[..., T]:
    """Return a function that calls ``func`` and waits for it on the portal."""

    def call(*args: t.Any, **kwargs: t.Any) -> T:
        return PORTAL.run(func(*args, **kwargs))

    return update_wrapper(call, func)


def ensure_sync(
    func: t.Callable[..., t.Any], convert: t.Callable[..., t.Callable[..., t.Any]]
) -> t.Callable[..., t.Any]:
    """``func`` itself if calling it gives a plain result, else ``convert(func)``."""
    return convert(func) if inspect.iscoroutinefunction(func) else func
