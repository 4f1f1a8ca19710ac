"""What the doors on an event loop share: the road of a request.

The road is chosen by the colour of the endpoint's plan. All sync: the whole request runs in one
worker thread, one hop. Otherwise the pipeline runs on the loop, where async steps are awaited and
each sync one hops.
"""

from __future__ import annotations

import asyncio
import time
import typing as t
from asyncio import get_running_loop
from functools import partial

from carboy.bridges import (
    INLINE_BRIDGE,
    LOOP_BRIDGE,
    WORKERS,
    WSGI_BRIDGE,
    be_at_home,
    drive,
    in_thread,
    rest_of,
    settled,
)
from carboy.ctx import RequestContext
from carboy.pipeline import handle, whole
from carboy.plan import PLAIN, lifecycle
from carboy.responding import run_wsgi
from carboy.steps import plan_of
from carboy.transport import Reply

from .spool import ClientGone as ClientGone

if t.TYPE_CHECKING:
    from concurrent.futures import Future

    from carboy.app import Carboy
    from carboy.transport import Bridge

    from .environ import LazyHead

T = t.TypeVar("T")

# Sync steps are among those of each request, so none of the short ways may be taken.
_MIXED = frozenset({"mixed"})

#: Bytes of a file that are read in the hop of the request itself.
_SMALL_FILE = 64 * 1024


#: Seconds that a step may hold up the event loop before it is told, in debug mode.
TOO_LONG = 0.1
HOLDS_UP = (
    "The view %s (endpoint %r) held up the event loop for %.2f seconds, and with it each other"
    " request. Await what it waits for, or take the work to a thread: `await"
    " asyncio.to_thread(function)`; a view without `async` that is not marked `inline` has one."
)


def answer(app: Carboy, head: LazyHead) -> Reply | t.Coroutine[t.Any, t.Any, Reply]:
    """Handle one request: a reply, or a coroutine of it.

    Raises ClientGone, or what the application wants to see raised.
    """
    be_at_home(get_running_loop())
    plans = app._plans
    # PERF: as `overrides` begins; a call less, bench case "text".
    over = plans.found if lifecycle(type(app)) == plans.seen else plans.overrides(app)
    if over or plans.is_wrapped:
        return _elsewhere(app, head, over)
    ctx = RequestContext.of(app, head)
    ctx.over = PLAIN
    matching = None if ctx._match_soon() else _match(ctx)
    if matching is not None or head.body is not None:
        return _prepared(ctx, head, matching)
    return _run(ctx, head)


async def _elsewhere(app: Carboy, head: LazyHead, over: frozenset[str]) -> Reply:
    """Middleware and replaced lifecycle methods are sync code that expects a thread."""
    if app._serving.waiting:
        await app._serving.start(app)
        return t.cast(Reply, await settled(answer(app, head)))
    if head.body is not None:
        await head.body.fill(head.get("CONTENT_LENGTH"))
    if app._plans.is_wrapped:
        return await _whole(partial(run_wsgi, app.wsgi_app, head.environ))
    return await _whole(lambda: _reply(app.request_context(head.environ), over))


async def _prepared(
    ctx: RequestContext, head: LazyHead, matching: t.Awaitable[None] | None
) -> Reply:
    """Go on when the request was matched, and its body received."""
    if matching is not None:
        await matching
    body = head.body
    if body is not None:
        length = head.get("CONTENT_LENGTH")
        if getattr(ctx._rule, "stream_body", False):
            body.rewind()
        elif not body.has_room_for(length) or (first := body.first()) is None:
            await body.fill(length)
        else:
            # PERF: most bodies come as a whole, and then need no coroutine of ours; bench cases
            # "echo", "form".
            try:
                is_whole = body.took(await first)
            except body.lost:
                raise body.note_cut() from None
            if not is_whole:
                await body.fill(length)
    reply = _run(ctx, head)
    return reply if isinstance(reply, Reply) else await reply


def _run(ctx: RequestContext, head: LazyHead) -> Reply | t.Coroutine[t.Any, t.Any, Reply]:
    app = ctx.app
    colour = (ctx._plan or plan_of(ctx)).colour(app)
    bridge: Bridge = LOOP_BRIDGE
    if colour != "async":
        if getattr(ctx._rule, "inline", False):
            bridge = INLINE_BRIDGE
        elif colour == "sync":
            return _whole(partial(_reply, ctx, PLAIN))
        else:
            ctx.over = _MIXED
    steps: t.Any = _Watched(ctx, whole(ctx, bridge)) if app.config["DEBUG"] else handle(ctx, bridge)
    if type(steps) is Reply:
        return steps
    return head.whoever_waits().waits_for(steps)


def _match(ctx: RequestContext) -> t.Coroutine[t.Any, t.Any, None] | None:
    """Match what only Werkzeug can: on the loop, unless converters of the application take part."""
    url_map = ctx.app.url_map

    def match() -> None:
        with ctx.active():
            ctx._match()

    if url_map.converters == url_map.default_converters:
        match()
        return None
    return in_thread(match)


def _reply(ctx: RequestContext, over: frozenset[str]) -> Reply:
    ctx.over = over
    reply: Reply = drive(handle(ctx, WSGI_BRIDGE))
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


class _Watched:
    """The coroutine of a request that tells, once an endpoint, what holds up the event loop."""

    def __init__(self, ctx: RequestContext, coroutine: t.Coroutine[t.Any, t.Any, t.Any]) -> None:
        self._ctx = ctx
        self._coroutine = coroutine
        self.close = coroutine.close

    def send(self, value: t.Any) -> t.Any:
        return self._step(self._coroutine.send, value)

    def throw(self, error: BaseException) -> t.Any:
        return self._step(self._coroutine.throw, error)

    def _step(self, resume: t.Callable[..., t.Any], value: t.Any) -> t.Any:
        begun = time.perf_counter()
        try:
            return resume(value)
        finally:
            held_up = time.perf_counter() - begun
            if held_up > TOO_LONG:
                self._tell(held_up)

    def _tell(self, seconds: float) -> None:
        app = self._ctx.app
        endpoint = None if self._ctx._rule is None else self._ctx._rule.endpoint
        told: set[t.Any] = app.extensions.setdefault("carboy.loop_warnings", set())
        if endpoint in told:
            return
        told.add(endpoint)
        view = app.view_functions.get(endpoint) if endpoint is not None else None
        name = f"{getattr(view, '__module__', '?')}.{getattr(view, '__qualname__', '?')}"
        app.logger.warning(HOLDS_UP, name, endpoint, seconds)


# -- until the client goes -----------------------------------------------------------------------


class Client:
    """Whoever waits for the answer; ``gone`` waits until they have left.

    It is called once a request, and not before something takes time: a server may take a
    ``receive`` that was given up for the client's leaving, as Gunicorn 27.0 does.
    """

    _watcher: asyncio.Task[None] | None = None

    async def gone(self) -> None:
        """Wait until the client has gone. The door's class does."""
        raise NotImplementedError

    def close(self) -> None:
        """Watch no longer: the request is over."""
        if self._watcher is not None:
            self._watcher.cancel()

    async def waits_for(self, coroutine: t.Coroutine[t.Any, t.Any, T]) -> T:
        """The result of ``coroutine``, which is cancelled when the client goes: ClientGone."""
        try:
            first = coroutine.send(None)
        except StopIteration as stop:
            result: T = stop.value
            return result
        rest: T = await self.waits_on(coroutine, first)
        return rest

    async def waits_on(self, coroutine: t.Any, first: t.Any) -> t.Any:
        """The result of a coroutine that waits for ``first`` now, as :meth:`waits_for`."""
        task = t.cast("asyncio.Task[t.Any]", asyncio.current_task())
        watcher = self._watcher
        if watcher is None:
            watcher = self._watcher = asyncio.ensure_future(self.gone())
        left = False

        def leave(_: object) -> None:
            nonlocal left
            left = True
            task.cancel()

        watcher.add_done_callback(leave)
        try:
            return await rest_of(coroutine, first)
        except asyncio.CancelledError:
            if left:
                raise ClientGone from None
            raise
        finally:
            watcher.remove_done_callback(leave)
            if left:
                task.uncancel()
