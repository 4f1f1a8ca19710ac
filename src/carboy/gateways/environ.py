"""The WSGI environ of a request that came through an async door.

Extensions and :class:`~carboy.Request` read it; the values are spelled as PEP 3333 and RFC 3875
ask, so that a request looks the same whichever door it came through.
"""

from __future__ import annotations

import sys
import typing as t
from functools import lru_cache

from carboy.transport import RequestHead

if t.TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


class Facts(t.NamedTuple):
    """What a server tells of a request. Text is as sent, bytes in latin-1's clothes.

    ``path`` is percent-decoded and without ``root_path``. ``headers`` are pairs in the order they
    came; ``version`` is such as ``"1.1"``.
    """

    method: str
    scheme: str
    root_path: str
    path: str
    query: str
    version: str
    headers: t.Iterable[tuple[str, str]]
    client: tuple[str, int | None] | None
    server: tuple[str, int | None] | None


@lru_cache(maxsize=256)
def _key(name: str) -> str | None:
    """The environ's key for a header, or None for a name that could be taken for another's.

    ``X_Real_IP`` and ``X-Real-IP`` have the same key: a client must not be able to pass off the
    one for the other, which a proxy in front sets.
    """
    if "_" in name:
        return None
    upper = name.upper().replace("-", "_")
    return upper if upper in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{upper}"


def environ_of(facts: Facts, body: t.Any) -> WSGIEnvironment:
    """The environ of a request whose body is ``body``, a file that ends where the body ends."""
    host, port = facts.server or ("localhost", None)
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": facts.method,
        "SCRIPT_NAME": facts.root_path,
        "PATH_INFO": facts.path,
        "QUERY_STRING": facts.query,
        "SERVER_NAME": host,
        "SERVER_PORT": str(port if port is not None else (443 if facts.scheme == "https" else 80)),
        "SERVER_PROTOCOL": f"HTTP/{facts.version}",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": facts.scheme,
        "wsgi.input": body,
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    if facts.client is not None:
        environ["REMOTE_ADDR"] = facts.client[0]
        if facts.client[1] is not None:
            environ["REMOTE_PORT"] = str(facts.client[1])
    for name, value in facts.headers:
        key = _key(name)
        if key is None:
            continue
        if key in environ:
            # RFC 9110 section 5.3; cookies are one header again (RFC 9113 section 8.2.3).
            joint = "; " if key == "HTTP_COOKIE" else ","
            environ[key] = f"{environ[key]}{joint}{value}"
        else:
            environ[key] = value
    return environ


class LazyHead(RequestHead):
    """A head that was read off a server's own description of the request.

    ``make`` makes the environ, for whoever asks.
    """

    __slots__ = ("_make", "scheme")

    def __init__(
        self,
        method: str,
        scheme: str,
        path: str,
        host: str,
        cookie: str | None,
        make: t.Callable[[], WSGIEnvironment],
    ) -> None:
        self.method = method
        self.scheme = scheme  # type: ignore[misc]
        self.path = path
        self.host = host
        self.cookie = cookie
        self.made = None
        self._make = make

    if not t.TYPE_CHECKING:

        @property
        def environ(self) -> WSGIEnvironment:
            """The environ of the request."""
            made = self.made
            if made is None:
                made = self.made = self._make()
            return made

        def get(self, key: str, default: t.Any = None) -> t.Any:
            """What the environ has under ``key``."""
            return self.environ.get(key, default)


def as_latin1(text: str) -> str:
    """Decoded text as WSGI spells it: its UTF-8 bytes, one character each."""
    return text if text.isascii() else text.encode(errors="surrogateescape").decode("latin-1")
