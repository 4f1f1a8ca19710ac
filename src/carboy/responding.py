"""From what a view returned to what goes on the wire.

``make_response`` is the long way, through a Response object that hooks can work on; ``direct``
is the short one for plain values that nobody will look at again. ``reply_of`` settles
Content-Length, HEAD, 204 and 304 for both kinds, the only place that does.
"""

from __future__ import annotations

import collections.abc as cabc
import typing as t
from types import AsyncGeneratorType

from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect
from werkzeug.wrappers import Response as ResponseBase

from .bridges import wait
from .headers import CONTENT_TYPES, LENGTHS, status_of
from .shortcuts import SLOW
from .signals import request_finished
from .transport import Reply
from .wrappers import Response, encode

if t.TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    from .ctx import RequestContext
    from .transport import RequestHead

BAD_TUPLE = (
    "The view function did not return a valid response tuple. The tuple must have the form"
    " (body, status, headers), (body, status), or (body, headers)."
)

NO_VALUE = (
    "The view function for {endpoint!r} did not return a valid response. The function either"
    " returned None or ended without a return statement."
)

BAD_TYPE = (
    "The view function did not return a valid response. The return type must be a string, dict,"
    " list, tuple with headers or status, Response instance, or WSGI callable, but it was a"
    " {kind}."
)

_TEXT = (str, bytes, bytearray)
_BODY = (*_TEXT, cabc.Iterator, cabc.AsyncIterable)
_JSON = (dict, list)
_HEADERS = (Headers, dict, tuple, list)


def make_response(ctx: RequestContext, rv: t.Any) -> Response:
    """Turn a view's return value into an instance of the application's response class.

    Raises TypeError for what is no response, naming the endpoint or the type.
    """
    cls = ctx.app.response_class
    if type(rv) is str:
        return cls(rv)
    status: t.Any = None
    headers: t.Any = None
    if isinstance(rv, tuple):
        rv, status, headers = _unpack(rv)
    if rv is None:
        raise TypeError(NO_VALUE.format(endpoint=ctx.request.endpoint))
    if isinstance(rv, cls):
        response = rv
    # PERF: a look at the type saves the two abstract classes; 0.6 µs.
    elif type(rv) not in _JSON and isinstance(rv, _BODY):
        return cls(rv, status=status, headers=headers)
    elif isinstance(rv, _JSON):
        response = ctx.app.json.response(rv)
    else:
        response = _coerce(ctx, cls, rv)
    if status is not None:
        if isinstance(status, _TEXT):
            response.status = status  # type: ignore[assignment]
        else:
            response.status_code = status
    if headers:
        response.headers.update(headers)
    return response


def _unpack(rv: tuple[t.Any, ...]) -> tuple[t.Any, t.Any, t.Any]:
    if len(rv) == 3:
        return rv
    if len(rv) != 2:
        raise TypeError(BAD_TUPLE)
    body, second = rv
    if isinstance(second, _HEADERS):
        return body, None, second
    return body, second, None


def _coerce(ctx: RequestContext, cls: type[Response], rv: t.Any) -> Response:
    """Make a response of an HTTP error, another library's response or a WSGI callable."""
    environ = ctx.head.environ
    if (
        isinstance(rv, HTTPException)
        and rv.response is None
        and rv.code is not None
        and type(rv).get_response is HTTPException.get_response
    ):
        # PERF: an error page is text; running it as a WSGI application costs four times as
        # much. Bench case "404".
        if (page := error_page(rv)) is not None:
            return cls(page, rv.code, mimetype="text/html")
        return cls(rv.get_body(environ), rv.code, rv.get_headers(environ))
    if type(rv) is RequestRedirect:
        # Its body is text as well, and no stream for which a thread would be needed.
        rv = rv.get_response(environ)
    if not isinstance(rv, ResponseBase) and not callable(rv):
        raise TypeError(BAD_TYPE.format(kind=type(rv).__name__))
    try:
        return t.cast(Response, cls.force_type(rv, environ))
    except TypeError as error:
        raise TypeError(f"{error}\n{BAD_TYPE.format(kind=type(rv).__name__)}") from None


def direct(ctx: RequestContext, rv: t.Any) -> Reply | t.Literal[False] | None:
    """The reply for a plain str, bytes, dict or list, without a Response.

    None for other values, for which a Response has to be made; False where a hook, a signal or the
    session sees the response.
    """
    app = ctx.app
    plan = ctx._plan
    if (
        plan is None
        or plan.after
        or ctx.over
        or ctx._wants_response
        or request_finished.receivers
        or ctx._opened is not None
        or (ctx.head.cookie is not None and app._session_waits_in(ctx.head))
    ):
        return False
    if app.response_class is not Response:
        return None
    kind = type(rv)
    status = "200 OK"
    if kind is tuple and len(rv) == 2 and type(rv[1]) is int:
        line = _STATUS_LINES.get(rv[1])
        if line is None:
            return None
        rv, status = rv[0], line
        kind = type(rv)
    if kind is str:
        try:
            body = rv.encode()
        except UnicodeEncodeError:
            body = encode(rv)
        mimetype: str | None = Response.default_mimetype
    elif kind is dict or kind is list:
        made = app.json.reply(rv)
        if made is None:
            return None
        body, mimetype = made
    elif kind is bytes:
        body = rv
        mimetype = Response.default_mimetype
    elif isinstance(rv, HTTPException) and (page := error_page(rv)) is not None:
        body = page
        mimetype = "text/html"
        status = _STATUS_LINES.get(rv.code) or status_of(rv.code)[0]  # type: ignore[arg-type]
    else:
        return None
    if mimetype is None:
        return None
    headers = [CONTENT_TYPES[mimetype], LENGTHS[len(body)]]
    return Reply(status, headers, () if ctx.head.method == "HEAD" else (body,))


#: Pages of the error classes that say the same each time, and None for the others.
_PAGES: dict[type[HTTPException], bytes | None] = {}
_PAGE_MAKERS = ("__call__", "get_body", "get_description", "get_headers", "get_response", "name")


def error_page(error: HTTPException) -> bytes | None:
    """The page of an HTTP error that says nothing of its own, or None: it has to be made."""
    cls = type(error)
    if SLOW or error.response is not None or "description" in error.__dict__ or error.code is None:
        return None
    if cls not in _PAGES:
        # PERF: a scan of 404s asks for the same page again and again; bench case "404".
        common = isinstance(cls.description, str) and all(
            getattr(cls, name) is getattr(HTTPException, name) for name in _PAGE_MAKERS
        )
        _PAGES[cls] = error.get_body().encode() if common else None
    return _PAGES[cls]


#: The codes that a bare ``(body, code)`` may have to be answered without a Response object.
_STATUS_LINES = {
    code: status_of(code)[0]
    for code in (200, 201, 202, 400, 401, 403, 404, 409, 410, 422, 429, 500, 503)
}


def reply_of(response: t.Any, head: RequestHead) -> Reply:
    """The reply that ``response`` makes to the request with this head.

    A response class with a ``__call__`` of its own is run as the WSGI application it then is.
    """
    cls: t.Any = type(response)
    if not isinstance(response, ResponseBase) or cls.__call__ is not ResponseBase.__call__:
        return run_wsgi(response, head.environ)
    plain = None
    if isinstance(response, Response) and cls.get_wsgi_response is Response.get_wsgi_response:
        plain = response.plain_reply(head.method)
        if plain is not None and type(response.response) is list:
            return plain
    if plain is None:
        body, status, headers = response.get_wsgi_response(head.environ)
        reply = Reply(status, headers, body)
    else:
        reply = plain
    if hasattr(response.response, "__aiter__") and _has_body(reply.status, head.method):
        reply.body = AsyncBody(response)
    elif (
        plain is None
        and type(response.response) is list
        and not response._on_close
        and cls.close is Response.close
    ):
        # A redirect, for one: nothing is to be closed, and no thread need make the parts.
        reply.body = tuple(reply.body)
    return reply


def _has_body(status: str, method: str) -> bool:
    """Whether a body may follow (RFC 9110 section 6.4.1)."""
    return method != "HEAD" and status[:3] not in ("204", "304")


class AsyncBody:
    """The body of a response that gives its chunks asynchronously: as bytes, and closed once.

    A door on an event loop iterates over it there. For one that cannot, it is an ordinary
    iterable, whose chunks are made on the portal, unless they can be made in any thread.
    """

    def __init__(self, response: ResponseBase) -> None:
        self._response = response
        #: What gives the chunks; it may give text, which has yet to be encoded.
        self.chunks: t.AsyncIterator[t.Any] = aiter(t.cast("t.Any", response.response))
        self._closed = False

    def __aiter__(self) -> t.Self:
        return self

    async def __anext__(self) -> bytes:
        chunk = await anext(self.chunks)
        return encode(chunk) if isinstance(chunk, str) else chunk

    def ended(self) -> bool:
        """Close a stream that has come to its own end; False if :meth:`aclose` has to."""
        if type(self.chunks) is not AsyncGeneratorType:
            return False
        self._closed = True
        self._response.close()
        return True

    async def aclose(self) -> None:
        """End the stream where it is, and run the response's ``call_on_close`` functions."""
        if self._closed:
            return
        self._closed = True
        try:
            close = getattr(self.chunks, "aclose", None)
            if close is not None:
                await close()
        finally:
            self._response.close()

    def __iter__(self) -> t.Self:
        return self

    def __next__(self) -> bytes:
        if isinstance(self.chunks, cabc.Iterator):
            return t.cast(bytes, next(self.chunks))
        try:
            return wait(self.__anext__())
        except StopAsyncIteration:
            raise StopIteration from None

    def close(self) -> None:
        """As :meth:`aclose`, from a thread."""
        if isinstance(self.chunks, cabc.Iterator):
            self._closed = True
            self._response.close()
        else:
            wait(self.aclose())


def run_wsgi(application: t.Any, environ: WSGIEnvironment) -> Reply:
    """The reply of a WSGI application."""
    started: list[t.Any] = []
    written: list[bytes] = []

    def start_response(
        status: str, headers: list[tuple[str, str]], exc_info: t.Any = None
    ) -> t.Any:
        started[:] = [status, headers]
        return written.append

    try:
        body = application(environ, start_response)
    except StopIteration:
        return Reply("200 OK", [], _Detached())
    if not started or written:
        # start_response may come with the first chunk (PEP 3333), so ask for that one now.
        body = _Resumed(written, iter(body), getattr(body, "close", None))
        body.prime(started)
    return Reply(started[0], started[1], body)


class _Detached:
    """The body of an answer that went out over the server's own socket.

    Flask-Sock's response says so by StopIteration, which Gunicorn understands and a coroutine
    cannot raise: it is raised where the server asks for the chunks.
    """

    def __iter__(self) -> t.NoReturn:
        raise StopIteration


class _Resumed:
    """A WSGI iterable whose first chunks were taken already."""

    def __init__(
        self, first: list[bytes], rest: t.Iterator[bytes], close: t.Callable[[], None] | None
    ) -> None:
        self._first = first
        self._rest = rest
        self._close = close

    def prime(self, started: list[t.Any]) -> None:
        while not started:
            self._first.append(next(self._rest))

    def __iter__(self) -> t.Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._first:
            return self._first.pop(0)
        return next(self._rest)

    def close(self) -> None:
        if self._close is not None:
            self._close()
