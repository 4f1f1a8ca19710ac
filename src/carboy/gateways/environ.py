"""The WSGI environ of a request that came through an async door.

Extensions and :class:`~carboy.Request` read it; the values are spelled as PEP 3333 and RFC 3875
ask, so that a request looks the same whichever door it came through.
"""

from __future__ import annotations

import io
import sys
import typing as t
from functools import lru_cache

from carboy.transport import RequestHead

if t.TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    from .loop import Client
    from .spool import Spool


class Facts(t.NamedTuple):
    """What a server tells of a request. Text is as sent, bytes in latin-1's clothes.

    ``path`` is percent-decoded and without ``root_path``. ``headers`` are pairs in the order they
    came, whose names may be bytes; ``version`` is such as ``"1.1"``.
    """

    method: str
    scheme: str
    root_path: str
    path: str
    query: str
    version: str
    headers: t.Iterable[tuple[str | bytes, str]]
    client: tuple[str, int | None] | None
    server: tuple[str, int | None] | None


@lru_cache(maxsize=256)
def key_of(name: str | bytes) -> str | None:
    """The environ's key for a header, or None for a name that could be taken for another's.

    ``X_Real_IP`` and ``X-Real-IP`` have the same key: a client must not be able to pass off the
    one for the other, which a proxy in front sets.
    """
    if isinstance(name, bytes):
        name = name.decode("latin-1")
    if "_" in name or not name.isascii():
        return None
    upper = name.upper().replace("-", "_")
    return upper if upper in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{upper}"


@lru_cache(maxsize=256)
def name_of(key: str) -> str | None:
    """The header, in small letters, that the environ has under ``key``; None: it is no header's."""
    name = key.removeprefix("HTTP_").replace("_", "-").lower()
    return name if key_of(name) == key else None


@lru_cache(maxsize=256)
def raw_name_of(key: str) -> bytes | None:
    """As :func:`name_of`, in bytes."""
    name = name_of(key)
    return None if name is None else name.encode()


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
        key = key_of(name)
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

    Single keys are looked up there; the environ is made for whoever asks for it.
    """

    __slots__ = ("body", "client")

    #: What the body is read from, unless there is none.
    body: Spool | None
    #: Whoever waits for the answer, once that takes time.
    client: Client | None

    def _facts(self) -> Facts:
        raise NotImplementedError

    def _fact(self, key: str) -> str | None:
        """What is no header and seldom missing; None where the environ has to be asked."""
        if key == "PATH_INFO":
            return self.path
        if key == "REQUEST_METHOD":
            return self.method
        return "" if key == "SCRIPT_NAME" else None

    def _more(self) -> t.Any:
        """The test client's own keys; nothing that a client sends gets here."""
        raise NotImplementedError

    def _client(self) -> Client:
        """Whoever waits for the answer to this request."""
        raise NotImplementedError

    def whoever_waits(self) -> Client:
        """Whoever waits for the answer, the same each time."""
        client = self.client
        if client is None:
            client = self.client = self._client()
        return client

    def close(self) -> None:
        """The request is over."""
        if self.client is not None:
            self.client.close()
        if self.body is not None:
            self.body.close()

    def _read(self, environ: WSGIEnvironment) -> None:
        """Take everything from the environ, as :class:`RequestHead` does."""
        plain = RequestHead(environ)
        self.method = plain.method
        self.path = plain.path
        self.host = plain.host
        self.cookie = plain.cookie

    if not t.TYPE_CHECKING:

        @property
        def environ(self) -> WSGIEnvironment:
            """The environ of the request."""
            made = self.made
            if made is None:
                body = self.body
                made = environ_of(self._facts(), io.BytesIO() if body is None else body)
                if more := self._more():
                    made.update(more)
                self.made = made
            return made

        def _no_header(self, key: str) -> t.Any:
            """What is no header."""
            if (fact := self._fact(key)) is not None:
                return fact
            if key == "wsgi.input" and self.body is not None:
                return self.body
            if key == "wsgi.input_terminated":
                return True
            return self.environ.get(key)


def as_latin1(text: str) -> str:
    """Decoded text as WSGI spells it: its UTF-8 bytes, one character each."""
    return text if text.isascii() else text.encode(errors="surrogateescape").decode("latin-1")
