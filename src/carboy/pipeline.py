"""The life of a request, written once.

In order: enter the context → open the session, if it wants to be open → match → request_started →
URL value preprocessors → before_request → view → response → after_this_request → after_request →
save the session → request_finished → teardown → leave the context.

Each step may be sync or async: it is called, and awaited only if a coroutine came back. Nothing
here names a protocol: the door gives the context and the bridge, and takes the reply. Lifecycle
methods that an application replaces are called instead of the matching part of this file.
"""

from __future__ import annotations

import typing as t
from functools import partial
from itertools import chain
from types import CoroutineType

from werkzeug.exceptions import BadRequestKeyError, HTTPException, InternalServerError
from werkzeug.routing import RoutingException

from .audit import note_refusal
from .bridges import not_asked_for, settled
from .ending import ends_quietly, leave
from .globals import _cv
from .responding import direct, make_response, reply_of
from .signals import (
    appcontext_pushed,
    got_request_exception,
    request_finished,
    request_started,
)
from .steps import (
    Overrides,
    Step,
    first,
    first_of,
    plan_of,
    send,
    through,
    through_of,
    told,
    wrapper,
)
from .transport import Reply
from .wrappers import Request, Response

if t.TYPE_CHECKING:
    from contextvars import Token

    from _typeshed.wsgi import WSGIEnvironment

    from .app import Carboy
    from .ctx import RequestContext
    from .transport import Bridge

Steps = t.Coroutine[t.Any, t.Any, Reply]

FAILED_AGAIN = "Request finalizing failed with an error while handling an error"

# Most replaced methods take the response alone, as they may unless an error handler made it.
_AGAIN = {"from_error_handler": True}

#: Stands for "no handler": the caller, which has the exception at hand, raises it again.
_UNHANDLED: t.Any = object()

# Where a request goes on in a coroutine; see `_complete`.
_BEGIN, _ANSWER, _RECOVERED, _FINALIZE, _FAILED, _CUT = range(6)


def handle(ctx: RequestContext, bridge: Bridge) -> Reply | Steps:
    """Answer one request, from its fresh context to the torn-down one: a reply, or a coroutine.

    Like any step: whoever calls it awaits what it gives only if that is a coroutine. Raises what
    the application wants to see raised (``PROPAGATE_EXCEPTIONS``, testing, debug), and nothing
    else.
    """
    app = ctx.app
    over = ctx.over
    token = _cv.set(ctx) if (outer := _cv.get(None)) is None else ctx._enter(outer)
    ctx._serving = True
    if (
        over
        or appcontext_pushed.receivers
        or not app._session_is_lazy
        or app.request_class is not Request
    ):
        return _complete(ctx, bridge, token, _BEGIN)
    # PERF: no coroutine is made before a step gives one; each costs 0.4 µs. Bench case "hooks".
    at = _FAILED
    try:
        if ctx._plan is None:  # unless the door had to know before
            ctx._match()
        try:
            rv = answer(ctx, bridge, over)
            if type(rv) is CoroutineType:
                return _complete(ctx, bridge, token, _ANSWER, rv)
        except Exception as exc:
            rv = _recovered(ctx, exc, bridge, over)
            if type(rv) is CoroutineType:
                return _complete(ctx, bridge, token, _RECOVERED, rv)
        if not (reply := direct(ctx, rv)):
            rv = finalize(ctx, rv, bridge, over, reply is False)
            if type(rv) is CoroutineType:
                return _complete(ctx, bridge, token, _FINALIZE, rv)
            reply = reply_of(rv, ctx.head)
        at = _CUT
        if (finish := app._finish_reply) is not None:
            finish(reply, ctx.head)
        if ctx._start is not None:
            ctx._start(reply.status, reply.headers)
    except BaseException as exc:
        return _complete(ctx, bridge, token, at, exc)
    if not ends_quietly(ctx, app):
        return _ended(ctx, bridge, token, reply)
    ctx._serving = False
    _cv.reset(token)
    return reply


def _ended(ctx: RequestContext, bridge: Bridge, token: Token[t.Any], reply: Reply) -> Reply | Steps:
    """Tear down a request that was answered."""
    ending = None
    try:
        ending = leave(ctx, None, bridge)
    finally:
        if ending is None:
            ctx._serving = False
            _cv.reset(token)
    return reply if ending is None else _end(ctx, token, reply, ending)


async def _end(
    ctx: RequestContext, token: Token[t.Any], reply: Reply, ending: t.Awaitable[None]
) -> Reply:
    try:
        await ending
    finally:
        ctx._serving = False
        _cv.reset(token)
    return reply


async def _complete(
    ctx: RequestContext, bridge: Bridge, token: Token[t.Any], at: int, value: t.Any = None
) -> Reply:
    """Go on with a request in a coroutine.

    At its beginning; with the coroutine that answers it, recovers an error or finalizes the
    response; or with the exception that came before or after there was a reply.
    """
    app = ctx.app
    head = ctx.head
    over = ctx.over
    error: BaseException | None = None
    reply: Reply | t.Literal[False] | None = None
    try:
        if at is _CUT:
            error = value
            raise value
        try:
            if at is _FAILED:
                raise value
            if at is _BEGIN:
                await _begin(ctx, bridge)
                if "full_dispatch_request" in over:
                    value, at = app.full_dispatch_request(), _FINALIZE
                else:
                    value = answered(ctx, bridge, over)
            elif at is _ANSWER:
                try:
                    value = await value
                except Exception as exc:
                    value = _recovered(ctx, exc, bridge, over)
            if at is not _FINALIZE:
                if type(value) is CoroutineType:
                    value = await value
                if not (reply := direct(ctx, value)):
                    value = finalize(ctx, value, bridge, over, reply is False)
            if not reply:
                if type(value) is CoroutineType:
                    value = await value
                reply = reply_of(value, head)
        except Exception as exc:
            error = exc
            reply = await _failed(ctx, exc, bridge, over)
        except BaseException as exc:
            error = not_asked_for(exc) or exc
            if not isinstance(error, Exception):
                raise
            reply = await _failed(ctx, error, bridge, over)
        if (finish := app._finish_reply) is not None:
            finish(reply, head)
        if ctx._start is not None:
            ctx._start(reply.status, reply.headers)
        return reply
    finally:
        try:
            if error is not None or over or not ends_quietly(ctx, app):
                ending = leave(ctx, error, bridge)
                if ending is not None:
                    await ending
        finally:
            ctx._serving = False
            _cv.reset(token)
            # A traceback that knows this frame must not be known by it in turn.
            del error, value


async def whole(ctx: RequestContext, bridge: Bridge) -> Reply:
    """As :func:`handle`, all of it in a coroutine."""
    reply: Reply = await settled(handle(ctx, bridge))
    return reply


async def _begin(ctx: RequestContext, bridge: Bridge) -> None:
    """The first part of a request of which more than the view takes part in."""
    app = ctx.app
    if appcontext_pushed.receivers:
        await bridge.call(ctx._tell_pushed)
    if not app._session_is_lazy:
        await bridge.call(ctx._prepare)
    elif ctx.over or app.request_class is not Request:
        ctx._prepare()
    if ctx._plan is None:
        ctx._match()


def answer(ctx: RequestContext, bridge: Bridge, over: Overrides) -> t.Any:
    """What the hooks or the view return for this request, or a coroutine of it.

    Raises what they raise.
    """
    app = ctx.app
    if not app._got_first_request:
        app._begin()
    rule = ctx._rule
    plan = None
    if rule is not None and ctx._made is None:
        plan = ctx._plan = app._plans.known.get(rule.endpoint)
    if plan is None:
        plan = plan_of(ctx)
    if over or request_started.receivers or (ctx.head.method != "GET" and _is_doubtful(ctx)):
        steps = _openings(ctx, bridge, over)
    elif plan.before or plan.url_processors:
        steps = _preprocessors(ctx, bridge, over)
    else:
        steps = None
    if steps is not None:
        rv = first(steps, bridge)
        if type(rv) is CoroutineType:
            return _answer(ctx, rv, steps, bridge, over)
        if rv is not None:
            return rv
    if over or rule is None or ctx._made is not None or ctx.head.method == "OPTIONS":
        rv = _dispatched(ctx, bridge, over)
    else:
        # PERF: what call_view looks at is known already; bench case "text".
        args = ctx._view_args
        view = app.view_functions[rule.endpoint]
        rv = view(**args) if args else view()
    return bridge.finish(rv) if type(rv) is CoroutineType else rv


async def _answer(
    ctx: RequestContext, rv: t.Any, steps: t.Iterator[Step], bridge: Bridge, over: Overrides
) -> t.Any:
    """Go on with :func:`answer` from the coroutine that a hook gave."""
    rv = await first_of(rv, steps, bridge)
    if rv is None:
        rv = _dispatched(ctx, bridge, over)
        if type(rv) is CoroutineType:
            rv = await settled(bridge.finish(rv))
    return rv


def answered(ctx: RequestContext, bridge: Bridge, over: Overrides) -> t.Any:
    """As :func:`answer`, or what the handler of an exception returns, or a coroutine of it."""
    try:
        rv = answer(ctx, bridge, over)
    except Exception as exc:
        return _recovered(ctx, exc, bridge, over)
    return _answered(ctx, rv, bridge, over) if type(rv) is CoroutineType else rv


async def _answered(ctx: RequestContext, rv: t.Any, bridge: Bridge, over: Overrides) -> t.Any:
    try:
        return await rv
    except Exception as exc:
        return await settled(_recovered(ctx, exc, bridge, over))


def _dispatched(ctx: RequestContext, bridge: Bridge, over: Overrides) -> t.Any:
    if "dispatch_request" in over:
        return ctx.app.dispatch_request()
    return call_view(ctx, over, bridge)


# -- before the view -----------------------------------------------------------------------------


def _openings(ctx: RequestContext, bridge: Bridge, over: Overrides) -> t.Iterator[Step]:
    """What comes before the view, each a step that may answer instead of it."""
    app = ctx.app
    if request_started.receivers:
        yield partial(send, request_started, app, bridge)
    if ctx.head.method != "GET" and _is_doubtful(ctx):
        protect = app._gate.protect
        yield protect if bridge.wrap is None else partial(bridge.call, protect)
    if "preprocess_request" in over:
        yield app.preprocess_request
    else:
        yield from _preprocessors(ctx, bridge, over)


def _preprocessors(ctx: RequestContext, bridge: Bridge, over: Overrides) -> t.Iterator[Step]:
    plan = plan_of(ctx)
    steps: t.Iterator[Step] = chain.from_iterable(plan.before)
    sync = wrapper(ctx.app, over, bridge) if over else bridge.wrap
    if sync is not None:
        steps = map(sync, steps)
    if plan.url_processors:
        functions = chain.from_iterable(plan.url_processors)
        steps = chain((partial(_process_values, ctx, f, bridge) for f in functions), steps)
    return steps


def _process_values(ctx: RequestContext, function: t.Any, bridge: Bridge) -> t.Any:
    request = ctx.request
    if bridge.wrap is not None:
        return told(bridge.call(function, request.endpoint, request.view_args))
    function(request.endpoint, request.view_args)
    return None


def preprocess(ctx: RequestContext, bridge: Bridge, over: Overrides) -> t.Any:
    """Run the URL value preprocessors and the before_request functions, until one answers.

    Gives the answer, None, or a coroutine of it.
    """
    steps = _preprocessors(ctx, bridge, over)
    rv = first(steps, bridge)
    return first_of(rv, steps, bridge) if type(rv) is CoroutineType else rv


def _is_doubtful(ctx: RequestContext) -> bool:
    """Whether the application's gate wants a closer look at a request that may change things."""
    gate = ctx.app._gate
    return gate is not None and ctx.head.method not in ("HEAD", "OPTIONS") and not gate.passes(ctx)


def call_view(ctx: RequestContext, over: Overrides, bridge: Bridge) -> t.Any:
    """Call the matched view; gives its return value or its coroutine. Raises routing errors."""
    app = ctx.app
    request = ctx._made
    if request is None:
        rule, args = ctx._rule, ctx._view_args
    else:
        rule, args = request.url_rule, request.view_args
    if rule is None or (request is not None and request.routing_exception is not None):
        app.raise_routing_exception(ctx.request)
    if ctx.head.method == "OPTIONS" and getattr(rule, "provide_automatic_options", False):
        return app.make_default_options_response()
    view = app.view_functions[rule.endpoint]
    if over:
        if ctx._websocket is not None:
            return ctx._websocket.call(view, args)
        if (wrap := wrapper(app, over, bridge)) is not None:
            view = wrap(view)
    return view(**args) if args else view()


# -- errors --------------------------------------------------------------------------------------


def _recovered(ctx: RequestContext, exc: Exception, bridge: Bridge, over: Overrides) -> t.Any:
    """What the handler for ``exc`` answers, or a coroutine of it; else raises it again.

    Called while ``exc`` is being handled: the handler finds it in :func:`sys.exc_info`.
    """
    try:
        if "handle_user_exception" in over:
            return ctx.app.handle_user_exception(exc)
        rv = recover(ctx, exc, bridge, over)
        if rv is _UNHANDLED:
            raise exc
        return _handled(exc, rv) if type(rv) is CoroutineType else rv
    finally:
        # The traceback will know this frame, which must not know the exception in turn.
        del exc


async def _handled(exc: Exception, answer: t.Awaitable[t.Any]) -> t.Any:
    try:
        # Raised again, for sys.exc_info() and as the context of the handler's own errors.
        raise exc
    except Exception:
        return await answer
    finally:
        del exc


def recover(ctx: RequestContext, exc: Exception, bridge: Bridge, over: Overrides) -> t.Any:
    """Find the handler for an exception of the view or a hook; its answer, or a coroutine of it.

    An HTTP error without a handler answers for itself; for any other exception ``_UNHANDLED``.
    """
    app = ctx.app
    if isinstance(exc, BadRequestKeyError) and (app.debug or app.config["TRAP_BAD_REQUEST_ERRORS"]):
        exc.show_exception = True
    if isinstance(exc, HTTPException) and not app.trap_http_exception(exc):
        if "handle_http_exception" in over:
            return app.handle_http_exception(exc)
        return recover_http(ctx, exc, bridge, over)
    handler = app._find_error_handler(exc, list(plan_of(ctx).blueprints))
    if handler is None:
        return _UNHANDLED
    return _call_handler(app, handler, exc, bridge, over)


def recover_http(ctx: RequestContext, exc: HTTPException, bridge: Bridge, over: Overrides) -> t.Any:
    """The answer to an HTTP error: its handler's, or a coroutine of it, or the error itself."""
    if exc.code is None or isinstance(exc, RoutingException):
        return exc
    app = ctx.app
    if exc.code in (400, 403):
        note_refusal(ctx, exc)
    handler = app._find_error_handler(exc, list(plan_of(ctx).blueprints))
    if handler is None:
        return exc
    return _call_handler(app, handler, exc, bridge, over)


def _call_handler(
    app: Carboy, handler: t.Any, error: Exception, bridge: Bridge, over: Overrides
) -> t.Any:
    sync = wrapper(app, over, bridge)
    rv = handler(error) if sync is None else sync(handler)(error)
    return bridge.finish(rv) if type(rv) is CoroutineType else rv


async def _failed(ctx: RequestContext, exc: Exception, bridge: Bridge, over: Overrides) -> Reply:
    app = ctx.app
    if "handle_exception" in over:
        response = app.handle_exception(exc)
    else:
        response = await fail(ctx, exc, bridge, over)
    try:
        return reply_of(response, ctx.head)
    except Exception as second:
        app.log_exception((type(second), second, second.__traceback__))
        return reply_of(_last_resort(ctx.head.environ), ctx.head)


def _last_resort(environ: WSGIEnvironment) -> Response:
    """The 500 that nothing of the application takes part in."""
    error = InternalServerError()
    return Response(error.get_body(environ), 500, error.get_headers(environ))


async def fail(ctx: RequestContext, exc: Exception, bridge: Bridge, over: Overrides) -> Response:
    """The 500 for an exception that nothing handled; raises it where it is to propagate.

    A handler for 500 that fails itself is logged, and the plain error page is sent.
    """
    app = ctx.app
    propagates = app._propagates()
    try:
        if got_request_exception.receivers:
            await settled(send(got_request_exception, app, bridge, exception=exc))
    except Exception as second:
        if propagates:
            raise
        app.log_exception((type(second), second, second.__traceback__))
    if propagates:
        raise exc
    app.log_exception((type(exc), exc, exc.__traceback__))
    error = InternalServerError(original_exception=exc)
    try:
        rv: t.Any = error
        handler = app._find_error_handler(error, list(plan_of(ctx).blueprints))
        if handler is not None:
            rv = await settled(_call_handler(app, handler, error, bridge, over))
        response: Response = await settled(finalize(ctx, rv, bridge, over, from_error_handler=True))
        return response
    except Exception as second:
        app.log_exception((type(second), second, second.__traceback__))
        return _last_resort(ctx.head.environ)


# -- after the view ------------------------------------------------------------------------------


def finalize(
    ctx: RequestContext,
    rv: t.Any,
    bridge: Bridge,
    over: Overrides,
    is_seen: bool = True,
    from_error_handler: bool = False,
) -> t.Any:
    """Make the response and pass it through the after_request functions; or a coroutine of it.

    Without ``is_seen`` there are none.
    """
    app = ctx.app
    if ctx._websocket is not None and ctx._websocket.response is not None:
        return ctx._websocket.response  # the handshake was the answer, and it is out
    if "finalize_request" in over:
        return app.finalize_request(rv, **_AGAIN if from_error_handler else {})
    made = app.make_response(rv) if "make_response" in over else make_response(ctx, rv)
    if not is_seen:
        return made
    steps = _processors(ctx, bridge, over)
    try:
        response = through(made, steps, bridge)
        if type(response) is not CoroutineType:
            response = _finish(ctx, bridge, over, response)
            if type(response) is not CoroutineType:
                return response
            return _finalized(ctx, response, made if from_error_handler else None)
    except Exception:
        if not from_error_handler:
            raise
        app.logger.exception(FAILED_AGAIN)
        return made
    finishing = _through_and_finish(ctx, response, steps, bridge, over)
    return _finalized(ctx, finishing, made if from_error_handler else None)


async def _finalized(
    ctx: RequestContext, response: t.Awaitable[t.Any], instead: Response | None
) -> t.Any:
    try:
        return await response
    except Exception:
        if instead is None:
            raise
        ctx.app.logger.exception(FAILED_AGAIN)
        return instead


def process(ctx: RequestContext, response: t.Any, bridge: Bridge, over: Overrides) -> t.Any:
    """Run after_this_request and after_request functions, and save the session.

    Gives the response, or a coroutine of it.
    """
    steps = _processors(ctx, bridge, over - {"process_response"})
    response = through(response, steps, bridge)
    if type(response) is CoroutineType:
        return _through_and_finish(ctx, response, steps, bridge, over, signals=False)
    return _save_session(ctx, bridge, response)


async def _through_and_finish(
    ctx: RequestContext,
    response: t.Any,
    steps: t.Iterator[Step],
    bridge: Bridge,
    over: Overrides,
    signals: bool = True,
) -> t.Any:
    response = await through_of(response, steps, bridge)
    if signals:
        return await settled(_finish(ctx, bridge, over, response))
    return await settled(_save_session(ctx, bridge, response))


def _processors(ctx: RequestContext, bridge: Bridge, over: Overrides) -> t.Iterator[Step]:
    """What the response is passed through on its way out."""
    if "process_response" in over:
        return iter((ctx.app.process_response,))
    steps = chain.from_iterable(map(reversed, plan_of(ctx).after))
    if ctx._wants_response:
        steps = chain(ctx._after_request_functions, steps)
    sync = wrapper(ctx.app, over, bridge) if over else bridge.wrap
    return steps if sync is None else map(sync, steps)


def _finish(ctx: RequestContext, bridge: Bridge, over: Overrides, response: t.Any) -> t.Any:
    """Save the session, unless :meth:`process_response` has, and tell that the response is done."""
    if "process_response" not in over:
        response = _save_session(ctx, bridge, response)
    if request_finished.receivers:
        return _tell_finished(ctx.app, bridge, response)
    return response


def _save_session(ctx: RequestContext, bridge: Bridge, response: t.Any) -> t.Any:
    app = ctx.app
    if ctx._opened is None and (ctx.head.cookie is None or not app._session_waits_in(ctx.head)):
        return response
    interface = app.session_interface
    session = ctx._session
    if interface.is_null_session(session):
        return response
    if bridge.wrap is not None and not app._session_is_lazy:
        return _then(bridge.call(interface.save_session, app, session, response), response)
    interface.save_session(app, session, response)
    return response


def _tell_finished(app: Carboy, bridge: Bridge, response: t.Any) -> t.Any:
    if type(response) is CoroutineType:
        return _and_tell(app, bridge, response)
    sending = send(request_finished, app, bridge, response=response)
    return response if sending is None else _then(sending, response)


async def _and_tell(app: Carboy, bridge: Bridge, saving: t.Awaitable[t.Any]) -> t.Any:
    return await settled(_tell_finished(app, bridge, await saving))


async def _then(step: t.Awaitable[t.Any], response: t.Any) -> t.Any:
    await step
    return response
