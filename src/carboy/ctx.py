"""The contexts: what belongs to one request, one command, one test.

There is one object per request. :class:`RequestContext` is an :class:`AppContext` too, so that
``g`` and ``current_app`` come from the same place as ``request`` and ``session``. It belongs to
the request and not to the thread: whoever runs a part of the request makes it current, and its
teardown runs once, wherever the request ends.
"""

from __future__ import annotations

import sys
import typing as t
from functools import wraps

from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, SecurityError
from werkzeug.routing import RequestRedirect
from werkzeug.routing.converters import NumberConverter
from werkzeug.routing.exceptions import WebsocketMismatch

from .descriptors import lazy
from .errors import NO_WEBSOCKETS_HERE, UpgradeRequired
from .globals import NO_REQUEST_CONTEXT, _cv
from .headers import location_of
from .hosts import is_well_formed, well_formed
from .shortcuts import SLOW
from .signals import appcontext_popped, appcontext_pushed
from .transport import RequestHead
from .wrappers import Request

if t.TYPE_CHECKING:
    import contextvars
    from types import TracebackType

    from _typeshed.wsgi import StartResponse, WSGIEnvironment
    from werkzeug.routing import MapAdapter, Rule

    from . import typing as ct
    from .app import Carboy
    from .plan import Plan
    from .routing.builder import Addresses
    from .sessions import SessionMixin
    from .websockets import WebSocket

_missing: t.Any = object()

_PLAIN = frozenset({"slow"}) if SLOW else frozenset()

F = t.TypeVar("F", bound=t.Callable[..., t.Any])


class _AppCtxGlobals:
    """The namespace behind ``g``: plain attributes, plus a little of a dict's manner."""

    # Any name may be set, which type checkers accept once they see these three.
    def __getattr__(self, name: str) -> t.Any:
        raise AttributeError(
            f"g has no attribute {name!r}. It is set per context: set it in a before_request"
            f" function, or read it with g.get({name!r})."
        )

    if t.TYPE_CHECKING:

        def __setattr__(self, name: str, value: t.Any) -> None: ...
        def __delattr__(self, name: str) -> None: ...

    def get(self, name: str, default: t.Any | None = None) -> t.Any:
        """Return the attribute ``name``, or ``default`` when it is not set."""
        return self.__dict__.get(name, default)

    def pop(self, name: str, default: t.Any = _missing) -> t.Any:
        """Remove and return ``name``; without it the default, or KeyError if none is given."""
        if default is _missing:
            return self.__dict__.pop(name)
        return self.__dict__.pop(name, default)

    def setdefault(self, name: str, default: t.Any = None) -> t.Any:
        """Return ``name``, setting it to ``default`` first when it is not set."""
        return self.__dict__.setdefault(name, default)

    def __contains__(self, item: str) -> bool:
        return item in self.__dict__

    def __iter__(self) -> t.Iterator[str]:
        return iter(self.__dict__)

    def __repr__(self) -> str:
        ctx = _cv.get(None)
        if ctx is not None and ctx.__dict__.get("g") is self:
            return f"<flask.g of {ctx.app.name!r}>"
        return object.__repr__(self)


class AppContext:
    """The application's context outside requests: in commands, scripts and tests.

    Use it as ``with app.app_context():``. Functions registered with ``teardown_appcontext`` run
    when it ends.
    """

    #: The request that was current where this context was pushed on top of it.
    _around: RequestContext | None = None

    #: What a door around has to say to a request that begins inside of this context.
    _admit: t.Callable[[RequestContext], None] | None = None

    #: What `urls.short_url` may say here; None until it has asked.
    _addresses: Addresses | None = None

    def __init__(self, app: Carboy) -> None:
        self.app = app

    @lazy
    def _tokens(self) -> list[contextvars.Token[AppContext]]:
        return []

    @lazy
    def g(self) -> _AppCtxGlobals:
        """The namespace that the ``g`` proxy shows."""
        return self.app.app_ctx_globals_class()

    @lazy
    def url_adapter(self) -> MapAdapter | None:
        """Werkzeug's adapter for building URLs; None unless ``SERVER_NAME`` is configured."""
        return self.app.create_url_adapter(None)

    @property
    def _app_context(self) -> AppContext:
        return self

    @property
    def _request_context(self) -> RequestContext | None:
        return self._around

    if not t.TYPE_CHECKING:

        @property
        def request(self) -> Request:
            return self._outer_request().request

        @property
        def session(self) -> SessionMixin:
            return self._outer_request().session

    else:
        request: Request
        session: SessionMixin

    def _outer_request(self) -> RequestContext:
        if self._around is None:
            raise RuntimeError(NO_REQUEST_CONTEXT)
        return self._around

    def push(self) -> None:
        """Make this the current context, until :meth:`pop`."""
        parent = _cv.get(None)
        self._around = None if parent is None else parent._request_context
        self._tokens.append(_cv.set(self))
        appcontext_pushed.send(self.app, _async_wrapper=self.app.ensure_sync)

    def pop(self, exc: BaseException | None = _missing) -> None:
        """Leave the context; the last pop runs the teardown functions with ``exc``.

        ``exc`` defaults to the exception being handled. Raises AssertionError when another
        context is current, and the first error of a teardown function, after all have run.
        """
        try:
            if len(self._tokens) == 1:
                self.app.do_teardown_appcontext(sys.exc_info()[1] if exc is _missing else exc)
        finally:
            current = _cv.get(None)
            _cv.reset(self._tokens.pop())
        if current is not self:
            raise AssertionError(f"Popped wrong app context. ({current!r} instead of {self!r})")
        appcontext_popped.send(self.app, _async_wrapper=self.app.ensure_sync)

    def __enter__(self) -> t.Self:
        self.push()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.pop(exc_value)


class RequestContext(AppContext):
    """Everything that belongs to one request.

    Made by the server's door, or by :meth:`~carboy.Carboy.test_request_context` in tests. The
    parts (:attr:`request`, :attr:`session`, :attr:`g`, :attr:`url_adapter`) come into being
    when first used.
    """

    flashes: list[tuple[str, str]] | None = None

    #: What matching found, for as long as there is no request object to keep it.
    _rule: Rule | None = None
    _view_args: dict[str, t.Any] | None = None
    _routing_exception: HTTPException | None = None

    #: The request object, once somebody asked for it.
    _made: Request | None = None

    #: Whether a function waits for the response of this request.
    _wants_response: bool = False

    #: The session once it is open.
    _opened: SessionMixin | None = None

    #: The context of the same application that this one was pushed inside of: it lends its g.
    _lender: AppContext | None = None

    #: Streams that still need the context, and whether the request itself is over.
    _holds: int = 0
    _left: bool = False

    #: Whether the pipeline runs this request, and so will end it.
    _serving: bool = False

    #: The WSGI server's function that takes status and headers. It is called while the request
    #: is still current: instrumentation that wraps it asks for the request there.
    _start: StartResponse | None = None

    #: Whether the request names a host that is none, so that no URL may be built with it.
    _refused: bool = False

    _plan: Plan | None = None

    #: The conversation that this request began, if it is a WebSocket's.
    _websocket: WebSocket | None = None

    def __init__(
        self,
        app: Carboy,
        environ: WSGIEnvironment,
        request: Request | None = None,
        session: SessionMixin | None = None,
    ) -> None:
        self.app = app
        self.head = RequestHead(environ)
        # PERF: an attribute of the object itself is found five times as soon as the class's default.
        self._made = request
        self._opened = session
        self._wants_response = False
        self._holds = 0
        self._plan = self._rule = None
        if request is not None:
            self.request = request

    @classmethod
    def of(cls, app: Carboy, head: RequestHead) -> t.Self:
        """The context of a request with this head, whose environ may not have been made yet."""
        ctx = cls.__new__(cls)
        ctx.app = app
        ctx.head = head
        ctx._made = ctx._opened = ctx._plan = ctx._rule = None
        ctx._wants_response = False
        ctx._holds = 0
        return ctx

    @lazy
    def over(self) -> frozenset[str]:
        """The lifecycle methods that the application replaces."""
        return self.app._plans.overrides(self.app) or _PLAIN

    @lazy
    def _after_request_functions(self) -> list[ct.AfterRequestCallable[t.Any]]:
        self._wants_response = True
        return []

    if not t.TYPE_CHECKING:

        @lazy
        def request(self) -> Request:
            """The request object, of the application's ``request_class``."""
            app = self.app
            cls = app.request_class
            if cls is Request and (environ := self.head.made) is not None:
                request = self._made = Request(environ)
            else:
                request = self._made = cls.of(self.head)
            request.json_module = app.json
            if self._rule is not None:
                request.url_rule = self._rule
                request.view_args = self._view_args
            elif self._routing_exception is not None:
                request.routing_exception = self._routing_exception
            return request

    @lazy
    def url_adapter(self) -> MapAdapter | None:
        """Werkzeug's adapter bound to this request; None when its host is refused."""
        try:
            return self.app.create_url_adapter(self.request)
        except HTTPException as error:
            self._refused = True
            self.request.routing_exception = self._routing_exception = error
            return None

    @property
    def _app_context(self) -> AppContext:
        return self if self._lender is None else self._lender

    @property
    def _request_context(self) -> RequestContext | None:
        return self

    def copy(self) -> RequestContext:
        """A second context for the same request, for a greenlet or thread of its own.

        The request object is shared, so only one of the two may work with it at a time.
        """
        return self.__class__(
            self.app, environ=self.head.environ, request=self.request, session=self._session
        )

    # -- session ------------------------------------------------------------------------------

    @property
    def _session(self) -> SessionMixin:
        """The session, opened if need be, without counting as an access."""
        opened = self._opened
        if opened is None:
            app = self.app
            interface = app.session_interface
            opened = interface.open_session(app, self.request)
            if opened is None:
                opened = interface.make_null_session(app)
            self._opened = opened
        return opened

    @_session.setter
    def _session(self, value: SessionMixin | None) -> None:
        self._opened = value

    if not t.TYPE_CHECKING:

        @property
        def session(self) -> SessionMixin:
            """The session; looking at it marks it as accessed (``Vary: Cookie``)."""
            opened = self._session
            opened.accessed = True
            return opened

        @session.setter
        def session(self, value: SessionMixin) -> None:
            self._opened = value

    # -- matching -----------------------------------------------------------------------------

    def match_request(self) -> None:
        """Let Werkzeug match the URL, and note the rule or the routing exception."""
        adapter = self.url_adapter
        if adapter is None:
            return
        request = self.request
        try:
            found: t.Any = adapter.match(return_rule=True)
            if not self.head.path.isascii() and not _digits_are_ascii(found, self.head.path):
                raise NotFound()
            if self.head.method != request.method:
                # Methods are case-sensitive (RFC 9110 section 9.1); Werkzeug's are not.
                raise MethodNotAllowed(valid_methods=list(adapter.allowed_methods()))
            if found[0].websocket and self._websocket is None:
                self._check_websocket(found[0])
            self._rule, self._view_args = found
            request.url_rule, request.view_args = found
        except HTTPException as error:
            if type(error) is WebsocketMismatch and not _is_handshake(self.head.environ):
                error = UpgradeRequired()
            # What the matcher raised inside knows this frame, and so would keep the context.
            error.__context__ = None
            if isinstance(error, RequestRedirect):
                # The query string comes along as it was sent.
                error.new_url = location_of(error.new_url)
            request.routing_exception = self._routing_exception = error

    def _check_websocket(self, rule: Rule) -> None:
        """Raise UpgradeRequired where a WebSocket cannot be had: under WSGI.

        A rule that was not made with ``websocket`` is an extension's, whose view brings its own.
        """
        if getattr(rule, "websocket_options", None) is not None:
            raise UpgradeRequired(NO_WEBSOCKETS_HERE)

    def _match_soon(self) -> bool:
        """Match before the request begins, for a door that asks which road it takes.

        False where the compiled router leaves it open: :meth:`_match` does the rest.
        """
        app = self.app
        head = self.head
        if head.host not in well_formed or app.config["TRUSTED_HOSTS"] is not None:
            return False
        path = head.path
        domain = app.url_map.default_subdomain
        found = app._router.match(head.method, path, domain)
        if found is None and app._router.is_nowhere(path, domain):
            self._routing_exception = NotFound()
            self._plan = app._plans.get(app, None)
            return True
        if found is None or not (path.isascii() or _digits_are_ascii(found, path)):
            return False
        self._rule, self._view_args = found
        self._plan = app._plans.get(app, found[0].endpoint)
        return True

    def _match(self) -> None:
        """Match by the compiled router, or by Werkzeug where that one leaves it open."""
        app = self.app
        head = self.head
        over = self.over
        if head.host not in well_formed and not is_well_formed(head.host):
            self._refuse_host()
        elif app.config["TRUSTED_HOSTS"] is None and not (over and "create_url_adapter" in over):
            path = head.path
            found = app._router.match(head.method, path, app.url_map.default_subdomain)
            if found is not None and (path.isascii() or _digits_are_ascii(found, path)):
                self._rule, self._view_args = found
                if self._made is not None:
                    self._made.url_rule, self._made.view_args = found
                return
            if found is None and app._router.is_nowhere(path, app.url_map.default_subdomain):
                # PERF: Werkzeug's adapter is seldom needed for a 404, and takes 12 µs to make.
                self._routing_exception = NotFound()
                if self._made is not None:
                    self._made.routing_exception = self._routing_exception
                return
        self.match_request()

    def _refuse_host(self) -> None:
        self._routing_exception = SecurityError(
            "The Host header is malformed; it must be a host name or address and a port."
        )
        self._refused = True
        self.url_adapter = None
        self.request.routing_exception = self._routing_exception

    # -- life ---------------------------------------------------------------------------------

    def _enter(self, outer: AppContext) -> contextvars.Token[AppContext]:
        """Make this context current inside of ``outer``; the caller resets the token."""
        if outer.app is self.app and type(outer) is AppContext:
            # As in Flask, a request inside an application context of the same application
            # shares its g; one request inside another has its own.
            self._lender = outer
            self.g = outer.g
        elif outer._admit is not None:
            outer._admit(self)
        return _cv.set(self)

    def _tell_pushed(self) -> None:
        if self._lender is None:
            appcontext_pushed.send(self.app, _async_wrapper=self.app.ensure_sync)

    def _prepare(self) -> None:
        """Make what somebody may watch being made, and open a session that wants to be open."""
        self.request  # noqa: B018
        if self._opened is None and not self.app._session_is_lazy:
            self._session  # noqa: B018

    def push(self) -> None:
        """Make this the current context: open the session and match the URL."""
        self._left = False
        self._lender = None
        outer = _cv.get(None)
        self._tokens.append(_cv.set(self) if outer is None else self._enter(outer))
        self._tell_pushed()
        self._prepare()
        if self._rule is None and self._routing_exception is None:
            self._match()

    def pop(self, exc: BaseException | None = _missing) -> None:
        """Leave the context; the last pop tears the request down with ``exc``.

        ``exc`` defaults to the exception being handled. Raises AssertionError when another
        context is current, and the first error of a teardown function, after all have run.
        """
        current = _cv.get(None)
        try:
            if len(self._tokens) == 1 and not self._serving:
                self._leave(sys.exc_info()[1] if exc is _missing else exc)
        finally:
            _cv.reset(self._tokens.pop())
        if current is not self:
            raise AssertionError(f"Popped wrong request context. ({current!r} instead of {self!r})")

    def _leave(self, exc: BaseException | None) -> None:
        """The request is over: tear down, unless a stream still holds the context."""
        self._left = True
        if self._holds and exc is None:
            return
        self._holds = 0
        self._tear_down(exc)

    def _tear_down(self, exc: BaseException | None) -> None:
        """Run the teardown functions and close the request, and raise the first error at last."""
        self.app._tear_down(self, exc)

    def _close_request(self, exc: BaseException | None = None) -> None:
        request = self._made
        if request is not None:
            if (environ := self.head.made) is not None:
                # It must not keep the request alive until the garbage collector comes.
                environ["werkzeug.request"] = None
            if request.routing_exception is not None:
                # Its traceback knows the frames that know this context.
                request.routing_exception.__traceback__ = None
            request.close()

    # -- streams ------------------------------------------------------------------------------

    def hold(self) -> None:
        """Keep the context from being torn down until :meth:`release`: a stream needs it."""
        self._holds += 1

    def release(self, exc: BaseException | None = None) -> None:
        """End one :meth:`hold`; the last one, once the request is over, tears down."""
        if not self._holds:
            return
        self._holds -= 1
        if not self._holds and self._left:
            with self.active():
                self._tear_down(exc)

    async def release_on_loop(self, exc: BaseException | None = None) -> None:
        """As :meth:`release`, for an asynchronous stream."""
        if not self._holds:
            return
        self._holds -= 1
        if not self._holds and self._left:
            with self.active():
                await self.app._tear_down_on_loop(self, exc)

    def active(self) -> _Active:
        """A context manager that makes this context current, without push and pop's effects."""
        return _Active(self)

    def __repr__(self) -> str:
        request = self.request
        return f"<{type(self).__name__} {request.url!r} [{request.method}] of {self.app.name}>"


def _is_handshake(environ: WSGIEnvironment) -> bool:
    return bool(environ.get("HTTP_UPGRADE", "").lower() == "websocket")


def _digits_are_ascii(found: tuple[Rule, t.Mapping[str, t.Any]], path: str) -> bool:
    """Whether the numbers of a match were written in ASCII digits.

    Python takes the digits of any script for a number, where a proxy in front that guards a
    path sees other text.
    """
    rule, values = found
    return all(
        not isinstance(converter, NumberConverter) or converter.to_url(values[name]) in path
        for name, converter in rule._converters.items()
        if name in values
    )


class _Active:
    __slots__ = ("_ctx", "_token")

    def __init__(self, ctx: RequestContext) -> None:
        self._ctx = ctx

    def __enter__(self) -> RequestContext:
        self._token = _cv.set(self._ctx)
        return self._ctx

    def __exit__(self, *exc: object) -> None:
        _cv.reset(self._token)


def after_this_request(
    f: ct.AfterRequestCallable[t.Any],
) -> ct.AfterRequestCallable[t.Any]:
    """Register ``f`` to run on the response of the current request only.

    ``f`` takes the response and returns it or another one. Raises RuntimeError outside a
    request. Source: Flask's documented behaviour.
    """
    _active_request("after_this_request")._after_request_functions.append(f)
    return f


def copy_current_request_context(f: F) -> F:
    """Wrap ``f`` so that it runs in a copy of the current request context.

    For work in greenlets or threads that starts during a request and reads ``request`` or
    ``session``. Raises RuntimeError outside a request. Source: Flask's documented behaviour.
    """
    ctx = _active_request("copy_current_request_context").copy()

    @wraps(f)
    def inside(*args: t.Any, **kwargs: t.Any) -> t.Any:
        with ctx:
            return ctx.app.ensure_sync(f)(*args, **kwargs)

    return t.cast(F, inside)


def _active_request(what: str) -> RequestContext:
    current = _cv.get(None)
    ctx = None if current is None else current._request_context
    if ctx is None:
        raise RuntimeError(
            f"'{what}' can only be used when a request context is active, such as in a view"
            " function. Call it there, or inside `with app.test_request_context():`."
        )
    return ctx


def has_request_context() -> bool:
    """Whether there is a current request, so that ``request`` and ``session`` work."""
    ctx = _cv.get(None)
    return ctx is not None and ctx._request_context is not None


def has_websocket_context() -> bool:
    """Whether the current request is a WebSocket, so that ``websocket`` works."""
    ctx = _cv.get(None)
    request = None if ctx is None else ctx._request_context
    return request is not None and request._websocket is not None


def has_app_context() -> bool:
    """Whether there is a current application, so that ``current_app`` and ``g`` work."""
    return _cv.get(None) is not None
