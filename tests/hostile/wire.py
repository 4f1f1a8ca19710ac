"""Requests as bytes, for servers: what must never be taken for something else.

Each case is sent on a connection of its own. Behind it, in its body or after it, stands a request
for /hidden with the case's number: a server that was misled runs it.
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass

HIDDEN = b"GET /hidden/0000 HTTP/1.1\r\nHost: wire\r\nX-Hidden: 1\r\n\r\n"
HOST = b"Host: wire\r\n"


@dataclass(frozen=True)
class Case:
    """Bytes, and what may come back: these statuses, or just the end of the connection."""

    name: str
    sent: bytes
    statuses: frozenset[int] = frozenset({400})
    #: Whether the hidden request stands after a whole one, for those who let the first one pass:
    #: "proxy", as nginx drops some bad fields, or "all".
    follows: str = ""

    def numbered(self, number: int) -> bytes:
        """The bytes, with this case's own hidden request."""
        return self.sent.replace(b"/hidden/0000", b"/hidden/%04d" % number)


def _post(fields: bytes, body: bytes, path: bytes = b"/", version: bytes = b"1.1") -> bytes:
    return b"POST " + path + b" HTTP/" + version + b"\r\n" + HOST + fields + b"\r\n" + body


def _get(fields: bytes, path: bytes = b"/") -> bytes:
    return b"GET " + path + b" HTTP/1.1\r\n" + fields + b"\r\n"


CHUNKED = b"Transfer-Encoding: chunked\r\n"
ENDED = b"0\r\n\r\n"


def _framing() -> list[Case]:
    smuggled = ENDED + HIDDEN
    length = b"Content-Length: %d\r\n" % len(smuggled)
    inner = b"%x\r\n%s\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN)
    cases = [
        Case("length before chunked", _post(length + CHUNKED, smuggled), frozenset({200, 400})),
        Case("chunked before length", _post(CHUNKED + length, smuggled), frozenset({200, 400})),
        Case("chunked and a short length", _post(CHUNKED + b"Content-Length: 4\r\n", inner),
             frozenset({200, 400})),
        Case("two lengths", _post(b"Content-Length: 0\r\n" + length, smuggled)),
        Case("two lengths the other way", _post(length + b"Content-Length: 0\r\n", smuggled)),
        Case("a list of lengths", _post(b"Content-Length: 0, 5\r\n", smuggled)),
    ]  # fmt: skip
    for text in (b"-1", b"+0", b"0x0", b"1e0", b"0_0", b"\xb2", b"0 0", b"abc", b"9" * 30):
        cases.append(Case(f"length {text!r}", _post(b"Content-Length: " + text + b"\r\n", HIDDEN)))
    for text in (b"chunked, chunked", b"identity", b"xchunked", b"chunked\x0b", b'"chunked"', b"",
                 b"\0chunked", b"chunked, gzip", b"chunked;q=1"):  # fmt: skip
        cases.append(
            Case(f"coding {text!r}", _post(b"Transfer-Encoding: " + text + b"\r\n", smuggled),
                 frozenset({400, 501}))
        )  # fmt: skip
    cases += [
        Case("two codings", _post(CHUNKED + CHUNKED, smuggled)),
        Case("a coding that is folded", _post(b"Transfer-Encoding: chunked\r\n , identity\r\n", smuggled),
             frozenset({400, 501})),
        Case("a coding on a line of its own", _post(b"Transfer-Encoding:\r\n chunked\r\n", smuggled),
             frozenset({400, 501})),
        Case("two different codings", _post(CHUNKED + b"Transfer-Encoding: identity\r\n", smuggled),
             frozenset({400, 501})),
        Case("chunked in HTTP/1.0", _post(CHUNKED, smuggled, version=b"1.0"), frozenset({200, 400})),
        Case("a body nobody reads", _post(length, smuggled, b"/none"), frozenset({404})),
        Case("a body of a refused method", _post(length, smuggled, b"/seen"), frozenset({405})),
    ]  # fmt: skip
    return cases


def _chunks() -> list[Case]:
    cases = []
    for size in (b"0x5", b"+5", b"-5", b"5_0", b" 5", b"\xb2", b"f" * 17, b"", b"5 5", b"g"):
        cases.append(Case(f"chunk size {size!r}", _post(CHUNKED, size + b"\r\nhello\r\n" + ENDED)))
    cases += [
        Case("chunk ended by LF", _post(CHUNKED, b"5\nhello\n0\n\n" + HIDDEN), follows="proxy"),
        Case("chunk without its end", _post(CHUNKED, b"5\r\nhello0\r\n\r\n" + HIDDEN)),
        Case("chunk longer than it says", _post(CHUNKED, b"2\r\nhello\r\n" + ENDED)),
        Case("LF in a chunk extension", _post(CHUNKED, b"5;a\nb\r\nhello\r\n" + ENDED)),
        Case("CR in a chunk extension", _post(CHUNKED, b"5;a\rb\r\nhello\r\n" + ENDED)),
        Case("200 kB of chunk extension",
             _post(CHUNKED, b"5;" + b"a" * 200_000 + b"\r\nhello\r\n" + ENDED),
             frozenset({400, 413, 431})),
        Case("500 kB of trailers", _post(CHUNKED, b"0\r\n" + b"A: " + b"a" * 500_000 + b"\r\n\r\n"),
             frozenset({200, 400, 413, 431})),
        Case("20,000 trailers", _post(CHUNKED, b"0\r\n" + b"A: b\r\n" * 20_000 + b"\r\n"),
             frozenset({200, 400, 413, 431})),
        Case("a length among the trailers",
             _post(CHUNKED, b"0\r\nContent-Length: 50\r\nX-Trailer: 1\r\n\r\n"), frozenset({200, 400})),
    ]  # fmt: skip
    return cases


def _fields() -> list[Case]:
    bad = {
        "NUL in a value": b"X-A: a\0b\r\n",
        "CR in a value": b"X-A: a\rb\r\n",
        "LF before a value": b"X-A:\n b\r\n",
        "a control byte in a value": b"X-A: a\x01b\r\n",
        "DEL in a value": b"X-A: a\x7fb\r\n",
        "a folded value": b"X-A: a\r\n b\r\n",
        "a field behind a CR": b"X-A: a\rTransfer-Encoding: chunked\r\n",
        "64 kB of odd characters, and a bad one": b"X-A: " + b'"\\\t (' * 13_000 + b"\x01\r\n",
        "64 kB of spaces before the colon": b"X-A" + b" " * 65_000 + b": a\r\n",
        "a space before the colon": b"X-A : a\r\n",
        "a space in a name": b"X A: a\r\n",
        "an empty name": b": a\r\n",
        "a name in parentheses": b"(X-A): a\r\n",
        "a name that is not ASCII": b"X-\xe9: a\r\n",
        "no colon": b"X-A\r\n",
    }
    cases = [Case(name, _get(HOST + line) + HIDDEN, follows="proxy") for name, line in bad.items()]
    cases += [
        Case("lines ended by LF", _post(b"Content-Length: 0\nX-A: b\n", HIDDEN).replace(b"\r\n\r\n", b"\n\n", 1),
             frozenset({200, 400}), follows="all"),
        Case("no host", _get(b"")),
        Case("two hosts", _get(HOST + b"Host: evil.example\r\n")),
        Case("a host with a path", _get(b"Host: wire/evil?\r\n")),
        Case("a megabyte of header", _get(HOST + b"X-A: " + b"a" * 1_000_000 + b"\r\n"),
             frozenset({400, 413, 414, 431})),
        Case("60,000 headers", _get(HOST + b"X-A: a\r\n" * 60_000), frozenset({400, 413, 431})),
        Case("a header that is known, 1,000 times", _get(HOST + b"Accept: a/b\r\n" * 1_000),
             frozenset({200, 400, 413, 431})),
        Case("an underscore", _get(HOST + b"X_Auth_User: admin\r\n", b"/user"), frozenset({200, 400})),
        Case("an underscore beside the proxy's own",
             _get(HOST + b"X-Auth-User: anon\r\nX_Auth_User: admin\r\n", b"/user"),
             frozenset({200, 400})),
    ]  # fmt: skip
    return cases


def _other_protocols() -> list[Case]:
    key = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    length = b"Content-Length: %d\r\n" % len(HIDDEN)
    settings = (
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    )
    return [
        Case("an upgrade without a key", _get(HOST + upgrade) + HIDDEN,
             frozenset({200, 400, 403, 404, 426}), "all"),
        Case("an upgrade of another version",
             _get(HOST + upgrade + key.replace(b"13", b"99")) + HIDDEN,
             frozenset({200, 400, 403, 404, 426}), "all"),
        Case("an upgrade to what is no WebSocket", _get(HOST + upgrade + key) + b"\x81\x05hello",
             frozenset({200, 400, 403, 404, 426})),
        Case("an upgrade by POST", _post(upgrade + key + b"Content-Length: 0\r\n", HIDDEN),
             frozenset({200, 400, 403, 404, 405, 426}), "all"),
        Case("an upgrade with a body", _get(HOST + upgrade + key + length) + HIDDEN,
             frozenset({200, 400, 403, 404, 426})),
        Case("an upgrade with a chunked body",
             _get(HOST + upgrade + key + CHUNKED) + b"%x\r\n%s\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN),
             frozenset({200, 400, 403, 404, 426})),
        Case("an upgrade with a body, to a WebSocket", _get(HOST + upgrade + key + length, b"/talk") + HIDDEN,
             frozenset({101, 400, 403})),
        Case("an upgrade of a foreign page, to a WebSocket",
             _get(HOST + upgrade + key + b"Origin: http://evil.example\r\n", b"/talk") + b"\x81\x05hello",
             frozenset({400, 403})),
        Case("an upgrade to h2c", _get(HOST + settings), frozenset({200, 400})),
        Case("HTTP/2 that goes on as HTTP/1", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + HIDDEN),
        Case("a method of HTTP/2's", b"PRI * HTTP/2.0\r\n\r\n" + HIDDEN),
        Case("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 40),
        Case("no request at all", b"\r\n\r\nhello\r\n\r\n"),
        Case("HTTP/0.9", b"GET /\r\n\r\n"),
        Case("an unknown version", b"GET / HTTP/9.9\r\n" + HOST + b"\r\n", frozenset({400, 505})),
        Case("CONNECT", b"CONNECT evil.example:80 HTTP/1.1\r\n" + HOST + b"\r\n",
             frozenset({400, 404, 405, 501})),
        Case("a target without a slash", b"GET evil HTTP/1.1\r\n" + HOST + b"\r\n",
             frozenset({400, 404})),
        Case("a control byte in the target", b"GET /\x01 HTTP/1.1\r\n" + HOST + b"\r\n",
             frozenset({400, 404})),
        Case("Expect: 100-continue",
             _post(b"Expect: 100-continue\r\nContent-Length: 5\r\n", b"hello"),
             frozenset({100, 200, 417})),
        Case("another expectation", _post(b"Expect: x\r\nContent-Length: 5\r\n", b"hello"),
             frozenset({200, 417})),
    ]  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """The statuses that came, all that came, and whether the server closed the connection."""

    statuses: list[int]
    received: bytes
    ended: bool


CASES = [*_framing(), *_chunks(), *_fields(), *_other_protocols()]

_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})[^\r\n]*\r\n")


def send(port: int, data: bytes, patience: float = 1.0, half: bool = False) -> Answer:
    """Send bytes and read what comes, until the end or until nothing has come for ``patience``.

    With ``half`` the sending half of the connection is closed first.
    """
    received = b""
    ended = False
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        try:
            connection.sendall(data)
            if half:
                connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it has refused already
        connection.settimeout(patience)
        try:
            while chunk := connection.recv(65536):
                received += chunk
            ended = True
        except ConnectionResetError:
            ended = True
        except TimeoutError:
            pass
    return Answer([int(status) for status in _STATUS.findall(received)], received, ended)
