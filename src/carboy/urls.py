"""``url_for``: the compiled builder first, Werkzeug's adapter for what it leaves open."""

from __future__ import annotations

import typing as t
from urllib.parse import quote

from werkzeug.routing import BuildError

from .globals import _cv
from .shortcuts import SLOW

if t.TYPE_CHECKING:
    from werkzeug.routing import MapAdapter

    from .app import Carboy
    from .ctx import RequestContext

NO_SERVER_NAME = (
    "Unable to build URLs outside an active request without 'SERVER_NAME' configured. Also"
    " configure 'APPLICATION_ROOT' and 'PREFERRED_URL_SCHEME' as needed."
)

#: What may stand unquoted in a fragment (RFC 3986 section 3.5).
_ANCHOR_SAFE = "%!#$&'()*+,/:;=?@"


def url_for(
    app: Carboy,
    endpoint: str,
    anchor: str | None,
    method: str | None,
    scheme: str | None,
    external: bool | None,
    values: dict[str, t.Any],
) -> str:
    """Build the URL of ``endpoint``; see :meth:`carboy.Carboy.url_for`."""
    current = _cv.get(None)
    ctx = None if current is None else current._request_context
    if ctx is not None:
        if endpoint[:1] == ".":
            blueprint = ctx.request.blueprint
            endpoint = endpoint[1:] if blueprint is None else blueprint + endpoint
        if external is None:
            external = scheme is not None
    elif external is None:
        external = True
    if scheme is not None and not external:
        raise ValueError("When specifying '_scheme', '_external' must be True.")
    if ctx is None and _outside_adapter(app) is None:
        raise RuntimeError(NO_SERVER_NAME)
    app.inject_url_defaults(endpoint, values)
    url = None
    if ctx is not None and not external:
        url = _compiled(app, ctx, endpoint, method, values)
    if url is None:
        adapter = _outside_adapter(app) if ctx is None else ctx.url_adapter
        if adapter is None:
            # The request's host was refused: no URL may name it, but pages still have links.
            adapter, external = app.url_map.bind(""), False
        try:
            url = adapter.build(
                endpoint,
                values,
                method=method,
                url_scheme=scheme,
                force_external=bool(external),
            )
        except BuildError as error:
            values.update(_anchor=anchor, _method=method, _scheme=scheme, _external=external)
            return app.handle_url_build_error(error, endpoint, values)
    if anchor is not None:
        url = f"{url}#{quote(anchor, safe=_ANCHOR_SAFE)}"
    return url


def _outside_adapter(app: Carboy) -> MapAdapter | None:
    """The adapter to build with where there is no request; needs ``SERVER_NAME``."""
    current = _cv.get(None)
    return app.create_url_adapter(None) if current is None else current.url_adapter


def _compiled(
    app: Carboy, ctx: RequestContext, endpoint: str, method: str | None, values: dict[str, t.Any]
) -> str | None:
    head = ctx.head
    if (
        SLOW
        or not app._routes_itself
        or "create_url_adapter" in ctx.over
        or ctx._refused
        or head.get("SCRIPT_NAME")
    ):
        return None
    return app._url_builder.build(
        endpoint, values, method, head.method, app.url_map.default_subdomain
    )
