"""Requests of a WSGI server whose steps are async: whole on the portal, in one hop."""

from __future__ import annotations

import typing as t

from carboy.body import declared_length, is_chunked
from carboy.bridges import LOOP_BRIDGE, wait
from carboy.pipeline import whole

from .spool import Spool

if t.TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    from carboy.ctx import RequestContext
    from carboy.transport import BodySource, Reply


def prepare(ctx: RequestContext) -> bool:
    """Make a request ready for async steps; True if all of its steps are async.

    They share one event loop, on which nothing may wait for a client that sends slowly: the body
    is received here, in the request's thread, unless its route asks for the stream.
    """
    app = ctx.app
    if not ctx._match_soon() or ctx._plan is None or ctx._rule is None:
        return False
    colour = ctx._plan.colour(app)
    if colour == "sync":
        return False
    if not getattr(ctx._rule, "stream_body", False):
        _receive(ctx.head.environ, app.config["MAX_CONTENT_LENGTH"])
    return colour == "async"


def _receive(environ: WSGIEnvironment, limit: int | None) -> None:
    length = declared_length(environ)
    if length is None:
        # Without these two there is none (RFC 9112 section 6.3), but in HTTP/2 and later.
        if "wsgi.input_terminated" not in environ or not (
            is_chunked(environ) or environ["SERVER_PROTOCOL"] not in ("HTTP/1.1", "HTTP/1.0")
        ):
            return
    elif not length or (limit is not None and length > limit):
        return
    stream = environ["wsgi.input"]
    spool = Spool(limit)
    whole = spool.fill_from(stream, length)
    environ["wsgi.input"] = spool if whole else _Continued(spool, stream)


class _Continued:
    """What was received of a body that is too large, and the rest for whoever allows more."""

    def __init__(self, begin: Spool, rest: BodySource) -> None:
        self._begin = begin
        self._rest = rest

    def read(self, size: int = -1) -> bytes:
        """At most ``size`` bytes, ``b""`` at the end; all with -1."""
        data = self._begin.read(size)
        if size < 0:
            return data + self._rest.read(size)
        return data or self._rest.read(size)

    def readline(self, size: int = -1) -> bytes:
        """One line, or at most ``size`` bytes of it."""
        line = self._begin.readline(size)
        if line.endswith(b"\n") or 0 <= size <= len(line):
            return line
        return line + self._rest.readline(size if size < 0 else size - len(line))


def run(ctx: RequestContext) -> Reply:
    """Handle a request on the portal, while its thread waits."""
    return wait(whole(ctx, LOOP_BRIDGE))
