"""Files on their way out: found inside a folder, described by headers, read in blocks.

The answers are those of Werkzeug's ``send_file``, header for header, made with less work. Beyond
it, a file that grows while it is sent is sent as long as was announced, and a file of a folder
is looked for in that folder only: not where a link leads out of it.
"""

from __future__ import annotations

import io
import mimetypes
import os
import re
import stat
import time
import typing as t
import unicodedata
from functools import lru_cache
from urllib.parse import quote
from zlib import adler32

from werkzeug.exceptions import NotFound
from werkzeug.http import dump_options_header, quote_etag
from werkzeug.security import safe_join

from .dates import http_date, parse_date
from .headers import Headers, content_type_of, date_of, status_of, value_of
from .shortcuts import SLOW
from .wrappers import Response

if t.TYPE_CHECKING:
    from datetime import datetime

    from _typeshed.wsgi import WSGIEnvironment

    Seconds = int | float
    MaxAge = int | t.Callable[[str | None], int | None] | None

_BLOCK = 64 * 1024

#: What may stand unquoted in an extended parameter (RFC 8187 section 3.2.1, attr-char).
_ATTR_CHAR = "!#$&+-.^_`|~"

NO_TYPE = (
    "Unable to detect the MIME type because a file name is not available. Either set"
    " 'download_name', pass a path instead of a file, or set 'mimetype'."
)
NO_NAME = (
    "No name provided for attachment. Either set 'download_name' or pass a path instead of a file."
)


class FileBody:
    """The blocks of an open file, ``size`` bytes at most (None: all there are)."""

    __slots__ = ("_left", "close", "file")

    def __init__(self, file: t.IO[bytes], size: int | None) -> None:
        self.file = file
        self.close = getattr(file, "close", _nothing)
        self._left = size

    def __iter__(self) -> t.Self:
        return self

    def __next__(self) -> bytes:
        left = self._left
        if left is None:
            block = self.file.read(_BLOCK)
        elif left:
            block = self.file.read(left if left < _BLOCK else _BLOCK)
            self._left = left - len(block)
        else:
            raise StopIteration
        if not block:
            raise StopIteration
        return block

    def read_whole(self, most: int) -> bytes | None:
        """All that is left, and the file closed; None for more than ``most`` bytes of it."""
        if self._left is None or self._left > most:
            return None
        try:
            return b"".join(self)
        finally:
            self.close()

    def narrow(self, start: int, length: int) -> None:
        """Give only ``length`` bytes from ``start`` on; for an answer with a part of the file."""
        self.file.seek(start)
        self._left = length


def _nothing() -> None:
    pass


class Source(t.NamedTuple):
    """A file to send; ``size`` in bytes, ``modified`` in seconds, both None where unknown."""

    file: t.Any
    path: str | None
    size: int | None
    modified: float | None


def source_of(path_or_file: t.Any, root_path: str, x_sendfile: bool) -> Source:
    """Open a path, which is relative to ``root_path``, or take an open file.

    With ``x_sendfile`` a path stays closed: the front server reads it. Raises OSError for a path
    that cannot be opened and ValueError for a file open for text.
    """
    if isinstance(path_or_file, str) or hasattr(path_or_file, "__fspath__"):
        path = os.fspath(path_or_file)
        if path[:1] != os.sep:
            path = os.path.join(root_path, path)
        if x_sendfile:
            found = os.stat(path)
            return Source(None, path, found.st_size, found.st_mtime)
        file = io.FileIO(path)
        found = os.fstat(file.fileno())
        return Source(file, path, found.st_size, found.st_mtime)
    if isinstance(path_or_file, io.TextIOBase):
        raise ValueError("Files must be opened in binary mode or use BytesIO.")
    size = path_or_file.getbuffer().nbytes if isinstance(path_or_file, io.BytesIO) else None
    return Source(path_or_file, None, size, None)


def find(directory: str, name: str, root_path: str, config: t.Mapping[str, t.Any]) -> str:
    """The path of the regular file ``name`` in ``directory``, itself relative to ``root_path``.

    Raises NotFound for anything else, for a link out of the directory unless the setting
    ``SEND_FILE_LINKS`` allows it, and for a hidden file unless ``SEND_FILE_HIDDEN`` does;
    ``.well-known`` (RFC 8615) is not hidden.
    """
    place = (_kept_place if len(name) < _LONG else _place_of)(directory or ".", name, root_path)
    if place is None:
        raise NotFound()
    path, folder, parts, hidden = place
    if hidden and not config.get("SEND_FILE_HIDDEN"):
        raise NotFound()
    try:
        if config.get("SEND_FILE_LINKS"):
            mode = os.stat(path).st_mode
        else:
            mode = _mode_within(folder, parts, path)
    except (OSError, ValueError):  # not there, too long, a NUL in it, not this user's
        raise NotFound() from None
    if not stat.S_ISREG(mode):
        raise NotFound()
    return path


class _Place(t.NamedTuple):
    """Where a file would be: its path, the folder, the names below that, whether one is hidden."""

    path: str
    folder: str
    parts: list[str]
    hidden: bool


def _place_of(directory: str, name: str, root_path: str) -> _Place | None:
    joined = safe_join(directory, name)
    if joined is None:
        return None
    inner = joined[len(directory) :].lstrip("/")
    hidden = any(part[:1] == "." for part in inner.removeprefix(".well-known/").split("/"))
    folder = os.path.join(root_path, directory)
    return _Place(os.path.join(root_path, joined), folder, inner.split("/"), hidden)


# PERF: names are taken apart once, and only looked up each time; 4 µs, bench case "static".
_kept_place = lru_cache(maxsize=0 if SLOW else 512)(_place_of)
_LONG = 256


def _mode_within(folder: str, parts: list[str], path: str) -> int:
    """The mode of a file below ``folder``. Raises OSError when a link on the way leads out."""
    place = folder
    mode = 0
    # PERF: one look per part of the name instead of the whole path's by realpath, 10 µs.
    for part in parts:
        place = f"{place}/{part}"
        mode = os.lstat(place).st_mode
        if stat.S_ISLNK(mode):
            real = os.path.realpath(path, strict=True)
            inside = os.path.join(os.path.realpath(folder), "")
            if not real.startswith(inside):
                raise PermissionError(path)
            return os.stat(real).st_mode
    return mode


def describe(
    source: Source, mimetype: str | None, as_attachment: bool, download_name: str | None
) -> tuple[str, list[tuple[str, str]]]:
    """The media type of a file and the headers that name it.

    Raises TypeError where a name is needed to tell these and there is none.
    """
    headers: list[tuple[str, str]] = []
    if download_name is None and source.path is not None:
        download_name = _basename(source.path)
    if mimetype is None:
        if download_name is None:
            raise TypeError(NO_TYPE)
        mimetype, encoding = guess_type(download_name)
        # A browser that saves a .tar.gz would take it apart if it were told of the gzip.
        if encoding is not None and not as_attachment:
            headers.append(("Content-Encoding", encoding))
    if download_name is not None:
        headers.append(("Content-Disposition", _disposition(download_name, as_attachment)))
    elif as_attachment:
        raise TypeError(NO_NAME)
    return mimetype, headers


def guess_type(name: str) -> tuple[str, str | None]:
    """The media type of a file by its name, and the encoding of a compressed one."""
    # PERF: the tables that mimetypes looks into last, without what comes before; 2 µs.
    if mimetypes.inited and ":" not in name:
        ending = _splitext(name)[1]
        if ending not in mimetypes.encodings_map and ending not in mimetypes.suffix_map:
            known = mimetypes.types_map.get(ending)
            if known is not None:
                return known, None
    kind, encoding = mimetypes.guess_type(name)
    return kind or "application/octet-stream", encoding


_basename = lru_cache(maxsize=512)(os.path.basename)
_splitext = lru_cache(maxsize=512)(os.path.splitext)


@lru_cache(maxsize=512)
def _disposition(name: str, as_attachment: bool) -> str:
    if name.isascii():
        names = {"filename": name}
    else:
        plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode("ascii")
        extended = quote(name, safe=_ATTR_CHAR, errors="replace")
        names = {"filename": plain, "filename*": f"UTF-8''{extended}"}
    header = dump_options_header("attachment" if as_attachment else "inline", names)
    return value_of("Content-Disposition", header)


def send(
    source: Source,
    environ: WSGIEnvironment,
    response_class: type[Response],
    mimetype: str | None = None,
    as_attachment: bool = False,
    download_name: str | None = None,
    conditional: bool = True,
    etag: bool | str = True,
    last_modified: datetime | Seconds | None = None,
    max_age: MaxAge = None,
) -> Response:
    """Return the response with a file; the arguments are those of :func:`carboy.send_file`.

    The file is closed when something is raised.
    """
    try:
        kind, described = describe(source, mimetype, as_attachment, download_name)
        seconds = max_age(source.path) if callable(max_age) else max_age
        headers = Headers.__new__(Headers)
        headers._list = described
        if response_class is Response and not SLOW:
            # PERF: all headers are known to be good, and nobody has given others; 3 µs, bench case
            # "static".
            described.append(("Content-Type", content_type_of(kind, "utf-8")))
            described += _facts(source, last_modified, seconds, etag)
            response = Response(_body(source, environ), headers=headers, direct_passthrough=True)
        else:
            response = response_class(
                _body(source, environ), mimetype=kind, headers=headers, direct_passthrough=True
            )
            _add(response, _facts(source, last_modified, seconds, etag))
        if conditional:
            _answer_conditions(response, environ, source)
    except BaseException:
        if source.file is not None:
            source.file.close()
        raise
    return response


def _body(source: Source, environ: WSGIEnvironment) -> t.Any:
    if source.file is None:
        return None
    # The server's own way of sending files (PEP 3333) sends whole ones.
    wrapper = None if "HTTP_RANGE" in environ else environ.get("wsgi.file_wrapper")
    return FileBody(source.file, source.size) if wrapper is None else wrapper(source.file, _BLOCK)


def _facts(
    source: Source,
    last_modified: datetime | Seconds | None,
    max_age: int | None,
    etag: bool | str,
) -> list[tuple[str, str]]:
    """The headers that tell a file's size and age, and how long it may be kept."""
    file, path, size, modified = source
    if file is None:
        headers = [("X-Sendfile", value_of("X-Sendfile", path))]
    else:
        headers = []
    if path is not None and last_modified is None and etag is True:
        # PERF: the same as long as the file stays as it is; 1.5 µs, bench case "static".
        length, date, tag = _kept_facts(path, size, modified)
        return [*headers, length, date, *_freshness(max_age), tag]
    if size is not None:
        headers.append(("Content-Length", str(size)))
    if last_modified is not None:
        headers.append(("Last-Modified", http_date(last_modified)))
    elif modified is not None:
        headers.append(("Last-Modified", date_of(modified)))
    headers += _freshness(max_age)
    if isinstance(etag, str):
        headers.append(("ETag", value_of("ETag", quote_etag(etag))))
    elif etag and path is not None:
        headers.append(_kept_facts(path, size, modified)[2])
    return headers


@lru_cache(maxsize=0 if SLOW else 512)
def _kept_facts(path: str, size: t.Any, modified: t.Any) -> tuple[tuple[str, str], ...]:
    """Content-Length, Last-Modified and ETag of a file."""
    return (
        ("Content-Length", str(size)),
        ("Last-Modified", http_date(modified)),
        ("ETag", f'"{modified}-{size}-{adler32(os.fsencode(path))}"'),
    )


def _freshness(max_age: int | None) -> list[tuple[str, str]]:
    if max_age is None:
        return [("Cache-Control", "no-cache")]
    rule = "public" if max_age > 0 else "no-cache"
    expires = date_of(int(time.time() + max_age))
    return [("Cache-Control", f"{rule}, max-age={max_age}"), ("Expires", expires)]


def _add(response: Response, headers: list[tuple[str, str]]) -> None:
    """Add headers that are known to be good; a response class may have given some before."""
    for name, value in headers:
        given = response.headers.get(name) if name == "Cache-Control" else None
        response.headers[name] = value if given is None else f"{given}, {value}"


def _answer_conditions(response: Response, environ: WSGIEnvironment, source: Source) -> None:
    """Answer a conditional or range request."""
    if type(response) is Response and environ["REQUEST_METHOD"] in _READS and not SLOW:
        # PERF: conditions as browsers spell them, without the objects that stand for the others;
        # 15 µs for a 304, 20 for a range.
        outcome = _outcome(response.headers._list, environ, source)
        if outcome is not None:
            status, start, length = outcome
            listed = response.headers._list
            now = date_of(int(time.time()))
            listed += (("Date", now), ("Accept-Ranges", "bytes"))
            if status == 304:
                response._status, response._status_code = _NOT_MODIFIED
                # Some front servers would send the file all the same.
                listed[:] = [pair for pair in listed if pair[0] != "X-Sendfile"]
            elif status == 206:
                response._status, response._status_code = _PARTIAL
                place = [name for name, _ in listed].index("Content-Length")
                listed[place] = ("Content-Length", str(length))
                part = f"bytes {start}-{start + length - 1}/{source.size}"
                listed.append(("Content-Range", part))
                t.cast(FileBody, response.response).narrow(start, length)
            return
    response.make_conditional(environ, accept_ranges=True, complete_length=source.size)
    if response.status_code == 304:
        response.headers.pop("X-Sendfile", None)


_READS = frozenset({"GET", "HEAD"})
_NOT_MODIFIED = status_of(304)
_PARTIAL = status_of(206)
_WHOLE = (200, 0, 0)

#: One tag without anything in it that could be read in two ways; one range of bytes.
_TAG = re.compile(r'(?:W/)?("[!#-+\--~]+")')
_RANGE = re.compile(r"bytes=(?:([0-9]{1,18})-([0-9]{1,18})?|-([0-9]{1,18}))")


def _outcome(
    headers: list[tuple[str, str]], environ: WSGIEnvironment, source: Source
) -> tuple[int, int, int] | None:
    """The status of the answer, and start and length of a part (206). None: ask Werkzeug.

    As it has it, a range goes before If-None-Match, and that before If-Modified-Since.
    """
    wanted = environ.get("HTTP_RANGE")
    tags = environ.get("HTTP_IF_NONE_MATCH")
    since = environ.get("HTTP_IF_MODIFIED_SINCE")
    if "HTTP_IF_MATCH" in environ:
        return None
    if wanted is not None:
        size = source.size
        if not size or "HTTP_IF_RANGE" in environ or type(source.file) is not io.FileIO:
            return None
        found = _RANGE.fullmatch(wanted)
        return None if found is None else _part(found, size)
    if tags is None and since is None:
        return _WHOLE
    known = dict(headers)
    if tags is not None:
        etag = known.get("ETag")
        found = _TAG.fullmatch(tags)
        if found is None or etag is None or _TAG.fullmatch(etag) is None or etag[0] != '"':
            return None
        return (304, 0, 0) if found[1] == etag else _WHOLE
    modified = known.get("Last-Modified")
    if modified is None or not since or len(since) != 29:
        return None
    if since == modified:
        return (304, 0, 0)
    try:
        asked, changed = parse_date(since), parse_date(modified)
    except (OverflowError, ValueError):
        return None
    if asked is None or changed is None:
        return None
    return (304, 0, 0) if changed <= asked else _WHOLE


def _part(found: re.Match[str], size: int) -> tuple[int, int, int] | None:
    """A range that can be answered."""
    first, last, suffix = found.groups()
    if suffix is not None:
        length = min(int(suffix), size)
        return (206, size - length, length) if length else None
    start = int(first)
    end = size if last is None else min(int(last) + 1, size)
    return (206, start, end - start) if start < end else None
