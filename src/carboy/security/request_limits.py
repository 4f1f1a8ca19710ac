"""Limits on requests that are off unless they are set: header sizes, JSON, compressed bodies.

``RequestLimits(app)`` reads the settings and hooks in what they ask for; nothing else is paid.
"""

from __future__ import annotations

import io
import re
import typing as t
import zlib

from werkzeug.exceptions import (
    BadRequest,
    RequestHeaderFieldsTooLarge,
    UnsupportedMediaType,
)

from carboy.body import BodyStream
from carboy.globals import _get_request_context

if t.TYPE_CHECKING:
    from carboy.app import Carboy

_DEFAULTS: t.Mapping[str, t.Any] = {
    "MAX_HEADER_SIZE": None,
    "MAX_JSON_DEPTH": None,
    "MAX_JSON_INTEGER_LENGTH": None,
    "REQUEST_DECOMPRESSION": False,
}
_CODINGS = {"gzip": 31, "x-gzip": 31, "deflate": 15}  # zlib's names for their wrappers
_PIECE = 64 * 1024


class RequestLimits:
    """Holds an application's requests to ``MAX_HEADER_SIZE``, ``MAX_JSON_DEPTH`` and
    ``MAX_JSON_INTEGER_LENGTH``, and inflates their bodies if ``REQUEST_DECOMPRESSION`` is on."""

    def __init__(self, app: Carboy | None = None) -> None:
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Carboy) -> None:
        """Hook in what the settings of ``app`` ask for.

        Raises ValueError for decompression without ``MAX_CONTENT_LENGTH``: a few bytes can hold
        gigabytes.
        """
        if "carboy.request_limits" in app.extensions:
            return
        for name, value in _DEFAULTS.items():
            app.config.setdefault(name, value)
        config = app.config
        app.extensions["carboy.request_limits"] = self
        hooks = app.before_request_funcs.setdefault(None, [])
        if config["REQUEST_DECOMPRESSION"]:
            if config["MAX_CONTENT_LENGTH"] is None:
                raise ValueError(
                    "REQUEST_DECOMPRESSION is on and MAX_CONTENT_LENGTH is not set. A few bytes can"
                    " inflate to gigabytes: set MAX_CONTENT_LENGTH to what a body may have inflated."
                )
            hooks.insert(0, inflate_body)
        if config["MAX_HEADER_SIZE"] is not None:
            hooks.insert(0, check_headers)
        depth, digits = config["MAX_JSON_DEPTH"], config["MAX_JSON_INTEGER_LENGTH"]
        if depth is not None or digits is not None:
            loads = app.json.loads

            def limited(s: str | bytes, **kwargs: t.Any) -> t.Any:
                check_json(s, depth, digits)
                return loads(s, **kwargs)

            app.json.loads = limited  # type: ignore[method-assign]


def check_headers() -> None:
    """Refuse a request whose headers have more than ``MAX_HEADER_SIZE`` bytes together: 431."""
    ctx = _get_request_context()
    size = 0
    for name, value in ctx.head.environ.items():
        if name.startswith("HTTP_"):
            size += len(name) - 5 + len(value) + 4  # as sent: name, colon, space, line end
    if size > ctx.app.config["MAX_HEADER_SIZE"]:
        raise RequestHeaderFieldsTooLarge()


def check_json(document: str | bytes, depth: int | None, digits: int | None) -> None:
    """Look over a JSON document before it is read. ValueError if arrays and objects are nested
    deeper than ``depth``, or an integer has more than ``digits`` digits."""
    text = document if isinstance(document, str) else document.decode("utf-8", "replace")
    level = 0
    for token in _TOKEN.finditer(text):
        kind = token.group()
        if kind in "[{":
            level += 1
            if depth is not None and level > depth:
                raise ValueError(f"The JSON document is nested deeper than {depth} levels.")
        elif kind in "]}":
            level -= 1
        elif digits is not None and kind[0] != '"' and len(kind) > digits:
            raise ValueError(f"The JSON document has a number of more than {digits} digits.")


_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[\]{}]|[0-9]{2,}+', re.DOTALL)


def inflate_body() -> None:
    """Put the inflated body in the place of a compressed one, for whatever reads it.

    ``MAX_CONTENT_LENGTH`` holds for both. 415 for a coding other than gzip and deflate, and for more
    than one; reading raises a 400 for what is broken or cut.
    """
    ctx = _get_request_context()
    environ = ctx.head.environ
    coding = environ.get("HTTP_CONTENT_ENCODING", "").strip().lower()
    if coding in ("", "identity"):
        return
    wrapper = _CODINGS.get(coding)
    if wrapper is None:
        # RFC 9110 section 12.5.3: in a 415 this header says what may be sent.
        error = UnsupportedMediaType("Bodies may be compressed by gzip or deflate, once.")
        response = error.get_response(environ)
        response.headers["Accept-Encoding"] = "gzip, deflate"
        error.response = response
        raise error
    raw = BodyStream.of(environ, ctx.app.config["MAX_CONTENT_LENGTH"])
    environ["wsgi.input"] = io.BufferedReader(_Inflated(raw, wrapper), _PIECE)
    environ["wsgi.input_terminated"] = True
    for name in ("CONTENT_LENGTH", "HTTP_CONTENT_ENCODING"):
        environ.pop(name, None)


class _Inflated(io.RawIOBase):
    """A stream that gives no more at a time than it is asked for, however much it holds."""

    def __init__(self, raw: t.IO[bytes], wrapper: int) -> None:
        self._raw = raw
        self._wrapper = wrapper
        self._inflate = zlib.decompressobj(wrapper)
        self._waiting = b""
        self._begun = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: t.Any, /) -> int:
        while True:
            if not self._waiting and not self._inflate.eof:
                self._waiting = self._raw.read(_PIECE)
                if not self._waiting:
                    if self._begun:
                        raise BadRequest("The compressed body ends too soon.")
                    return 0
                self._begun = True
            elif self._inflate.eof and not self._next_member():
                return 0
            try:
                data = self._inflate.decompress(self._waiting, len(buffer))
            except zlib.error:
                raise BadRequest("The body is not compressed as its headers say.") from None
            self._waiting = self._inflate.unconsumed_tail
            if data:
                buffer[: len(data)] = data
                return len(data)

    def _next_member(self) -> bool:
        """A gzip file may have several members (RFC 1952 section 2.2); anything else ends here."""
        rest = self._inflate.unused_data or self._raw.read(_PIECE)
        if not rest:
            return False
        if self._wrapper != _CODINGS["gzip"]:
            raise BadRequest("There is something behind the compressed body.")
        self._inflate = zlib.decompressobj(self._wrapper)
        self._waiting = rest
        return True
