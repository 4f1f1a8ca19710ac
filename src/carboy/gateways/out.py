"""The way out of a reply in parts, behind an async door."""

from __future__ import annotations

import asyncio
import typing as t
from contextvars import copy_context
from functools import lru_cache

from carboy.bridges import WORKERS, surely
from carboy.responding import AsyncBody
from carboy.wrappers import encode

from .spool import ClientGone

if t.TYPE_CHECKING:
    import collections.abc as cabc
    from concurrent.futures import Future

    from .environ import LazyHead


@lru_cache(maxsize=256)
def code_of(status: str) -> int:
    """The code of a status line."""
    return int(status[:3])


class Out:
    """A streamed reply on its way to the client. The door's class says how."""

    #: What the server raises when the client has gone.
    lost: type[Exception]

    #: Writes a part; gives something to await.
    write: t.Callable[[bytes], t.Awaitable[t.Any]]

    def begin(self) -> t.Awaitable[None] | None:
        """Write status and headers. Gives something to await, or None."""
        raise NotImplementedError

    def end(self) -> t.Awaitable[None] | None:
        """Say that this was all."""
        raise NotImplementedError


def send_parts(head: LazyHead, body: t.Any, out: Out) -> t.Coroutine[t.Any, t.Any, None]:
    """Write a reply in parts, for as long as the client is there: ClientGone."""
    if head.body is not None and head.body.cut:
        head.body.settle()  # the view was told, and has had its say
    return head.whoever_waits().waits_for(pour(body, out))


async def pour(body: t.Any, out: Out) -> None:
    """Write a reply in parts, each when the one before has gone out.

    The body is closed, whatever happens. Raises TypeError for a chunk that is not bytes.
    """
    chunks: AsyncBody | _Pulled = body if isinstance(body, AsyncBody) else _Pulled(body)
    lost = out.lost
    has_ended = False
    try:
        try:
            if (waiting := out.begin()) is not None:
                await waiting
        except lost:
            raise ClientGone from None
        write = out.write
        async for chunk in chunks.chunks:
            if type(chunk) is str:
                chunk = chunk.encode("utf-8", "replace")  # as `encode`, in one call
            elif type(chunk) is not bytes:
                chunk = _checked(chunk)
            if chunk:
                try:
                    await write(chunk)
                except lost:
                    raise ClientGone from None
        has_ended = True
        try:
            if (waiting := out.end()) is not None:
                await waiting
        except lost:
            raise ClientGone from None
    finally:
        # PERF: what waits for nothing needs no task, which costs 20 µs. Bench case "stream".
        if not (has_ended and chunks.ended()):
            await surely(chunks.aclose())


def _checked(chunk: t.Any) -> bytes:
    if type(chunk) is bytes:
        return chunk
    if isinstance(chunk, str):
        return encode(chunk)
    if isinstance(chunk, bytes | bytearray | memoryview):
        return bytes(chunk)
    raise TypeError(f"A streamed response gave {chunk!r}. Each part must be bytes or text.")


_END: t.Any = object()


class _Pulled:
    """The chunks of a sync iterable, each made in a worker thread when it is asked for."""

    def __init__(self, body: cabc.Iterable[bytes]) -> None:
        self._body = body
        self._iterator: cabc.Iterator[bytes] | None = None
        # One context for all the parts: a generator expects to find what it has set.
        self._context = copy_context()
        self._pull: Future[bytes] | None = None
        self._closed = False
        self._error: BaseException | None = None

    def __aiter__(self) -> t.Self:
        return self

    async def __anext__(self) -> bytes:
        self._pull = WORKERS.submit_in(self._context, self._next)
        chunk = await asyncio.wrap_future(self._pull)
        if chunk is _END:
            raise StopAsyncIteration
        return chunk

    def _next(self) -> bytes:
        if self._iterator is None:
            self._iterator = iter(self._body)
        for chunk in self._iterator:
            return chunk
        try:
            self._close()  # in the same hop
        except BaseException as error:
            self._error = error
        return t.cast(bytes, _END)

    def _close(self) -> None:
        self._closed = True
        close = getattr(self._body, "close", None)
        if close is not None:
            close()

    @property
    def chunks(self) -> t.Self:
        """As an AsyncBody's."""
        return self

    def ended(self) -> bool:
        """Whether it was closed, as it came to its end; raises what closing it raised."""
        if self._error is not None:
            raise self._error
        return self._closed

    async def aclose(self) -> None:
        """Close the iterable, when the thread that is making a part has made it."""
        if self._pull is not None and not self._pull.done():
            await asyncio.wait([asyncio.wrap_future(self._pull)])
        if not self._closed:
            await asyncio.wrap_future(WORKERS.submit_in(self._context, self._close))
        if self._error is not None:
            raise self._error
