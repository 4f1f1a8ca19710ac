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
except ImportError as error:
    raise ImportError(
        "carboy.json.fast is JSON by msgspec, which is not installed:"
        " pip install 'carboy[fast]'. Without it, app.json is the standard library's JSON."
    ) from error

T = t.TypeVar("T")

_ATOMS = frozenset({str, int, float, bool, type(None)})

#: What msgspec writes as the default provider does; the others are exact types of JSON.
_SAME = _ATOMS | {UUID}

#: Values looked at together, and containers in each other: more may be one that contains itself.
_MOST = 1_000_000
_DEEPEST = 64


class ValidationFailed(UnprocessableEntity):
    """422: the document is JSON, and does not fit the type that it was read as.

    Nothing that the client has sent stands in it.
    """

    #: What is wrong, such as ``Expected `float`, got `str```.
    reason: str = ""

    #: Where, as a JSONPath: ``$.position.lat``; ``$`` for the document itself.
    field: str = "$"


class MsgspecProvider(DefaultJSONProvider):
    """JSON by msgspec.

    A response has the value that the default provider gives it, dates as HTTP dates and so on. It
    may be spelt otherwise: characters outside ASCII as they are (unless :attr:`ensure_ascii` is
    set), numbers as ``1e22``. Besides, a :class:`msgspec.Struct` is written as an object, in
    msgspec's way all through, which :meth:`decode` reads back. Where indentation, ASCII or a
    provider's own :meth:`dumps` is wanted, the standard library writes.
    """

    ensure_ascii = False

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
            return t.cast(T, _decoder(t.cast(t.Any, type), strict).decode(data))
        except msgspec.ValidationError as error:
            raise _failed(str(error)) from error
        except (msgspec.DecodeError, RecursionError, ValueError) as error:
            raise BadRequest(f"The body is not JSON: {error}") from error

    def body(self, obj: t.Any) -> bytes:
        """Return the bytes that ``response(obj)`` carries."""
        return self._written(obj) or super().body(obj)

    def reply(self, obj: t.Any) -> tuple[bytes, str] | None:
        """Return body and mimetype of ``response(obj)`` without making the response object.

        None when a subclass or the instance has its own :meth:`response`: call that one.
        """
        if self._overrides_response():
            return None
        return self._written(obj) or super().body(obj), self.mimetype

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
        try:
            same = _SAME if default is _default else _ATOMS
            value = obj if _consists_of(obj, same, sort_keys) else _plain(obj, default)
            return (_SORTED if sort_keys else _AS_IS).encode(value) + b"\n"
        except (TypeError, ValueError, OverflowError, RecursionError):
            return None


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


@lru_cache(maxsize=512)
def _decoder(type: t.Any, strict: bool) -> msgspec.json.Decoder[t.Any]:
    return msgspec.json.Decoder(type, strict=strict)


def _consists_of(obj: t.Any, known: frozenset[t.Any], sorted_keys: bool) -> bool:
    """Whether there is nothing in the value but dicts, lists, tuples and the ``known`` types.

    msgspec writes more types than these, some of them (dates!) in its own way.
    """
    # PERF: a generation of values at a time, by iterators written in C: a fifth of what one
    # look at each value costs; bench case "rows".
    dicts: list[t.Any] = []
    lists: list[t.Any] = [[obj]]
    for _ in range(_DEEPEST):
        if sum(map(len, dicts)) + sum(map(len, lists)) > _MOST:
            return False
        if dicts and not (sorted_keys or {str}.issuperset(map(type, chain.from_iterable(dicts)))):
            return False
        kinds = set(map(type, _within(dicts, lists))) - known
        if not kinds:
            return True
        if not kinds <= {dict, list, tuple}:
            return False
        inner = [*_within(dicts, lists)]
        if len(kinds) == 1 and known.isdisjoint(map(type, inner)):
            dicts, lists = (inner, []) if dict in kinds else ([], inner)
        else:
            dicts = [value for value in inner if type(value) is dict]
            lists = [value for value in inner if type(value) is list or type(value) is tuple]
    return False


def _within(dicts: list[t.Any], lists: list[t.Any]) -> t.Iterator[t.Any]:
    if not dicts:
        return chain.from_iterable(lists)
    values = chain.from_iterable(map(dict.values, dicts))
    return chain(values, chain.from_iterable(lists)) if lists else values


def _plain(value: t.Any, default: t.Callable[[t.Any], t.Any]) -> t.Any:
    """The value in types that msgspec writes as the standard library does, and Structs.

    Raises TypeError for a key that is no string: the standard library spells it.
    """
    if type(value) in _ATOMS or isinstance(value, msgspec.Struct):
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
