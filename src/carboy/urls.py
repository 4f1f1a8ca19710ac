"""``url_for``: the compiled builder first, Werkzeug's adapter for what it leaves open."""

from __future__ import annotations

import typing as t
from functools import update_wrapper
from urllib.parse import quote

from werkzeug.routing import BuildError, MapAdapter

from .ctx import RequestContext
from .globals import _current, _get_app
from .routing.spelling import Quoted
from .shortcuts import SLOW

if t.TYPE_CHECKING:
    from .app import Carboy
    from .ctx import AppContext
    from .routing.builder import Addresses

F = t.TypeVar("F", bound=t.Callable[..., str])

NO_SERVER_NAME = (
    "Unable to build URLs outside an active request without 'SERVER_NAME' configured. Also"
    " configure 'APPLICATION_ROOT' and 'PREFERRED_URL_SCHEME' as needed."
)

#: What may stand unquoted in a fragment (RFC 3986 section 3.5).
_ANCHOR_SAFE = "%!#$&'()*+,/:;=?@"

_quoted = Quoted(_ANCHOR_SAFE, quote)
_known_fragments = _quoted.known

_SECURE = frozenset({"https", "wss"})

#: The methods by which Werkzeug's adapter builds, as they came.
_build = MapAdapter.build
_partial_build = MapAdapter._partial_build
_get_host = MapAdapter.get_host

#: The methods of the application class itself: whatever else an application has is a replacement.
_own_url_for: t.Any = None
_own_inject_url_defaults: t.Any = None


def remember_originals(cls: type[Carboy]) -> None:
    """Note the methods of the application class before anybody can patch them."""
    global _own_url_for, _own_inject_url_defaults
    _own_url_for = cls.url_for
    _own_inject_url_defaults = cls.inject_url_defaults


def is_own(app: Carboy) -> bool:
    """Whether ``app.url_for`` is Carboy's."""
    return type(app).url_for is _own_url_for and "url_for" not in app.__dict__


def short(long: F) -> F:
    """Have the function ``url_for`` go the short way: where only the map and the values decide.

    Where there is more to the URL, options for instance, ``long`` is called.
    """

    # PERF: names of options would cost 0.03 µs to have, and 0.06 to be told from each value; what is
    # kept by endpoint is a frame for the values, or a text. Bench case "ten url_for".
    def url_for(endpoint: str, **values: t.Any) -> str:
        ctx = _current(None)
        if ctx is not None:
            known = ctx._addresses
            if known is None or known.map._remap is not known.version:
                known = _addresses_for(ctx)
                if known is None:
                    return long(endpoint, **values)
            if type(ctx.app).url_for is _own_url_for:
                try:
                    url = known.spells[endpoint](values) if values else known.fixed[endpoint]
                    if url:
                        return url
                    if "_external" in values or "_anchor" in values:
                        url = _with_options(ctx, known, endpoint, values)
                        if url is not None:
                            return url
                except Exception:
                    # Not asked for before, or Werkzeug has to say what is wrong.
                    pass
        return long(endpoint, **values)

    return t.cast(F, update_wrapper(url_for, long))


def short_method(long: F) -> F:
    """As :func:`short`, for the application's method."""

    def of_current(endpoint: str, **values: t.Any) -> str:
        return long(_get_app(), endpoint, **values)

    at_once = short(of_current)

    def url_for(self: Carboy, /, endpoint: str, **values: t.Any) -> str:
        ctx = _current(None)
        if ctx is not None and ctx.app is self:
            return at_once(endpoint, **values)
        return long(self, endpoint, **values)

    return t.cast(F, update_wrapper(url_for, long))


def _with_options(
    ctx: AppContext, known: Addresses, endpoint: str, values: dict[str, t.Any]
) -> str | None:
    """The URL with ``_external`` and ``_anchor``; None for other options, and where in doubt."""
    values = values.copy()
    external = values.pop("_external", None)
    anchor = values.pop("_anchor", None)
    url = known.spells[endpoint](values) if values else known.fixed[endpoint]
    if not url:
        return None
    if external:
        adapter = ctx.url_adapter
        if (
            adapter is None
            or adapter.map is not known.map
            or adapter.subdomain != ""
            or not _is_ordinary(adapter)
        ):
            return None
        url = _prefix(adapter, None, adapter.server_name) + url
    return url if anchor is None else f"{url}#{_fragment(anchor)}"


def _prefix(adapter: MapAdapter, scheme: str | None, host: str) -> str:
    """What stands in front of the path in an external URL."""
    if scheme is None:
        scheme = adapter.url_scheme
    if scheme:
        scheme = "https:" if scheme in _SECURE else "http:"
    return f"{scheme}//{host}{adapter.script_name[:-1]}"


def _fragment(text: str) -> str:
    if type(text) is str:
        return _known_fragments.get(text) or _quoted(text)
    return quote(text, _ANCHOR_SAFE)


def _addresses_for(ctx: AppContext) -> Addresses | None:
    """What there is to say in this request; None where a URL is not only its path."""
    app = ctx.app
    if app.url_default_functions or not isinstance(ctx, RequestContext) or not _is_plain(app, ctx):
        return None
    # In this order: what is replaced after the look makes what is known untrue.
    known = app._url_builder.known()
    if (
        app.url_default_functions
        or app.url_map.default_subdomain
        or type(app).inject_url_defaults is not _own_inject_url_defaults
        or not _REPLACEABLE.isdisjoint(vars(app))
    ):
        return None
    ctx._addresses = known
    return known


_REPLACEABLE = frozenset({"url_for", "inject_url_defaults", "create_url_adapter"})


def _is_known(ctx: AppContext) -> bool:
    known = ctx._addresses
    return known is not None and known.map._remap is known.version


def _is_plain(app: Carboy, ctx: RequestContext) -> bool:
    """Whether a URL on this request's host is the path that its rule gives."""
    return (
        not SLOW
        and app._routes_itself
        and "create_url_adapter" not in ctx.over
        and not ctx._refused
        and not ctx.head.get("SCRIPT_NAME")
    )


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
    current = _current(None)
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
    adapter = None
    if ctx is None and (adapter := _outside_adapter(app)) is None:
        raise RuntimeError(NO_SERVER_NAME)
    app.inject_url_defaults(endpoint, values)
    url = None
    if ctx is not None:
        if not external and ctx.app is app and (_is_known(ctx) or _is_plain(app, ctx)):
            url = app._url_builder.build(
                endpoint, values, method, ctx.head.method, app.url_map.default_subdomain or ""
            )
        if url is None:
            adapter = ctx.url_adapter
    if url is None:
        if adapter is None:
            # The request's host was refused: no URL may name it, but pages still have links.
            adapter, external = app.url_map.bind(""), False
        url = _of_adapter(app, adapter, endpoint, method, scheme, external, values)
        if url is None:
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
        url = f"{url}#{_fragment(anchor)}"
    return url


def _outside_adapter(app: Carboy) -> MapAdapter | None:
    """The adapter to build with where there is no request; needs ``SERVER_NAME``."""
    current = _current(None)
    return app.create_url_adapter(None) if current is None else current.url_adapter


def _of_adapter(
    app: Carboy,
    adapter: MapAdapter,
    endpoint: str,
    method: str | None,
    scheme: str | None,
    external: bool,
    values: dict[str, t.Any],
) -> str | None:
    """What ``adapter.build`` gives, where its path can be had of the compiled builder."""
    url_map = adapter.map
    if SLOW or url_map is not app.url_map or not _is_ordinary(adapter):
        return None
    domain = adapter.server_name if url_map.host_matching else adapter.subdomain
    if domain is None:
        return None
    path = app._url_builder.build(endpoint, values, method, adapter.default_method, domain)
    if path is None:
        return None
    if not external:
        return adapter.script_name.rstrip("/") + path
    return _prefix(adapter, scheme, adapter.get_host(domain)) + path


def _is_ordinary(adapter: MapAdapter) -> bool:
    """Whether the adapter builds by Werkzeug's own code."""
    own = adapter.__dict__
    return (
        type(adapter) is MapAdapter
        and MapAdapter.build is _build
        and MapAdapter._partial_build is _partial_build
        and MapAdapter.get_host is _get_host
        and "build" not in own
        and "_partial_build" not in own
        and "get_host" not in own
    )
