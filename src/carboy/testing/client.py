"""`FlaskClient`: Werkzeug's test client with the application's contexts and sessions."""

from __future__ import annotations

import importlib.metadata
import weakref
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from copy import copy
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import werkzeug.datastructures
import werkzeug.test
from werkzeug.wrappers import Request as BaseRequest

from .builder import EnvironBuilder
from .doors import DOORS, through_door
from .lint import linted
from .rendered import MARK
from .streams import StreamedResponse
from .websocket import WebSocketConversation

if TYPE_CHECKING:
    from types import TracebackType

    from _typeshed.wsgi import WSGIEnvironment
    from werkzeug.datastructures import Headers
    from werkzeug.test import TestResponse

    from carboy.app import Carboy
    from carboy.bridges import Portal
    from carboy.sessions import SessionMixin


@cache
def _get_werkzeug_version() -> str:
    """Return the installed Werkzeug's version; asked once, since metadata is slow to read."""
    return importlib.metadata.version("werkzeug")


def _request_of(builder: werkzeug.test.EnvironBuilder) -> BaseRequest:
    """The builder's request. The temporary file of a large form is closed when it is given up."""
    own = builder.input_stream is None
    request = builder.get_request()
    if own:
        weakref.finalize(request, request.environ["wsgi.input"].close)
    return request


class FlaskClient(werkzeug.test.Client):
    """A test client that knows the application.

    Inside `with client:` the context of the latest request stays current, so that `request`,
    `session` and `g` can be examined; it ends with the block or with the next request.
    Each response has `templates`, the names of the templates rendered for it, in order.
    `environ_base` holds what every request of this client sends along. `door` is the protocol
    that requests come through: `"wsgi"`, `"asgi"` or `"rsgi"`. With `lint` each answer is
    checked against that protocol's specification; see `carboy.testing.lint`.
    """

    application: Carboy

    def __init__(self, *args: Any, door: str = "wsgi", lint: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if door not in ("wsgi", *DOORS):
            raise ValueError(f"There is no door {door!r}; there are wsgi, asgi and rsgi.")
        self.door = door
        self.lint = lint
        #: The event loop that async doors run on, if not the one that all tests share.
        self._server: Portal | None = None
        #: Whether contexts are kept here: another thread's are not current in this one.
        self._enters_contexts = True
        self.preserve_context = False
        self.environ_base = {
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_USER_AGENT": f"Werkzeug/{_get_werkzeug_version()}",
        }
        self._new_contexts: list[AbstractContextManager[Any]] = []
        self._context_stack = ExitStack()

    @contextmanager
    def session_transaction(self, *args: Any, **kwargs: Any) -> Iterator[SessionMixin]:
        """Open the client's session for reading and writing; saved when the block ends.

        The arguments are those of `app.test_request_context()`, for sessions that depend on
        the request. Raises `TypeError` without cookies and `RuntimeError` when the session
        interface opens no session. A block left by an exception saves nothing.
        """
        if self._cookies is None:
            raise TypeError("Cookies are disabled. Create a client with 'use_cookies=True'.")
        app = self.application
        interface = app.session_interface
        context = app.test_request_context(*args, **kwargs)
        request = context.request
        self._add_cookies_to_wsgi(request.environ)
        # The context is left again before the block runs: what is current there stays current.
        with context:
            session = interface.open_session(app, request)
        if session is None:
            raise RuntimeError("Session backend did not open a session.")
        yield session
        if interface.is_null_session(session):
            return
        response = app.response_class()
        with context:
            interface.save_session(app, session, response)
        host = request.host.partition(":")[0]
        cookies = response.headers.getlist("Set-Cookie")
        self._update_cookies_from_response(host, request.path, cookies)

    def open(
        self,
        *args: Any,
        buffered: bool = False,
        follow_redirects: bool = False,
        **kwargs: Any,
    ) -> TestResponse:
        """Send one request and return its response.

        Takes a ready `EnvironBuilder`, environ or request, or else the arguments of
        `EnvironBuilder`. With `follow_redirects` the redirects are followed and the response
        is the last one, with the earlier ones in `history`.
        """
        request = self._ready_request(args[0]) if args else None
        if request is None:
            request = self._request_from_builder_args(args, kwargs)
        templates: list[str] = []
        request.environ[MARK] = templates
        if self._enters_contexts:
            self._leave_contexts()
        response = super().open(request, buffered=buffered, follow_redirects=follow_redirects)
        cast("Any", response).json_module = self.application.json
        # The last response of redirects was opened for itself, and has its own list.
        response.__dict__.setdefault("templates", templates)
        if self._enters_contexts:
            self._enter_new_contexts()
        return response

    @contextmanager
    def stream(self, *args: Any, **kwargs: Any) -> Iterator[StreamedResponse]:
        """Send a request whose answer may be endless, and leave when the block ends.

        ::

            with client.stream("/events") as response:
                assert next(response.events()).data == "hello"

        The arguments are those of `open`. When the block ends, the client disconnects: the
        application has then closed its generator and torn down.
        """
        response = self.open(*args, buffered=False, **kwargs)
        try:
            yield StreamedResponse(response)
        finally:
            response.close()

    def resolve_redirect(self, response: TestResponse, buffered: bool = False) -> TestResponse:
        """Follow one redirect; `response` goes to the history of the last one."""
        response.__dict__.setdefault("templates", response.request.environ[MARK])
        return super().resolve_redirect(response, buffered=buffered)

    def websocket_connect(
        self,
        *args: Any,
        subprotocols: Iterable[str] = (),
        headers: Any = None,
        door: str | None = None,
        timeout: float = 10,
        **kwargs: Any,
    ) -> WebSocketConversation:
        """Open a WebSocket: `with client.websocket_connect("/echo") as ws:`.

        Arguments are those of `open`. `door` is `"asgi"` or `"rsgi"`, by default this client's
        or ASGI. Raises `WebSocketRefused`, with the `response`, where the block begins.
        """
        headers = werkzeug.datastructures.Headers(headers)
        offered = ", ".join(subprotocols)
        if offered:
            headers["Sec-WebSocket-Protocol"] = offered
        door = door or ("asgi" if self.door == "wsgi" else self.door)
        kwargs["headers"] = headers
        return WebSocketConversation(self, door, args, kwargs, timeout)

    def run_wsgi_app(
        self, environ: WSGIEnvironment, buffered: bool = False
    ) -> tuple[Iterable[bytes], str, Headers]:
        """Call the application; the names of rendered templates are noted meanwhile."""
        environ.setdefault(MARK, [])
        return werkzeug.test.Client.run_wsgi_app(self._at_door(), environ, buffered=buffered)

    def _at_door(self) -> werkzeug.test.Client:
        """This client as Werkzeug's, which calls WSGI applications, has to see it: its
        application is the door. The cookies are shared."""
        called: Any = self.application
        if self.lint:
            called = linted(called, self.door)
        if self.door != "wsgi":
            called = through_door(called, self.door, self._server)
        seen: werkzeug.test.Client = copy(self)
        seen.application = called
        return seen

    def _ready_request(self, given: object) -> BaseRequest | None:
        """Return a request made from `given`, with this client's environ below; None if `given`
        is something else, such as a path."""
        if isinstance(given, werkzeug.test.EnvironBuilder):
            builder = copy(given)
            builder.environ_base = self._copy_environ(dict(builder.environ_base or {}))
            return _request_of(builder)
        if isinstance(given, dict):
            base = self._copy_environ({})
            builder = EnvironBuilder.from_environ(given, app=self.application, environ_base=base)
            return builder.get_request()
        if isinstance(given, BaseRequest):
            request = copy(given)
            request.environ = self._copy_environ(request.environ)
            return request
        return None

    def _request_from_builder_args(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> BaseRequest:
        base = self._copy_environ(kwargs.pop("environ_base", None) or {})
        builder = EnvironBuilder(self.application, *args, environ_base=base, **kwargs)
        with closing(builder):
            return _request_of(builder)

    def _copy_environ(self, other: WSGIEnvironment) -> WSGIEnvironment:
        """Return `other` over this client's defaults, asking for the context where it is kept."""
        environ: WSGIEnvironment = {**self.environ_base, **other}
        if self.preserve_context:
            environ["werkzeug.debug.preserve_context"] = self._new_contexts.append
        return environ

    def _enter_new_contexts(self) -> None:
        for context in self._new_contexts:
            # The request is over and torn down: its context is shown again, not run again.
            again = getattr(context, "active", None)
            self._context_stack.enter_context(context if again is None else again())
        self._new_contexts.clear()

    def _leave_contexts(self) -> None:
        """End the kept context, and forget those of a redirect or of a failed request."""
        self._new_contexts.clear()
        self._context_stack.close()

    def __enter__(self) -> FlaskClient:
        if self.preserve_context:
            raise RuntimeError("Cannot nest client invocations")
        self.preserve_context = True
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.preserve_context = False
        self._leave_contexts()
