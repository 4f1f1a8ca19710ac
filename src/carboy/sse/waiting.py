"""`Bell`: what one thread or one task waits on, and any thread may ring."""

from __future__ import annotations

import asyncio
import threading
import typing as t
from contextlib import suppress

if t.TYPE_CHECKING:
    import collections.abc as cabc

    Sleeper = threading.Lock | tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]


class Bell:
    """Waited for by one at a time, in a thread or on an event loop. A ring is never lost."""

    __slots__ = ("_lock", "_rung", "_sleeper")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rung = False
        self._sleeper: Sleeper | None = None

    def ring(self) -> None:
        """Wake whoever waits, or whoever waits next; from any thread, without blocking."""
        ring_all((self,))

    def wait(self, seconds: float | None) -> bool:
        """Wait in this thread, for so long at most; whether it was rung."""
        sleeper = threading.Lock()
        sleeper.acquire()
        if self._lie_down(sleeper):
            return True
        try:
            sleeper.acquire(timeout=-1 if seconds is None else seconds)
        finally:
            rung = self._get_up()
        return rung

    async def wait_on_loop(self, seconds: float | None) -> bool:
        """As :meth:`wait`, on the running event loop."""
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        if self._lie_down((loop, future)):
            return True
        timer = None if seconds is None else loop.call_later(seconds, _wake, (future,))
        try:
            await future
        finally:
            if timer is not None:
                timer.cancel()
            rung = self._get_up()
        return rung

    def _lie_down(self, sleeper: Sleeper) -> bool:
        with self._lock:
            if self._rung:
                self._rung = False
                return True
            self._sleeper = sleeper
            return False

    def _get_up(self) -> bool:
        with self._lock:
            self._sleeper = None
            rung, self._rung = self._rung, False
            return rung

    def rouse(self) -> Sleeper | None:
        """Note a ring, and return whoever has to be woken for it."""
        with self._lock:
            self._rung = True
            sleeper, self._sleeper = self._sleeper, None
            return sleeper


def ring_all(bells: cabc.Iterable[Bell]) -> None:
    """Ring many bells; each event loop is called once for all of those that wait on it."""
    on_loops: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
    for bell in bells:
        sleeper = bell.rouse()
        if isinstance(sleeper, tuple):
            on_loops.setdefault(sleeper[0], []).append(sleeper[1])
        elif sleeper is not None:
            sleeper.release()
    for loop, futures in on_loops.items():
        # A loop that was closed meanwhile has nobody waiting any more.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(_wake, futures)


def _wake(futures: cabc.Iterable[asyncio.Future[None]]) -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)
