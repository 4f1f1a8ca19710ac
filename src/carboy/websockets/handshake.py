"""The handshake: the request that a conversation began with, and who may make it."""

from __future__ import annotations

import typing as t

from werkzeug.exceptions import Forbidden

from carboy.origins import is_own_origin, origins_of, parse_origin

if t.TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment
    from werkzeug.datastructures import Headers, ImmutableMultiDict
    from werkzeug.routing import Rule

    from carboy.app import Carboy
    from carboy.wrappers import Request


def _of_request(name: str, doc: str) -> t.Any:
    def get(self: Handshake) -> t.Any:
        return getattr(self.request, name)

    return property(get, doc=doc)


class Handshake:
    """What a client has asked for, and the limits that the rule or the configuration sets."""

    app: Carboy
    request: Request
    _options: t.Mapping[str, t.Any] = {}
    _checked = False
    _size_limit: int | None = None
    _idle_limit: float | None = None

    if t.TYPE_CHECKING:
        args: ImmutableMultiDict[str, str]
        blueprint: str | None
        cookies: ImmutableMultiDict[str, str]
        endpoint: str | None
        environ: WSGIEnvironment
        full_path: str
        headers: Headers
        host: str
        path: str
        query_string: bytes
        remote_addr: str | None
        root_path: str
        url_rule: Rule | None
        view_args: dict[str, t.Any] | None
    else:
        args = _of_request("args", "The parameters of the query string.")
        blueprint = _of_request("blueprint", "The blueprint of the view, or None.")
        cookies = _of_request("cookies", "The cookies of the handshake.")
        endpoint = _of_request("endpoint", "The endpoint of the rule that matched.")
        environ = _of_request("environ", "The WSGI environ of the handshake.")
        full_path = _of_request("full_path", "The path with the query string.")
        headers = _of_request("headers", "The headers of the handshake.")
        host = _of_request("host", "The host that the client asked for.")
        path = _of_request("path", "The path, decoded.")
        query_string = _of_request("query_string", "The query string, as bytes.")
        remote_addr = _of_request("remote_addr", "The client's address.")
        root_path = _of_request("root_path", "Where the application is mounted.")
        url_rule = _of_request("url_rule", "The rule that matched.")
        view_args = _of_request("view_args", "The values of the rule's variables.")

    @property
    def scheme(self) -> str:
        """``"ws"`` or ``"wss"``."""
        return "wss" if self.request.scheme == "https" else "ws"

    @property
    def url(self) -> str:
        """The URL as the client asked for it, with the scheme ``ws`` or ``wss``."""
        return self.scheme + self.request.url[len(self.request.scheme) :]

    @property
    def requested_subprotocols(self) -> list[str]:
        """The subprotocols that the client offers, in the order of its preference."""
        offered = self.request.headers.get("Sec-WebSocket-Protocol", "")
        return [name for part in offered.split(",") if (name := part.strip())]

    def configure(self, options: t.Mapping[str, t.Any]) -> None:
        """Take the limits of the rule that matched, or those of the configuration."""
        config = self.app.config
        self._options = options
        self._size_limit = options.get("max_message_size", config["WEBSOCKET_MAX_MESSAGE_SIZE"])
        self._idle_limit = options.get("idle_timeout", config["WEBSOCKET_IDLE_TIMEOUT"])

    def _check_origin(self) -> None:
        """Raise Forbidden for a page of another site (cross-site WebSocket hijacking).

        Browsers keep no page from opening a WebSocket to anywhere, with the user's cookies. They
        always say which site it is of; who says nothing is no browser.
        """
        if self._checked:
            return
        origin = self.environ.get("HTTP_ORIGIN")
        allowed = self._options.get("origins", self.app.config["WEBSOCKET_ORIGINS"])
        if (
            origin is not None
            and allowed != "*"
            and not is_own_origin(origin, self.request.scheme, self.request.host)
            and parse_origin(origin) not in origins_of(allowed or (), "WEBSOCKET_ORIGINS")
        ):
            raise Forbidden("Pages of this origin may not open this WebSocket.")
        self._checked = True
