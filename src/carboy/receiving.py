"""The part of a request that reads its body: the limits, the stream, the data, JSON and forms.

:class:`~carboy.Request` is made of this and of what is known before the body is looked at.
"""

from __future__ import annotations

import io
import re
import typing as t

from werkzeug.exceptions import BadRequest, ClientDisconnected, RequestEntityTooLarge
from werkzeug.wrappers import Request as RequestBase

from . import json
from .body import (
    AT_ONCE,
    LENGTH_DIGITS,
    BodyStream,
    Values,
    declared_length,
    is_chunked,
    parse_query,
)
from .descriptors import lazy
from .formparsing import FormParser
from .globals import _cv, app_or_none

if t.TYPE_CHECKING:
    from werkzeug.datastructures import ImmutableMultiDict

    from .config import Config

_JSON = "application/json"
_URLENCODED = "application/x-www-form-urlencoded"
_MULTIPART_TYPE = "multipart/form-data"
_MULTIPART = re.compile(r"multipart/form-data; ?boundary=([0-9A-Za-z_.+-]+)")

#: Bytes of the largest form with files that is taken into memory as a whole.
_SMALL = 64 * 1024


class BodyReader(RequestBase):
    """Werkzeug's request with limits from the configuration and a guarded body."""

    json_module: t.Any = json
    form_data_parser_class = FormParser
    parameter_storage_class = Values

    # Limits of this request alone, set by its view.
    _max_content_length: int | None = None
    _max_form_parts: int | None = None
    _max_form_memory_size: int | None = None

    #: Whether there may be files to close.
    _may_have_files = False

    shallow = False
    _stream: t.IO[bytes] | None = None

    #: The length of a body that was read without a stream, which then is at its end.
    _taken: int | None = None

    #: Whether this is the class of which shortcuts know everything.
    _is_plain = False

    def _get(self, key: str, default: t.Any = None) -> t.Any:
        """What the environ has under ``key``; asked for in this way it need not be made."""
        return self.environ.get(key, default)

    # -- limits -------------------------------------------------------------------------------

    def _limit(self, key: str, fallback: int | None) -> int | None:
        app = app_or_none()
        return fallback if app is None else app.config[key]

    @property
    def max_content_length(self) -> int | None:
        """The most bytes a body may have, or None for no limit; over it reading is a 413.

        ``MAX_CONTENT_LENGTH`` unless the view sets another value before it reads the body.
        """
        own = self._max_content_length
        return self._limit("MAX_CONTENT_LENGTH", None) if own is None else own

    @max_content_length.setter
    def max_content_length(self, value: int | None) -> None:
        self._max_content_length = value

    @property
    def max_form_memory_size(self) -> int | None:
        """The most bytes that form fields (not files) may take together, or None; 413 over it.

        ``MAX_FORM_MEMORY_SIZE`` (500,000 bytes) unless set on this request.
        """
        own = self._max_form_memory_size
        return self._limit("MAX_FORM_MEMORY_SIZE", 500_000) if own is None else own

    @max_form_memory_size.setter
    def max_form_memory_size(self, value: int | None) -> None:
        self._max_form_memory_size = value

    @property  # type: ignore[override]
    def max_form_parts(self) -> int | None:
        """The most fields and files that a form may have, or None; over it parsing is a 413.

        ``MAX_FORM_PARTS`` (1,000) unless set on this request.
        """
        own = self._max_form_parts
        return self._limit("MAX_FORM_PARTS", 1_000) if own is None else own

    @max_form_parts.setter
    def max_form_parts(self, value: int | None) -> None:
        self._max_form_parts = value

    # -- the body as bytes --------------------------------------------------------------------

    if not t.TYPE_CHECKING:
        _cached_data: bytes | None = None

        @lazy
        def content_length(self) -> int | None:
            environ = self.environ
            length = declared_length(environ)
            if length is None and "CONTENT_LENGTH" in environ and not is_chunked(environ):
                return 0  # no number, as Werkzeug has it; reading the body says so with a 400
            return length

        @property
        def stream(self) -> t.IO[bytes]:
            stream = self._stream
            if stream is None:
                if self.shallow:
                    raise RuntimeError(
                        "This request was made with shallow=True: its body belongs to another"
                        " reader. Make it without that argument to read the stream."
                    )
                if self._taken is None:
                    stream = BodyStream.of(self.environ, self.max_content_length)
                else:
                    stream = BodyStream.read_to(self._taken)
                self._stream = stream
            return stream

        @stream.setter
        def stream(self, value: t.IO[bytes]) -> None:
            self._stream = value

        @stream.deleter
        def stream(self) -> None:
            self._stream = None

        def get_data(
            self, cache: bool = True, as_text: bool = False, parse_form_data: bool = False
        ) -> t.Any:
            data = self._cached_data
            if data is None:
                if parse_form_data:
                    self._load_form_data()
                # PERF: most bodies need no stream of their own; 1 µs, bench case "JSON echo".
                ctx = _cv.get(None) if self._is_plain else None
                if ctx is None or (data := self._take_body(ctx.app.config, None)) is None:
                    data = self.stream.read()
                if cache:
                    self._cached_data = data
            return data.decode(errors="replace") if as_text else data

    def _take_body(self, config: Config, most: int | None) -> bytes | None:
        """The whole body, read without a stream; None, and nothing read, where that cannot be.

        ``most`` is a limit beside that of ``MAX_CONTENT_LENGTH``. Raises ClientDisconnected (400)
        for a body that is cut short.
        """
        get = self._get
        text = get("CONTENT_LENGTH")
        if (
            not text
            or self._stream is not None
            or self._taken is not None
            or self.shallow
            or get("HTTP_TRANSFER_ENCODING") is not None
            or len(text) > LENGTH_DIGITS
            or not text.isascii()
            or not text.isdigit()
        ):
            return None
        length = int(text)
        limit = self._max_content_length
        if limit is None:
            limit = config["MAX_CONTENT_LENGTH"]
        if (
            not length
            or length > AT_ONCE
            or (limit is not None and length > limit)
            or (most is not None and length > most)
        ):
            return None
        try:
            data: bytes = get("wsgi.input").read(length)
        except (OSError, ValueError) as error:
            self._taken = length
            raise ClientDisconnected() from error
        if len(data) == length:
            self._taken = length
            return data
        # A server that gives what it has, or a client that has gone: the stream knows what to do.
        stream: t.Any = self.stream
        return t.cast(bytes, stream._counted(data) + stream.readall())

    # -- JSON ---------------------------------------------------------------------------------

    if not t.TYPE_CHECKING:

        @lazy
        def mimetype(self) -> str:
            return self._get("CONTENT_TYPE", "").partition(";")[0].strip().lower()

        @lazy
        def mimetype_params(self) -> dict[str, str]:
            # PERF: a fifth of the time of reading any header; bench case "multipart".
            found = _MULTIPART.fullmatch(self._get("CONTENT_TYPE", "")) if self._is_plain else None
            return super().mimetype_params if found is None else {"boundary": found[1]}

        @property
        def is_json(self) -> bool:
            if self._get("CONTENT_TYPE") == _JSON:
                return True
            mimetype = self.mimetype
            return mimetype == _JSON or (
                mimetype.startswith("application/") and mimetype.endswith("+json")
            )

        @property
        def json(self) -> t.Any:
            return self.get_json()

        def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> t.Any:
            if cache:
                known = self._cached_json[silent]
                if known is not Ellipsis:
                    return known
            if not (force or self.is_json):
                return None if silent else self.on_json_loading_failed(None)
            try:
                value = self._parse_json(self.get_data(cache=cache))
            except ValueError as error:
                if silent:
                    value = None
                    outcome = (self._cached_json[False], None)
                else:
                    value = self.on_json_loading_failed(error)
                    outcome = (value, self._cached_json[True])
            else:
                outcome = (value, value)
            if cache:
                self._cached_json = outcome
            return value

    def _parse_json(self, data: bytes) -> t.Any:
        # RFC 8259 has no NaN and no infinities; Python's parser lets them in unless told.
        # A zero byte: UTF-16 or UTF-32, in which they look different.
        if b"NaN" in data or b"Infinity" in data or b"\0" in data:
            return self.json_module.loads(data, parse_constant=_refuse_constant)
        return self.json_module.loads(data)

    def on_json_loading_failed(self, e: ValueError | None) -> t.Any:
        """What :meth:`get_json` answers for a body it cannot use: raises, or a value instead.

        ``e`` is the parser's error, or None when the content type was not JSON (415). A 400
        tells its reason only in debug mode.
        """
        try:
            return super().on_json_loading_failed(e)
        except BadRequest as error:
            app = app_or_none()
            if app is not None and app.debug:
                raise
            raise BadRequest() from error

    # -- forms --------------------------------------------------------------------------------

    if not t.TYPE_CHECKING:

        @lazy
        def form(self) -> ImmutableMultiDict[str, str]:
            if (
                self._is_plain
                and (self._get("CONTENT_TYPE") == _URLENCODED or self.mimetype == _URLENCODED)
                and (form := self._plain_form()) is not None
            ):
                return form
            self._load_form_data()
            return self.__dict__["form"]

        @lazy
        def files(self) -> t.Any:
            self._load_form_data()
            files = self.__dict__.setdefault("files", self.parameter_storage_class())
            if not files:
                self._explain_missing_files()
            return files

    def _explain_missing_files(self) -> None:
        app = app_or_none()
        if app is not None and app.debug and self.mimetype != _MULTIPART_TYPE:
            # A missing file is most often a form that forgot its enctype: say so.
            from .debughelpers import attach_enctype_error_multidict

            attach_enctype_error_multidict(self)  # type: ignore[arg-type]

    def _plain_form(self) -> Values | None:
        """The fields of a small urlencoded body; None, and nothing read, for other bodies."""
        # PERF: without a parser, a stream and its blocks; 10 µs, bench case "form".
        ctx = _cv.get(None)
        if (
            ctx is None
            or self._cached_data is not None
            or self.parameter_storage_class is not Values
            or self.form_data_parser_class is not FormParser
        ):
            return None
        config = ctx.app.config
        most = self._max_form_memory_size
        if most is None:
            most = config["MAX_FORM_MEMORY_SIZE"]
        data = self._take_body(config, most)
        if data is None:
            return None
        parts = self._max_form_parts
        if parts is None:
            parts = config["MAX_FORM_PARTS"]
        if parts is not None and data.count(b"&") >= parts:
            raise RequestEntityTooLarge()
        return t.cast(Values, parse_query(data, Values))

    def _get_stream_for_parsing(self) -> t.IO[bytes]:
        # PERF: a small form is taken at once and read from memory; 2 µs, bench case "multipart".
        if self._is_plain and self.mimetype == _MULTIPART_TYPE and self._cached_data is None:
            ctx = _cv.get(None)
            data = None if ctx is None else self._take_body(ctx.app.config, _SMALL)
            if data is not None:
                return io.BytesIO(data)
        return super()._get_stream_for_parsing()

    def _load_form_data(self) -> None:
        known = self.__dict__
        if "form" not in known:
            super()._load_form_data()
            stream = known.pop("stream")
            if self._taken is None or self._cached_data is not None:
                self._stream = stream
            self._may_have_files = bool(known["files"])

    def close(self) -> None:
        """Close the files of the form."""
        # PERF: nothing to close without files, which is nearly always; 0.7 µs.
        if self._may_have_files:
            super().close()


def _refuse_constant(name: str) -> t.NoReturn:
    raise ValueError(f"{name} is not a JSON value (RFC 8259 section 6).")
