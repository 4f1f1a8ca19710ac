"""What ``app.json`` is: the object through which an application writes and reads JSON.

:class:`DefaultJSONProvider` uses the standard library. Its rule: a provider's settings are read at
each call (they may be set on the class or the instance, at any time), and a configured encoder is
kept as long as they stay the same.
"""

from __future__ import annotations

import dataclasses
import json
import json.encoder
import sys
import typing as t
import uuid
import weakref
from contextlib import suppress
from datetime import date
from math import isfinite
from operator import attrgetter

from carboy.dates import http_date
from carboy.shortcuts import SLOW

if t.TYPE_CHECKING:
    from carboy.app import Carboy
    from carboy.wrappers import Response

_Options = tuple[tuple[str, t.Any], ...]
_Encode = t.Callable[[t.Any], str]
_Write = t.Callable[[t.Any], bytes]

_JSON = "application/json"
_SETTINGS = ("default", "ensure_ascii", "sort_keys")
_COMPACT: _Options = (("separators", (",", ":")),)
_COMPACT_STRICT: _Options = (*_COMPACT, ("allow_nan", False))
_INDENTED: _Options = (("indent", 2),)
_INDENTED_STRICT: _Options = (*_INDENTED, ("allow_nan", False))

_UNDECIDED: t.Any = (None, None, _JSON)

_c_make_encoder = getattr(json.encoder, "c_make_encoder", None)
_scan = json.JSONDecoder().scan_once  # type: ignore[attr-defined]


class JSONProvider:
    """Base of JSON providers: a subclass gives :meth:`dumps` and :meth:`loads`.

    Set it up with :attr:`~carboy.Carboy.json_provider_class`, or assign an instance to
    ``app.json``.
    """

    def __init__(self, app: Carboy) -> None:
        self._app = t.cast("Carboy", weakref.proxy(app))

    def dumps(self, obj: t.Any, **kwargs: t.Any) -> str:
        """Return ``obj`` as JSON text. ``kwargs`` are the JSON library's."""
        raise NotImplementedError

    def dump(self, obj: t.Any, fp: t.IO[str], **kwargs: t.Any) -> None:
        """Write ``obj`` as JSON to a text file, which should be open for UTF-8."""
        fp.write(self.dumps(obj, **kwargs))

    def loads(self, s: str | bytes, **kwargs: t.Any) -> t.Any:
        """Return the value of a JSON document in text or UTF-8 bytes."""
        raise NotImplementedError

    def load(self, fp: t.IO[t.AnyStr], **kwargs: t.Any) -> t.Any:
        """Return the value of the JSON document in an open file."""
        return self.loads(fp.read(), **kwargs)

    def _prepare_response_obj(self, args: tuple[t.Any, ...], kwargs: dict[str, t.Any]) -> t.Any:
        if not kwargs:
            return args[0] if len(args) == 1 else args or None
        if args:
            raise TypeError("app.json.response() takes either args or kwargs, not both")
        return kwargs

    def response(self, *args: t.Any, **kwargs: t.Any) -> Response:
        """Return a response with the JSON of one value, of the arguments as a list, or of the
        keyword arguments as an object; of null without arguments.

        Raises :exc:`TypeError` when positional and keyword arguments are mixed.
        """
        text = self._response_text(self._prepare_response_obj(args, kwargs))
        return self._app.response_class(_sendable(text), mimetype=self._mimetype())

    def body(self, obj: t.Any) -> bytes:
        """Return the bytes that ``response(obj)`` carries."""
        if self._overrides_response():
            return self.response(obj).get_data()
        return self._response_text(obj).encode(errors="backslashreplace")

    def reply(self, obj: t.Any) -> tuple[bytes, str] | None:
        """Return body and mimetype of ``response(obj)`` without making the response object.

        None when a subclass or the instance has its own :meth:`response`: call that one.
        """
        if self._overrides_response():
            return None
        return self.body(obj), self._mimetype()

    # The three steps of ``response`` that the subclass below does in its own way.

    def _response_text(self, obj: t.Any) -> str:
        return self.dumps(obj)

    def _mimetype(self) -> str:
        return _JSON

    def _overrides_response(self) -> bool:
        return type(self).response is not _BASE_RESPONSE or "response" in self.__dict__


def _sendable(text: str) -> str | bytes:
    # A lone surrogate has no UTF-8 form, and its backslash form is the very JSON escape.
    return text if text.isascii() else text.encode(errors="backslashreplace")


def _default(o: t.Any) -> t.Any:
    """JSON types for values the :mod:`json` module does not know; :exc:`TypeError` for others."""
    if isinstance(o, date):
        return http_date(o)
    decimal = sys.modules.get("decimal")  # a Decimal exists only once the module does
    if isinstance(o, uuid.UUID) or (decimal is not None and isinstance(o, decimal.Decimal)):
        return str(o)
    if dataclasses.is_dataclass(o):
        return dataclasses.asdict(t.cast("t.Any", o))
    markup = getattr(o, "__html__", None)
    if markup is not None:
        return str(markup())
    error = TypeError(f"Object of type {type(o).__name__} is not JSON serializable")
    error.add_note(
        "Convert the value first, or subclass carboy.json.provider.DefaultJSONProvider with a"
        " `default` method for it and set `json_provider_class` on the application."
    )
    raise error


class DefaultJSONProvider(JSONProvider):
    """JSON by the standard library, and besides:

    dates and datetimes as HTTP dates, :class:`~uuid.UUID` and :class:`~decimal.Decimal` as
    strings, dataclasses as objects, and whatever has ``__html__`` as that markup.
    """

    #: Called with a value that JSON has no type for; returns one it has, or raises TypeError.
    default: t.Callable[[t.Any], t.Any] = staticmethod(_default)

    #: Write characters outside ASCII as escapes. False is smaller for most languages.
    ensure_ascii = True

    #: Sort the keys of objects, so that equal values give equal bytes; keys must then be strings.
    #: The ``JSON_SORT_KEYS`` configuration key, where an application sets it, decides instead.
    sort_keys = True

    #: Leave out indentation and spaces in responses. None: except in debug mode.
    compact: bool | None = None

    #: What a response has for NaN and infinities, which are not JSON (RFC 8259 section 6). None:
    #: null, as JavaScript's JSON.stringify has it. False: :exc:`ValueError`. True: the words that
    #: Python writes and browsers refuse.
    allow_nan: bool | None = None

    #: The content type of :meth:`response`.
    mimetype = _JSON

    _kept: tuple[object, dict[_Options, _Encode]] = (None, {})
    _decided: tuple[tuple[t.Any, ...] | None, _Write, str] = _UNDECIDED

    def dumps(self, obj: t.Any, **kwargs: t.Any) -> str:
        """Return ``obj`` as JSON text.

        ``kwargs`` are those of :func:`json.dumps`; ``default``, ``ensure_ascii`` and
        ``sort_keys`` are the provider's where they are not given.
        """
        if "default" in kwargs or "cls" in kwargs:
            return json.dumps(obj, **self._options(kwargs))
        return self._encoder(tuple(kwargs.items()))(obj)

    def loads(self, s: str | bytes, **kwargs: t.Any) -> t.Any:
        """Return the value of a JSON document; ``kwargs`` are those of :func:`json.loads`.

        Raises :exc:`ValueError` for what is not JSON and for a document nested so deep that
        Python cannot hold it.
        """
        try:
            if not kwargs and not SLOW:
                # PERF: the scanner itself, a third of json.loads' time on a small document.
                # It has no opinion on white space around the value: that goes the long way.
                text = s if isinstance(s, str) else _ascii_led(s)
                if text:
                    try:
                        value, end = _scan(text, 0)
                    except StopIteration:
                        end = -1
                    if end == len(text):
                        return value
            return json.loads(s, **kwargs)
        except RecursionError:
            raise ValueError("The JSON document is nested too deep to be read.") from None

    def response(self, *args: t.Any, **kwargs: t.Any) -> Response:
        """Return a response with the JSON of one value, of the arguments as a list, or of the
        keyword arguments as an object; of null without arguments.

        It ends in a newline, and is indented in debug mode (:attr:`compact`). Raises
        :exc:`TypeError` when positional and keyword arguments are mixed.
        """
        made = self.reply(self._prepare_response_obj(args, kwargs))
        if made is None:  # a subclass's own response, which has called this one
            return super().response(*args, **kwargs)
        body, mimetype = made
        # Text, as response classes of applications may expect it.
        text = body.decode() if body.isascii() else body
        return self._app.response_class(text, mimetype=mimetype)

    def reply(self, obj: t.Any) -> tuple[bytes, str] | None:
        """Return body and mimetype of ``response(obj)`` without making the response object.

        None when a subclass or the instance has its own :meth:`response`: call that one.
        """
        known, write, mimetype = self._decided
        # PERF: what was decided for the last response holds for this one while nothing changed;
        # 0.7 µs, bench case "JSON".
        if known is not None:
            config = self._app.config
            if (
                known[0] == _decisive(type(self))
                and known[1] == config.get("JSON_SORT_KEYS")
                and known[2] == config.get("DEBUG")
            ):
                try:
                    return write(obj), mimetype
                except ValueError:  # a lone surrogate among them
                    pass
        return super().reply(obj)

    def __setattr__(self, name: str, value: t.Any) -> None:
        object.__setattr__(self, name, value)
        if name not in ("_kept", "_decided"):
            self._decided = _UNDECIDED

    def _decide(self, options: _Options) -> None:
        self._remember(_make_write(json.JSONEncoder(**self._options(options))))

    def _remember(self, write: _Write) -> None:
        """Write responses in this way, if only the class and the configuration say so."""
        if (
            not SLOW
            and self.__dict__.keys() <= {"_app", "_kept", "_decided"}
            and not self._overrides_response()
        ):
            config = self._app.config
            known = (_decisive(type(self)), config.get("JSON_SORT_KEYS"), config.get("DEBUG"))
            self._decided = (known, write, self.mimetype)

    def _response_text(self, obj: t.Any) -> str:
        compact = self.compact
        if compact is None:
            compact = not self._app.config.get("DEBUG")
        if type(self).dumps is not _DUMPS or "dumps" in self.__dict__:
            return f"{self.dumps(obj, **dict(_COMPACT if compact else _INDENTED))}\n"
        if self.allow_nan:
            return self._encoder(_COMPACT if compact else _INDENTED)(obj) + "\n"
        strict = _COMPACT_STRICT if compact else _INDENTED_STRICT
        encode = self._encoder(strict)
        self._decide(strict)
        try:
            return encode(obj) + "\n"
        except ValueError as error:
            if self.allow_nan is False or not str(error).startswith("Out of range float"):
                raise
        default = self.default
        settings = self._options(strict)
        settings["default"] = lambda o: _finite(default(o))
        return json.dumps(_finite(obj), **settings) + "\n"

    def _mimetype(self) -> str:
        return self.mimetype

    def _overrides_response(self) -> bool:
        return type(self).response is not _RESPONSE or "response" in self.__dict__

    def _settings(self) -> tuple[t.Any, bool, bool]:
        """The values of :data:`_SETTINGS` that count now."""
        sort_keys = self.sort_keys
        configured = self._app.config.get("JSON_SORT_KEYS")
        if configured is not None and "sort_keys" not in self.__dict__:
            sort_keys = bool(configured)
        return self.default, self.ensure_ascii, sort_keys

    def _options(self, options: t.Any) -> dict[str, t.Any]:
        return dict(zip(_SETTINGS, self._settings(), strict=True)) | dict(options)

    def _encoder(self, options: _Options) -> _Encode:
        """The encoder for these options of :func:`json.dumps` and the provider's settings."""
        settings = self._settings()
        kept, encoders = self._kept
        if kept != settings:
            encoders = {}
            self._kept = (settings, encoders)
        try:
            return encoders[options]
        except (KeyError, TypeError):  # not made yet; an option that is a list
            encode = _make_encode(json.JSONEncoder(**self._options(options)))
        with suppress(TypeError):
            if len(encoders) < 16:
                encoders[options] = encode
        return encode


#: The attributes of a class that say how its responses are written.
_decisive = attrgetter(
    "allow_nan", "compact", "default", "dumps", "ensure_ascii", "mimetype", "response", "sort_keys"
)

_BASE_RESPONSE = JSONProvider.response
_RESPONSE = DefaultJSONProvider.response
_DUMPS = DefaultJSONProvider.dumps


def _ascii_led(data: bytes) -> str:
    # A document that begins with an ASCII character and no zero byte after it is UTF-8. Any other
    # is for json.loads, which tells UTF-16 and UTF-32 apart; so is what is not bytes at all.
    if isinstance(data, bytes) and b"\0" < data[:1] < b"\x80" and data[1:2] > b"\0":
        return data.decode("utf-8", "surrogatepass")
    return ""


def _make_encode(encoder: json.JSONEncoder) -> _Encode:
    """``encoder.encode``, prepared once: the standard library prepares it at each call."""
    chunks = _chunks_of(encoder)
    if chunks is None:
        return encoder.encode
    join = "".join

    # PERF: 0.4 µs instead of 2.1 µs for {"message": "Hello, World!"}. It keeps no record of the
    # containers it is in, which threads would have to share; so a value that contains itself
    # ends in RecursionError, and the ordinary encoder then finds and names the circle.
    def encode(obj: t.Any) -> str:
        try:
            return join(chunks(obj, 0))
        except RecursionError:
            return encoder.encode(obj)

    return encode


def _make_write(encoder: json.JSONEncoder) -> _Write:
    """The encoder's bodies of responses: a line in UTF-8."""
    chunks = _chunks_of(encoder)
    join = "".join

    def write(obj: t.Any) -> bytes:
        # PERF: as ``encode`` above, a call less; bench case "JSON".
        if chunks is not None:
            try:
                return (join(chunks(obj, 0)) + "\n").encode()
            except RecursionError:
                pass
        return f"{encoder.encode(obj)}\n".encode()

    return write


def _chunks_of(encoder: json.JSONEncoder) -> t.Callable[[t.Any, int], tuple[str, ...]] | None:
    """The encoder's working part, written in C; None: there is none, or it cannot indent."""
    if SLOW or _c_make_encoder is None or encoder.indent is not None:
        return None
    quote = "encode_basestring_ascii" if encoder.ensure_ascii else "encode_basestring"
    chunks: t.Callable[[t.Any, int], tuple[str, ...]] = _c_make_encoder(
        None,
        encoder.default,
        getattr(json.encoder, quote),
        None,
        encoder.key_separator,
        encoder.item_separator,
        encoder.sort_keys,
        encoder.skipkeys,
        encoder.allow_nan,
    )
    return chunks


def _finite(value: t.Any) -> t.Any:
    """The value with None for each NaN and infinity, as JavaScript's JSON.stringify has it."""
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, dict):
        return {
            json.dumps(key) if isinstance(key, float) else key: _finite(item)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value
