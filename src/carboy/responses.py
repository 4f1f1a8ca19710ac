"""Response: Werkzeug's class, which writes plain replies without the general header passes."""

from __future__ import annotations

import re
import typing as t
from datetime import datetime, timedelta

from werkzeug.datastructures import Headers as HeadersBase
from werkzeug.http import dump_cookie, remove_entity_headers
from werkzeug.wrappers import Request as RequestBase
from werkzeug.wrappers import Response as ResponseBase
from werkzeug.wsgi import ClosingIterator

from . import json
from .body import ClosingBody, encoded
from .dates import is_date
from .errors import FirstError
from .globals import _cv
from .headers import (
    CONTENT_TYPES,
    LEFT_BARE,
    LENGTHS,
    Headers,
    check_pairs,
    content_type_of,
    plain_cookie,
    status_of,
)
from .shortcuts import SLOW
from .transport import Reply

if t.TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


def encode(text: str) -> bytes:
    """The text as UTF-8; a lone surrogate, which has no UTF-8 form, becomes ``?``."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="replace")


#: ``bytes=-500``: the last so many bytes.
_SUFFIX = re.compile(r"\s*bytes\s*=\s*-0*([1-9][0-9]*)\s*", re.ASCII)


#: Request headers that hold a date. If-Range may hold an entity tag instead.
_CONDITIONS = ("HTTP_IF_MODIFIED_SINCE", "HTTP_IF_UNMODIFIED_SINCE", "HTTP_IF_RANGE")


_TEXT = (str, bytes, bytearray)


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
        if (
            headers is None
            and status is None
            and content_type is None
            and type(self) is Response
            and self.default_status == 200
            and (name := self.default_mimetype if mimetype is None else mimetype) is not None
            and not SLOW
        ):
            # PERF: the same as below, for what a view returned; bench cases "hooks", "streaming".
            self.headers = plain = Headers.__new__(Headers)
            self._status = "200 OK"
            self._status_code = 200
            self.direct_passthrough = direct_passthrough
            self._on_close = []
            if isinstance(response, _TEXT):
                body = encode(response) if isinstance(response, str) else bytes(response)
                plain._list = [CONTENT_TYPES[name], LENGTHS[len(body)]]
                self.response = [body]
            else:
                plain._list = [CONTENT_TYPES[name]]
                self.response = [] if response is None else response
            return
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
        elif not isinstance(response, _TEXT):
            self.response = response
        elif type(self) is Response and not headers and not SLOW:
            body = encode(response) if isinstance(response, str) else bytes(response)
            made._list.append(LENGTHS[len(body)])
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
            # PERF: as good as a CookieScope, and made at once.
            (path, domain, secure, httponly, samesite, partitioned),
        )
        if header is not None:
            limit = self.max_cookie_size
            if not limit or len(header) <= limit:
                if type(self.headers) is Headers:
                    self.headers._list.append(("Set-Cookie", header))  # nothing left to check
                else:
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
        ctx = _cv.get(None)
        if ctx is None:
            return ResponseBase.max_cookie_size
        size: int = ctx.app.config["MAX_COOKIE_SIZE"]
        return size

    def get_wsgi_response(
        self, environ: WSGIEnvironment
    ) -> tuple[t.Iterable[bytes], str, list[tuple[str, str]]]:
        """The body's iterable, the status line and the header list for ``environ``."""
        plain = self.plain_reply(environ["REQUEST_METHOD"])
        if plain is None:
            return super().get_wsgi_response(environ)
        return plain.body, plain.status, plain.headers

    def plain_reply(self, method: str) -> Reply | None:
        """What :meth:`get_wsgi_response` gives, or None where Werkzeug has something to settle."""
        if type(self.headers) is not Headers:
            self._check_headers()
        cls = type(self)
        status = self._status
        code = self._status_code
        if (
            code < 200
            or code == 204
            or (SLOW and (code == 304 or method == "HEAD"))
            or cls.get_wsgi_headers is not ResponseBase.get_wsgi_headers
            or cls.get_app_iter is not ResponseBase.get_app_iter
            or (listed := self._plain_headers()) is None
        ):
            return None
        # PERF: what Werkzeug does to these two, without its look at all headers; 15 µs of a 304.
        bare = method == "HEAD"
        if code == 304:
            bare = True
            remove_entity_headers(listed)
        if type(self.response) is list and not self._on_close:
            return Reply(status, listed, () if bare else self.response)
        if bare:
            return Reply(status, listed, ClosingIterator((), self.close))
        if not self.direct_passthrough or self._on_close:
            return Reply(status, listed, ClosingBody(self))
        return Reply(status, listed, self.response)  # type: ignore[arg-type]

    def close(self) -> None:
        """Close the body and run the ``call_on_close`` functions, all of them.

        Raises the first error of these at last.
        """
        close = getattr(self.response, "close", None)
        if not self._on_close:
            if close is not None:
                close()
            return
        errors = FirstError()
        for function in (close, *self._on_close):
            if function is not None:
                try:
                    function()
                except BaseException as error:
                    errors.note(error)
        errors.reraise()

    def iter_encoded(self) -> t.Iterator[bytes]:
        """The chunks of the body, text as UTF-8."""
        if isinstance(self.response, str):
            return super().iter_encoded()  # which warns
        return encoded(self.response)

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
