"""A request written as HTTP/1.1 text, sent through each door in process, and its answer checked.

The text is what a corpus keeps: whoever opens a file sees the request. It is not a server's
parser: bytes go to the application as a server would hand them over that refuses nothing.
"""

from __future__ import annotations

import asyncio
import atexit
import io
import re
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from carboy.globals import _cv

if TYPE_CHECKING:
    from collections.abc import Iterable

    from carboy import Carboy

Pairs = list[tuple[str, str]]

#: RFC 9110 sections 5.1 and 5.5: a name is a token, a value has no control character but HTAB.
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


class Written:
    """A request as it was written."""

    def __init__(self, data: bytes) -> None:
        head, _, self.body = data.partition(b"\n\n")
        first, *lines = head.decode("latin-1").split("\n")
        method, _, rest = first.partition(" ")
        target, _, version = rest.rpartition(" ")
        self.method = method or "GET"
        self.path, _, self.query = (target or "/").partition("?")
        self.version = version if version in ("HTTP/1.0", "HTTP/1.1", "HTTP/2") else "HTTP/1.1"
        pairs = (line.partition(":") for line in lines if ":" in line)
        self.headers: Pairs = [(name, value.strip(" ")) for name, _, value in pairs if name]

    def is_cut(self) -> bool:
        """Whether the body is shorter than was declared."""
        lengths = [value for name, value in self.headers if name.lower() == "content-length"]
        return any(text.isdecimal() and int(text) > len(self.body) for text in lengths)

    def is_framed(self) -> bool:
        """Whether a server would take this for a request: its body is as long as it says."""
        named = {name.lower(): value for name, value in self.headers}
        lengths = [value for name, value in self.headers if name.lower() == "content-length"]
        declared = lengths or ["0"]
        return (
            declared == [str(len(self.body))]
            and "transfer-encoding" not in named
            and self.version == "HTTP/1.1"
            and self.path.isascii()
            and self.method.isascii()
            and all(_NAME.fullmatch(name) and "_" not in name for name, _ in self.headers)
        )


class Answer:
    """What came back."""

    def __init__(self, status: int, headers: Pairs, body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    def check(self, method: str) -> Answer:
        """Raise AssertionError unless this is a good answer, and none of a broken application."""
        assert 200 <= self.status < 500, self.status
        for name, value in self.headers:
            assert _NAME.fullmatch(name), (name, value)
            assert _VALUE.fullmatch(value), (name, value)
            if name.lower() == "location":
                assert value.startswith(("/", "http://", "https://")), value
                assert not value.startswith(("//", "/\\")), value
        lengths = [value for name, value in self.headers if name.lower() == "content-length"]
        assert len(lengths) <= 1, lengths
        if lengths and method != "HEAD" and self.status != 304:
            assert int(lengths[0]) == len(self.body), (lengths, len(self.body))
        if method == "HEAD" or self.status in (204, 304):
            assert self.body == b"", self.body
        assert b"SECRET OUTSIDE" not in self.body
        assert _cv.get(None) is None, "a context was left behind"
        return self


def by_wsgi(app: Carboy, written: Written) -> Answer:
    """Send the request through the WSGI door."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": written.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": _unquoted(written.path).decode("latin-1"),
        "QUERY_STRING": written.query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": written.version,
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(written.body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in written.headers:
        key = name.upper().replace("-", "_")
        key = key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"
        if key in environ:  # as servers join repeated ones
            value = f"{environ[key]}{'; ' if key == 'HTTP_COOKIE' else ','}{value}"
        environ[key] = value
    begun: list[tuple[str, Pairs]] = []

    def start_response(status: str, headers: Pairs, exc_info: Any = None) -> Any:
        begun[:] = [(status, headers)]
        return lambda data: None

    chunks: Iterable[bytes] = app(environ, start_response)
    try:
        body = b"".join(chunks)
    finally:
        close = getattr(chunks, "close", None)
        if close is not None:
            close()
    status, headers = begun[0]
    return Answer(int(status[:3]), headers, body)


def by_asgi(app: Carboy, written: Written) -> Answer:
    """Send the request through the ASGI door."""
    raw = written.path.encode("latin-1")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": written.version[5:],
        "method": written.method,
        "scheme": "http",
        "path": _unquoted(written.path).decode(errors="replace"),
        "raw_path": raw,
        "root_path": "",
        "query_string": written.query.encode("latin-1"),
        "headers": [(n.lower().encode("latin-1"), v.encode("latin-1")) for n, v in written.headers],
        "client": ("127.0.0.1", 1),
        "server": ("localhost", 80),
    }
    half = len(written.body) // 2
    events: list[dict[str, Any]] = [
        {"type": "http.request", "body": written.body[:half], "more_body": True},
        {"type": "http.request", "body": written.body[half:], "more_body": False},
    ]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if events:
            return events.pop(0)
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    _run(app(scope, receive, send))
    headers = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in sent[0]["headers"]]
    return Answer(sent[0]["status"], headers, b"".join(m.get("body", b"") for m in sent[1:]))


def by_rsgi(app: Carboy, written: Written) -> Answer:
    """Send the request through the RSGI door."""
    scope = SimpleNamespace(
        proto="http",
        rsgi_version="1.5",
        http_version=written.version[5:],
        server="localhost:80",
        client="127.0.0.1:1",
        scheme="http",
        method=written.method,
        path=_unquoted(written.path).decode(errors="replace"),
        query_string=written.query,
        authority=None,
        headers=_Headers(written.headers),
    )
    protocol = _Protocol(written.body)
    _run(app.__rsgi__(scope, protocol))
    return Answer(protocol.status, protocol.headers, b"".join(protocol.body))


class _Headers(dict[str, str]):
    def __init__(self, pairs: Pairs) -> None:
        # The server gives text in UTF-8 and leaves out what is none.
        self._pairs = []
        for name, value in pairs:
            try:
                self._pairs.append((name.lower(), value.encode("latin-1").decode()))
            except UnicodeDecodeError:
                continue
        super().__init__(self._pairs)

    def items(self) -> Any:
        return self._pairs

    def get_all(self, name: str) -> list[str]:
        return [value for key, value in self._pairs if key == name]


class _Protocol:
    def __init__(self, body: bytes) -> None:
        self._received = body
        self.status = 0
        self.headers: Pairs = []
        self.body: list[bytes] = []

    async def __call__(self) -> bytes:
        return self._received

    async def __aiter__(self) -> Any:
        half = len(self._received) // 2
        yield self._received[:half]
        yield self._received[half:]

    async def client_disconnect(self) -> None:
        await asyncio.Event().wait()

    def response_empty(self, status: int, headers: Pairs) -> None:
        self.status, self.headers = status, headers

    def response_bytes(self, status: int, headers: Pairs, body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, [body]

    def response_str(self, status: int, headers: Pairs, body: str) -> None:
        self.response_bytes(status, headers, body.encode())

    def response_stream(self, status: int, headers: Pairs) -> _Protocol:
        self.status, self.headers = status, headers
        return self

    async def send_bytes(self, data: bytes) -> None:
        self.body.append(data)

    async def send_str(self, data: str) -> None:
        self.body.append(data.encode())


_loop: asyncio.AbstractEventLoop | None = None


def _run(coroutine: Any) -> None:
    """Run with a bound in time, on one loop that stays: nothing may hang."""
    global _loop
    if threading.current_thread() is not threading.main_thread():
        asyncio.run(asyncio.wait_for(coroutine, 20))
        return
    if _loop is None:
        _loop = asyncio.new_event_loop()
        atexit.register(_loop.close)
    _loop.run_until_complete(asyncio.wait_for(coroutine, 20))


def _unquoted(path: str) -> bytes:
    from urllib.parse import unquote_to_bytes

    return unquote_to_bytes(path.encode("latin-1"))


DOORS = {"wsgi": by_wsgi, "asgi": by_asgi, "rsgi": by_rsgi}
