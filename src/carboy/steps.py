"""Steps: the functions that a request runs, alone or one after another in a row.

Each row is run by a plain function, which stops at the first coroutine that a step gives; the
coroutine function beside it finishes that one, and lets the plain one go on.
"""

from __future__ import annotations

import typing as t
from functools import partial
from types import CoroutineType

from .bridges import settled
from .errors import FirstError

if t.TYPE_CHECKING:
    from .app import Carboy
    from .ctx import RequestContext
    from .plan import Plan
    from .transport import Bridge

Step = t.Callable[..., t.Any]
Overrides = frozenset[str]

#: What makes a coroutine function of a step, where steps cannot simply be called.
Sync = t.Callable[[Step], Step] | None

NO_RESPONSE = (
    "The after_request function {!r} returned None. It must return a response: the one it was"
    " given, or another one."
)


def plan_of(ctx: RequestContext) -> Plan:
    """The plan of the endpoint that the request has now: a hook may change the rule."""
    request = ctx._made
    rule = ctx._rule if request is None else request.url_rule
    endpoint = None if rule is None else rule.endpoint
    plans = ctx.app._plans
    plan = ctx._plan = plans.known.get(endpoint) or plans.get(ctx.app, endpoint)
    return plan


def wrapper(app: Carboy, over: Overrides, bridge: Bridge) -> Sync:
    """What each step must be passed through: the bridge's way of running sync ones, if it has
    one, or the application's own idea of how async functions are run."""
    if bridge.wrap is not None:
        return bridge.wrap
    if "ensure_sync" in over or "async_to_sync" in over:
        return app.ensure_sync
    return None


def send(signal: t.Any, app: Carboy, bridge: Bridge, **values: t.Any) -> t.Any:
    """Tell the receivers of a signal; None, or a coroutine."""
    sending = partial(signal.send, app, _async_wrapper=app.ensure_sync, **values)
    if bridge.wrap is not None:
        return told(bridge.call(sending))
    sending()
    return None


async def told(sending: t.Awaitable[t.Any]) -> None:
    await sending


# -- rows ----------------------------------------------------------------------------------------


def first(steps: t.Iterable[Step], bridge: Bridge) -> t.Any:
    """The first value that a step returns, other than None; or a coroutine, if one has to wait."""
    for step in steps:
        rv = step()
        if type(rv) is CoroutineType:
            rv = bridge.finish(rv)
        if rv is not None:
            return rv
    return None


async def first_of(rv: t.Any, steps: t.Iterator[Step], bridge: Bridge) -> t.Any:
    while type(rv) is CoroutineType:
        rv = await rv
        if rv is not None:
            return rv
        rv = first(steps, bridge)
    return rv


def through(response: t.Any, steps: t.Iterable[Step], bridge: Bridge) -> t.Any:
    """Pass the response through each step; what the last one returned, or a coroutine."""
    for step in steps:
        response = step(response)
        if type(response) is CoroutineType:
            response = bridge.finish(response)
            if type(response) is CoroutineType:
                return response
        if response is None:
            raise _no_response(step)
    return response


def _no_response(step: t.Any) -> TypeError:
    function = step.args[0] if isinstance(step, partial) else step
    return TypeError(NO_RESPONSE.format(getattr(function, "__name__", function)))


async def through_of(response: t.Any, steps: t.Iterator[Step], bridge: Bridge) -> t.Any:
    while type(response) is CoroutineType:
        waiting = response
        response = await waiting
        if response is None:
            raise _no_response(waiting)
        response = through(response, steps, bridge)
    return response


def call_all(
    app: Carboy,
    steps: t.Iterator[Step],
    exc: BaseException | None,
    bridge: Bridge,
    errors: FirstError | None = None,
) -> t.Coroutine[t.Any, t.Any, None] | None:
    """Call each step with ``exc``, and raise the first error at last; or a coroutine that does."""
    for step in steps:
        try:
            rv = step(exc)
            if type(rv) is CoroutineType:
                rv = bridge.conclude(rv)
        except BaseException as error:
            errors = _noted(app, error, errors)
        else:
            if type(rv) is CoroutineType:
                return _call_rest(app, rv, steps, exc, bridge, errors)
    if errors is not None:
        errors.reraise()
    return None


async def _call_rest(
    app: Carboy,
    rv: t.Any,
    steps: t.Iterator[Step],
    exc: BaseException | None,
    bridge: Bridge,
    errors: FirstError | None,
) -> None:
    try:
        await settled(bridge.finish(rv))
    except BaseException as error:
        errors = _noted(app, error, errors)
    await settled(call_all(app, steps, exc, bridge, errors))


def _noted(app: Carboy, error: BaseException, errors: FirstError | None) -> FirstError:
    errors = errors or FirstError(app.log_exception)
    errors.note(error)
    return errors
