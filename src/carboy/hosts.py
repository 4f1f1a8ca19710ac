"""Is a Host header a host at all?"""

from __future__ import annotations

import re
import typing as t

from werkzeug.exceptions import SecurityError
from werkzeug.sansio.utils import host_is_trusted
from werkzeug.wsgi import get_host

if t.TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# A name may come in its Unicode form, too; Werkzeug turns that into IDNA.
_HOST = re.compile(r"(?:[\w~-]+(?:\.[\w~-]+)*\.?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


#: Hosts that were looked at and found well formed, and the absence of one.
well_formed: set[str | None] = {None, ""}
_KEPT = 1024


def is_well_formed(host: str | None) -> bool:
    """Whether ``host`` is a host name, an IPv4 or a bracketed IPv6 address, with or without port.

    RFC 9112 section 3.2 wants a 400 for anything else. An empty host is allowed: HTTP/1.0
    clients and absolute request targets send one.
    """
    if host in well_formed:
        return True
    if host is None or len(host) > 262 or _HOST.fullmatch(host) is None:
        return False
    if not host.isascii() and max(host) <= "\xff":
        return False  # bytes that no server decoded (PEP 3333), and no client may send
    if len(well_formed) < _KEPT:  # any client can send any number of hosts
        well_formed.add(host)
    return True


def check_trusted(environ: WSGIEnvironment, trusted: t.Collection[str] | None) -> None:
    """Raise SecurityError (a 400) for a host that is not one of ``trusted``, whatever its case."""
    if trusted:
        host = get_host(environ)
        if not host_is_trusted(host.lower(), [name.lower() for name in trusted]):
            raise SecurityError(f"Host {host!r} is not trusted.")


def is_below(host: str, server_name: str, scheme: str) -> bool:
    """Whether ``host`` is ``server_name`` or a subdomain of it, ports included.

    The scheme's standard port may be left out on either side.
    """
    standard = ":443" if scheme in {"https", "wss"} else ":80"
    host, server_name = (name.lower().removesuffix(standard) for name in (host, server_name))
    return host == server_name or host.endswith("." + server_name)
