"""The one context variable, and the proxies that applications import.

Everything a view function reaches for without being handed it (``request``, ``session``, ``g``,
``current_app``) lives on one context object. A single :class:`~contextvars.ContextVar` points to
that object, so entering a request is one ``set`` and leaving it one ``reset``.
"""

from __future__ import annotations

import typing as t
from contextvars import ContextVar, Token

from werkzeug.local import LocalProxy

if t.TYPE_CHECKING:
    from .app import Carboy
    from .ctx import AppContext, RequestContext, _AppCtxGlobals
    from .sessions import SessionMixin
    from .websockets import WebSocket
    from .wrappers import Request

NO_APP_CONTEXT = """\
Working outside of application context.

The name you used belongs to the application that is handling a request or running a command,
and right now there is none. Inside a view, a hook or a CLI command it works by itself; in a
script, a thread or a test wrap the code in `with app.app_context():`.\
"""

NO_REQUEST_CONTEXT = """\
Working outside of request context.

The name you used belongs to an HTTP request, and right now none is being handled: the code ran
at import time, in a thread of its own, or in a plain test. Call it from a view or a hook, wrap it
with `copy_current_request_context`, or use `with app.test_request_context():` in a test.\
"""

NO_WEBSOCKET = """\
Working outside of a WebSocket.

The name `websocket` belongs to the conversation of a view that was registered with
`@app.websocket`, and the code that used it runs for an ordinary request, or for none. In a task or
a thread of your own, hand it the object: `websocket._get_current_object()`.\
"""

#: The context that is current in this thread, greenlet or task. It is an
#: :class:`~carboy.ctx.AppContext`, or a :class:`~carboy.ctx.RequestContext`, which is one too.
_cv: ContextVar[AppContext] = ContextVar("carboy.context")

_current = _cv.get


def _no_app() -> RuntimeError:
    return RuntimeError(NO_APP_CONTEXT)


def _no_request() -> RuntimeError:
    return RuntimeError(NO_REQUEST_CONTEXT)


def _get_app_context() -> AppContext:
    ctx = _current(None)
    if ctx is None:
        raise _no_app()
    return ctx._app_context


def _get_request_context() -> RequestContext:
    ctx = _current(None)
    if ctx is None or (found := ctx._request_context) is None:
        raise _no_request()
    return found


def _get_app() -> Carboy:
    ctx = _current(None)
    if ctx is None:
        raise _no_app()
    return ctx.app


def app_or_none() -> Carboy | None:
    """The application of the current context, or None outside of any."""
    ctx = _current(None)
    return None if ctx is None else ctx.app


def _get_g() -> _AppCtxGlobals:
    ctx = _current(None)
    if ctx is None:
        raise _no_app()
    return ctx.g


def _get_request() -> Request:
    ctx = _current(None)
    if ctx is None:
        raise _no_request()
    return ctx.request


def _get_session() -> SessionMixin:
    ctx = _current(None)
    if ctx is None:
        raise _no_request()
    return ctx.session


def _get_websocket() -> WebSocket:
    ctx = _current(None)
    request = None if ctx is None else ctx._request_context
    if request is None or request._websocket is None:
        raise RuntimeError(NO_WEBSOCKET)
    return request._websocket


class _AppProxy(LocalProxy["Carboy"]):
    """``current_app``."""

    __slots__ = ()

    # The general proxy of Werkzeug costs about 1 µs for each attribute; these four proxies
    # are on every request's way, so they look the context up themselves.
    def __getattr__(self, name: str) -> t.Any:
        ctx = _current(None)
        if ctx is None:
            raise _no_app()
        return getattr(ctx.app, name)


#: Names of the proxy itself that do not begin as Python's own do.
_OF_A_PROXY = frozenset(name for name in LocalProxy.__slots__ if name[:2] != "__") | {
    f"_LocalProxy{name}" for name in LocalProxy.__slots__ if name[:2] == "__"
}


class _GProxy(LocalProxy["_AppCtxGlobals"]):
    """``g``."""

    __slots__ = ()

    # PERF: before CPython 3.12 the search for a name that the proxy does not have makes an
    # exception, 0.3 µs; what is here is not searched for. Bench case "hooks".
    def __getattribute__(self, name: str) -> t.Any:
        if name[:2] == "__" or name in _OF_A_PROXY:
            return LocalProxy.__getattribute__(self, name)
        ctx = _current(None)
        if ctx is None:
            raise _no_app()
        return getattr(ctx.g, name)

    # Only for a name that was not found: it says so once more.
    def __getattr__(self, name: str) -> t.Any:
        ctx = _current(None)
        if ctx is None:
            raise _no_app()
        return getattr(ctx.g, name)

    def __setattr__(self, name: str, value: t.Any) -> None:
        ctx = _current(None)
        if ctx is None:
            raise _no_app()
        setattr(ctx.g, name, value)


class _RequestProxy(LocalProxy["Request"]):
    """``request``."""

    __slots__ = ()

    def __getattr__(self, name: str) -> t.Any:
        ctx = _current(None)
        if ctx is None:
            raise _no_request()
        return getattr(ctx.request, name)


class _SessionProxy(LocalProxy["SessionMixin"]):
    """``session``."""

    __slots__ = ()

    def __getattr__(self, name: str) -> t.Any:
        ctx = _current(None)
        if ctx is None:
            raise _no_request()
        return getattr(ctx.session, name)

    def __getitem__(self, key: str) -> t.Any:
        ctx = _current(None)
        if ctx is None:
            raise _no_request()
        return ctx.session[key]

    def __setitem__(self, key: str, value: t.Any) -> None:
        ctx = _current(None)
        if ctx is None:
            raise _no_request()
        ctx.session[key] = value

    def __contains__(self, key: object) -> bool:
        ctx = _current(None)
        if ctx is None:
            raise _no_request()
        return key in ctx.session


def _app_has(name: str) -> property:
    def look(self: object) -> t.Any:
        ctx = _current(None)
        if ctx is None:
            raise _no_app()
        return getattr(ctx.app, name)

    return property(look)


def _request_has(name: str) -> property:
    def look(self: object) -> t.Any:
        ctx = _current(None)
        if ctx is None:
            raise _no_request()
        return getattr(ctx.request, name)

    return property(look)


def _session_has(name: str) -> property:
    def look(self: object) -> t.Any:
        ctx = _current(None)
        if ctx is None:
            raise _no_request()
        return getattr(ctx.session, name)

    return property(look)


# PERF: a property is found at once, while __getattr__ is called after a search that fails; 0.1 µs
# for each use of one of the usual names. Bench case "path parameter + query".
_USUAL = (
    (_AppProxy, _app_has, "config debug extensions logger name"),
    (
        _RequestProxy,
        _request_has,
        "args authorization base_url blueprint blueprints content_length content_type cookies data"
        " endpoint environ files form full_path get_data get_json headers host host_url is_json"
        " is_secure json method mimetype path query_string referrer remote_addr root_path scheme"
        " stream url url_root url_rule user_agent values view_args",
    ),
    (
        _SessionProxy,
        _session_has,
        "clear get items keys modified new permanent pop setdefault update",
    ),
)
for _kind, _has, _names in _USUAL:
    for _name in _names.split():
        setattr(_kind, _name, _has(_name))

for _proxy in (_AppProxy, _GProxy, _RequestProxy, _SessionProxy):
    # To a user they are Werkzeug's local proxies; their repr says so.
    _proxy.__name__ = _proxy.__qualname__ = "LocalProxy"


class _ContextFace:
    """One of Flask's two context variables, shown over the single real one."""

    __slots__ = ("_find", "name")

    def __init__(self, name: str, find: t.Callable[[], t.Any]) -> None:
        self.name = name
        self._find = find

    def get(self, *default: t.Any) -> t.Any:
        """Return the current context; without one the default, or raise LookupError."""
        try:
            return self._find()
        except RuntimeError:
            if default:
                return default[0]
            raise LookupError(self) from None

    def set(self, value: AppContext) -> Token[AppContext]:
        """Make ``value`` current and return the token that :meth:`reset` takes."""
        return _cv.set(value)

    def reset(self, token: Token[AppContext]) -> None:
        """Restore what was current before the ``set`` that gave ``token``."""
        _cv.reset(token)

    def __repr__(self) -> str:
        return f"<carboy.globals {self.name}>"


_cv_app = _ContextFace("_cv_app", _get_app_context)
_cv_request = _ContextFace("_cv_request", _get_request_context)


if t.TYPE_CHECKING:
    app_ctx: AppContext
    request_ctx: RequestContext
    current_app: Carboy
    g: _AppCtxGlobals
    request: Request
    session: SessionMixin
    websocket: WebSocket
else:
    app_ctx = LocalProxy(_get_app_context)
    request_ctx = LocalProxy(_get_request_context)
    current_app = _AppProxy(_get_app)
    g = _GProxy(_get_g)
    request = _RequestProxy(_get_request)
    session = _SessionProxy(_get_session)
    websocket = LocalProxy(_get_websocket)
