"""Redirects to an address that a client chose (``?next=``), without leaving the site.

Browsers read addresses more generously than libraries do: they drop tabs and line ends, strip
control characters in front, take ``\\`` for ``/`` and any number of slashes for two (the WHATWG URL
standard). So an address is accepted by what it is, and not refused by what was thought of.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Iterable

from carboy.globals import request
from carboy.helpers import redirect
from carboy.origins import Origin, parse_origin

if t.TYPE_CHECKING:
    from werkzeug.wrappers import Response

#: Longer addresses are refused: no link of a site is, and headers have their limits.
LONGEST = 4096

#: Backslashes, and all that browsers drop or that turns text around.
_NEVER = re.compile(
    r"[\\\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]"
)
_ABSOLUTE = re.compile(
    r"(?:(?P<scheme>https?):)?//(?P<host>[A-Za-z0-9.:\[\]_~-]+)(?:[/?#].*)?", re.I
)


def url_has_allowed_host(
    target: str | None, hosts: str | Iterable[str] | None = None, *, require_https: bool = False
) -> bool:
    """Whether a browser that is sent to ``target`` stays on one of ``hosts``.

    ``target`` is a path that begins with one slash, or a whole address with an allowed host; a
    port other than the scheme's own must be named by the host, and user names are refused. An
    entry with a leading dot allows the name and everything below it. Without ``hosts`` the host
    of the current request is allowed. ``require_https`` refuses http addresses.
    """
    if not target or len(target) > LONGEST or _NEVER.search(target) or target[0].isspace():
        return False
    if target[0] == "/" and target[1:2] != "/":
        return True
    found = _ABSOLUTE.fullmatch(target)
    if found is None:
        return False
    scheme = (found["scheme"] or "https").lower()
    if scheme == "http" and require_https:
        return False
    origin = parse_origin(f"{scheme}://{found['host']}")
    if hosts is None:
        hosts = (request.host,)
    elif isinstance(hosts, str):
        hosts = (hosts,)
    return origin is not None and any(_allows(host, origin) for host in hosts)


def _allows(host: str, origin: Origin) -> bool:
    below = host.startswith(".")
    allowed = parse_origin(f"{origin.scheme}://{host.lstrip('.')}")
    if allowed is None or allowed.port != origin.port:
        return False
    if below and origin.host.endswith(f".{allowed.host}"):
        return True
    return origin.host == allowed.host


def safe_redirect(
    target: str | None,
    fallback: str = "/",
    *,
    hosts: Iterable[str] = (),
    code: int = 302,
) -> Response:
    """Redirect to ``target`` if it is on this host or one of ``hosts``, else to ``fallback``.

    ``safe_redirect(request.args.get("next"), url_for("home"))``. A request that came by https is
    not sent to http. ``fallback`` is the application's own and not looked at.
    """
    here = [request.host, *([hosts] if isinstance(hosts, str) else hosts)]
    allowed = url_has_allowed_host(target, here, require_https=request.is_secure)
    return redirect(target if allowed and target is not None else fallback, code)
