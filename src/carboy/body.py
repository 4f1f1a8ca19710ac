"""Reading what the client sent after the head: the body as a guarded stream, and query strings."""

from __future__ import annotations

import io
import typing as t
from string import hexdigits
from urllib.parse import parse_qsl, unquote

from werkzeug.datastructures import ImmutableMultiDict, MultiDict
from werkzeug.exceptions import (
    BadRequest,
    BadRequestKeyError,
    ClientDisconnected,
    RequestEntityTooLarge,
)
from werkzeug.sansio.http import parse_cookie

from .shortcuts import SLOW

if t.TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    from .transport import BodySource

_READ_SIZE = 64 * 1024

#: Bytes that a server is asked for at once: it may make room for all of them before it has one.
AT_ONCE = 16 * 1024 * 1024

#: Digits of the longest Content-Length: more bytes than that have no place in a C integer.
LENGTH_DIGITS = 18

BAD_LENGTH = "The Content-Length header is not a number of bytes; it must be digits only."
TWO_LENGTHS = (
    "The request has a Content-Length and is sent in chunks as well, so where it ends is not"
    " certain (RFC 9112 section 6.3)."
)


def declared_length(environ: WSGIEnvironment) -> int | None:
    """The bytes that ``Content-Length`` announces, or None without a usable one.

    Only ASCII digits count (RFC 9110 section 8.6), and a chunked body has no declared length
    whatever the header says (RFC 9112 section 6.3).
    """
    text: str = environ.get("CONTENT_LENGTH") or ""
    if "HTTP_TRANSFER_ENCODING" in environ and is_chunked(environ):
        return None
    return int(text) if text.isascii() and text.isdigit() and len(text) <= LENGTH_DIGITS else None


def is_chunked(environ: WSGIEnvironment) -> bool:
    """Whether the client sends the body in chunks (RFC 9112 section 7.1)."""
    codings = environ.get("HTTP_TRANSFER_ENCODING", "").lower().split(",")
    return "chunked" in (coding.strip(" \t") for coding in codings)


class BodyStream(io.RawIOBase):
    """A request body that ends where it should, or says why it did not.

    Reading raises :exc:`~werkzeug.exceptions.RequestEntityTooLarge` (413) past ``limit`` bytes
    and :exc:`~werkzeug.exceptions.ClientDisconnected` (400) when the connection breaks or the
    body stops short of ``length`` bytes; a cut body is never handed over as a whole one.
    """

    def __init__(self, raw: BodySource, length: int | None, limit: int | None) -> None:
        self._raw = raw
        self._length = length
        self._limit = limit
        self._position = 0
        self._ended = False

    @classmethod
    def of(cls, environ: WSGIEnvironment, limit: int | None) -> t.IO[bytes]:
        """The body of the request in ``environ``, with at most ``limit`` bytes (None: any).

        Without a length, and without a server that marks the end of the stream, the body is
        empty: reading on would wait for bytes that may never come (PEP 3333).
        """
        length = declared_length(environ)
        if length is None:
            if environ.get("CONTENT_LENGTH") and "wsgi.input_terminated" not in environ:
                raise BadRequest(TWO_LENGTHS if is_chunked(environ) else BAD_LENGTH)
            if "wsgi.input_terminated" not in environ:
                return t.cast("t.IO[bytes]", cls(io.BytesIO(), 0, limit))
        elif limit is not None and length > limit:
            raise RequestEntityTooLarge()
        return t.cast("t.IO[bytes]", cls(environ["wsgi.input"], length, limit))

    @classmethod
    def read_to(cls, length: int) -> t.IO[bytes]:
        """A body of so many bytes that were all read."""
        stream = cls(io.BytesIO(), length, None)
        stream._position = length
        return t.cast("t.IO[bytes]", stream)

    def readable(self) -> bool:
        """Always true."""
        return True

    def tell(self) -> int:
        """How many bytes were read so far."""
        return self._position

    @property
    def is_exhausted(self) -> bool:
        """Whether the whole body was read."""
        return self._ended or self._position == self._length

    def _pull(self, size: int, read: t.Callable[[int], bytes]) -> bytes:
        """Read at most ``size`` bytes (-1: a block) from the server and account for them."""
        size = self._wanted(size)
        if not size:
            return b""
        try:
            data = read(size)
        except (OSError, ValueError) as error:
            self._ended = True
            raise ClientDisconnected() from error
        return self._counted(data)

    def _wanted(self, size: int) -> int:
        """How many bytes to ask the server for, where ``size`` (-1: a block) were asked for."""
        if self._ended:
            return 0
        length = self._length
        if length is not None:
            rest = length - self._position
            return rest if size < 0 else min(size, rest)
        if self._limit is not None:
            # One byte more than allowed tells a full body from one that is too long.
            room = self._limit - self._position + 1
            return min(size, room) if size >= 0 else min(_READ_SIZE, room)
        return _READ_SIZE if size < 0 else size

    def _counted(self, data: bytes) -> bytes:
        """Account for what the server gave when it was asked for at least one byte."""
        if not data:
            self._ended = True
            if self._length is not None:
                raise ClientDisconnected()
            return b""
        self._position += len(data)
        if self._limit is not None and self._position > self._limit:
            self._ended = True
            raise RequestEntityTooLarge()
        return data

    def __aiter__(self) -> t.Self:
        return self

    async def __anext__(self) -> bytes:
        """The next part of the body as the server has it, 64 kB at most.

        The server goes on receiving when it is asked for. Where its stream can only be waited
        for, as under WSGI, a thread does so.
        """
        size = min(self._wanted(-1), _READ_SIZE)
        if not size:
            raise StopAsyncIteration
        receive = getattr(self._raw, "receive", None)
        try:
            if receive is not None:
                data = await receive(size)
            else:
                import asyncio

                data = await asyncio.to_thread(self._raw.read, size)
        except (OSError, ValueError) as error:
            self._ended = True
            raise ClientDisconnected() from error
        if not self._counted(data):
            raise StopAsyncIteration
        return t.cast(bytes, data)

    def readinto(self, buffer: t.Any, /) -> int:
        """Fill ``buffer`` as far as one read of the server's stream goes."""
        data = self._pull(len(buffer), self._raw.read)
        buffer[: len(data)] = data
        return len(data)

    def read(self, size: int | None = -1, /) -> bytes:
        """Read ``size`` bytes, or with -1 or None all that is left."""
        if size is None or size < 0:
            return self.readall()
        return self._pull(size, self._raw.read)

    def readall(self) -> bytes:
        """Read all that is left of the body."""
        size = -1 if self._length is None else AT_ONCE
        data = self._pull(size, self._raw.read)
        if self.is_exhausted:
            return data
        blocks = [data]
        while block := self._pull(size, self._raw.read):
            blocks.append(block)
        return b"".join(blocks)

    def readline(self, size: int | None = -1, /) -> bytes:
        """Read one line, or ``size`` bytes of it."""
        return self._pull(-1 if size is None else size, self._raw.readline)

    def exhaust(self, chunk_size: int = _READ_SIZE) -> None:
        """Read the rest of the body and throw it away."""
        while self._pull(chunk_size, self._raw.read):
            pass


def parse_query(query: bytes, cls: type[MultiDict[str, str]]) -> t.Any:
    """The pairs of a query string or an urlencoded body, as ``cls``, order kept.

    A key without ``=`` has the value ``""``; bytes that are not UTF-8 stay percent-encoded
    (the WHATWG URL standard's parser, but for that).
    """
    return parse_pairs(query.decode(errors="werkzeug.url_quote"), cls)


def parse_pairs(text: str, cls: type[MultiDict[str, str]]) -> t.Any:
    """The pairs of a query string whose bytes outside ASCII are decoded already."""
    if SLOW:
        found = cls(parse_qsl(text, keep_blank_values=True, errors="werkzeug.url_quote"))
        return found
    if "%" not in text and "+" not in text:
        if cls is not Values:
            return multi_dict([pair.partition("=")[::2] for pair in text.split("&") if pair], cls)
        # PERF: one pass where no name comes twice; bench case "path parameter + query".
        parts = text.split("&")
        lists = {}
        for pair in parts:
            key, _, value = pair.partition("=")
            lists[key] = [value]
        if len(lists) == len(parts) and "" not in lists:
            found = Values.__new__(Values)
            _fill(found, lists)
            return found
        return multi_dict([pair.partition("=")[::2] for pair in parts if pair], cls)
    pairs = []
    for pair in text.replace("+", " ").split("&"):
        if pair:
            key, _, value = pair.partition("=")
            # PERF: most have nothing to decode, and finding that out took 1 µs; bench case "form".
            if "%" in pair:
                key, value = _unescaped(key), _unescaped(value)
            pairs.append((key, value))
    return multi_dict(pairs, cls)


#: The byte of two hexadecimal digits.
_BYTES = {
    (first + second).encode(): bytes.fromhex(first + second)
    for first in hexdigits
    for second in hexdigits
}


def _unescaped(text: str) -> str:
    """The text with its percent-encoded bytes decoded; those that are not UTF-8 stay."""
    if "%" not in text:
        return text
    if not text.isascii():
        return unquote(text, errors="werkzeug.url_quote")
    # PERF: half the time of unquote, which looks for what is not ASCII. Bench case "form".
    start, *rest = text.encode().split(b"%")
    parts = [start]
    for part in rest:
        byte = _BYTES.get(part[:2])
        parts.append(b"%" + part if byte is None else byte + part[2:])
    return b"".join(parts).decode(errors="werkzeug.url_quote")


class Values(ImmutableMultiDict[str, str]):
    """Werkzeug's immutable MultiDict; what a view asks for most is found in fewer steps."""

    def __getitem__(self, key: str) -> str:
        """The first value of ``key``. Raises BadRequestKeyError (400), which is a KeyError."""
        values = _item(self, key)
        if values:
            first: str = values[0]
            return first
        raise BadRequestKeyError(key)

    def get(  # type: ignore[override]
        self, key: str, default: t.Any = None, type: t.Any = None
    ) -> t.Any:
        """The first value of ``key``, through ``type`` if given; ``default`` without a usable one."""
        values = _item(self, key)
        if not values:
            return default
        if type is None:
            return values[0]
        try:
            return type(values[0])
        except (ValueError, TypeError):
            return default

    def __reduce_ex__(self, protocol: t.Any) -> t.Any:
        return ImmutableMultiDict, (list(self.items(multi=True)),)


_item: t.Any = dict.get
_put: t.Any = dict.__setitem__
_fill: t.Any = dict.update

# To a user it is Werkzeug's class; its repr says so.
Values.__name__ = Values.__qualname__ = "ImmutableMultiDict"


def multi_dict(pairs: list[tuple[str, str]], cls: type[MultiDict[str, str]]) -> t.Any:
    """``cls(pairs)``, sooner for the class that requests use."""
    if SLOW or (cls is not Values and cls is not ImmutableMultiDict):
        return cls(pairs)
    # A MultiDict is a dict of lists; filled here, it need not copy and check each pair.
    found: t.Any = cls.__new__(cls)
    for key, value in pairs:
        if (known := _item(found, key)) is not None:
            known.append(value)
        else:
            _put(found, key, [value])
    return found


def parse_cookies(header: str, cls: type[MultiDict[str, str]]) -> t.Any:
    """The cookies of a request, as ``cls``, in the order they came."""
    pairs = []
    if not SLOW and '"' not in header and "\t" not in header:
        for part in header.split(";"):
            key, _, value = part.strip(" ").partition("=")
            if " " in key or " " in value:
                break
            if key:
                pairs.append((key, value))
        else:
            return multi_dict(pairs, cls)
    # Quoted or malformed ones: Werkzeug's parser knows what browsers make of them.
    return parse_cookie(header, cls=cls)


def cookies_named(name: str, header: str) -> list[str] | None:
    """The values of the cookies of one name, or None: :func:`parse_cookies` has to be asked."""
    compact = header.replace("; ", ";")
    if SLOW or '"' in compact or " " in compact or "\t" in compact or not compact.isascii():
        return None
    start = f"{name}="
    return [part[len(start) :] for part in compact.split(";") if part.startswith(start)]


def decode_latin1(text: str) -> str:
    """The characters of a WSGI string: bytes in latin-1's clothes (PEP 3333)."""
    return text if text.isascii() else text.encode("latin1", "replace").decode(errors="replace")


def encoded(chunks: t.Iterable[str | bytes]) -> t.Iterator[bytes]:
    """The chunks as bytes, text as UTF-8. Raises UnicodeEncodeError for a lone surrogate."""
    for chunk in chunks:
        # PERF: a look at the type is sooner done than isinstance; bench case "streaming".
        if type(chunk) is str or isinstance(chunk, str):
            yield chunk.encode()
        else:
            yield chunk


class ClosingBody:
    """The body of a streamed response: its chunks as bytes, and the response's ``close``."""

    __slots__ = ("_response", "close")

    def __init__(self, response: t.Any) -> None:
        self._response = response
        self.close = response.close

    def __iter__(self) -> t.Iterator[bytes]:
        # The server iterates over the generator itself, without a step through this object.
        response = self._response
        chunks = response.response if response.direct_passthrough else response.iter_encoded()
        return iter(chunks)
