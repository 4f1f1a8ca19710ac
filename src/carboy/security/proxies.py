"""Who the client is, when proxies stand in between: only what trusted proxies say is believed.

A proxy appends the address of whoever asked it, so the list is read from its end: as long as the
speaker is a trusted proxy, the entry before it is true. What comes from anybody else is removed, so
that nothing in the application believes it either.
"""

from __future__ import annotations

import ipaddress
import re
import typing as t
from collections.abc import Iterable

if t.TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from carboy.app import Carboy

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

#: Stands for a peer without an address: the server listens on a Unix socket.
UNIX = "unix"

_X_FORWARDED = (
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PORT",
    "HTTP_X_FORWARDED_PREFIX",
    "HTTP_X_REAL_IP",
)
_FORWARDED = "HTTP_FORWARDED"

# RFC 7239 section 4: name=token or name="quoted", parted by ; and elements by commas.
_PAIR = re.compile(
    r"[ \t]*(?P<name>[!#$%&'*+.^_`|~0-9A-Za-z-]+)=(?:\"(?P<quoted>(?:[^\"\\]|\\.)*)\""
    r"|(?P<token>[!#$%&'*+.^_`|~0-9A-Za-z-]+))[ \t]*(?P<end>[;,]|$)"
)


class _Hop(t.NamedTuple):
    """What one proxy said of whoever asked it."""

    client: str
    proto: str | None = None
    host: str | None = None


class TrustedProxies:
    """Middleware around ``app.wsgi_app``: ``TrustedProxies(app, ["127.0.0.1", "10.0.0.0/8"])``.

    :param app: The application; its ``wsgi_app`` is wrapped.
    :param proxies: Addresses and networks of the proxies, ``"unix"`` for a Unix socket; by default
        the setting ``TRUSTED_PROXIES``, read at the first request.
    :param header: ``"x-forwarded"`` or ``"forwarded"`` (RFC 7239): the one that the proxies set. The
        other is removed, since they would pass on what the client wrote there.
    :param host: Whether the forwarded host is believed, too. Only for proxies that set it: most pass
        on the client's.

    The client's address, the scheme and the host are put where WSGI has them; what the server saw
    stays in ``environ["carboy.proxies.orig"]``. Raises ValueError for what is no network, or for
    one that holds everybody.
    """

    def __init__(
        self,
        app: Carboy,
        proxies: Iterable[str] | None = None,
        *,
        header: t.Literal["x-forwarded", "forwarded"] = "x-forwarded",
        host: bool = False,
    ) -> None:
        if header not in ("x-forwarded", "forwarded"):
            raise ValueError(f"header is 'x-forwarded' or 'forwarded', not {header!r}.")
        self._app = app
        self._given = None if proxies is None else read_networks(proxies)
        self._inner: WSGIApplication = app.wsgi_app
        self._forwarded = header == "forwarded"
        self._host = host
        app.extensions["carboy.proxies"] = self
        app.wsgi_app = self  # type: ignore[method-assign]

    @property
    def wsgi_app(self) -> WSGIApplication:
        """What is wrapped."""
        return self._inner

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if self._given is None:
            self._given = read_networks(self._app.config.get("TRUSTED_PROXIES") or ())
        self._believe(environ, *self._given)
        return self._inner(environ, start_response)

    def _believe(
        self, environ: WSGIEnvironment, networks: tuple[_Network, ...], unix: bool
    ) -> None:
        peer = environ.get("REMOTE_ADDR") or ""
        hops = self._hops(environ) if _is_trusted(peer, networks, unix) else []
        for name in (*_X_FORWARDED, _FORWARDED):
            environ.pop(name, None)
        believed: list[_Hop] = []
        for hop in reversed(hops):
            address = _address_of(hop.client)
            if address is None:
                break
            believed.append(hop._replace(client=str(address)))
            if not _is_trusted(str(address), networks, False):
                break
        if not believed:
            return
        names = ("REMOTE_ADDR", "wsgi.url_scheme", "HTTP_HOST")
        environ["carboy.proxies.orig"] = {name: environ.get(name) for name in names}
        # The last one is what the outermost trusted proxy said: it has seen the client itself.
        client = believed[-1]
        environ["REMOTE_ADDR"] = client.client
        if client.proto in ("http", "https"):
            environ["wsgi.url_scheme"] = client.proto
        if self._host and client.host:
            environ["HTTP_HOST"] = client.host
        environ["HTTP_X_FORWARDED_FOR"] = ", ".join(hop.client for hop in reversed(believed))

    def _hops(self, environ: WSGIEnvironment) -> list[_Hop]:
        if self._forwarded:
            return parse_forwarded(environ.get(_FORWARDED, ""))
        clients, protos, hosts = (
            [item for part in environ.get(name, "").split(",") if (item := part.strip(" \t"))]
            for name in _X_FORWARDED[:3]
        )
        # The lists are aligned at their ends, where the nearest proxy writes. A proxy that
        # replaces a value instead of adding one leaves a single one, which is for all.
        return [
            _Hop(client, _from_end(protos, place), _from_end(hosts, place))
            for place, client in zip(range(len(clients), 0, -1), clients, strict=True)
        ]


def _from_end(values: list[str], place: int) -> str | None:
    if len(values) == 1:
        return values[0]
    return values[-place] if place <= len(values) else None


def read_networks(proxies: Iterable[str]) -> tuple[tuple[_Network, ...], bool]:
    """The networks of a list of proxies, and whether Unix sockets are among them."""
    if isinstance(proxies, str):
        raise TypeError(f"Trusted proxies are a list; write [{proxies!r}].")
    if not isinstance(proxies, Iterable):
        raise TypeError(
            f"Trusted proxies are a list of addresses and networks, not {proxies!r}. For a number of"
            " proxies, whose addresses are not known, use Werkzeug's ProxyFix."
        )
    networks: list[_Network] = []
    unix = False
    for text in proxies:
        if text == UNIX:
            unix = True
            continue
        try:
            network = ipaddress.ip_network(text)
        except ValueError as error:
            raise ValueError(
                f"{text!r} is no address or network of a proxy ({error}). Write '10.0.0.5',"
                " '10.0.0.0/8', '2001:db8::/32' or 'unix'; there are no names or wildcards."
            ) from None
        if network.prefixlen == 0:
            raise ValueError(
                f"{text!r} holds everybody, so any client could choose its own address. If the"
                " addresses of the proxies are not known, count them and use Werkzeug's ProxyFix."
            )
        networks.append(network)
    return tuple(networks), unix


def _is_trusted(text: str, networks: tuple[_Network, ...], unix: bool) -> bool:
    if not text:
        return unix
    address = _address_of(text)
    return address is not None and any(address in network for network in networks)


def _address_of(text: str) -> _Address | None:
    """The address in ``192.0.2.1``, ``192.0.2.1:80``, ``2001:db8::1`` or ``[2001:db8::1]:80``."""
    if len(text) > 64:
        return None
    if text.startswith("["):
        text, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and re.fullmatch(r":[0-9]{1,5}", rest) is None):
            return None
    elif text.count(":") == 1:
        text, _, port = text.partition(":")
        if re.fullmatch(r"[0-9]{1,5}", port) is None:
            return None
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    # An IPv6 socket shows IPv4 clients in this form; networks are written in the other.
    return getattr(address, "ipv4_mapped", None) or address


def parse_forwarded(text: str) -> list[_Hop]:
    """The elements of a ``Forwarded`` header (RFC 7239), from the client's end.

    What cannot be read ends the list towards the client: nothing before it can be believed.
    """
    hops: list[_Hop] = []
    pairs: dict[str, str] = {}
    place = 0
    while place < len(text):
        found = _PAIR.match(text, place)
        if found is None:
            comma = text.find(",", place)
            hops, pairs = [], {}
            if comma < 0:
                return []
            place = comma + 1
            continue
        value = found["token"]
        if value is None:
            value = re.sub(r"\\(.)", r"\1", found["quoted"])
        pairs.setdefault(found["name"].lower(), value)
        place = found.end()
        if found["end"] != ";":
            hops.append(_hop_of(pairs))
            pairs = {}
    if pairs:
        hops.append(_hop_of(pairs))
    return hops


def _hop_of(pairs: dict[str, str]) -> _Hop:
    return _Hop(pairs.get("for", "unknown"), pairs.get("proto", "").lower(), pairs.get("host"))
