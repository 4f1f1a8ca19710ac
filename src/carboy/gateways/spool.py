"""Request bodies behind an async door: received before the request is handled."""

from __future__ import annotations

import io
import typing as t

if t.TYPE_CHECKING:
    import collections.abc as cabc

#: Bytes of a body that are kept in memory; a larger one goes to a temporary file.
IN_MEMORY = 512 * 1024


class Spool:
    """A request body: what was received before dispatch, and on demand what was not.

    More than ``limit`` bytes are not received beforehand: whoever reads the body finds out that
    it is too large, or, having raised the limit, has the rest fetched as it reads.
    """

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._file: t.Any = None
        self._chunks: list[bytes] = []
        self._size = 0
        self._failure: OSError | None = None
        self._more: t.Callable[[], bytes] | None = None

    def has_room_for(self, length: str | None) -> bool:
        """Whether a body of this Content-Length is within the limit, as far as it tells."""
        if self._limit is None or length is None or not (length.isascii() and length.isdigit()):
            return True
        return len(length) < 20 and int(length) <= self._limit

    def add(self, chunk: bytes) -> bool:
        """Keep a chunk; False when no more should be received now."""
        self._size += len(chunk)
        if self._file is None:
            self._chunks.append(chunk)
            if self._size > IN_MEMORY:
                import tempfile

                self._file = self._guarded(tempfile.TemporaryFile)
                chunk, self._chunks = b"".join(self._chunks), []
        if self._file is not None:
            self._guarded(self._file.write, chunk)
        return self._failure is None and (self._limit is None or self._size <= self._limit)

    def _guarded(self, function: t.Callable[..., t.Any], *args: t.Any) -> t.Any:
        # A full disk is told to whoever reads the body, so that it becomes an error page.
        try:
            return function(*args)
        except OSError as error:
            self._failure = error
            return None

    def rewind(self, more: t.Callable[[], bytes] | None = None) -> Spool:
        """Make it ready for reading. ``more`` gives the chunks that were not received yet."""
        if self._file is None:
            self._file = io.BytesIO(b"".join(self._chunks))
            self._chunks = []
        elif self._failure is None:
            self._guarded(self._file.seek, 0)
        self._more = more
        return self

    def _check(self) -> None:
        if self._failure is not None:
            raise RuntimeError(
                "The request's body could not be kept: its temporary file could not be written."
                " Is the disk full?"
            ) from self._failure

    def read(self, size: int = -1) -> bytes:
        """At most ``size`` bytes, ``b""`` at the end; all with -1."""
        self._check()
        data: bytes = self._file.read(size)
        if self._more is None or (data and size >= 0):
            return data
        if size >= 0:
            return self.read(size) if self._fetch() else b""
        parts = [data]
        while self._fetch():
            parts.append(self._file.read())
        return b"".join(parts)

    def readline(self, size: int = -1) -> bytes:
        """One line, or at most ``size`` bytes of it."""
        self._check()
        line: bytes = self._file.readline(size)
        while self._more is not None and not line.endswith(b"\n") and not 0 <= size <= len(line):
            if not self._fetch():
                break
            line += self._file.readline(size if size < 0 else size - len(line))
        return line

    def _fetch(self) -> bool:
        """Get one more chunk from the server; False at the end."""
        if self._more is None:
            return False
        chunk = self._more()
        if not chunk:
            self._more = None
            return False
        self._file.close()
        self._file = io.BytesIO(chunk)
        return True

    def __iter__(self) -> cabc.Iterator[bytes]:
        return iter(self.readline, b"")

    def readlines(self, hint: int = -1) -> list[bytes]:
        """All the lines."""
        return list(self)

    def close(self) -> None:
        """Give up what is left."""
        self._more = None
        if self._file is not None:
            self._file.close()
