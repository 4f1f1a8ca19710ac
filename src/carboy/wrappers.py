"""Request and Response: Werkzeug's classes with the work put off until it is asked for.

Both are true subclasses of Werkzeug's, so everything documented there holds. What differs is the
moment: a :class:`Request` keeps the WSGI environ and reads a part of it when that attribute is
first used. :class:`Response` is written in ``responses.py``.
"""

from __future__ import annotations

import typing as t
from datetime import datetime
from functools import lru_cache

from werkzeug.datastructures import Authorization, EnvironHeaders, IfRange, ImmutableMultiDict
from werkzeug.exceptions import BadRequest, HTTPException
from werkzeug.http import parse_if_range_header
from werkzeug.wsgi import _get_server

from .body import (
    Values,
    decode_latin1,
    parse_cookies,
    parse_pairs,
    parse_query,
)
from .dates import date_or_none, is_date
from .descriptors import lazy
from .globals import _cv
from .receiving import BodyReader
from .responses import Response as Response
from .responses import encode as encode
from .shortcuts import SLOW

if t.TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment
    from werkzeug.routing import Rule

    from .transport import RequestHead

    MultiDictType = ImmutableMultiDict[str, str]


_current = _cv.get


@lru_cache(maxsize=256)
def _split_blueprint_path(name: str) -> tuple[str, ...]:
    """``"a.b.c"`` → ``("a.b.c", "a.b", "a")``: a nested blueprint, then its parents."""
    parts = name.split(".")
    return tuple(".".join(parts[:n]) for n in range(len(parts), 0, -1))


class _HeadersOf(EnvironHeaders):
    """The headers of a request whose environ has not been made, and need not be for one of them."""

    def __init__(self, head: RequestHead) -> None:
        self._list = []
        self._head = head

    if not t.TYPE_CHECKING:

        @lazy
        def environ(self) -> WSGIEnvironment:
            return self._head.environ

    def _get_key(self, key: t.Any) -> str:
        head = self._head
        if head.made is not None or not isinstance(key, str):
            return super()._get_key(key)
        # PERF: 5 µs of the bench case "cookies".
        name = key.upper().replace("-", "_")
        if name not in _UNPREFIXED:
            name = f"HTTP_{name}"
        value: str | None = head.get(name)
        if value is None:
            raise KeyError(name)
        return value


_UNPREFIXED = frozenset({"CONTENT_TYPE", "CONTENT_LENGTH"})

# To a user it is Werkzeug's class; its repr says so.
_HeadersOf.__name__ = _HeadersOf.__qualname__ = "EnvironHeaders"


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
        # PERF: one attribute, for a method and another attribute at each use; bench case "path".
        self._get = environ.get  # type: ignore[method-assign, assignment]
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
            if SLOW:
                return EnvironHeaders(self.environ)
            if "environ" not in self.__dict__:
                return _HeadersOf(self._head)
            # PERF: as its constructors do; 0.4 µs, bench case "cookies and headers".
            made = EnvironHeaders.__new__(EnvironHeaders)
            made._list = []
            made.environ = self.environ
            return made

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
            if "&" in text and (ctx := _current(None)) is not None:
                limit = ctx.app.config["MAX_QUERY_FIELDS"]
                if limit is not None and text.count("&") >= limit:
                    raise BadRequest(f"The address has more than {limit} parameters.")
            if self._is_plain and self._query is None and text.isascii():
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
