"""Request and Response: Werkzeug's classes with the work put off until it is asked for.

Both are true subclasses of Werkzeug's, so everything documented there holds. What differs is the
moment: a :class:`Request` keeps the WSGI environ and reads a part of it when that attribute is
first used, and a :class:`Response` writes plain replies without the general header passes.
"""

from __future__ import annotations

import re
import typing as t
from datetime import datetime, timedelta
from functools import lru_cache

from werkzeug.datastructures import Authorization, EnvironHeaders, IfRange, ImmutableMultiDict
from werkzeug.datastructures import Headers as HeadersBase
from werkzeug.exceptions import BadRequest, HTTPException
from werkzeug.http import dump_cookie, parse_if_range_header
from werkzeug.wrappers import Response as ResponseBase
from werkzeug.wsgi import _get_server

from . import json
from .body import (
    ClosingBody,
    Values,
    decode_latin1,
    parse_cookies,
    parse_pairs,
    parse_query,
)
from .dates import date_or_none, is_date
from .descriptors import lazy
from .errors import FirstError
from .globals import _cv, app_or_none
from .headers import (
    LEFT_BARE,
    CookieScope,
    Headers,
    check_pairs,
    content_type_of,
    plain_cookie,
    status_of,
)
from .receiving import BodyReader
from .shortcuts import SLOW

if t.TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment
    from werkzeug.routing import Rule
    from werkzeug.wrappers import Request as RequestBase

    from .transport import RequestHead

    MultiDictType = ImmutableMultiDict[str, str]


@lru_cache(maxsize=256)
def _split_blueprint_path(name: str) -> tuple[str, ...]:
    """``"a.b.c"`` → ``("a.b.c", "a.b", "a")``: a nested blueprint, then its parents."""
    parts = name.split(".")
    return tuple(".".join(parts[:n]) for n in range(len(parts), 0, -1))


class Request(BodyReader):
    """The request that a view works on.

    All of :class:`werkzeug.wrappers.Request`, plus what the application's routing found:
    :attr:`url_rule`, :attr:`view_args`, :attr:`endpoint`, :attr:`blueprint`. Set
    :attr:`~carboy.Carboy.request_class` to a subclass to add to it.
    """

    dict_storage_class = Values

    #: Why matching failed (404, 405, a redirect), raised when the request is dispatched.
    routing_exception: HTTPException | None = None

    #: The rule that matched, or None: nothing matched, or matching has not happened yet.
    url_rule: Rule | None = None

    #: The values of the rule's variables by name, or None when no rule matched.
    view_args: dict[str, t.Any] | None = None

    _query: bytes | None = None
    _head: RequestHead
    _is_plain = not SLOW

    def __init_subclass__(cls, **options: t.Any) -> None:
        super().__init_subclass__(**options)
        cls._is_plain = False

    def __init__(
        self, environ: WSGIEnvironment, populate_request: bool = True, shallow: bool = False
    ) -> None:
        self.environ = environ
        if shallow:
            self.shallow = True
        elif populate_request:
            environ["werkzeug.request"] = self

    @classmethod
    def of(cls, head: RequestHead) -> t.Self:
        """The request with this head; its environ may not have been made yet, and need not be."""
        if head.made is not None or cls.__init__ is not Request.__init__:
            return cls(head.environ)
        request = cls.__new__(cls)
        request._head = head
        request._get = head.get  # type: ignore[method-assign]
        return request

    # -- what Werkzeug's constructor would have read at once ---------------------------------

    if not t.TYPE_CHECKING:

        @lazy
        def environ(self) -> WSGIEnvironment:
            environ = self._head.environ
            environ["werkzeug.request"] = self
            return environ

        @lazy
        def method(self) -> str:
            return self._get("REQUEST_METHOD", "GET").upper()

        @lazy
        def scheme(self) -> str:
            return self._get("wsgi.url_scheme", "http")

        @lazy
        def server(self) -> tuple[str, int | None] | None:
            return _get_server(self.environ)

        @lazy
        def root_path(self) -> str:
            return decode_latin1(self._get("SCRIPT_NAME") or "").rstrip("/")

        @lazy
        def path(self) -> str:
            return "/" + decode_latin1(self._get("PATH_INFO") or "").lstrip("/")

        @property
        def query_string(self) -> bytes:
            query = self._query
            if query is None:
                text = self._get("QUERY_STRING", "")
                try:
                    query = text.encode("latin1")
                except UnicodeEncodeError:  # a server that hands over decoded text
                    query = text.encode(errors="surrogateescape")
                self._query = query
            return query

        @query_string.setter
        def query_string(self, value: bytes) -> None:
            self._query = value

        @lazy
        def headers(self) -> EnvironHeaders:
            return EnvironHeaders(self.environ)

        @lazy
        def remote_addr(self) -> str | None:
            return self._get("REMOTE_ADDR")

        @lazy
        def cookies(self) -> MultiDictType:
            header = self._get("HTTP_COOKIE")
            if not header:
                return self.dict_storage_class()
            return parse_cookies(header, self.dict_storage_class)

        @lazy
        def args(self) -> MultiDictType:
            text = self._get("QUERY_STRING", "")
            if "&" in text and (ctx := _cv.get(None)) is not None:
                limit = ctx.app.config["MAX_QUERY_FIELDS"]
                if limit is not None and text.count("&") >= limit:
                    raise BadRequest(f"The address has more than {limit} parameters.")
            if self._query is None and type(self) is Request and text.isascii():
                return parse_pairs(text, self.parameter_storage_class)
            return parse_query(self.query_string, self.parameter_storage_class)

        @lazy
        def full_path(self) -> str:
            return f"{self.path}?{self.query_string.decode(errors='replace')}"

        @lazy
        def authorization(self) -> Authorization | None:
            try:
                return Authorization.from_header(self._get("HTTP_AUTHORIZATION"))
            except ValueError:  # no Base64: no credentials (RFC 7617 section 2)
                return None

        @lazy
        def date(self) -> datetime | None:
            return date_or_none(self._get("HTTP_DATE"))

        @lazy
        def if_modified_since(self) -> datetime | None:
            return date_or_none(self._get("HTTP_IF_MODIFIED_SINCE"))

        @lazy
        def if_unmodified_since(self) -> datetime | None:
            return date_or_none(self._get("HTTP_IF_UNMODIFIED_SINCE"))

        @lazy
        def if_range(self) -> IfRange:
            value = self._get("HTTP_IF_RANGE")
            return parse_if_range_header(value if value and is_date(value) else None)

    # -- routing ------------------------------------------------------------------------------

    @property
    def endpoint(self) -> str | None:
        """The endpoint of the rule that matched, or None."""
        rule = self.url_rule
        return None if rule is None else rule.endpoint

    @property
    def blueprint(self) -> str | None:
        """The registered name of the view's blueprint, or None outside blueprints.

        For a nested blueprint it is the dotted path, such as ``"admin.users"``.
        """
        endpoint = self.endpoint
        if endpoint is None or "." not in endpoint:
            return None
        return endpoint[: endpoint.rindex(".")]

    @property
    def blueprints(self) -> list[str]:
        """The names of the view's blueprint and its parents, innermost first."""
        name = self.blueprint
        return [] if name is None else list(_split_blueprint_path(name))


#: Request headers that hold a date. If-Range may hold an entity tag instead.
_CONDITIONS = ("HTTP_IF_MODIFIED_SINCE", "HTTP_IF_UNMODIFIED_SINCE", "HTTP_IF_RANGE")


def encode(text: str) -> bytes:
    """The text as UTF-8; a lone surrogate, which has no UTF-8 form, becomes ``?``."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="replace")


#: ``bytes=-500``: the last so many bytes.
_SUFFIX = re.compile(r"\s*bytes\s*=\s*-0*([1-9][0-9]*)\s*", re.ASCII)


class Response(ResponseBase):
    """The response that a view returns or that Carboy makes of what it returned.

    All of :class:`werkzeug.wrappers.Response`, as HTML unless told otherwise. Set
    :attr:`~carboy.Carboy.response_class` to a subclass to change it for an application.
    """

    default_mimetype: str | None = "text/html"

    json_module: t.Any = json

    #: ``Location`` is sent as given; RFC 9110 section 10.2.2 allows a relative reference.
    autocorrect_location_header = False

    def __init__(
        self,
        response: t.Any = None,
        status: t.Any = None,
        headers: t.Any = None,
        mimetype: str | None = None,
        content_type: str | None = None,
        direct_passthrough: bool = False,
    ) -> None:
        if not headers and not isinstance(headers, HeadersBase):
            made: HeadersBase = Headers.__new__(Headers)
            made._list = []
        else:
            made = headers if isinstance(headers, HeadersBase) else Headers(headers)
        if content_type is None:
            if mimetype is None and (not headers or "content-type" not in made):
                mimetype = self.default_mimetype
            if mimetype is not None:
                content_type = content_type_of(mimetype, "utf-8")
                if not headers:
                    made._list.append(("Content-Type", content_type))
                else:
                    made["Content-Type"] = content_type
        else:
            made["Content-Type"] = content_type
        self.headers = made
        if status is None and self.default_status == 200:
            self._status, self._status_code = "200 OK", 200
        else:
            self.status = self.default_status if status is None else status
        self.direct_passthrough = direct_passthrough
        self._on_close = []
        if response is None:
            self.response = []
        elif not isinstance(response, str | bytes | bytearray):
            self.response = response
        elif type(self) is Response and not headers and not SLOW:
            body = encode(response) if isinstance(response, str) else bytes(response)
            made._list.append(("Content-Length", str(len(body))))
            self.response = [body]
        else:
            self.set_data(t.cast("str | bytes", response))

    def _clean_status(self, value: t.Any) -> tuple[str, int]:
        return status_of(value)

    @classmethod
    def force_type(
        cls, response: ResponseBase, environ: WSGIEnvironment | None = None
    ) -> ResponseBase:
        """Make a response of this class of another one, in place, or of a WSGI application.

        Raises ValueError for a status or headers that this class would not have taken.
        """
        foreign = not isinstance(response, Response)
        made = super().force_type(response, environ)
        if foreign:
            made.status = made._status
            if type(made.headers) is HeadersBase:
                made.headers = Headers(made.headers)
        return made

    def set_cookie(
        self,
        key: str,
        value: str = "",
        max_age: timedelta | int | None = None,
        expires: str | datetime | int | float | None = None,
        path: str | None = "/",
        domain: str | None = None,
        secure: bool = False,
        httponly: bool = False,
        samesite: str | None = None,
        partitioned: bool = False,
    ) -> None:
        """Set a cookie; ``max_age`` is in seconds, and ``expires`` a time.

        The value is quoted as needed. Raises ValueError for a name, a domain or a ``samesite``
        that a cookie cannot have.
        """
        header = plain_cookie(
            key,
            value,
            max_age,
            expires,
            CookieScope(path, domain, secure, httponly, samesite, partitioned),
        )
        if header is not None:
            limit = self.max_cookie_size
            if not limit or len(header) <= limit:
                self.headers.add("Set-Cookie", header)
                return
        header = dump_cookie(
            key,
            value,
            max_age,
            expires,
            path,
            domain,
            secure,
            httponly,
            max_size=self.max_cookie_size,
            samesite=samesite,
            partitioned=partitioned,
        )
        self.headers.add("Set-Cookie", header.translate(LEFT_BARE))

    def set_data(self, value: str | bytes) -> None:
        """Replace the body; text is encoded as UTF-8. Sets Content-Length."""
        super().set_data(encode(value) if isinstance(value, str) else value)

    def make_conditional(
        self,
        request_or_environ: WSGIEnvironment | RequestBase,
        accept_ranges: bool | str = False,
        complete_length: int | None = None,
    ) -> t.Self:
        """Answer a conditional or a range request, with 304, 206 or 416, as Werkzeug's does.

        A date that no calendar has is no condition (RFC 9110 section 13.1.3), and a suffix range
        longer than the body is all of it (section 14.1.2).
        """
        environ: t.Any = getattr(request_or_environ, "environ", request_or_environ)
        unusable = [
            name for name in _CONDITIONS if environ.get(name) and not is_date(environ[name])
        ]
        if unusable:
            environ = {name: environ[name] for name in environ if name not in unusable}
        wanted = environ.get("HTTP_RANGE")
        if wanted and complete_length and (suffix := _SUFFIX.fullmatch(wanted)):
            digits = suffix[1]
            if len(digits) > 18 or int(digits) > complete_length:
                environ = {**environ, "HTTP_RANGE": f"bytes=-{complete_length}"}
        super().make_conditional(environ, accept_ranges, complete_length)
        return self

    def _wrap_range_response(self, start: int, length: int) -> None:
        narrow = getattr(self.response, "narrow", None)
        if narrow is None:
            super()._wrap_range_response(start, length)
        else:
            narrow(start, length)

    @property
    def max_cookie_size(self) -> int:  # type: ignore[override]
        """Bytes above which a cookie is warned about: ``MAX_COOKIE_SIZE``, 0 for never."""
        app = app_or_none()
        if app is None:
            return ResponseBase.max_cookie_size
        size: int = app.config["MAX_COOKIE_SIZE"]
        return size

    def get_wsgi_response(
        self, environ: WSGIEnvironment
    ) -> tuple[t.Iterable[bytes], str, list[tuple[str, str]]]:
        """The body's iterable, the status line and the header list for ``environ``."""
        plain = self.plain_answer(environ["REQUEST_METHOD"])
        return super().get_wsgi_response(environ) if plain is None else plain

    def plain_answer(
        self, method: str
    ) -> tuple[t.Iterable[bytes], str, list[tuple[str, str]]] | None:
        """As :meth:`get_wsgi_response`, but None where Werkzeug has something to settle."""
        if type(self.headers) is not Headers:
            self._check_headers()
        cls = type(self)
        if (
            self._status_code >= 200
            and self._status_code not in (204, 304)
            and cls.get_wsgi_headers is ResponseBase.get_wsgi_headers
            and cls.get_app_iter is ResponseBase.get_app_iter
        ):
            listed = self._plain_headers()
            if listed is not None:
                if type(self.response) is list and not self._on_close:
                    return (
                        () if method == "HEAD" else self.response,
                        self._status,
                        listed,
                    )
                if method != "HEAD":
                    if not self.direct_passthrough or self._on_close:
                        return ClosingBody(self), self._status, listed
                    return self.response, self._status, listed  # type: ignore[return-value]
        return None

    def close(self) -> None:
        """Close the body and run the ``call_on_close`` functions, all of them.

        Raises the first error of these at last.
        """
        errors = FirstError()
        for function in (getattr(self.response, "close", None), *self._on_close):
            if function is not None:
                try:
                    function()
                except BaseException as error:
                    errors.note(error)
        errors.reraise()

    def _check_headers(self) -> None:
        """Check headers of Werkzeug's class, which somebody handed over, or a dict's, a list's."""
        try:
            if not isinstance(self.headers, HeadersBase):
                self.headers = Headers(self.headers)
            check_pairs(self.headers)
        except ValueError:
            self.close()
            raise

    def _plain_headers(self) -> list[tuple[str, str]] | None:
        """The headers as they stand, or None where Werkzeug has something to settle in them."""
        listed = list(self.headers._list)
        length_known = False
        for name, _ in listed:
            if len(name) in _SETTLED_LENGTHS:
                lowered = name.lower()
                if lowered == "content-length":
                    length_known = True
                elif lowered in ("location", "content-location"):
                    return None
        if type(self.response) is list:
            for chunk in self.response:
                if type(chunk) is not bytes:
                    return None
            if not length_known:
                if not self.automatically_set_content_length:
                    return None
                listed.append(("Content-Length", str(sum(map(len, self.response)))))
        elif not length_known and self.is_sequence:
            return None
        return super().get_wsgi_headers({}).to_wsgi_list() if SLOW else listed


# PERF: the length of the three names that are looked for rules out most others; 0.5 µs.
_SETTLED_LENGTHS = frozenset({8, 14, 16})
