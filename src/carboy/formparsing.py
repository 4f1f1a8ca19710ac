"""Forms: urlencoded and multipart bodies under one set of limits.

Werkzeug's sans-I/O decoder reads the multipart syntax; this module decides what may come in.
A broken or cut form is a 400 and one over a limit a 413: never an empty form that looks sent.
"""

from __future__ import annotations

import contextlib
import re
import typing as t
from dataclasses import replace
from itertools import chain
from tempfile import SpooledTemporaryFile

from werkzeug.datastructures import FileStorage, Headers, MultiDict
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge
from werkzeug.formparser import FormDataParser
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import (
    Data,
    Epilogue,
    Field,
    File,
    MultipartDecoder,
    NeedData,
    State,
)

from .body import multi_dict, parse_query

_BLOCK = 64 * 1024

#: Bytes of a large file that are written at once. A system's cache takes them soonest when they are many
#: and begin at a multiple of their own number.
_WRITTEN = 256 * 1024

#: Bytes of a delimiter that ``bytes.find`` is the quickest to look for.
_LONG_DELIMITER = 12

#: Bytes that the headers of one part may take.
MAX_PART_HEADERS = 16 * 1024

#: Bytes that may stand after a boundary and belong to it: dashes, blanks, a line break.
_PADDING = 64

#: Bytes from which on a piece ends before the next delimiter.
_LONG = 1024

#: Characters of a multipart boundary. RFC 2046 section 5.1.1 allows 70, but clients are about that send
#: a few more; Werkzeug's own form encoder does so now and then (15 dashes, a name and two floats).
MAX_BOUNDARY = 128

_PARAMETER = re.compile(r';\s*([^\s;=*]+)(\*[0-9]*\*?)?\s*=\s*("(?:[^"\\]|\\.)*"|[^;]*)')

#: The headers of a part as browsers write them, of nothing but plain characters in quotes.
_PLAIN_PART = re.compile(
    rb'Content-Disposition: form-data; name="([ !#$&-:<-\[\]-~]+)"'
    rb'(?:; filename="([ !#$&-:<-\[\]-~]*)"(?:\r\nContent-Type: ([!-~](?:[ -~]*[!-~])?))?)?'
)

_CHARSETS = frozenset({"ascii", "us-ascii", "utf-8", "iso-8859-1"})

Result = tuple[t.IO[bytes], MultiDict[str, str], MultiDict[str, FileStorage]]


class FormParser(FormDataParser):
    """The parser behind ``request.form`` and ``request.files``."""

    def parse(
        self,
        stream: t.IO[bytes],
        mimetype: str,
        content_length: int | None,
        options: dict[str, str] | None = None,
    ) -> t.Any:
        """Read ``stream`` as ``mimetype`` says and return ``(stream, form, files)``.

        Other types than the two of HTML forms leave the stream alone. Raises ``BadRequest`` for
        a malformed or cut form and ``RequestEntityTooLarge`` for one over a limit.
        """
        if mimetype == "application/x-www-form-urlencoded":
            return stream, self._urlencoded(stream, content_length), self.cls()
        if mimetype != "multipart/form-data":
            return stream, self.cls(), self.cls()
        reader = MultipartReader(self, content_length)
        try:
            form, files = reader.read(stream, (options or {}).get("boundary", ""))
        except ValueError as error:
            reader.close_files()
            raise BadRequest(
                "The multipart form is malformed or incomplete. The usual causes are a connection"
                " that broke during the upload, or a client that sets the Content-Type header by"
                " hand and so leaves out or changes its boundary."
            ) from error
        except BaseException:
            reader.close_files()
            raise
        return stream, form, files

    def _urlencoded(self, stream: t.IO[bytes], content_length: int | None) -> t.Any:
        limit = self.max_form_memory_size
        if limit is None:
            data = stream.read()
        else:
            if content_length is not None and content_length > limit:
                raise RequestEntityTooLarge()
            blocks, size = [], 0
            while block := stream.read(_BLOCK):
                size += len(block)
                if size > limit:
                    raise RequestEntityTooLarge()
                blocks.append(block)
            data = blocks[0] if len(blocks) == 1 else b"".join(blocks)
        if self.max_form_parts is not None and data.count(b"&") >= self.max_form_parts:
            raise RequestEntityTooLarge()
        return parse_query(data, self.cls)


class MultipartReader:
    """One multipart body on its way in: collects fields, spools files, counts both."""

    def __init__(self, parser: FormParser, content_length: int | None) -> None:
        self._parser = parser
        self._content_length = content_length
        self._memory_left = parser.max_form_memory_size
        self._fields: list[tuple[str, str]] = []
        self._files: list[tuple[str, FileStorage]] = []
        self._sink: t.Any = None
        self._part: Field | File | None = None
        self._taken = 0  # parts that the decoder never saw

    def read(self, stream: t.IO[bytes], boundary: str) -> tuple[t.Any, t.Any]:
        """Return the fields and the files. Raises ValueError for broken syntax."""
        block = stream.read(_BLOCK)
        if not block:
            return self._parser.cls(), self._parser.cls()
        if not boundary or len(boundary) > MAX_BOUNDARY or not boundary.isascii():
            raise ValueError("the boundary is missing, too long or not ASCII")
        delimiter = b"--" + boundary.encode()
        rest = self._take_plain_parts(stream, block, delimiter)
        if rest is not None:
            self._take_rest(stream, rest, delimiter)
        return self._multi_dict(self._fields), self._multi_dict(self._files)

    def _multi_dict(self, pairs: list[tuple[str, t.Any]]) -> t.Any:
        return multi_dict(pairs, self._parser.cls)

    def _take_plain_parts(self, stream: t.IO[bytes], data: bytes, delimiter: bytes) -> bytes | None:
        """Take the first parts of the form for as long as they are plainly spelt.

        Gives what was read and not taken, from a delimiter on: a form for the decoder. None: there
        is nothing left, and the stream is at its end.
        """
        # PERF: 2 µs a field where the decoder takes 16; bench case "multipart".
        start = tries = 0
        size = len(delimiter)
        while data.startswith(delimiter, start):
            head = start + size
            if data.startswith(b"--", head):
                while stream.read(_BLOCK):
                    pass
                return None
            blank = data.find(b"\r\n\r\n", head)
            end = data.find(delimiter, blank + 4) if blank >= 0 else -1
            ended = end >= 0 and len(data) >= end + size + 2
            if not ended and tries < 3 and len(data) - start <= _BLOCK:
                tries += 1
                if more := stream.read(_BLOCK):
                    data, start = data[start:] + more, 0
                    continue
            found = _PLAIN_PART.fullmatch(data, head + 2, max(blank, 0))
            if (
                found is None
                or blank - head > MAX_PART_HEADERS
                or not data.startswith(b"\r\n", head)
            ):
                break
            if ended and _is_plain_end(data, end, size, blank + 4):
                self._take_plain(found, data[blank + 4 : end - 2])
                start = end
            elif not ended and found[2] is not None:
                after = self._take_long(stream, found, data[blank + 4 :], delimiter)
                if after is None:
                    return None
                data, start = after, 0
            else:
                break
            tries = 0
        return data[start:]

    def _begin_plain(self, found: re.Match[bytes]) -> tuple[str, str, Headers]:
        """Open a stream for a file; gives the part's name, filename and headers."""
        parser = self._parser
        self._taken += 1
        if parser.max_form_parts is not None and self._taken > parser.max_form_parts:
            raise RequestEntityTooLarge()
        name, filename, kind = (None if text is None else text.decode() for text in found.groups())
        headers = Headers.__new__(Headers)
        # PERF: what was matched is in order already; 3 µs, bench case "multipart".
        lines = found[0].decode().split("\r\n")
        headers._list = [
            (line[:end], line[end + 2 :]) for line in lines if (end := line.find(": "))
        ]
        self._sink = parser.stream_factory(
            total_content_length=self._content_length,
            filename=filename,
            content_type=kind,
            content_length=0,
        )
        return name or "", filename or "", headers

    def _take_plain(self, found: re.Match[bytes], content: bytes) -> None:
        """Take a part that lies here as a whole."""
        if found[2] is not None:
            part = self._begin_plain(found)
            self._sink.write(content)
            self._add_file(*part)
            return
        self._taken += 1
        most = self._parser.max_form_parts
        if self._memory_left is not None:
            self._memory_left -= len(content)
        if (most is not None and self._taken > most) or (self._memory_left or 0) < 0:
            raise RequestEntityTooLarge()
        self._fields.append((found[1].decode(), content.decode("utf-8", "replace")))

    def _add_file(self, name: str, filename: str, headers: Headers) -> None:
        sink = self._sink
        sink.seek(0)
        self._files.append((name, FileStorage(sink, _base(filename), name, headers=headers)))
        self._sink = None

    def _take_long(
        self, stream: t.IO[bytes], found: re.Match[bytes], data: bytes, delimiter: bytes
    ) -> bytes | None:
        """Take a file whose end has yet to be read. Gives what follows, from the delimiter on; None
        where the decoder had to be asked and has read the rest of the form."""
        name, filename, headers = self._begin_plain(found)
        self._part = File(headers=headers, name=name, filename=filename)
        size = len(delimiter)
        find = _finder_of(delimiter)
        # Whose stream is not Werkzeug's may expect bytes.
        spooled = type(self._sink) is SpooledTemporaryFile
        state, before = State.DATA_START, b"\r\n"
        # PERF: one buffer that stays, written from in large, aligned pieces. bench.growth, "up, a
        # form's file".
        buffer = bytearray(data)
        filled = len(data)
        seen = 0  # so many of them, in which no delimiter begins
        while True:
            place = find(buffer, seen, filled)
            if place >= 0 and filled >= place + size + 2:
                if not _is_plain_end(buffer, place, size, 0):
                    break
                self._sink.write(bytes(buffer[: place - 2]))
                self._add_file(name, filename, headers)
                return bytes(buffer[place:filled])
            # What may be the beginning of a delimiter is kept.
            seen = max(filled - size - 4, 0) if place < 0 else place
            if seen >= _WRITTEN and place < 0:
                with memoryview(buffer) as whole, whole[:_WRITTEN] as piece:
                    self._sink.write(piece if spooled else bytes(piece))
                buffer[: filled - _WRITTEN] = buffer[_WRITTEN:filled]
                filled -= _WRITTEN
                seen -= _WRITTEN
                state, before = State.DATA, b""
            if not (more := stream.read(_BLOCK)):
                break
            buffer[filled : filled + len(more)] = more
            filled += len(more)
        self._take_rest(stream, before + bytes(buffer[:filled]), delimiter, state)
        return None

    def _take_rest(
        self, stream: t.IO[bytes], block: bytes, delimiter: bytes, state: State = State.PREAMBLE
    ) -> None:
        """Let Werkzeug's decoder read the form from here on."""
        most = self._parser.max_form_parts
        left = None if most is None else most - self._taken
        decoder = MultipartDecoder(delimiter[2:], max_parts=left)
        decoder.state = state
        for piece in chain(_pieces(stream, block, delimiter), (None,)):
            decoder.receive_data(piece)
            while not isinstance(event := decoder.next_event(), NeedData):
                if isinstance(event, Epilogue):
                    break
                self._take(event)
            if decoder.state is State.PART and len(decoder.buffer) > MAX_PART_HEADERS + _BLOCK:
                raise RequestEntityTooLarge()
            if decoder.state in (State.PREAMBLE, State.EPILOGUE):
                self._drop_padding(decoder)

    @staticmethod
    def _drop_padding(decoder: MultipartDecoder) -> None:
        """Text before the first or after the last boundary is ignored: keep only its end."""
        surplus = len(decoder.buffer) - 4 * _BLOCK
        if surplus > 0:
            del decoder.buffer[:surplus]
            decoder._search_position = max(0, decoder._search_position - surplus)

    def _take(self, event: t.Any) -> None:
        if isinstance(event, Data):
            self._take_data(event)
        elif isinstance(event, Field | File):
            self._begin(event)

    def _begin(self, part: Field | File) -> None:
        if not part.name:
            raise ValueError("a part of the form has no name")
        if sum(len(name) + len(value) for name, value in part.headers) > MAX_PART_HEADERS:
            raise RequestEntityTooLarge()
        if "*" in (disposition := part.headers.get("content-disposition", "")):
            part = _plainly_named(part, disposition)
        self._part = part
        if isinstance(part, Field):
            self._sink = []
            return
        length = part.headers.get("content-length", "")
        content_length = int(length) if length.isascii() and length.isdigit() else 0
        self._sink = self._parser.stream_factory(
            total_content_length=self._content_length,
            filename=part.filename,
            content_type=part.headers.get("content-type"),
            content_length=content_length,
        )

    def _take_data(self, event: Data) -> None:
        part = self._part
        if isinstance(part, Field):
            if self._memory_left is not None:
                self._memory_left -= len(event.data)
                if self._memory_left < 0:
                    raise RequestEntityTooLarge()
            self._sink.append(event.data)
            if not event.more_data:
                text = b"".join(self._sink).decode(_charset(part), "replace")
                self._fields.append((part.name, text))
                self._sink = None
        elif part is not None:
            self._sink.write(event.data)
            if not event.more_data:
                self._add_file(part.name, part.filename, part.headers)

    def close_files(self) -> None:
        """Close what was spooled so far; for a form that is refused."""
        for _, upload in self._files:
            with contextlib.suppress(Exception):
                upload.close()
        if self._sink is not None and not isinstance(self._sink, list):
            with contextlib.suppress(Exception):
                self._sink.close()


def _pieces(stream: t.IO[bytes], block: bytes, delimiter: bytes) -> t.Iterator[bytes]:
    """The body in pieces that never end within a delimiter; ``block`` is its beginning.

    Werkzeug's decoder takes a delimiter for data when a piece ends within it: the last field then
    has a carriage return too many, or an empty one all the rest of the form.
    """
    held = b""
    while block:
        data = held + block if held else block
        start = 0
        # PERF: the decoder looks for a delimiter by a regular expression where there is one, and
        # that takes 8 µs a KiB; so end long data before it. Bench case "multipart".
        while (place := data.find(delimiter, start + _LONG)) >= 0:
            cut = _before_breaks(data, place, start)
            yield data[start:cut]
            start = cut
        cut = _safe_cut(data, delimiter, start)
        if cut > start:
            yield data[start:cut]
        held = data[cut:]
        block = stream.read(_BLOCK)
    if held:
        yield held


def _finder_of(delimiter: bytes) -> t.Callable[[bytearray, int, int], int]:
    """A function that finds the delimiter in a part of a buffer, as ``bytearray.find`` does."""
    # PERF: that steps by the length of what it looks for, which is 40 in most browsers' forms; for a
    # short one a regular expression takes half of its time. And much has no dash in it at all.
    if len(delimiter) >= _LONG_DELIMITER:
        return lambda data, start, end: (
            data.find(delimiter, start, end) if data.find(b"-", start, end) >= 0 else -1
        )
    search = re.compile(re.escape(delimiter)).search
    return lambda data, start, end: (
        -1 if (found := search(data, start, end)) is None else found.start()
    )


def _is_plain_end(data: bytes | bytearray, place: int, size: int, first: int) -> bool:
    """Whether the delimiter at ``place`` ends content that begins at ``first``, spelt as it is
    by nearly everybody."""
    return (
        place - 2 >= first
        and data.startswith(b"\r\n", place - 2)
        and data.startswith((b"\r\n", b"--"), place + size)
    )


def _safe_cut(data: bytes, delimiter: bytes, first: int) -> int:
    """The last place, ``first`` or later, to end a piece before what may be a delimiter."""
    size = len(data)
    end = first
    place = data.rfind(delimiter, max(first, size - len(delimiter) - _PADDING))
    if place >= 0:
        end = data.find(b"\n", place) + 1
        if end == 0:
            return _before_breaks(data, place, first)
    start = max(end, size - len(delimiter) - 6)
    breaks = [place for place in (data.find(b"\r", start), data.find(b"\n", start)) if place >= 0]
    return _before_breaks(data, min(breaks), end) if breaks else size


def _before_breaks(data: bytes, place: int, first: int) -> int:
    """The start of the line breaks before ``place``: two of them can belong to a delimiter."""
    for before in range(place - 1, max(first, place - 4) - 1, -1):
        if data[before] not in b"\r\n":
            return before + 1
    return max(first, place - 4)


def _plainly_named(part: Field | File, disposition: str) -> Field | File:
    """The part with its plain ``name`` and ``filename``, where extended ones stand beside them.

    RFC 7578 section 4.2 forbids ``filename*`` in forms, and a filter in front that follows it
    sees the plain one.
    """
    found = list(_PARAMETER.finditer(disposition))
    plain = {match[1].lower() for match in found if not match[2]}
    kept = "".join(m[0] for m in found if not m[2] or m[1].lower() not in plain)
    options = parse_options_header(f"form-data{kept}")[1]
    name = options.get("name", part.name)  # where the header is broken, as it was read
    if isinstance(part, File):
        return replace(part, name=name, filename=options.get("filename", part.filename))
    return replace(part, name=name)


def _base(filename: str) -> str:
    """The name without folders: browsers send none, so any there is an attempt at traversal."""
    name = filename.replace("\\", "/").replace("\0", "").rpartition("/")[2]
    return "" if name in {".", ".."} else name


def _charset(part: Field) -> str:
    content_type = part.headers.get("content-type")
    if not content_type:
        return "utf-8"
    charset = parse_options_header(content_type)[1].get("charset", "").lower()
    return charset if charset in _CHARSETS else "utf-8"
