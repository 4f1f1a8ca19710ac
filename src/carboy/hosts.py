"""Is a Host header a host at all?"""

from __future__ import annotations

import re
from functools import lru_cache

# A name may come in its Unicode form, too; Werkzeug turns that into IDNA.
_HOST = re.compile(r"(?:[\w.~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


@lru_cache(maxsize=1024)
def is_well_formed(host: str) -> bool:
    """Whether ``host`` is a host name, an IPv4 or a bracketed IPv6 address, with or without port.

    RFC 9112 section 3.2 wants a 400 for anything else. An empty host is allowed: HTTP/1.0
    clients and absolute request targets send one.
    """
    return not host or (len(host) <= 262 and _HOST.fullmatch(host) is not None)


def is_below(host: str, server_name: str, scheme: str) -> bool:
    """Whether ``host`` is ``server_name`` or a subdomain of it, ports included.

    The scheme's standard port may be left out on either side.
    """
    standard = ":443" if scheme in {"https", "wss"} else ":80"
    host, server_name = (name.lower().removesuffix(standard) for name in (host, server_name))
    return host == server_name or host.endswith("." + server_name)
