"""JSON by msgspec, several times faster, for applications that ask for it::

    from carboy.json.fast import MsgspecProvider

    app.json = MsgspecProvider(app)

It needs the extra ``carboy[fast]``. Responses and request bodies mean the same as with
:class:`~carboy.json.provider.DefaultJSONProvider`: whatever msgspec would write or read in another
way goes through the standard library.
"""

from __future__ import annotations

import re
import typing as t
from functools import lru_cache
from itertools import chain
from uuid import UUID

from werkzeug.exceptions import BadRequest, UnprocessableEntity

from .provider import DefaultJSONProvider, _default

try:
    import msgspec
    from msgspec import Struct
except ImportError as error:
    raise ImportError(
        "carboy.json.fast is JSON by msgspec, which is not installed:"
        " pip install 'carboy[fast]'. Without it, app.json is the standard library's JSON."
    ) from error

T = t.TypeVar("T")

_ATOMS = frozenset({str, int, float, bool, type(None)})

#: What msgspec writes as the default provider does; the others are exact types of JSON.
_SAME = _ATOMS | {UUID}

_TEXT = frozenset({str})

#: Values that are looked at: more may be one that contains itself.
_MOST = 1_000_000

#: Values that are looked at one by one.
_FEW = 16


class ValidationFailed(UnprocessableEntity):
    """422: the document is JSON, and does not fit the type that it was read as.

    Nothing that the client has sent stands in it.
    """

    #: What is wrong, such as ``Expected `float`, got `str```.
    reason: str = ""

    #: Where, as a JSONPath: ``$.position.lat``; ``$`` for the document itself.
    field: str = "$"


def _default_or_struct(o: t.Any) -> t.Any:
    return msgspec.to_builtins(o, str_keys=True) if isinstance(o, Struct) else _default(o)


class MsgspecProvider(DefaultJSONProvider):
    """JSON by msgspec.

    A response has the value that the default provider gives it, dates as HTTP dates and so on. It
    may be spelt otherwise: characters outside ASCII as they are (unless :attr:`ensure_ascii` is
    set), numbers as ``1e22``. Besides, a :class:`msgspec.Struct` is written as an object, in
    msgspec's way all through, which :meth:`decode` reads back. Where indentation, ASCII or a
    provider's own :meth:`dumps` is wanted, the standard library writes.
    """

    ensure_ascii = False

    #: As the default provider's, and a Struct where the standard library writes, as in debug mode.
    default = staticmethod(_default_or_struct)

    def loads(self, s: str | bytes, **kwargs: t.Any) -> t.Any:
        """Return the value of a JSON document; ``kwargs`` are those of :func:`json.loads`, which
        then reads it. Raises :exc:`ValueError` for what is not JSON."""
        if not kwargs:
            try:
                return msgspec.json.decode(s)
            except (msgspec.DecodeError, RecursionError, TypeError, ValueError):
                pass  # the standard library knows better, or says what is wrong
        return super().loads(s, **kwargs)

    def decode(self, data: str | bytes, type: type[T], *, strict: bool = True) -> T:
        """Return the JSON document as a value of ``type``, checked: a Struct, a dataclass, a
        TypedDict, or anything built of them, such as ``list[Vessel]``.

        ``strict=False`` lets ``"3"`` pass for 3. Raises
        :exc:`~werkzeug.exceptions.BadRequest` (400) for what is not JSON and
        :exc:`ValidationFailed` (422) for a value that does not fit; TypeError for a type that
        msgspec cannot read. Source: msgspec's documented behaviour.
        """
        try:
            value: T = _decoder(type, strict).decode(data)
            return value
        except msgspec.ValidationError as error:
            raise _failed(str(error)) from error
        except (msgspec.DecodeError, RecursionError, ValueError) as error:
            raise BadRequest(f"The body is not JSON: {error}") from error

    def body(self, obj: t.Any) -> bytes:
        """Return the bytes that ``response(obj)`` carries."""
        return self._written(obj) or super().body(obj)

    def _response_text(self, obj: t.Any) -> str:
        written = None if self._overrides_response() else self._written(obj)
        return super()._response_text(obj) if written is None else written.decode()

    def _written(self, obj: t.Any) -> bytes | None:
        """The body by msgspec; None: the standard library has to write it, or to refuse it."""
        compact = self.compact
        if compact is None:
            compact = not self._app.config.get("DEBUG")
        default, ensure_ascii, sort_keys = self._settings()
        if (
            not compact
            or ensure_ascii
            or self.allow_nan is not None
            or self._overrides_response()
            or type(self).dumps is not DefaultJSONProvider.dumps
            or "dumps" in self.__dict__
        ):
            return None
        write = _writer(default, sort_keys)
        self._remember(write)
        try:
            return write(obj)
        except ValueError:
            return None

    def _decide(self, options: t.Any) -> None:
        """Nothing: what the standard library writes here says nothing of the next value."""


def _writer(default: t.Callable[[t.Any], t.Any], sort_keys: bool) -> t.Callable[[t.Any], bytes]:
    """A function that writes bodies, with ValueError for what msgspec is not to write."""
    same = _SAME if default is _default_or_struct else _ATOMS
    lines = (_SORTED if sort_keys else _AS_IS).encode_lines

    def write(obj: t.Any) -> bytes:
        try:
            if isinstance(obj, Struct) or _consists_of(obj, same, sort_keys):
                return lines([obj])
            return lines([_plain(obj, default)])
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise ValueError from error

    return write


_SORTED = msgspec.json.Encoder(order="sorted")
_AS_IS = msgspec.json.Encoder()


#: What msgspec says, with what the client has sent; and where that was.
_ECHO = re.compile(r"(unknown field|[Ii]nvalid (?:enum )?value) .*", re.DOTALL)
_PLACE = re.compile(r" - at (?:`key` in )?`(\$[^`]{0,200})`\Z")


def _failed(message: str) -> ValidationFailed:
    # Names and values of the client's may be long, or secret: they do not go into the answer.
    place = _PLACE.search(message)
    where = "" if place is None else place[0]
    reason = _ECHO.sub(r"\1", message.removesuffix(where))
    failed = ValidationFailed(reason + where)
    failed.reason, failed.field = reason, "$" if place is None else place[1]
    return failed


def _make_decoder(type: t.Any, strict: bool) -> msgspec.json.Decoder[t.Any]:
    return msgspec.json.Decoder(type, strict=strict)


_decoder: t.Callable[[t.Any, bool], msgspec.json.Decoder[t.Any]] = lru_cache(512)(_make_decoder)


def _consists_of(obj: t.Any, known: frozenset[t.Any], sorted_keys: bool) -> bool:
    """Whether there is nothing in the value but dicts, lists, tuples, Structs and ``known`` types.

    msgspec writes more types than these, some of them (dates!) in its own way.
    """
    left = _MOST
    waiting = [obj]
    while waiting:
        value = waiting.pop()
        kind = type(value)
        if kind is dict:
            if not (sorted_keys or _TEXT.issuperset(map(type, value))):
                return False
            items = value.values()
        elif kind is list or kind is tuple:
            items = value
        elif kind in known or issubclass(kind, Struct):
            continue
        else:
            return False
        size = len(value)
        left -= size
        if left < 0:
            return False
        # PERF: many at once, by iterators written in C: half of what the loop below would cost for
        # a table; bench case "rows" with this provider.
        if size > _FEW and _is_table(items, known, sorted_keys):
            continue
        for item in items:
            if type(item) not in known:
                waiting.append(item)
    return True


def _is_table(items: t.Any, known: frozenset[t.Any], sorted_keys: bool) -> bool:
    """Whether all of the items are of ``known`` types, or all are dicts (or Structs) of such."""
    kinds = set(map(type, items))
    if kinds == {dict}:
        rows = chain.from_iterable(map(dict.values, items))
        return known.issuperset(map(type, rows)) and (
            sorted_keys or _TEXT.issuperset(map(type, chain.from_iterable(items)))
        )
    return all(kind in known or issubclass(kind, Struct) for kind in kinds)


def _plain(value: t.Any, default: t.Callable[[t.Any], t.Any]) -> t.Any:
    """The value in types that msgspec writes as the standard library does, and Structs.

    Raises TypeError for a key that is no string: the standard library spells it.
    """
    if type(value) in _ATOMS or isinstance(value, Struct):
        return value
    if isinstance(value, dict):
        return {
            key if type(key) is str else _key(key): (
                item if type(item) in _ATOMS else _plain(item, default)
            )
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [item if type(item) in _ATOMS else _plain(item, default) for item in value]
    # A subclass is written by its value, whatever it says of itself.
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__pos__(value)
    if isinstance(value, float):
        return float.__pos__(value)
    return _plain(default(value), default)


def _key(key: t.Any) -> str:
    if not isinstance(key, str):
        raise TypeError("only strings are keys in every library")
    return str.__str__(key)
