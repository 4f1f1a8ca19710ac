"""The end of a request: its teardown functions, its files, its application context's teardown."""

from __future__ import annotations

import sys
import typing as t
from itertools import chain

from .signals import appcontext_popped, appcontext_tearing_down, request_tearing_down
from .steps import Step, Sync, call_all, plan_of, send, wrapper
from .wrappers import Request

if t.TYPE_CHECKING:
    from .app import Carboy
    from .ctx import RequestContext
    from .transport import Bridge

#: The development server's debugger keeps the context for its console under this key.
PRESERVE = "werkzeug.debug.preserve_context"


def ends_quietly(ctx: RequestContext, app: Carboy) -> bool:
    """Close the request, if that is all there is to its end; False if there is more."""
    plan = ctx._plan
    environ = ctx.head.made
    if (
        plan is None
        or plan.teardown
        or app.teardown_appcontext_funcs
        or ctx._holds
        or request_tearing_down.receivers
        or appcontext_tearing_down.receivers
        or appcontext_popped.receivers
        or (environ is not None and PRESERVE in environ)
    ):
        return False
    request = ctx._made
    if request is not None:
        if app.request_class is not Request or request._may_have_files:
            return False
        if request.routing_exception is not None:
            # Its traceback knows the frames that know this context.
            request.routing_exception.__traceback__ = None
        if environ is not None:
            environ["werkzeug.request"] = None
    ctx._left = True
    return True


def leave(
    ctx: RequestContext, error: BaseException | None, bridge: Bridge
) -> t.Awaitable[None] | None:
    """The request is over: tear down, unless a stream still holds the context.

    Gives None, or a coroutine that goes on with it. An error in a teardown function does not take
    the finished response away: it is logged, or raised where exceptions propagate.
    """
    app = ctx.app
    environ = ctx.head.made
    if environ is not None and PRESERVE in environ:
        environ[PRESERVE](ctx)
    if error is not None and app.should_ignore_error(error):
        error = None
    ctx._left = True
    if ctx._holds and error is None:
        return None
    ctx._holds = 0
    try:
        ending = tear_down(ctx, error, bridge)
    except Exception:
        _ended_badly(app)
        return None
    return None if ending is None else _left(app, ending, bridge)


async def _left(app: Carboy, ending: t.Coroutine[t.Any, t.Any, None], bridge: Bridge) -> None:
    try:
        await bridge.surely(ending)
    except Exception:
        _ended_badly(app)


def _ended_badly(app: Carboy) -> None:
    if app._propagates():
        raise  # what is being handled
    app.log_exception(sys.exc_info())


def tear_down(
    ctx: RequestContext, exc: BaseException | None, bridge: Bridge
) -> t.Coroutine[t.Any, t.Any, None] | None:
    """End a request: its teardown functions, its files, and its application context's teardown.

    All of them run; the first error is raised at last, and the others are logged. Gives None, or a
    coroutine that goes on with it.
    """
    app = ctx.app
    over = ctx.over
    sync = wrapper(app, over, bridge) if over else bridge.wrap
    if "do_teardown_request" in over:
        steps: t.Iterator[Step] = iter((app.do_teardown_request, ctx._close_request))
    else:
        steps = chain(_request_endings(ctx, bridge, sync), (ctx._close_request,))
    if ctx._lender is None:
        if "do_teardown_appcontext" in over:
            steps = chain(steps, (app.do_teardown_appcontext,))
        elif app.teardown_appcontext_funcs or appcontext_tearing_down.receivers:
            steps = chain(steps, _app_endings(app, bridge, sync))
        if appcontext_popped.receivers:
            steps = chain(steps, (lambda exc: send(appcontext_popped, app, bridge),))
    return call_all(app, steps, exc, bridge)


def teardown_request(
    ctx: RequestContext, exc: BaseException | None, bridge: Bridge
) -> t.Coroutine[t.Any, t.Any, None] | None:
    """As :func:`tear_down`, but the teardown_request functions alone."""
    sync = wrapper(ctx.app, ctx.over, bridge)
    return call_all(ctx.app, _request_endings(ctx, bridge, sync), exc, bridge)


def teardown_app(
    app: Carboy, exc: BaseException | None, bridge: Bridge
) -> t.Coroutine[t.Any, t.Any, None] | None:
    """As :func:`tear_down`, but the teardown_appcontext functions alone."""
    sync = wrapper(app, app._plans.overrides(app), bridge)
    return call_all(app, _app_endings(app, bridge, sync), exc, bridge)


def _request_endings(ctx: RequestContext, bridge: Bridge, sync: Sync) -> t.Iterator[Step]:
    """What ends a request; each takes the exception."""
    steps: t.Iterator[Step] = chain.from_iterable(map(reversed, plan_of(ctx).teardown))
    if sync is not None:
        steps = map(sync, steps)
    if request_tearing_down.receivers:
        app = ctx.app
        steps = chain(steps, (lambda exc: send(request_tearing_down, app, bridge, exc=exc),))
    return steps


def _app_endings(app: Carboy, bridge: Bridge, sync: Sync) -> t.Iterator[Step]:
    steps: t.Iterator[Step] = reversed(app.teardown_appcontext_funcs)
    if sync is not None:
        steps = map(sync, steps)
    if appcontext_tearing_down.receivers:
        steps = chain(steps, (lambda exc: send(appcontext_tearing_down, app, bridge, exc=exc),))
    return steps
