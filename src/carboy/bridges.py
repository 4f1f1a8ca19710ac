"""Crossing between sync and async.

Under WSGI a request runs in its worker thread. Whatever turns out to be a coroutine is finished
on the *portal*: one event loop in a thread of its own that stays for the life of the process, so
that connection pools and clients made in one request are good in the next.

Behind an async door the server has an event loop already, which then is the portal of its
requests. Sync steps leave that loop for a worker thread: a *hop*.
"""

from __future__ import annotations

import os
import sys
import threading
import typing as t
from contextvars import Context, ContextVar, copy_context
from functools import partial, update_wrapper
from types import CodeType, CoroutineType, FunctionType

from .plan import COROUTINE, is_async

if t.TYPE_CHECKING:
    import asyncio
    from concurrent.futures import Future, ThreadPoolExecutor

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


def drive(coroutine: t.Any) -> t.Any:
    """Run a coroutine that never has to wait, here and now, and return its result.

    What is no coroutine is a result already.
    """
    if type(coroutine) is not CoroutineType:
        return coroutine
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise not_finished(coroutine)


async def settled(rv: t.Any) -> t.Any:
    """What a step gave, or the result of the coroutine that it gave."""
    return await rv if type(rv) is CoroutineType else rv


def not_finished(coroutine: t.Coroutine[t.Any, t.Any, t.Any]) -> RuntimeError:
    """End a coroutine that stopped to wait while it was driven, and say what that means."""
    coroutine.close()
    return RuntimeError(SUSPENDED)


class Portal:
    """One event loop in one daemon thread, started by the first coroutine it is given.

    With ``loop``, the running loop of the current thread instead.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._lock = threading.Lock()
        self._loop = loop
        self._pid = 0 if loop is None else os.getpid()

    def _start(self) -> asyncio.AbstractEventLoop:
        # asyncio takes 20 ms to import, which an application without async code never pays.
        import asyncio

        with self._lock:
            if self._loop is None or self._pid != os.getpid():  # a fork left the thread behind
                self._loop = asyncio.new_event_loop()
                self._pid = os.getpid()
                thread = threading.Thread(
                    target=self._loop.run_forever, name="carboy-portal", daemon=True
                )
                thread.start()
            return self._loop

    def run(self, awaitable: t.Awaitable[T]) -> T:
        """Wait for ``awaitable`` on the portal's loop, with this thread's context variables.

        Variables that it sets are set here afterwards, too. Raises what it raises, and
        RuntimeError when called on the portal itself.
        """
        if self._is_here():
            if isinstance(awaitable, CoroutineType):
                awaitable.close()
            raise RuntimeError(PORTAL_FROM_PORTAL)
        context = copy_context()
        done = self.submit(awaitable, context)
        try:
            return done.result()
        except BaseException:
            # Ctrl-C in the waiting thread: do not leave the coroutine running for nobody.
            done.cancel()
            raise
        finally:
            _bring_back(context)

    def _is_here(self) -> bool:
        asyncio = sys.modules.get("asyncio")
        return (
            asyncio is not None
            and self._loop is not None
            and asyncio._get_running_loop() is self._loop
            and self._pid == os.getpid()
        )

    def submit(self, awaitable: t.Awaitable[T], context: Context) -> Future[T]:
        """Begin to run ``awaitable`` on the loop, inside ``context``.

        Cancelling the future cancels what runs.
        """
        loop = self._loop
        if loop is None or self._pid != os.getpid():
            loop = self._start()
        job = _Job(loop, awaitable, context)
        loop.call_soon_threadsafe(job.start, context=context)
        return job.done


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

    def start(self) -> None:
        coroutine = self._awaitable
        if not isinstance(coroutine, CoroutineType):
            coroutine = _awaiting(coroutine)
        if self.done.cancelled():
            coroutine.close()
            return
        task = self._loop.create_task(coroutine, context=self._context)
        task.add_done_callback(self._finish)
        # No reference to this job in it: a future keeps its callbacks, and so would never go.
        self.done.add_done_callback(partial(_give_up, self._loop, task))

    def _finish(self, task: asyncio.Task[t.Any]) -> None:
        if not self.done.set_running_or_notify_cancel():
            return
        if task.cancelled():
            # An ordinary exception here: the task was cancelled, not the thread that waits.
            self.done.set_exception(_step_was_cancelled())
        elif (error := task.exception()) is not None:
            self.done.set_exception(error)
        else:
            self.done.set_result(task.result())


def _step_was_cancelled() -> Exception:
    from concurrent.futures import CancelledError

    return CancelledError("The coroutine of an async step was cancelled.")


def not_asked_for(error: BaseException) -> Exception | None:
    """An ordinary exception for a cancellation that a step has raised itself; None for any other
    error, and where it is the task that was cancelled."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None or not isinstance(error, asyncio.CancelledError):
        return None
    task = asyncio.current_task()
    return _step_was_cancelled() if task is not None and not task.cancelling() else None


def _give_up(
    loop: asyncio.AbstractEventLoop, task: asyncio.Task[t.Any], done: Future[t.Any]
) -> None:
    if done.cancelled():
        loop.call_soon_threadsafe(task.cancel)


async def _awaiting(awaitable: t.Awaitable[T]) -> T:
    return await awaitable


def _bring_back(context: Context) -> None:
    """Set here the variables that were set or changed in ``context``."""
    here = copy_context()
    for variable, value in context.items():
        if variable is _portal:
            continue  # which loop is at hand is not a fact of the request
        if variable not in here or here[variable] is not value:
            variable.set(value)


PORTAL = Portal()

#: The portal of the request: the server's loop behind an async door, else ``PORTAL``.
_portal: ContextVar[Portal] = ContextVar("carboy.portal")


def wait(awaitable: t.Awaitable[T]) -> T:
    """The result of an awaitable, for sync code: it runs on the request's portal meanwhile."""
    return _portal.get(PORTAL).run(awaitable)


def current_portal() -> Portal:
    """The portal of the request, or the one that stands."""
    return _portal.get(PORTAL)


class _Home(threading.local):
    """The portal of the loop that runs in a thread."""

    portal: Portal | None = None


_homes = _Home()

# PERF: that of the loop of which there is nearly always one alone; bench case "text" by RSGI.
_home: Portal | None = None


def be_at_home(loop: asyncio.AbstractEventLoop | None = None) -> None:
    """Make the running loop the portal of whatever this task calls; ``loop`` is that one."""
    if loop is None:
        import asyncio

        loop = asyncio.get_running_loop()
    home = _home
    if home is None or home._loop is not loop:
        home = _come_home(loop)
    _portal.set(home)


def _come_home(loop: asyncio.AbstractEventLoop) -> Portal:
    global _home
    home = _homes.portal
    if home is None or home._loop is not loop:
        home = _homes.portal = Portal(loop)
    _home = home
    return home


class Workers:
    """The threads that sync steps of an event loop's requests run in, started when needed."""

    #: As many as can be blocked at once; each waits for a database or the like, mostly.
    threads = 40

    def __init__(self) -> None:
        self._executor: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()
        self._pid = 0

    def submit(self, function: t.Callable[..., T], *args: t.Any) -> Future[T]:
        """Run ``function`` in a thread, with a copy of the current context variables."""
        return self.submit_in(copy_context(), function, *args)

    def submit_in(self, context: Context, function: t.Callable[..., T], *args: t.Any) -> Future[T]:
        """Run ``function`` in a thread, inside ``context``."""
        executor = self._executor
        if executor is None or self._pid != os.getpid():  # a fork left the threads behind
            executor = self._start()
        return executor.submit(context.run, _without_stop, function, args)

    def _start(self) -> ThreadPoolExecutor:
        from concurrent.futures import ThreadPoolExecutor

        with self._lock:
            if self._executor is None or self._pid != os.getpid():
                self._executor = ThreadPoolExecutor(self.threads, "carboy-worker")
                self._pid = os.getpid()
            return self._executor


def _without_stop(function: t.Callable[..., T], args: tuple[t.Any, ...]) -> T:
    try:
        return function(*args)
    except StopIteration as error:
        # No future takes it, since it would end whichever coroutine waits for that one.
        raise RuntimeError(f"{function!r} raised StopIteration") from error


WORKERS = Workers()


async def in_thread(function: t.Callable[..., T], *args: t.Any, **kwargs: t.Any) -> T:
    """Run a sync step in a worker thread: one hop. Context variables that it sets are set here."""
    import asyncio

    context = copy_context()
    if kwargs:
        function = partial(function, **kwargs)
    try:
        return await asyncio.wrap_future(WORKERS.submit_in(context, function, *args))
    finally:
        _bring_back(context)


class WsgiBridge:
    """The bridge of a thread: async steps run on the portal, the thread waits."""

    wrap: None = None

    def finish(self, awaitable: t.Awaitable[t.Any]) -> t.Any:
        """Run an async step on the portal."""
        rv = wait(awaitable)
        return _handed_on(rv) if type(rv) is CoroutineType else rv

    conclude = finish

    async def call(self, function: t.Callable[..., T], *args: t.Any) -> T:
        """Call a sync function."""
        return function(*args)

    async def surely(self, coroutine: t.Coroutine[t.Any, t.Any, T]) -> T:
        """Run a part of the pipeline that must come to its end; a thread is not cancelled."""
        return await coroutine


class LoopBridge:
    """The bridge of an event loop: async steps are awaited, sync ones hop to a thread."""

    def finish(self, awaitable: t.Awaitable[t.Any]) -> t.Any:
        """An async step runs where it is: its result, or a coroutine once it has to wait."""
        if type(awaitable) is not CoroutineType:
            return _awaiting(awaitable)
        # PERF: most steps wait for nothing; a coroutine around each would cost 0.4 µs. Bench case
        # "text" by RSGI.
        try:
            waiting = awaitable.send(None)
        except StopIteration as stop:
            rv = stop.value
            return _handed_on(rv) if type(rv) is CoroutineType else rv
        return rest_of(awaitable, waiting)

    def conclude(self, awaitable: t.Awaitable[t.Any]) -> t.Any:
        """Run a step without an ``await`` in it, and give another one back: it is not begun."""
        if type(awaitable) is CoroutineType and _never_waits(awaitable.cr_code):
            return self.finish(awaitable)
        return awaitable

    async def call(self, function: t.Callable[..., T], *args: t.Any) -> T:
        """Call a sync function that may block, in a thread."""
        return await in_thread(function, *args)

    async def surely(self, coroutine: t.Coroutine[t.Any, t.Any, T]) -> T:
        """Run a part of the pipeline that must come to its end, also in a cancelled request."""
        return await surely(coroutine)

    def wrap(self, function: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
        """``function`` itself if it is async, else a coroutine function that runs it."""
        # PERF: as `is_async` begins; a call less for each step, bench case "hooks".
        if type(function) is FunctionType and function.__code__.co_flags & COROUTINE:
            return function
        return function if is_async(function) else partial(_stepped, function)


class InlineBridge(LoopBridge):
    """The bridge of a route that is marked ``inline``: nothing leaves the loop, sync steps neither.

    They are trusted not to block.
    """

    wrap: None = None  # type: ignore[assignment]

    async def call(self, function: t.Callable[..., T], *args: t.Any) -> T:
        """Call a sync function."""
        return function(*args)


async def rest_of(coroutine: t.Coroutine[t.Any, t.Any, T], waiting: t.Any) -> T:
    """The result of a coroutine that was begun by hand, and then had to wait for ``waiting``."""
    rest: T = await _Rest(coroutine, waiting)
    return rest


class _Rest:
    def __init__(self, coroutine: t.Any, waiting: t.Any) -> None:
        self._coroutine = coroutine
        self._waiting = waiting

    def __await__(self) -> t.Generator[t.Any, t.Any, t.Any]:
        coroutine, waiting = self._coroutine, self._waiting
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
                return stop.value


async def _handed_on(rv: t.Any) -> t.Any:
    """For the coroutine that is a step's result: it is a value like any other."""
    return rv


def _never_waits(code: CodeType) -> bool:
    """Whether a coroutine function has no ``await`` in it, nor ``async for`` and ``async with``."""
    known = _waits.get(id(code))
    if known is None:
        from dis import get_instructions

        waits = any(step.opname in _WAITING for step in get_instructions(code))
        # With the code itself, so that no other one gets its id.
        known = _waits[id(code)] = code, not waits
    return known[1]


_waits: dict[int, tuple[CodeType, bool]] = {}
_WAITING = frozenset({"GET_AWAITABLE", "GET_ANEXT", "BEFORE_ASYNC_WITH", "SEND"})


async def surely(coroutine: t.Coroutine[t.Any, t.Any, T]) -> T:
    """Await ``coroutine`` to its end, and only then be cancelled, if that was asked meanwhile."""
    import asyncio

    task = asyncio.ensure_future(coroutine)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # seen: the cancellation is what is raised
        raise


async def _stepped(function: t.Callable[..., t.Any], *args: t.Any, **kwargs: t.Any) -> t.Any:
    rv = await in_thread(function, *args, **kwargs)
    # A decorator that is not async itself may hand on the coroutine of what it decorates.
    return await rv if type(rv) is CoroutineType else rv


WSGI_BRIDGE = WsgiBridge()
LOOP_BRIDGE = LoopBridge()
INLINE_BRIDGE = InlineBridge()


def async_to_sync(func: t.Callable[..., t.Awaitable[T]]) -> t.Callable[..., T]:
    """Return a function that calls ``func`` and waits for it on the portal."""

    def call(*args: t.Any, **kwargs: t.Any) -> T:
        return wait(func(*args, **kwargs))

    return update_wrapper(call, func)
