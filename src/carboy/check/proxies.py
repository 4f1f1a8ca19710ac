"""Rules on what is believed about the client when proxies stand in between."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator

from .rules import Hit, rule

if t.TYPE_CHECKING:
    from .subject import Subject

_HEADERS = ("x_for", "x_proto", "x_host", "x_port", "x_prefix")
_MANY = 2


def _fixes(subject: Subject) -> list[dict[str, int]]:
    """How many hops each ProxyFix around the application believes, by header."""
    return [
        {name: getattr(item, name, 0) for name in _HEADERS}
        for item in subject.middleware()
        if any(cls.__name__ == "ProxyFix" for cls in type(item).__mro__)
    ]


@rule(
    "proxy-hops",
    "More proxies are trusted than there usually are",
    why="Each hop too many is one"
    " value of X-Forwarded-For that the client writes itself: its address, its scheme, its host.",
    remedy="Count the proxies that set the header and give ProxyFix that number, one for one"
    " nginx; wrap it once. If it is right, say CHECK_IGNORE = ['proxy-hops'].",
)
def hops(subject: Subject) -> Iterator[Hit]:
    fixes = _fixes(subject)
    if len(fixes) > 1:
        yield "app.wsgi_app", f"ProxyFix is wrapped {len(fixes)} times, and their numbers add up"
    for fix in fixes:
        many = {name: count for name, count in fix.items() if count > _MANY}
        if many:
            yield "app.wsgi_app", "ProxyFix(" + ", ".join(f"{k}={v}" for k, v in many.items()) + ")"
        counts = {count for count in fix.values() if count}
        if len(counts) > 1 and not many:
            told = ", ".join(f"{name}={count}" for name, count in fix.items() if count)
            yield "app.wsgi_app", f"ProxyFix({told}): different numbers of proxies for one request"


@rule(
    "proxy-host",
    "A forwarded host is believed unchecked",
    why="Most proxies pass X-Forwarded-Host"
    " and X-Forwarded-Prefix on as the client wrote them, so it chooses the host of links.",
    remedy="Set TRUSTED_HOSTS, which is compared with the forwarded host, too; leave x_host and"
    " x_prefix at 0 unless the proxy sets these headers itself.",
)
def host(subject: Subject) -> Iterator[Hit]:
    if not subject.get("TRUSTED_HOSTS"):
        for fix in _fixes(subject):
            if fix["x_host"]:
                yield "app.wsgi_app", f"ProxyFix(x_host={fix['x_host']}) without TRUSTED_HOSTS"


RULES = (hops, host)
