"""Origins (RFC 6454): reading them exactly, and comparing one with a request's own."""

from __future__ import annotations

import re
import typing as t

_ORIGIN = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://"
    r"(?P<host>[a-z0-9_~-]+(?:\.[a-z0-9_~-]+)*\.?|\[[0-9a-f:.]+\])"
    r"(?::(?P<port>[0-9]{1,5}))?"
)
_STANDARD_PORTS = {"http": "80", "https": "443"}


class Origin(t.NamedTuple):
    """Scheme, host and port of a site; the port is None where it is the scheme's own."""

    scheme: str
    host: str
    port: str | None


def parse_origin(text: str) -> Origin | None:
    """The parts of an ``Origin`` header, or None for ``null`` and what is no origin.

    Nothing may follow the port: no slash, path or further origin. User names are refused.
    """
    found = _ORIGIN.fullmatch(text.lower())
    if found is None:
        return None
    scheme, host, port = found.group("scheme", "host", "port")
    return Origin(scheme, host, None if port == _STANDARD_PORTS.get(scheme) else port)


def is_own_origin(text: str, scheme: str, host: str) -> bool:
    """Whether an origin is that of a request with this scheme and Host header.

    A request that came in by http may have an https origin, since a proxy in front may have
    taken the encryption off; the other way round is another origin.
    """
    origin = parse_origin(text)
    if origin is None or origin.scheme not in _STANDARD_PORTS:
        return False
    if scheme == "https" and origin.scheme != "https":
        return False
    return parse_origin(f"{origin.scheme}://{host}") == origin


def origins_of(setting: t.Iterable[str], name: str) -> frozenset[Origin]:
    """The origins of a setting. TypeError for a text, ValueError for what is no exact origin."""
    if isinstance(setting, str | bytes):
        raise TypeError(f"{name} is a list of origins; write [{setting!r}].")
    found = set()
    for text in setting:
        origin = parse_origin(text)
        if origin is None:
            raise ValueError(
                f"{name} has {text!r}, which is no origin. An origin is scheme, host and, where it"
                " is not the usual one, port: 'https://app.example.org'. There are no wildcards"
                " and no paths, and 'null' is what any sandboxed page says."
            )
        found.add(origin)
    return frozenset(found)
