"""`EventStream`: the response that does not end."""

from __future__ import annotations

import typing as t
from time import monotonic

from werkzeug.exceptions import ServiceUnavailable

from carboy import json
from carboy.bridges import wait
from carboy.globals import _cv
from carboy.wrappers import Response

from .channels import END, NOTHING, EventChannel, Subscription
from .events import ServerSentEvent, wire_of
from .sources import Awaited, Pumped, Source

if t.TYPE_CHECKING:
    from carboy.app import Carboy

#: A comment, which readers pass over (WHATWG HTML section 9.2.7): the connection is in use.
HEARTBEAT = b":\n\n"

BAD_SOURCE = (
    "EventStream takes a generator, sync or async, a subscription or an EventChannel, not {given!r}."
    "{hint}"
)
FULL = "{most} event streams hold a thread each already."


class EventStream(Response):
    """A response of server-sent events: ``return EventStream(generator())``.

    ``events`` is a generator or another iterable, sync or async, of text, dicts and lists (sent
    as JSON) and :class:`ServerSentEvent` objects; a :class:`Subscription`; or an
    :class:`EventChannel`, which is then subscribed to from the browser's ``Last-Event-ID`` on.

    After ``heartbeat`` seconds without an event a comment is sent, so that proxies keep the
    connection and a client that has gone is noticed; None for never. ``retry`` is how many
    milliseconds browsers wait before they connect again. After ``lifetime`` seconds the stream
    ends: a browser connects again, and has to be allowed to anew. ``status`` and ``headers`` are
    those of any response. When the client leaves, the generator is closed.

    An async generator, a subscription and a channel hold no thread behind an async server. A
    plain generator holds one of its own: when ``most_threads`` do, ServiceUnavailable is raised.
    Raises TypeError for what is none of these, and ValueError for times that are none.
    Source: WHATWG HTML section 9.2.
    """

    default_mimetype = "text/event-stream"
    # Whoever asked for the whole of it would wait forever.
    implicit_sequence_conversion = False

    #: How many plain generators may run at a time.
    most_threads = 200

    def __init__(
        self,
        events: t.Any,
        *,
        heartbeat: float | None = 15.0,
        retry: int | None = None,
        lifetime: float | None = None,
        status: t.Any = None,
        headers: t.Any = None,
    ) -> None:
        for name, seconds in (("heartbeat", heartbeat), ("lifetime", lifetime)):
            if seconds is not None and seconds <= 0:
                raise ValueError(f"{name} is a number of seconds above 0, or None for never.")
        ctx = _cv.get(None)
        app = None if ctx is None else ctx.app
        # A browser calls a stream open when the first bytes have come, not the head.
        opening = HEARTBEAT if retry is None else ServerSentEvent(retry=retry).encode()
        source = _source_of(events, app, self.most_threads)
        body = EventBody(source, app, opening, heartbeat, lifetime)
        super().__init__(body, status, headers, mimetype=self.default_mimetype)
        self.headers.setdefault("Cache-Control", "no-store, no-transform")
        # nginx and others would collect what should be seen at once.
        self.headers.setdefault("X-Accel-Buffering", "no")


def _source_of(events: t.Any, app: Carboy | None, most: int) -> Source:
    if isinstance(events, EventChannel):
        ctx = _cv.get(None)
        request = None if ctx is None else ctx._request_context
        last = None if request is None else request.head.get("HTTP_LAST_EVENT_ID")
        # WSGI hands header bytes over as latin-1; ids are UTF-8 (WHATWG HTML section 9.2.3).
        last = None if last is None else last.encode("latin-1", "replace").decode(errors="replace")
        return events.subscribe(last)
    if isinstance(events, Subscription):
        return events
    if hasattr(events, "__aiter__"):
        return Awaited(events)
    if isinstance(events, str | bytes | dict) or not hasattr(events, "__iter__"):
        hint = " Call the generator function." if callable(events) else ""
        raise TypeError(BAD_SOURCE.format(given=events, hint=hint))
    if Pumped.running >= most:
        raise ServiceUnavailable(FULL.format(most=most), retry_after=5)
    return Pumped(events, lambda error: _log(app, error))


def _log(app: Carboy | None, error: BaseException) -> None:
    if app is not None:
        app.log_exception((type(error), error, error.__traceback__))


class EventBody:
    """The chunks of an event stream: for a thread, and for an event loop."""

    def __init__(
        self,
        source: Source,
        app: Carboy | None,
        opening: bytes,
        heartbeat: float | None,
        lifetime: float | None,
    ) -> None:
        self._source: Source | None = source
        self._bell = source.bell
        self._dumps: t.Callable[[t.Any], str] = json.dumps if app is None else app.json.dumps
        self._serving = None if app is None else app._serving
        self._opening = opening
        self._heartbeat = heartbeat
        self._ends_at = None if lifetime is None else monotonic() + lifetime
        self._over = False

    def _end(self) -> None:
        """The server is about to stop."""
        self._over = True
        self._bell.ring()

    def _ready(self) -> bytes | None:
        """The next chunk, ``b""`` at the end, or None: there is none yet."""
        if self._opening:
            opening, self._opening = self._opening, b""
            if self._serving is not None:
                self._serving.tell_at_close(self._end)
            return opening
        if self._over or self._source is None or self._is_old():
            return b""
        item = self._source.take()
        if item is NOTHING:
            return None
        return b"" if item is END else wire_of(item, self._dumps)

    def _is_old(self) -> bool:
        return self._ends_at is not None and monotonic() >= self._ends_at

    def _patience(self) -> float | None:
        """Seconds until a heartbeat or the end is due."""
        if self._ends_at is None:
            return self._heartbeat
        left = max(0.0, self._ends_at - monotonic())
        return left if self._heartbeat is None else min(left, self._heartbeat)

    def __iter__(self) -> t.Self:
        return self

    def __next__(self) -> bytes:
        if isinstance(self._source, Awaited):
            try:
                return wait(self.__anext__())
            except StopAsyncIteration:
                raise StopIteration from None
        while (chunk := self._ready()) is None:
            if not self._bell.wait(self._patience()) and not self._is_old():
                return HEARTBEAT
        if not chunk:
            raise StopIteration
        return chunk

    def __aiter__(self) -> t.Self:
        return self

    async def __anext__(self) -> bytes:
        while (chunk := self._ready()) is None:
            if not await self._bell.wait_on_loop(self._patience()) and not self._is_old():
                return HEARTBEAT
        if not chunk:
            raise StopAsyncIteration
        return chunk

    def _leave(self) -> Source | None:
        source, self._source = self._source, None
        if self._serving is not None:
            self._serving.forget_at_close(self._end)
        return source

    def close(self) -> None:
        """End the stream where it is, and its generator."""
        source = self._leave()
        if source is not None:
            source.close()

    async def aclose(self) -> None:
        """As :meth:`close`, on the event loop."""
        source = self._leave()
        if source is not None:
            await source.aclose()
