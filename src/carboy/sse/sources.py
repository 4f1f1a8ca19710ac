"""Where the events of a stream come from: a generator of either colour.

Each source is asked with ``take()``, which never waits: it gives an event, NOTHING when there is
none yet, or END, or raises what the generator raised. Its ``bell`` is rung when it is worth
asking again. So a stream can wait for an event, for the time of a heartbeat and for the end of
the server at once, in a thread as well as on an event loop. (A Subscription is one, too.)
"""

from __future__ import annotations

import asyncio
import threading
import typing as t
from concurrent.futures import Future
from contextlib import suppress
from contextvars import copy_context

from carboy.bridges import wait

from .channels import END, NOTHING, Ending, ending_here
from .waiting import Bell

if t.TYPE_CHECKING:
    import collections.abc as cabc
    from contextvars import Context

    Log = t.Callable[[BaseException], None]


class Source(t.Protocol):
    """What a stream asks for events."""

    @property
    def bell(self) -> Bell: ...

    def take(self) -> t.Any:
        """An event, NOTHING or END; never waits."""

    def close(self) -> None:
        """Give up what is left, from a thread."""

    async def aclose(self) -> None:
        """Give up what is left, on the event loop."""


class Awaited:
    """An asynchronous generator. A task makes the next event while the stream waits."""

    def __init__(self, events: cabc.AsyncIterable[t.Any]) -> None:
        self.bell = Bell()
        self._events: cabc.AsyncIterator[t.Any] | None = aiter(events)
        self._task: asyncio.Task[t.Any] | None = None
        # One context for all the events: a generator expects to find what it has set.
        self._context: Context | None = None

    def take(self) -> t.Any:
        """As :meth:`Source.take`, on the event loop."""
        task = self._task
        if task is None:
            self._begin(self._next())
            return NOTHING
        if not task.done():
            return NOTHING
        self._task = None
        return task.result()

    async def _next(self) -> t.Any:
        return END if self._events is None else await anext(self._events, END)

    def _begin(self, work: t.Coroutine[t.Any, t.Any, t.Any]) -> asyncio.Task[t.Any]:
        if self._context is None:
            self._context = copy_context()
        task = self._task = asyncio.get_running_loop().create_task(work, context=self._context)
        task.add_done_callback(lambda _: self.bell.ring())
        return task

    async def aclose(self) -> None:
        """Cancel what makes the next event, and close the generator."""
        events, self._events = self._events, None
        if events is None:
            return
        task, self._task = self._task, None
        try:
            if task is not None:
                task.cancel()
                await asyncio.wait([task])
                if not task.cancelled():
                    task.result()
        finally:
            close = getattr(events, "aclose", None)
            if close is not None:
                await self._begin(close())

    def close(self) -> None:
        """As :meth:`aclose`, from a thread."""
        if self._context is None:
            self._events = None  # never begun: there is nothing to be awaited
        elif self._events is not None:
            wait(self.aclose())


class Pumped:
    """A plain generator, in a thread of its own, since it may block for as long as it likes.

    The thread makes an event when it is asked for one. Closing waits for the generator a moment
    only: if it blocks, it is closed by its thread when it comes back.
    """

    #: Seconds that closing waits for.
    patience = 1.0
    #: How many such threads there are in this process.
    running = 0
    _count = threading.Lock()

    def __init__(self, events: cabc.Iterable[t.Any], log: Log) -> None:
        self.bell = Bell()
        self._events = events
        self._log = log
        self._thread: threading.Thread | None = None
        self._asking = False
        self._asked = threading.Semaphore(0)
        self._given: t.Any = NOTHING
        self._error: BaseException | None = None
        self._ending = Ending()
        self._closed: Future[None] = Future()

    def take(self) -> t.Any:
        """As :meth:`Source.take`."""
        given = self._given
        if given is not NOTHING:
            self._given = NOTHING
            self._asking = False
            if self._error is not None:
                raise self._error
            return given
        if not self._asking:
            self._asking = True
            self._asked.release()
            if self._thread is None:
                context = copy_context()
                context.run(ending_here.set, self._ending)
                self._thread = threading.Thread(
                    target=context.run, args=(self._run,), name="carboy-events", daemon=True
                )
                self._thread.start()
        return NOTHING

    def _run(self) -> None:
        with Pumped._count:
            Pumped.running += 1
        try:
            events = iter(self._events)
            given: t.Any = NOTHING
            while given is not END:
                self._asked.acquire()
                if self._ending.over:
                    break
                given = next(events, END)
                self._give(given)
        except BaseException as error:
            if self._ending.over:
                self._log(error)
            self._error = error
            self._give(END)
        finally:
            self._close_events()
            with Pumped._count:
                Pumped.running -= 1
            self._closed.set_result(None)

    def _give(self, given: t.Any) -> None:
        self._given = given
        self.bell.ring()

    def _close_events(self) -> None:
        close = getattr(self._events, "close", None)
        try:
            if close is not None:
                close()
        except BaseException as error:
            self._log(error)

    def _end(self) -> bool:
        """Tell the thread to end; whether there is none that could."""
        if self._ending.over:
            return True
        self._ending.end()
        if self._thread is None:
            self._close_events()
            return True
        self._asked.release()
        return False

    def close(self) -> None:
        """End the generator; waits for it a moment only."""
        if not self._end():
            with suppress(TimeoutError):
                self._closed.result(self.patience)

    async def aclose(self) -> None:
        """As :meth:`close`, on the event loop."""
        if not self._end():
            await asyncio.wait([asyncio.wrap_future(self._closed)], timeout=self.patience)
