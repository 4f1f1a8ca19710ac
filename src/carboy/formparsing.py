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

from werkzeug.datastructures import FileStorage, MultiDict
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

from .body import parse_query

_BLOCK = 64 * 1024

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

    def read(self, stream: t.IO[bytes], boundary: str) -> tuple[t.Any, t.Any]:
        """Return the fields and the files. Raises ValueError for broken syntax."""
        block = stream.read(_BLOCK)
        if not block:
            return self._parser.cls(), self._parser.cls()
        if not boundary or len(boundary) > MAX_BOUNDARY or not boundary.isascii():
            raise ValueError("the boundary is missing, too long or not ASCII")
        decoder = MultipartDecoder(boundary.encode(), max_parts=self._parser.max_form_parts)
        for piece in chain(_pieces(stream, block, b"--" + boundary.encode()), (None,)):
            decoder.receive_data(piece)
            while not isinstance(event := decoder.next_event(), NeedData):
                if isinstance(event, Epilogue):
                    break
                self._take(event)
            if decoder.state is State.PART and len(decoder.buffer) > MAX_PART_HEADERS + _BLOCK:
                raise RequestEntityTooLarge()
            if decoder.state in (State.PREAMBLE, State.EPILOGUE):
                self._drop_padding(decoder)
        return self._parser.cls(self._fields), self._parser.cls(self._files)

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
                self._sink.seek(0)
                upload = FileStorage(
                    self._sink, _base(part.filename), part.name, headers=part.headers
                )
                self._files.append((part.name, upload))
                self._sink = None

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
