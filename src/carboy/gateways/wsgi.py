"""The WSGI door (PEP 3333)."""

from __future__ import annotations

import typing as t

from carboy.bridges import WSGI_BRIDGE, drive
from carboy.ctx import RequestContext
from carboy.errors import Admitted
from carboy.pipeline import handle
from carboy.plan import PLAIN, lifecycle
from carboy.transport import Reply

if t.TYPE_CHECKING:
    import collections.abc as cabc

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from carboy.app import Carboy


_portal: t.Any = None


def _open_portal() -> t.Any:
    """The road of async requests, imported by the first application that has any."""
    global _portal
    from . import portal

    _portal = portal
    return portal


def wsgi_app(
    self: Carboy, environ: WSGIEnvironment, start_response: StartResponse
) -> cabc.Iterable[bytes]:
    """The WSGI application. Wrap middleware around it: ``app.wsgi_app = M(app.wsgi_app)``.

    Answers one request, and returns the body's chunks.
    """
    app = self
    plans = app._plans
    # PERF: as `overrides` begins; a call less, bench case "text".
    over = plans.found if lifecycle(type(app)) == plans.seen else plans.overrides(app)
    if over and "serving" in over:
        app._serving.start_in_thread(app)
        over = plans.overrides(app)
    # PERF: as app.request_context does; a call less, bench case "text".
    ctx = RequestContext(app, environ) if not over else app.request_context(environ)
    ctx.over = over or PLAIN
    ctx._start = start_response
    if plans.has_async and not over:
        portal = _portal or _open_portal()
        if portal.prepare(ctx):
            answered: Reply = portal.run(ctx)
            return answered.body
    try:
        reply = handle(ctx, WSGI_BRIDGE)
        if type(reply) is not Reply:
            reply = drive(reply)
    except Admitted:
        # A WebSocket, on an async door: what follows is not for the middleware around here.
        start_response("101 Switching Protocols", [])
        return ()
    return reply.body


# Whether it was replaced is asked by the doors that have to go through it then.
wsgi_app._is_carboys_own = True  # type: ignore[attr-defined]
