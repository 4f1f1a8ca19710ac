"""Request bodies behind an async door: received before the request is handled, or as it is read."""

from __future__ import annotations

import asyncio
import io
import typing as t
import weakref

from carboy.bridges import wait

if t.TYPE_CHECKING:
    import collections.abc as cabc

    from carboy.transport import BodySource

#: Bytes of a body that are kept in memory; a larger one goes to a temporary file.
IN_MEMORY = 512 * 1024

_BLOCK = 64 * 1024

READ_ON_THE_LOOP = """\
The request's body was read on the event loop by a function that would have to wait for it.

Not all of it is here: its route has `stream_body=True`, or it is larger than MAX_CONTENT_LENGTH.
In an async view read it with `async for chunk in request.stream`; or make the view an ordinary
`def`, whose thread may wait.\
"""


class ClientGone(Exception):
    """The client has gone: there is nobody to answer."""


class Spool:
    """A request body: what was received before dispatch, and on demand what was not.

    More than ``limit`` bytes are not received beforehand: whoever reads the body finds out that
    it is too large, or, having raised the limit, has the rest fetched as it reads. Of a stream
    nothing is received beforehand. An async door's class gives :meth:`fetch`.
    """

    #: Whether there may be something to fetch.
    _more = False

    #: Whether the client has gone before the body's end.
    cut = False

    #: What the server raises when the client has gone while :meth:`first` waits.
    lost: type[Exception] | tuple[()] = ()

    _is_settled = False
    _settling: asyncio.Event | None = None
    _file: t.Any = None
    _failure: OSError | None = None
    _size = 0
    _kept = 0

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._chunks: list[bytes] = []

    def first(self) -> t.Awaitable[t.Any] | None:
        """Something to await for :meth:`took`; None: the body has to be fetched."""
        return None

    def took(self, first: t.Any) -> bool:
        """Keep what :meth:`first` gave; whether that is the whole body, ready for reading."""
        raise NotImplementedError

    def _take_whole(self, data: bytes) -> bool:
        self._more = False
        self.settle()
        self._file = io.BytesIO(data)
        this: t.Any = self
        this.read = self._file.read  # PERF: nothing else is left to look at; bench case "echo"
        return True

    async def fetch(self) -> bytes:
        """Receive the next bytes of the body, and note when there are no more.

        Without bytes there are none. Raises ClientGone when the body is cut.
        """
        raise NotImplementedError

    def _note_end(self) -> None:
        self._more = False
        self.settle()

    def note_cut(self) -> ClientGone:
        """The client has gone."""
        self.cut = True
        self._more = False
        return ClientGone()

    def settle(self) -> None:
        """The rest of the body is of no interest: it was received, or is not wanted."""
        self._is_settled = True
        if self._settling is not None:
            self._settling.set()

    async def settled(self) -> None:
        """Wait until :meth:`settle` was called."""
        if not self._is_settled:
            self._settling = asyncio.Event()
            await self._settling.wait()

    def has_room_for(self, length: str | None) -> bool:
        """Whether a body of this Content-Length is within the limit, as far as it tells."""
        if self._limit is None or length is None or not (length.isascii() and length.isdigit()):
            return True
        return len(length) < 20 and int(length) <= self._limit

    async def fill(self, length: str | None) -> None:
        """Receive the body, unless its length tells that it is too large. May raise ClientGone."""
        room = self.has_room_for(length) and self._has_room()
        while room and self._more:
            chunk = await self.fetch()
            self._keep(chunk)
            if self._kept > IN_MEMORY:
                # A disk may be slow, and nobody else should wait for it.
                await asyncio.to_thread(self._write)
            room = self._has_room()
        self.settle()
        if self._file is None:
            self.rewind()
        else:
            await asyncio.to_thread(self.rewind)

    def fill_from(self, stream: BodySource, length: int | None) -> bool:
        """Receive a body of ``length`` bytes from the blocking stream of a WSGI server.

        Without a length it ends where the stream does. False if it is larger than the limit, and
        the stream has more.
        """
        room = True
        try:
            if length is None:
                while room and (chunk := stream.read(_BLOCK)):
                    room = self.add(chunk)
            else:
                while length and (chunk := stream.read(min(length, _BLOCK))):
                    length -= len(chunk)
                    self.add(chunk)
        except (OSError, ValueError):
            self.cut = True
        self.rewind()
        return room

    async def receive(self, size: int) -> bytes:
        """As :meth:`read`, on the event loop. Raises ConnectionResetError for a cut body."""
        self._check()
        data: bytes = self._file.read(size)
        while not data and self._more:
            self._take(await self._told(self.fetch()))
            data = self._file.read(size)
        return data if data else self._ended()

    async def _told(self, chunk: t.Coroutine[t.Any, t.Any, bytes]) -> bytes:
        # The error that those who read a file know.
        try:
            return await chunk
        except ClientGone:
            raise ConnectionResetError("The client has gone.") from None

    def add(self, chunk: bytes) -> bool:
        """Keep a chunk; False when no more should be received now."""
        self._keep(chunk)
        if self._kept > IN_MEMORY:
            self._write()
        return self._has_room()

    def _keep(self, chunk: bytes) -> None:
        self._size += len(chunk)
        self._kept += len(chunk)
        self._chunks.append(chunk)

    def _has_room(self) -> bool:
        return self._failure is None and (self._limit is None or self._size <= self._limit)

    def _write(self) -> None:
        """Write what is kept to the temporary file."""
        if self._file is None:
            import tempfile

            self._file = self._guarded(tempfile.TemporaryFile)
            if self._file is not None:
                # Also when nobody says so: a WSGI server does not know of a body that was
                # received here.
                weakref.finalize(self, self._file.close)
        if self._file is not None:
            self._guarded(self._file.writelines, self._chunks)
        self._chunks = []
        self._kept = 0

    def _guarded(self, function: t.Callable[..., t.Any], *args: t.Any) -> t.Any:
        # A full disk is told to whoever reads the body, so that it becomes an error page.
        try:
            return function(*args)
        except OSError as error:
            self._failure = error
            return None

    def rewind(self) -> Spool:
        """Make it ready for reading."""
        if self._failure is not None:
            return self
        if self._file is None:
            self._file = io.BytesIO(b"".join(self._chunks))
            self._chunks = []
        else:
            self._write()
            self._guarded(self._file.seek, 0)
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
        if not self._more or (data and size >= 0):
            return data if data else self._ended()
        if size >= 0:
            return self.read(size) if self._wait() else b""
        parts = [data]
        while self._wait():
            parts.append(self._file.read())
        return b"".join(parts)

    def readline(self, size: int = -1) -> bytes:
        """One line, or at most ``size`` bytes of it."""
        self._check()
        line: bytes = self._file.readline(size)
        while self._more and not line.endswith(b"\n") and not 0 <= size <= len(line):
            if not self._wait():
                break
            line += self._file.readline(size if size < 0 else size - len(line))
        return line

    def _wait(self) -> bool:
        """Get one more chunk from the server, in a thread; False at the end."""
        if not self._more:
            return False
        if asyncio._get_running_loop() is not None:
            raise RuntimeError(READ_ON_THE_LOOP)
        return self._take(wait(self._told(self.fetch())))

    def _ended(self) -> bytes:
        if self.cut:
            raise ConnectionResetError("The client has gone.")
        return b""

    def _take(self, chunk: bytes) -> bool:
        if chunk:
            self._file.close()
            self._file = io.BytesIO(chunk)
        return bool(chunk)

    def __iter__(self) -> cabc.Iterator[bytes]:
        return iter(self.readline, b"")

    def readlines(self, hint: int = -1) -> list[bytes]:
        """All the lines."""
        return list(self)

    def close(self) -> None:
        """Give up what is left."""
        self._more = False
        if self._file is not None:
            self._file.close()
