"""`EventChannel`: events from anywhere in this process to everybody who listens."""

from __future__ import annotations

import os
import secrets
import threading
import typing as t
from collections import OrderedDict, deque
from contextvars import ContextVar
from itertools import islice
from weakref import WeakSet

from carboy import json

from .events import ServerSentEvent
from .waiting import Bell, ring_all

if t.TYPE_CHECKING:
    from types import TracebackType

#: What to do with a client that takes events more slowly than they come.
Slow = t.Literal["drop_oldest", "disconnect", "coalesce"]

NOTHING: t.Any = object()
END: t.Any = object()


class Ending:
    """Tells the subscriptions that a generator waits for in its own thread when it is over."""

    def __init__(self) -> None:
        self.over = False
        self.bells: WeakSet[_Listener] = WeakSet()
        self._lock = threading.Lock()

    def note(self, listener: _Listener) -> None:
        """Have a subscription woken when it is over."""
        with self._lock:
            self.bells.add(listener)

    def end(self) -> None:
        """It is over: wake them."""
        self.over = True
        with self._lock:
            ring_all([listener.bell for listener in self.bells])


#: The stream whose generator runs in this thread.
ending_here: ContextVar[Ending | None] = ContextVar("carboy.sse.ending", default=None)


class EventChannel:
    """Publishes events to any number of subscribers, each with a queue of its own.

    ``history`` is how many events are kept for clients that connect again and name the last one
    they saw; ``queue`` is how many may wait for one client. What then happens to a client that
    is too slow is ``slow``: ``"drop_oldest"`` leaves out its oldest event, ``"disconnect"`` ends
    its stream, so that a browser connects again and gets the missed ones from the history, and
    ``"coalesce"`` replaces an event that still waits by a newer one of the same ``key``.

    Any thread and any event loop may publish and subscribe. A channel is of one process: where
    several serve, each needs to be told of what the others publish. Raises ValueError for sizes
    below 0 (``history``) or 1 (``queue``) and for another ``slow``.
    """

    def __init__(self, *, history: int = 100, queue: int = 100, slow: Slow = "drop_oldest") -> None:
        if slow not in t.get_args(Slow):
            raise ValueError(f"slow must be one of {', '.join(t.get_args(Slow))}, not {slow!r}.")
        if history < 0 or queue < 1:
            raise ValueError("history must be 0 or more, and queue 1 or more.")
        self.queue = queue
        self.slow = slow
        self._lock = threading.Lock()
        self._listeners: WeakSet[_Listener] = WeakSet()
        self._history: deque[ServerSentEvent] = deque(maxlen=history)
        #: Where in the order of all events an id of the history stands.
        self._places: dict[str, int] = {}
        self._count = 0
        self._origin = ""
        self._pid = 0
        self.closed = False

    def publish(
        self,
        data: t.Any = None,
        *,
        event: str | None = None,
        id: str | int | None = None,
        retry: int | None = None,
        key: t.Hashable = None,
    ) -> ServerSentEvent:
        """Send an event to all who listen now, and return it. Never waits for anybody.

        ``data`` may be a :class:`~carboy.ServerSentEvent`. Without an ``id`` it gets one that is
        unique to this channel and process. ``key`` is what the event is news of, for
        ``slow="coalesce"``. Raises RuntimeError when the channel is closed.
        """
        if isinstance(data, ServerSentEvent):
            given = data
        else:
            given = ServerSentEvent(data, event=event, id=id, retry=retry)
        # The events of a channel are written once for all, whoever reads them.
        text = given.data
        text = text if text is None or isinstance(text, str) else json.dumps(text)
        with self._lock:
            if self.closed:
                raise RuntimeError("This channel is closed: nobody will get what is published.")
            made = ServerSentEvent(
                text,
                event=given.event,
                id=self._next_id() if given.id is None else given.id,
                retry=given.retry,
                comment=given.comment,
            )
            made.encode()
            self._remember(made)
            listeners = list(self._listeners)
            for listener in listeners:
                listener.offer(made, key)
        ring_all([listener.bell for listener in listeners])
        return made

    def _next_id(self) -> str:
        # A client may connect again to another process, or to this one when it has been started
        # anew: its id must not look like one of ours.
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._origin = secrets.token_hex(4)
        return f"{self._origin}-{self._count + 1}"

    def _remember(self, event: ServerSentEvent) -> None:
        self._count += 1
        history = self._history
        if not history.maxlen:
            return
        if len(history) == history.maxlen:
            oldest = t.cast(str, history[0].id)
            if self._places.get(oldest) == self._count - len(history):
                del self._places[oldest]
        history.append(event)
        self._places[t.cast(str, event.id)] = self._count

    def subscribe(self, last_event_id: str | None = None) -> Subscription:
        """Begin to listen. Events are kept for the subscription from now on.

        With the id of the last event that the client saw it first gets those that came after it.
        An id that is not in the history (any more) gets all of the history, and the
        subscription's ``gap`` is true: events may be missing.
        """
        with self._lock:
            missed: list[ServerSentEvent] = []
            gap = False
            if last_event_id:
                place = self._places.get(last_event_id)
                gap = place is None
                seen = 0 if place is None else place - (self._count - len(self._history))
                missed = list(islice(self._history, seen, None))
            listener = _Listener(self, missed)
            listener.closed = self.closed
            self._listeners.add(listener)
        return Subscription(listener, gap)

    def __len__(self) -> int:
        """How many subscribers there are."""
        with self._lock:
            return len(self._listeners)

    def __bool__(self) -> bool:
        return True

    def close(self) -> None:
        """End the subscriptions, each when it has given the events that wait in it."""
        with self._lock:
            self.closed = True
            listeners = list(self._listeners)
            for listener in listeners:
                listener.closed = True
        ring_all([listener.bell for listener in listeners])


class _Listener:
    """The queue of one subscriber; the channel's lock guards it."""

    __slots__ = ("__weakref__", "backlog", "bell", "channel", "closed", "dropped", "waiting")

    def __init__(self, channel: EventChannel, missed: list[ServerSentEvent]) -> None:
        self.channel = channel
        self.bell = Bell()
        self.backlog = missed[::-1]
        self.waiting: OrderedDict[t.Any, ServerSentEvent] | None = None
        self.dropped = 0
        self.closed = False

    def offer(self, event: ServerSentEvent, key: t.Hashable) -> None:
        if self.closed:
            return
        if self.waiting is None:
            self.waiting = OrderedDict()
        slow = self.channel.slow
        # An object of its own is equal to nothing else.
        place = (key,) if key is not None and slow == "coalesce" else event
        self.waiting.pop(place, None)
        if len(self.waiting) >= self.channel.queue:
            if slow == "disconnect":
                self.dropped += len(self.waiting) + 1
                self.waiting.clear()
                self.backlog.clear()
                self.closed = True
                return
            self.waiting.popitem(last=False)
            self.dropped += 1
        self.waiting[place] = event

    def take(self) -> t.Any:
        with self.channel._lock:
            if self.backlog:
                return self.backlog.pop()
            if self.waiting:
                return self.waiting.popitem(last=False)[1]
            self.waiting = None
            return END if self.closed else NOTHING

    def leave(self) -> None:
        with self.channel._lock:
            self.closed = True
            self.channel._listeners.discard(self)
            self.waiting = None
            self.backlog.clear()
        self.bell.ring()


class Subscription:
    """What one listener gets of an :class:`~carboy.EventChannel`: an iterator, sync and async.

    It ends when it or the channel is closed, and when the client of the stream that it is used
    in has gone. One thread or task may iterate over it at a time. It is a context manager, and
    closes itself when nobody uses it any more.
    """

    def __init__(self, listener: _Listener, gap: bool) -> None:
        self._listener = listener
        #: Whether the client names an event that the channel does not know (any more).
        self.gap = gap

    @property
    def bell(self) -> Bell:
        """What is rung when there is something to take."""
        return self._listener.bell

    @property
    def dropped(self) -> int:
        """How many events were left out because the client was too slow."""
        return self._listener.dropped

    def begin_with(self, data: t.Any, *, event: str | None = None) -> None:
        """Give this subscriber an event of its own first, instead of those that it missed.

        It is a picture of everything, for a client that is new or has a ``gap``. ``data`` may be
        a :class:`~carboy.ServerSentEvent`. Make it after subscribing, so that nothing that
        happens meanwhile is lost.
        """
        first = data if isinstance(data, ServerSentEvent) else ServerSentEvent(data, event=event)
        with self._listener.channel._lock:
            self._listener.backlog[:] = [first]
        self._listener.bell.ring()

    def take(self) -> t.Any:
        """The next event, or NOTHING when there is none yet, or END."""
        return self._listener.take()

    def __iter__(self) -> t.Self:
        return self

    def __next__(self) -> ServerSentEvent:
        listener = self._listener
        ending = ending_here.get()
        if ending is not None:
            ending.note(listener)
        while (item := listener.take()) is NOTHING:
            if ending is not None and ending.over:
                item = END
                break
            listener.bell.wait(None)
        if item is END:
            raise StopIteration
        return t.cast(ServerSentEvent, item)

    def __aiter__(self) -> t.Self:
        return self

    async def __anext__(self) -> ServerSentEvent:
        listener = self._listener
        while (item := listener.take()) is NOTHING:
            await listener.bell.wait_on_loop(None)
        if item is END:
            raise StopAsyncIteration
        return t.cast(ServerSentEvent, item)

    def close(self) -> None:
        """Stop listening. It may be called more than once."""
        self._listener.leave()

    async def aclose(self) -> None:
        """As :meth:`close`."""
        self._listener.leave()

    def __enter__(self) -> t.Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> t.Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()
