"""The life of a request, written once.

In order: enter the context → open the session, if it wants to be open → match → request_started →
URL value preprocessors → before_request → view → response → after_this_request → after_request →
save the session → request_finished → teardown → leave the context.

Each step may be sync or async: it is called, and awaited only if a coroutine came back. Nothing
here names a protocol: the door gives the context and the bridge, and takes the reply. Lifecycle
methods that an application replaces are called instead of the matching part of this file.
"""

from __future__ import annotations

import sys
import typing as t
from functools import partial
from types import CoroutineType

from werkzeug.exceptions import BadRequestKeyError, HTTPException, InternalServerError
from werkzeug.routing import RoutingException

from .audit import note_refusal
from .bridges import not_asked_for
from .errors import FirstError
from .globals import _cv
from .responding import direct, make_response, reply_of
from .signals import (
    appcontext_popped,
    appcontext_pushed,
    appcontext_tearing_down,
    got_request_exception,
    request_finished,
    request_started,
    request_tearing_down,
)
from .transport import Reply
from .wrappers import Request, Response

if t.TYPE_CHECKING:
    from contextvars import Token

    from _typeshed.wsgi import WSGIEnvironment

    from .app import Carboy
    from .ctx import RequestContext
    from .plan import Plan
    from .transport import Bridge

Overrides = frozenset[str]
Steps = t.Coroutine[t.Any, t.Any, Reply]

NO_RESPONSE = (
    "The after_request function {!r} returned None. It must return a response: the one it was"
    " given, or another one."
)

#: Stands for "no handler": the caller, which has the exception at hand, raises it again.
_UNHANDLED: t.Any = object()

#: Stands for what answering a request gives, before that was asked for.
_NOT_YET: t.Any = object()


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
        return _complete(ctx, bridge, token, _NOT_YET)
    # PERF: a request that only its view takes part in is over when the view is; a coroutine for it
    # would cost 0.4 µs. Bench case "text".
    try:
        if ctx._plan is None:  # unless the door had to know before
            ctx._match()
        rv = answer(ctx, bridge, over)
        reply = None if type(rv) is CoroutineType or _is_looked_at(ctx) else direct(ctx, rv)
    except BaseException as exc:
        return _complete(ctx, bridge, token, None, exc)
    if reply is None:
        return _complete(ctx, bridge, token, rv)
    try:
        if (finish := app._finish_reply) is not None:
            finish(reply, ctx.head)
        if ctx._start is not None:
            ctx._start(reply.status, reply.headers)
        if not _ends_quietly(ctx, app):
            return _complete(ctx, bridge, token, rv, None, reply)
    except BaseException as exc:
        return _complete(ctx, bridge, token, rv, exc, reply)
    ctx._serving = False
    _cv.reset(token)
    return reply


async def _complete(
    ctx: RequestContext,
    bridge: Bridge,
    token: Token[t.Any],
    rv: t.Any,
    raised: BaseException | None = None,
    reply: Reply | None = None,
) -> Reply:
    """Go on with a request: from its beginning, from what answering it gave or raised, or from
    the reply that was sent."""
    app = ctx.app
    head = ctx.head
    over = ctx.over
    error = raised
    try:
        if reply is not None:
            if raised is not None:
                raise raised
            return reply
        try:
            if raised is not None:
                raise raised
            if rv is _NOT_YET:
                rv = await _begin(ctx, bridge, over)
            if "full_dispatch_request" in over:
                reply = reply_of(app.full_dispatch_request(), head)
            else:
                if type(rv) is CoroutineType:
                    rv = await rv
                if _is_looked_at(ctx) or (reply := direct(ctx, rv)) is None:
                    reply = reply_of(await finalize(ctx, rv, bridge, over), head)
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
            environ = head.made
            if environ is not None and "werkzeug.debug.preserve_context" in environ:
                environ["werkzeug.debug.preserve_context"](ctx)
            if error is not None or over or not _ends_quietly(ctx, app):
                await _leave(ctx, error, bridge)
        finally:
            ctx._serving = False
            _cv.reset(token)
            # A traceback that knows this frame must not be known by it in turn.
            del error, raised


async def whole(ctx: RequestContext, bridge: Bridge) -> Reply:
    """As :func:`handle`, all of it in a coroutine."""
    reply = handle(ctx, bridge)
    return reply if isinstance(reply, Reply) else await reply


async def _begin(ctx: RequestContext, bridge: Bridge, over: Overrides) -> t.Any:
    """The first part of a request of which more than the view takes part in."""
    app = ctx.app
    if appcontext_pushed.receivers:
        await bridge.call(ctx._tell_pushed)
    if not app._session_is_lazy:
        await bridge.call(ctx._prepare)
    elif over or app.request_class is not Request:
        ctx._prepare()
    if ctx._plan is None:
        ctx._match()
    return None if "full_dispatch_request" in over else answer(ctx, bridge, over)


def _is_looked_at(ctx: RequestContext) -> t.Any:
    """Whether (as a truth value) a hook, a signal or the session sees the response: else there need not be one."""
    app = ctx.app
    plan = ctx._plan
    return (
        plan is None
        or plan.after
        or ctx.over
        or app.response_class is not Response
        or ctx._wants_response
        or request_finished.receivers
        or ctx._opened is not None
        or (ctx.head.cookie is not None and app._session_waits_in(ctx.head))
    )


def _ends_quietly(ctx: RequestContext, app: Carboy) -> bool:
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
        or (environ is not None and "werkzeug.debug.preserve_context" in environ)
    ):
        return False
    request = ctx._made
    if request is not None:
        if (
            app.request_class is not Request
            or request.routing_exception is not None
            or request._form_is_loaded
        ):
            return False
        if environ is not None:
            environ["werkzeug.request"] = None
    ctx._left = True
    return True


def plan_of(ctx: RequestContext) -> Plan:
    """The plan of the endpoint that the request has now: a hook may change the rule."""
    request = ctx._made
    rule = ctx._rule if request is None else request.url_rule
    plan = ctx._plan = ctx.app._plans.get(ctx.app, None if rule is None else rule.endpoint)
    return plan


def answer(ctx: RequestContext, bridge: Bridge, over: Overrides) -> t.Any:
    """What the hooks, the view or an error handler return for this request, or a coroutine of it.

    Like any step: whoever calls it awaits what it gives only if that is a coroutine.
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
    if (
        over
        or plan.before
        or plan.url_processors
        or request_started.receivers
        or (ctx.head.method != "GET" and _is_doubtful(ctx))
    ):
        return _answer(ctx, bridge, over)
    # PERF: nothing comes before the view, so no coroutine need be made, and what call_view looks at
    # is known already; bench case "text".
    try:
        if rule is None or ctx._made is not None or ctx.head.method == "OPTIONS":
            rv = call_view(ctx, over, bridge)
        else:
            args = ctx._view_args
            view = app.view_functions[rule.endpoint]
            rv = view(**args) if args else view()
    except Exception as exc:
        return _recovered(ctx, exc, bridge, over)
    return _finished(ctx, rv, bridge, over) if type(rv) is CoroutineType else rv


async def _answer(ctx: RequestContext, bridge: Bridge, over: Overrides) -> t.Any:
    app = ctx.app
    try:
        if request_started.receivers:
            await _send(request_started, app, bridge)
        if ctx.head.method != "GET" and _is_doubtful(ctx):
            await bridge.call(app._gate.protect)
        plan = plan_of(ctx)
        rv = None
        if "preprocess_request" in over:
            rv = app.preprocess_request()
        elif plan.before or plan.url_processors:
            rv = await preprocess(ctx, bridge, over)
        if rv is None:
            if "dispatch_request" in over:
                rv = app.dispatch_request()
            else:
                rv = call_view(ctx, over, bridge)
            if type(rv) is CoroutineType:
                rv = await bridge.finish(rv)
        return rv
    except Exception as exc:
        return await _recovered(ctx, exc, bridge, over)


def _is_doubtful(ctx: RequestContext) -> bool:
    """Whether the application's gate wants a closer look at a request that may change things."""
    gate = ctx.app._gate
    return gate is not None and ctx.head.method not in ("HEAD", "OPTIONS") and not gate.passes(ctx)


async def _finished(ctx: RequestContext, rv: t.Any, bridge: Bridge, over: Overrides) -> t.Any:
    try:
        return await bridge.finish(rv)
    except Exception as exc:
        return await _recovered(ctx, exc, bridge, over)


async def _recovered(ctx: RequestContext, exc: Exception, bridge: Bridge, over: Overrides) -> t.Any:
    """The answer of the handler for ``exc``, or the exception again."""
    try:
        # Raised again, so that handlers find it in sys.exc_info() and as their errors' context.
        raise exc
    except Exception as error:
        if "handle_user_exception" in over:
            return ctx.app.handle_user_exception(error)
        rv = await recover(ctx, error, bridge, over)
        if rv is _UNHANDLED:
            raise
        return rv
    finally:
        # The traceback will know this frame, which must not know the exception in turn.
        del exc


async def preprocess(ctx: RequestContext, bridge: Bridge, over: Overrides) -> t.Any:
    """Run the URL value preprocessors and the before_request functions, until one answers."""
    plan = plan_of(ctx)
    sync = _wrapper(ctx.app, over, bridge)
    if plan.url_processors:
        request = ctx.request
        for functions in plan.url_processors:
            for function in functions:
                await bridge.call(function, request.endpoint, request.view_args)
    for functions in plan.before:
        for function in functions:
            rv = function() if sync is None else sync(function)()
            if type(rv) is CoroutineType:
                rv = await bridge.finish(rv)
            if rv is not None:
                return rv
    return None


def _wrapper(app: Carboy, over: Overrides, bridge: Bridge) -> t.Callable[..., t.Any] | None:
    """What each step must be passed through: the bridge's way of running sync ones, if it has
    one, or the application's own idea of how async functions are run."""
    if bridge.wrap is not None:
        return bridge.wrap
    if over and ("ensure_sync" in over or "async_to_sync" in over):
        return app.ensure_sync
    return None


async def _send(signal: t.Any, app: Carboy, bridge: Bridge, **values: t.Any) -> None:
    """Tell the receivers of a signal."""
    await bridge.call(partial(signal.send, app, _async_wrapper=app.ensure_sync, **values))


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
        if (wrap := _wrapper(app, over, bridge)) is not None:
            view = wrap(view)
    return view(**args) if args else view()


async def recover(ctx: RequestContext, exc: Exception, bridge: Bridge, over: Overrides) -> t.Any:
    """Find the handler for an exception of the view or a hook, and return its answer.

    An HTTP error without a handler answers for itself; for any other exception ``_UNHANDLED``.
    """
    app = ctx.app
    if isinstance(exc, BadRequestKeyError) and (app.debug or app.config["TRAP_BAD_REQUEST_ERRORS"]):
        exc.show_exception = True
    if isinstance(exc, HTTPException) and not app.trap_http_exception(exc):
        if "handle_http_exception" in over:
            return app.handle_http_exception(exc)
        return await recover_http(ctx, exc, bridge, over)
    handler = app._find_error_handler(exc, list(plan_of(ctx).blueprints))
    if handler is None:
        return _UNHANDLED
    return await _call_handler(app, handler, exc, bridge, over)


async def recover_http(
    ctx: RequestContext, exc: HTTPException, bridge: Bridge, over: Overrides
) -> t.Any:
    """The answer to an HTTP error: its handler's, or the error itself."""
    if exc.code is None or isinstance(exc, RoutingException):
        return exc
    app = ctx.app
    if exc.code in (400, 403):
        note_refusal(ctx, exc)
    handler = app._find_error_handler(exc, list(plan_of(ctx).blueprints))
    if handler is None:
        return exc
    return await _call_handler(app, handler, exc, bridge, over)


async def _call_handler(
    app: Carboy, handler: t.Any, error: Exception, bridge: Bridge, over: Overrides
) -> t.Any:
    sync = _wrapper(app, over, bridge)
    rv = handler(error) if sync is None else sync(handler)(error)
    return await bridge.finish(rv) if type(rv) is CoroutineType else rv


async def finalize(
    ctx: RequestContext,
    rv: t.Any,
    bridge: Bridge,
    over: Overrides,
    from_error_handler: bool = False,
) -> Response:
    """Make the response and pass it through the after_request functions."""
    app = ctx.app
    if ctx._websocket is not None and ctx._websocket.response is not None:
        return ctx._websocket.response  # the handshake was the answer, and it is out
    if not from_error_handler and "finalize_request" in over:
        return app.finalize_request(rv)
    response = app.make_response(rv) if "make_response" in over else make_response(ctx, rv)
    try:
        if "process_response" in over:
            response = app.process_response(response)
        else:
            response = await process(ctx, response, bridge, over)
        if request_finished.receivers:
            await _send(request_finished, app, bridge, response=response)
    except Exception:
        if not from_error_handler:
            raise
        app.logger.exception("Request finalizing failed with an error while handling an error")
    return response


async def process(
    ctx: RequestContext, response: t.Any, bridge: Bridge, over: Overrides
) -> Response:
    """Run after_this_request and after_request functions, and save the session."""
    app = ctx.app
    sync = _wrapper(app, over, bridge)
    own = ctx._after_request_functions if ctx._wants_response else ()
    for functions in (own, *map(reversed, plan_of(ctx).after)):
        for function in functions:
            response = function(response) if sync is None else sync(function)(response)
            if type(response) is CoroutineType:
                response = await bridge.finish(response)
            if response is None:
                raise TypeError(NO_RESPONSE.format(getattr(function, "__name__", function)))
    if ctx._opened is not None or app._session_waits_in(ctx.head):
        interface = app.session_interface
        session = ctx._session
        if not interface.is_null_session(session):
            if app._session_is_lazy:
                interface.save_session(app, session, response)
            else:
                await bridge.call(interface.save_session, app, session, response)
    return t.cast(Response, response)


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
            await _send(got_request_exception, app, bridge, exception=exc)
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
            rv = await _call_handler(app, handler, error, bridge, over)
        if "finalize_request" in over:
            return app.finalize_request(rv, from_error_handler=True)
        return await finalize(ctx, rv, bridge, over, from_error_handler=True)
    except Exception as second:
        app.log_exception((type(second), second, second.__traceback__))
        return _last_resort(ctx.head.environ)


async def _leave(ctx: RequestContext, error: BaseException | None, bridge: Bridge) -> None:
    """The request is over: tear down, unless a stream still holds the context.

    An error in a teardown function does not take the finished response away: it is logged, or
    raised where exceptions propagate.
    """
    app = ctx.app
    if error is not None and app.should_ignore_error(error):
        error = None
    ctx._left = True
    if ctx._holds and error is None:
        return
    ctx._holds = 0
    try:
        await bridge.surely(tear_down(ctx, error, bridge))
    except Exception:
        if app._propagates():
            raise
        app.log_exception(sys.exc_info())


async def tear_down(ctx: RequestContext, exc: BaseException | None, bridge: Bridge) -> None:
    """End a request: its teardown functions, its files, and its application context's teardown.

    All of them run; the first error is raised at last, and the others are logged.
    """
    app = ctx.app
    over = ctx.over
    errors = FirstError(app.log_exception)
    plan = ctx._plan or plan_of(ctx)
    if plan.teardown or over or request_tearing_down.receivers:
        try:
            if "do_teardown_request" in over:
                app.do_teardown_request(exc)
            else:
                await teardown_request(ctx, exc, bridge)
        except BaseException as error:
            errors.note(error)
    if ctx._made is not None:
        try:
            ctx._close_request()
        except BaseException as error:
            errors.note(error)
    if ctx._lender is None:
        if app.teardown_appcontext_funcs or over or appcontext_tearing_down.receivers:
            try:
                if "do_teardown_appcontext" in over:
                    app.do_teardown_appcontext(exc)
                else:
                    await teardown_app(app, exc, bridge)
            except BaseException as error:
                errors.note(error)
        if appcontext_popped.receivers:
            try:
                await _send(appcontext_popped, app, bridge)
            except BaseException as error:
                errors.note(error)
    errors.reraise()


async def teardown_request(ctx: RequestContext, exc: BaseException | None, bridge: Bridge) -> None:
    """Run the teardown_request functions, all of them, and raise the first error at last."""
    functions = [f for functions in plan_of(ctx).teardown for f in reversed(functions)]
    await _run_all(ctx.app, functions, exc, bridge, request_tearing_down)


async def teardown_app(app: Carboy, exc: BaseException | None, bridge: Bridge) -> None:
    """Run the teardown_appcontext functions, all of them, and raise the first error at last."""
    functions = app.teardown_appcontext_funcs[::-1]
    await _run_all(app, functions, exc, bridge, appcontext_tearing_down)


async def _run_all(
    app: Carboy,
    functions: list[t.Any],
    exc: BaseException | None,
    bridge: Bridge,
    signal: t.Any,
) -> None:
    sync = _wrapper(app, app._plans.overrides(app), bridge)
    errors = FirstError(app.log_exception)
    for function in functions:
        try:
            rv = function(exc) if sync is None else sync(function)(exc)
            if type(rv) is CoroutineType:
                await bridge.finish(rv)
        except BaseException as error:
            errors.note(error)
    if signal.receivers:
        try:
            await _send(signal, app, bridge, exc=exc)
        except BaseException as error:
            errors.note(error)
    errors.reraise()
