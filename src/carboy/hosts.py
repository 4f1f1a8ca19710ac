"""Is a Host header a host at all?"""

from __future__ import annotations

import re
from functools import lru_cache

_HOST = re.compile(r"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?", re.ASCII)


@lru_cache(maxsize=1024)
def is_well_formed(host: str) -> bool:
    """Whether ``host`` is a host name, an IPv4 or a bracketed IPv6 address, with or without port.

    RFC 9112 section 3.2 wants a 400 for anything else. An empty host is allowed: HTTP/1.0
    clients and absolute request targets send one.
    """
    return not host or (len(host) <= 262 and _HOST.fullmatch(host) is not None)
