"""Requests of a WSGI server whose steps are async: whole on the portal, in one hop."""

from __future__ import annotations

import typing as t

from carboy.body import declared_length
from carboy.bridges import LOOP_BRIDGE, wait
from carboy.pipeline import whole

from .spool import Spool

if t.TYPE_CHECKING:
    from carboy.ctx import RequestContext
    from carboy.transport import Reply


def prepare(ctx: RequestContext) -> bool:
    """Make a request ready for async steps; True if all of its steps are async.

    They share one event loop, on which nothing may wait for a client that sends slowly: the body
    is received here, in the request's thread, unless its route asks for the stream.
    """
    app = ctx.app
    if not ctx._match_soon() or ctx._plan is None:
        return False
    colour = ctx._plan.colour(app)
    if colour == "sync":
        return False
    environ = ctx.head.environ
    length = declared_length(environ)
    limit = app.config["MAX_CONTENT_LENGTH"]
    if (
        length
        and (limit is None or length <= limit)
        and not getattr(ctx._rule, "stream_body", False)
    ):
        environ["wsgi.input"] = Spool(limit).fill_from(environ["wsgi.input"], length)
    return colour == "async"


def run(ctx: RequestContext) -> Reply:
    """Handle a request on the portal, while its thread waits."""
    return wait(whole(ctx, LOOP_BRIDGE))
